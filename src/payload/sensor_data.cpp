#include "payload/sensor_data.h"

#include <algorithm>
#include <array>

#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {
namespace {

constexpr std::array<std::string_view, 30> kFlags = {"momentary",
                                                     "peak",
                                                     "status",
                                                     "computed",
                                                     "identity",
                                                     "historicalSecond",
                                                     "historicalMinute",
                                                     "historicalHour",
                                                     "historicalDay",
                                                     "historicalWeek",
                                                     "historicalMonth",
                                                     "historicalQuarter",
                                                     "historicalYear",
                                                     "historicalOther",
                                                     "missing",
                                                     "inProgress",
                                                     "automaticEstimate",
                                                     "manualEstimate",
                                                     "manualReadout",
                                                     "automaticReadout",
                                                     "timeOffset",
                                                     "warning",
                                                     "error",
                                                     "signed",
                                                     "invoiced",
                                                     "endOfSeries",
                                                     "powerFailure",
                                                     "invoiceConfirmed",
                                                     "all",
                                                     "historical"};
static_assert(kFlags.size() == static_cast<std::size_t>(SensorFlag::historical) + 1);

bool is_kind(SensorFlag flag) { return flag <= SensorFlag::historical_other; }
bool is_of_requests(SensorFlag flag) { return is_kind(flag) || flag >= SensorFlag::all; }
bool is_of_fields(SensorFlag flag) { return flag < SensorFlag::all; }
bool is_historical(SensorFlag flag) {
  return flag >= SensorFlag::historical_second && flag <= SensorFlag::historical_other;
}

template <class Predicate>
bool has_any(const SensorFlags& flags, Predicate predicate) {
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    const auto flag = static_cast<SensorFlag>(i);
    if (predicate(flag) && flags.has(flag)) return true;
  }
  return false;
}

// Table 4: what is stored at the turn of a longer period is also of the shorter ones.
SensorFlags with_implied(SensorFlags kinds) {
  using enum SensorFlag;
  constexpr std::pair<SensorFlag, SensorFlag> kImplied[] = {
      {historical_year, historical_quarter}, {historical_quarter, historical_month},
      {historical_month, historical_day},    {historical_week, historical_day},
      {historical_day, historical_hour},     {historical_hour, historical_minute},
      {historical_minute, historical_second}};
  for (const auto& [longer, shorter] : kImplied)
    if (kinds.has(longer)) kinds.set(shorter);
  return kinds;
}

std::optional<SensorFlag> parse_flag(std::string_view name) {
  if (name == "identification") return SensorFlag::identity;
  const auto found = std::ranges::find(kFlags, name);
  if (found == kFlags.end()) return std::nullopt;
  return static_cast<SensorFlag>(found - kFlags.begin());
}

// --- reading ---

Result<bool> parse_switch(const xml::Attribute& attribute) {
  const auto on = parse_boolean(attribute.value);
  if (!on) return fail(Errc::invalid, fmt::format("{} is neither true nor false", attribute.name));
  return *on;
}

// False if there is none.
Result<bool> parse_switch(const xml::Element& element, std::string_view name) {
  for (const auto* at = element.first_attribute(); at != nullptr; at = at->next)
    if (at->name == name && at->ns.empty()) return parse_switch(*at);
  return false;
}

template <class Predicate>
Result<SensorFlags> parse_flags(const xml::Element& element, Predicate allowed) {
  SensorFlags flags;
  for (const auto* at = element.first_attribute(); at != nullptr; at = at->next) {
    const auto flag = at->ns.empty() ? parse_flag(at->name) : std::nullopt;
    if (!flag || !allowed(*flag)) continue;
    const auto on = parse_switch(*at);
    if (!on) return std::unexpected(on.error());
    if (*on) flags.set(*flag);
  }
  return flags;
}

Result<SensorRequest> parse_request(const xml::Element& element, std::int32_t seqnr) {
  const auto kinds = parse_flags(element, is_of_requests);
  if (!kinds) return std::unexpected(kinds.error());
  SensorRequest request{.seqnr = seqnr,
                        .kinds = *kinds,
                        .nodes = {},
                        .fields = {},
                        .from = attribute(element, "from"),
                        .to = attribute(element, "to"),
                        .when = attribute(element, "when"),
                        .tokens = parse_iot_tokens(element)};
  for (const auto& child : element.children()) {
    if (child.is("node", ns::sensor_data)) {
      auto node = parse_iot_node(child);
      if (!node) return std::unexpected(node.error());
      request.nodes.push_back(std::move(*node));
    } else if (child.is("field", ns::sensor_data)) {
      if (!child.attribute("name")) return fail(Errc::invalid, "a field has no name");
      request.fields.push_back(attribute(child, "name"));
    }
  }
  return request;
}

