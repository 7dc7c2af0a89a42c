// Any element to every parser of payloads: what one takes is written and reads back as the same, and no
// question to it goes wrong. And any text to that of host-meta, which is a document of its own.
#include <cstdint>
#include <cstdlib>

#include "payload/control.h"
#include "payload/data_form.h"
#include "payload/delay.h"
#include "payload/disco_info.h"
#include "payload/entity_time.h"
#include "payload/last_activity.h"
#include "payload/registration.h"
#include "payload/result_set.h"
#include "payload/sensor_data.h"
#include "payload/software_version.h"
#include "payload/timestamps.h"
#include "payload/values.h"
#include "payload/vcard.h"
#include "payload/xrd.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace {

using namespace starling;           // NOLINT(google-build-using-namespace)
using namespace starling::payload;  // NOLINT(google-build-using-namespace)

constexpr std::string_view kXrd = "http://docs.oasis-open.org/ns/xri/xrd-1.0";

void require(bool condition) {
  if (!condition) std::abort();
}

template <class T>
T written_and_read(const T& payload, Result<T> (*parse)(const xml::Element&)) {
  std::string out;
  xml::Writer writer(out);
  if constexpr (std::is_same_v<T, DiscoInfo>) writer.open("query", ns::disco_info);
  write(writer, payload);
  if constexpr (std::is_same_v<T, DiscoInfo>) writer.close();
  require(writer.depth() == 0);
  const auto document = xml::parse(out, xml::kNoLimits);
  require(document.has_value());
  auto again = parse(document->root());
  require(again.has_value());
  return std::move(*again);
}

template <class T>
std::optional<T> check(const xml::Element& root, Result<T> (*parse)(const xml::Element&)) {
  const auto payload = parse(root);
  if (!payload) return std::nullopt;
  const T again = written_and_read(*payload, parse);
  if constexpr (std::is_same_v<T, EntityTime> || std::is_same_v<T, Delay>) {  // a part of a second was cut
    require(written_and_read(again, parse) == again);
  } else {
    require(again == *payload);
  }
  return *payload;
}

void ask(const IotValue& value) {
  const bool typed = value.boolean() || value.integer() || value.number();
  require(!typed || value.valid());
}

void ask(const SensorMessage& message) {
  const auto* fields = std::get_if<SensorFields>(&message);
  if (fields == nullptr) return;
  SensorRequest request;
  request.kinds = {SensorFlag::momentary, SensorFlag::historical_second};
  for (const auto& node : fields->nodes)
    for (const auto& timestamp : node.timestamps)
      for (const auto& field : timestamp.fields) {
        ask(field.value);
        require(!request.selects(field) || field.flags != SensorFlags());
      }
}

void ask(const DataForm& form) {
  for (const auto& field : form.fields) {
    require(field.jids().size() <= field.values.size());
    require(field.text().starts_with(field.value()));
    require(!field.boolean() || !field.values.empty());
  }
  const DataForm submission = form.submission();
  require(form.missing_in(submission).size() <= form.fields.size());
  require(written_and_read(submission, &parse_data_form) == submission);
}

Result<DiscoInfo> parse_strict(const xml::Element& query) { return parse_disco_info(query); }
Result<DiscoInfo> parse_forgiving(const xml::Element& query) {
  return parse_disco_info(query, Repeated::dropped);
}

// A declaration and comments change nothing.
void check_xrd(std::string_view text) {
  const auto links = read_xrd(text);
  if (!links) return;
  std::string out = "<?xml version='1.0'?><!-- < -->";
  xml::Writer writer(out);
  writer.open("XRD", kXrd);
  for (const auto& [relation, url] : *links)
    writer.raw("<!-- > -->").open("Link").attribute("rel", relation).attribute("href", url).close();
  writer.close();
  const auto again = read_xrd(out);
  require(again && *again == *links);
}

void check_texts(std::string_view text) {
  if (const auto time = parse_timestamp(text)) {
    require(is_date_time(text));
    require(parse_timestamp(timestamp(*time, 9)).value() == *time);
  }
  if (const auto east = parse_zone(text)) require(parse_zone(zone(*east)).value() == *east);
  require(!is_date(text) || !is_time(text));
  is_duration(text);
  parse_double(text);
  require(parse_int(text).has_value() <= parse_long(text).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_xrd(text);
  const auto document = xml::parse(text);
  if (!document) return 0;
  const xml::Element& root = document->root();
  check_texts(root.text());
  if (const auto message = check(root, &parse_sensor_message)) ask(*message);
  if (const auto form = check(root, &parse_data_form)) ask(*form);
  if (const auto set = check(root, &parse_control_set))
    for (const auto& parameter : set->parameters) ask(parameter.value);
  check(root, &parse_control_get_form);
  check(root, &parse_control_set_response);
  parse_control_param_errors(root);
  check(root, &parse_vcard);
  check(root, &parse_registration);
  check(root, &parse_entity_time);
  check(root, &parse_software_version);
  check(root, &parse_last_activity);
  check(root, &parse_delay);
  check(root, &parse_page_request);
  check(root, &parse_page_info);
  if (const auto info = check(root, &parse_strict)) caps_hash(*info);
  check(root, &parse_forgiving);
  return 0;
}
