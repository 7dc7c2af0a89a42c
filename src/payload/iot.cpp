#include "payload/iot.h"

#include <algorithm>
#include <array>

#include "payload/timestamps.h"
#include "payload/values.h"

namespace starling::payload {
namespace {

constexpr std::array<std::string_view, 13> kTypes = {"boolean",  "color", "date",    "dateTime", "double",
                                                     "duration", "enum",  "int",     "long",     "numeric",
                                                     "string",   "time",  "timeSpan"};
static_assert(kTypes.size() == static_cast<std::size_t>(IotType::time_span) + 1);

// RRGGBB or RRGGBBAA, in hexadecimal (XEP-0325 section 10).
bool is_color(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
  return (text.size() == 6 || text.size() == 8) && text.find_first_not_of(kDigits) == std::string_view::npos;
}

}  // namespace

Result<IotNode> parse_iot_node(const xml::Element& element) {
  if (!element.attribute("nodeId")) return fail(Errc::invalid, "a node has no nodeId");
  return IotNode{.node_id = attribute(element, "nodeId"),
                 .source_id = attribute(element, "sourceId"),
                 .cache_type = attribute(element, "cacheType")};
}

xml::Writer& write_attributes(xml::Writer& writer, const IotNode& node) {
  return writer.attribute("nodeId", node.node_id)
      .attribute_if("sourceId", node.source_id)
      .attribute_if("cacheType", node.cache_type);
}

IotTokens parse_iot_tokens(const xml::Element& element) {
  return {.service = attribute(element, "serviceToken"),
          .device = attribute(element, "deviceToken"),
          .user = attribute(element, "userToken")};
}

xml::Writer& write_attributes(xml::Writer& writer, const IotTokens& tokens) {
  return writer.attribute_if("serviceToken", tokens.service)
      .attribute_if("deviceToken", tokens.device)
      .attribute_if("userToken", tokens.user);
}

std::string_view to_string(IotType type) { return kTypes[static_cast<std::size_t>(type)]; }

std::optional<IotType> parse_iot_type(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name);
  if (found == kTypes.end()) return std::nullopt;
  return static_cast<IotType>(found - kTypes.begin());
}

bool IotValue::valid() const {
  switch (type) {
    case IotType::boolean:
      return boolean().has_value();
    case IotType::color:
      return is_color(text);
    case IotType::date:
      return is_date(text);
    case IotType::date_time:
      return is_date_time(text);
    case IotType::double_:
    case IotType::numeric:
      return number().has_value();
    case IotType::duration:
    case IotType::time_span:
      return is_duration(text);
    case IotType::int_:
    case IotType::long_:
      return integer().has_value();
    case IotType::time:
      return is_time(text);
    case IotType::enum_:
    case IotType::string:
      return true;
  }
  return false;
}

std::optional<bool> IotValue::boolean() const {
  if (type != IotType::boolean) return std::nullopt;
  return parse_boolean(text);
}

std::optional<std::int64_t> IotValue::integer() const {
  if (type == IotType::int_) return parse_int(text);
  if (type == IotType::long_) return parse_long(text);
  return std::nullopt;
}

std::optional<double> IotValue::number() const {
  if (type == IotType::numeric || type == IotType::double_) return parse_double(text);
  if (const auto whole = integer()) return static_cast<double>(*whole);
  return std::nullopt;
}

}  // namespace starling::payload