Result<SensorField> parse_field(const xml::Element& element, IotType type) {
  const auto name = element.attribute("name"), value = element.attribute("value");
  if (!name) return fail(Errc::invalid, "a field has no name");
  const auto flags = parse_flags(element, is_of_fields);
  if (!flags) return std::unexpected(flags.error());
  if (!value && !flags->has(SensorFlag::missing))
    return fail(Errc::invalid, fmt::format("the field {} has no value", *name));
  SensorField field{.name = std::string(*name),
                    .value = {type, std::string(value.value_or(std::string_view()))},
                    .unit = type == IotType::numeric ? attribute(element, "unit") : std::string(),
                    .data_type = type == IotType::enum_ ? attribute(element, "dataType") : std::string(),
                    .flags = *flags,
                    .module = attribute(element, "module"),
                    .string_ids = attribute(element, "stringIds"),
                    .writable = std::nullopt};
  if (element.attribute("writable")) {
    const auto writable = parse_switch(element, "writable");
    if (!writable) return std::unexpected(writable.error());
    field.writable = *writable;
  }
  return field;
}

std::optional<IotType> type_of_field(const xml::Element& element) {
  if (element.ns() != ns::sensor_data) return std::nullopt;
  const auto type = parse_iot_type(element.name());
  if (type == IotType::color || type == IotType::double_) return std::nullopt;  // of control only (5.5)
  return type;
}

Result<SensorFields::Timestamp> parse_timestamp_of_fields(const xml::Element& element) {
  if (!element.attribute("value")) return fail(Errc::invalid, "a timestamp has no value");
  SensorFields::Timestamp timestamp{.value = attribute(element, "value"), .fields = {}};
  for (const auto& child : element.children()) {
    const auto type = type_of_field(child);
    if (!type) continue;
    auto field = parse_field(child, *type);
    if (!field) return std::unexpected(field.error());
    timestamp.fields.push_back(std::move(*field));
  }
  return timestamp;
}

Result<SensorFields::Node> parse_node_of_fields(const xml::Element& element) {
  auto name = parse_iot_node(element);
  if (!name) return std::unexpected(name.error());
  SensorFields::Node node{.node = std::move(*name), .timestamps = {}};
  for (const auto& child : element.children()) {
    if (!child.is("timestamp", ns::sensor_data)) continue;
    auto timestamp = parse_timestamp_of_fields(child);
    if (!timestamp) return std::unexpected(timestamp.error());
    node.timestamps.push_back(std::move(*timestamp));
  }
  return node;
}

Result<SensorFields> parse_fields(const xml::Element& element, std::int32_t seqnr) {
  const auto done = parse_switch(element, "done");
  if (!done) return std::unexpected(done.error());
  SensorFields fields{.seqnr = seqnr, .done = *done, .nodes = {}};
  for (const auto& child : element.children()) {
    if (!child.is("node", ns::sensor_data)) continue;
    auto node = parse_node_of_fields(child);
    if (!node) return std::unexpected(node.error());
    fields.nodes.push_back(std::move(*node));
  }
  return fields;
}

Result<SensorFailure> parse_failure(const xml::Element& element, std::int32_t seqnr) {
  const auto done = parse_switch(element, "done");
  if (!done) return std::unexpected(done.error());
  SensorFailure failure{.seqnr = seqnr, .done = *done, .errors = {}};
  for (const auto& child : element.children()) {
    if (!child.is("error", ns::sensor_data)) continue;
    auto node = parse_iot_node(child);
    if (!node) return std::unexpected(node.error());
    failure.errors.push_back({.node = std::move(*node),
                              .timestamp = attribute(child, "timestamp"),
                              .text = std::string(child.text())});
  }
  return failure;
}

Result<SensorAccepted> parse_accepted(const xml::Element& element, std::int32_t seqnr) {
  const auto queued = parse_switch(element, "queued");
  if (!queued) return std::unexpected(queued.error());
  return SensorAccepted{.seqnr = seqnr, .queued = *queued};
}

// --- writing ---

xml::Writer& open(xml::Writer& writer, std::string_view name, std::int32_t seqnr) {
  return writer.open(name, ns::sensor_data).attribute("seqnr", std::to_string(seqnr));
}

xml::Writer& write_switch(xml::Writer& writer, std::string_view name, bool on) {
  return on ? writer.attribute(name, "true") : writer;
}

template <class Predicate>
void write_flags(xml::Writer& writer, const SensorFlags& flags, Predicate allowed) {
  for (std::size_t i = 0; i < kFlags.size(); ++i) {
    const auto flag = static_cast<SensorFlag>(i);
    if (allowed(flag)) write_switch(writer, kFlags[i], flags.has(flag));
  }
}

void write_field(xml::Writer& writer, const SensorField& field) {
  writer.open(to_string(field.value.type)).attribute("name", field.name);
  write_flags(writer, field.flags, is_of_fields);
  writer.attribute("value", field.value.text);
  if (field.value.type == IotType::numeric) writer.attribute("unit", field.unit);
  if (field.value.type == IotType::enum_) writer.attribute("dataType", field.data_type);
  writer.attribute_if("module", field.module).attribute_if("stringIds", field.string_ids);
  if (field.writable) writer.attribute("writable", *field.writable ? "true" : "false");
  writer.close();
}

}  // namespace

std::string_view to_string(SensorFlag flag) { return kFlags[static_cast<std::size_t>(flag)]; }

bool SensorRequest::selects(const SensorField& field) const {
  if (!fields.empty() && std::ranges::find(fields, field.name) == fields.end()) return false;
  if (kinds.has(SensorFlag::all) || !has_any(kinds, is_of_requests)) return true;
  if (kinds.has(SensorFlag::historical) && has_any(field.flags, is_historical)) return true;
  const SensorFlags its = with_implied(field.flags);
  return has_any(kinds, [&](SensorFlag kind) { return is_kind(kind) && its.has(kind); });
}

Result<SensorMessage> parse_sensor_message(const xml::Element& element) {
  if (element.ns() != ns::sensor_data) return fail(Errc::invalid, "this is no message of XEP-0323");
  const std::string_view name = element.name();
  const auto seqnr = parse_int(attribute(element, "seqnr"));
  if (!seqnr) return fail(Errc::invalid, "seqnr is missing, or no number");
  if (name == "req") return parse_request(element, *seqnr);
  if (name == "accepted") return parse_accepted(element, *seqnr);
  if (name == "rejected") return SensorRejected{*seqnr, std::string(child_text(element, "error"))};
  if (name == "started") return SensorStarted{*seqnr};
  if (name == "fields") return parse_fields(element, *seqnr);
  if (name == "failure") return parse_failure(element, *seqnr);
  if (name == "done") return SensorDone{*seqnr};
  if (name == "cancel") return SensorCancel{*seqnr};
  if (name == "cancelled") return SensorCancelled{*seqnr};
  return fail(Errc::invalid, "this is no message of XEP-0323");
}

void write(xml::Writer& writer, const SensorRequest& request) {
  open(writer, "req", request.seqnr);
  write_flags(writer, request.kinds, is_of_requests);
  writer.attribute_if("from", request.from).attribute_if("to", request.to).attribute_if("when", request.when);
  write_attributes(writer, request.tokens);
  for (const auto& node : request.nodes) write_attributes(writer.open("node"), node).close();
  for (const auto& field : request.fields) writer.open("field").attribute("name", field).close();
  writer.close();
}

void write(xml::Writer& writer, const SensorAccepted& accepted) {
  write_switch(open(writer, "accepted", accepted.seqnr), "queued", accepted.queued).close();
}

void write(xml::Writer& writer, const SensorRejected& rejected) {
  open(writer, "rejected", rejected.seqnr).leaf("error", rejected.error).close();
}

void write(xml::Writer& writer, const SensorStarted& started) {
  open(writer, "started", started.seqnr).close();
}

void write(xml::Writer& writer, const SensorFields& fields) {
  write_switch(open(writer, "fields", fields.seqnr), "done", fields.done);
  for (const auto& node : fields.nodes) {
    write_attributes(writer.open("node"), node.node);
    for (const auto& timestamp : node.timestamps) {
      writer.open("timestamp").attribute("value", timestamp.value);
      for (const auto& field : timestamp.fields) write_field(writer, field);
      writer.close();
    }
    writer.close();
  }
  writer.close();
}

void write(xml::Writer& writer, const SensorFailure& failure) {
  write_switch(open(writer, "failure", failure.seqnr), "done", failure.done);
  for (const auto& error : failure.errors)
    write_attributes(writer.open("error"), error.node)
        .attribute("timestamp", error.timestamp)
        .text(error.text)
        .close();
  writer.close();
}

void write(xml::Writer& writer, const SensorDone& done) { open(writer, "done", done.seqnr).close(); }
void write(xml::Writer& writer, const SensorCancel& cancel) { open(writer, "cancel", cancel.seqnr).close(); }
void write(xml::Writer& writer, const SensorCancelled& cancelled) {
  open(writer, "cancelled", cancelled.seqnr).close();
}

void write(xml::Writer& writer, const SensorMessage& message) {
  std::visit([&writer](const auto& one) { write(writer, one); }, message);
}

}  // namespace starling::payload
