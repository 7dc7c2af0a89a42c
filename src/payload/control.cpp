#include "payload/control.h"

#include <algorithm>
#include <array>

#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {
namespace {

constexpr std::array<std::string_view, 7> kCodes = {
    "OK", "NotFound", "InsufficientPrivileges", "Locked", "NotImplemented", "FormError", "OtherError"};
static_assert(kCodes.size() == static_cast<std::size_t>(ControlCode::other_error) + 1);

std::optional<IotType> type_of_parameter(std::string_view name) {
  const auto type = parse_iot_type(name);
  if (type == IotType::enum_ || type == IotType::numeric || type == IotType::time_span) return std::nullopt;
  return type;
}

Result<ControlParameter> parse_parameter(const xml::Element& element) {
  const auto type = type_of_parameter(element.name());
  if (!type) return fail(Errc::invalid, fmt::format("<{}/> is no parameter that can be set", element.name()));
  const auto name = element.attribute("name"), value = element.attribute("value");
  if (!name || !value) return fail(Errc::invalid, "a parameter has no name or no value");
  return ControlParameter{.name = std::string(*name), .value = {*type, std::string(*value)}};
}

Result<void> parse_node(const xml::Element& element, std::vector<IotNode>& nodes) {
  auto node = parse_iot_node(element);
  if (!node) return std::unexpected(node.error());
  nodes.push_back(std::move(*node));
  return {};
}

// One child of <set/>.
Result<void> parse_into(ControlSet& set, const xml::Element& child) {
  if (child.is("x", ns::data_forms)) {
    auto form = parse_data_form(child);
    if (!form) return std::unexpected(form.error());
    set.form = std::move(*form);
  } else if (child.is("node", ns::iot_control)) {
    return parse_node(child, set.nodes);
  } else if (child.ns() == ns::iot_control) {
    auto parameter = parse_parameter(child);
    if (!parameter) return std::unexpected(parameter.error());
    set.parameters.push_back(std::move(*parameter));
  }
  return {};
}

ControlParamError parse_param_error(const xml::Element& element) {
  return {.var = attribute(element, "var"), .text = std::string(element.text())};
}

void write_nodes(xml::Writer& writer, const std::vector<IotNode>& nodes) {
  for (const auto& node : nodes) write_attributes(writer.open("node"), node).close();
}

}  // namespace

std::string_view to_string(ControlCode code) { return kCodes[static_cast<std::size_t>(code)]; }

Condition condition_of(ControlCode failure) {
  switch (failure) {
    case ControlCode::not_found:
      return Condition::item_not_found;
    case ControlCode::insufficient_privileges:
      return Condition::forbidden;
    case ControlCode::locked:
      return Condition::conflict;
    case ControlCode::not_implemented:
      return Condition::feature_not_implemented;
    case ControlCode::form_error:
      return Condition::bad_request;
    case ControlCode::ok:
    case ControlCode::other_error:
      break;
  }
  return Condition::internal_server_error;
}

ControlCode code_of(Condition condition) {
  switch (condition) {
    case Condition::item_not_found:
      return ControlCode::not_found;
    case Condition::forbidden:
      return ControlCode::insufficient_privileges;
    case Condition::conflict:
      return ControlCode::locked;
    case Condition::feature_not_implemented:
      return ControlCode::not_implemented;
    case Condition::bad_request:
      return ControlCode::form_error;
    default:
      return ControlCode::other_error;
  }
}

Result<ControlSet> parse_control_set(const xml::Element& set) {
  if (!set.is("set", ns::iot_control)) return fail(Errc::invalid, "this is no command of XEP-0325");
  ControlSet parsed;
  parsed.tokens = parse_iot_tokens(set);
  parsed.lang = set.lang();
  for (const auto& child : set.children())
    if (auto done = parse_into(parsed, child); !done) return std::unexpected(done.error());
  return parsed;
}

Result<ControlGetForm> parse_control_get_form(const xml::Element& get_form) {
  if (!get_form.is("getForm", ns::iot_control))
    return fail(Errc::invalid, "this is no request for a form of XEP-0325");
  ControlGetForm parsed;
  parsed.tokens = parse_iot_tokens(get_form);
  parsed.lang = get_form.lang();
  for (const auto& child : get_form.children()) {
    if (!child.is("node", ns::iot_control)) continue;
    if (auto done = parse_node(child, parsed.nodes); !done) return std::unexpected(done.error());
  }
  return parsed;
}

Result<ControlSetResponse> parse_control_set_response(const xml::Element& set_response) {
  if (!set_response.is("setResponse", ns::iot_control))
    return fail(Errc::invalid, "this is no response of XEP-0325");
  ControlSetResponse parsed;
  if (const auto code = set_response.attribute("responseCode")) {
    const auto found = std::ranges::find(kCodes, *code);
    parsed.code =
        found == kCodes.end() ? ControlCode::other_error : static_cast<ControlCode>(found - kCodes.begin());
  }
  for (const auto& child : set_response.children()) {
    if (child.is("node", ns::iot_control)) {
      if (auto done = parse_node(child, parsed.nodes); !done) return std::unexpected(done.error());
    } else if (child.is("parameter", ns::iot_control)) {
      if (!child.attribute("name")) return fail(Errc::invalid, "a parameter has no name");
      parsed.parameters.push_back(attribute(child, "name"));
    } else if (child.is("error", ns::iot_control)) {
      parsed.errors.push_back(parse_param_error(child));
    }
  }
  return parsed;
}

std::vector<ControlParamError> parse_control_param_errors(const xml::Element& error) {
  std::vector<ControlParamError> errors;
  for (const auto& child : error.children())
    if (child.is("paramError", ns::iot_control)) errors.push_back(parse_param_error(child));
  return errors;
}

void write(xml::Writer& writer, const ControlSet& set) {
  writer.open("set", ns::iot_control).attribute_if("xml:lang", set.lang);
  write_attributes(writer, set.tokens);
  write_nodes(writer, set.nodes);
  for (const auto& [name, value] : set.parameters)
    writer.open(to_string(value.type)).attribute("name", name).attribute("value", value.text).close();
  if (set.form) write(writer, *set.form);
  writer.close();
}

void write(xml::Writer& writer, const ControlGetForm& get_form) {
  writer.open("getForm", ns::iot_control).attribute_if("xml:lang", get_form.lang);
  write_attributes(writer, get_form.tokens);
  write_nodes(writer, get_form.nodes);
  writer.close();
}

void write(xml::Writer& writer, const ControlSetResponse& response) {
  writer.open("setResponse", ns::iot_control);
  if (response.code) writer.attribute("responseCode", to_string(*response.code));
  write_nodes(writer, response.nodes);
  for (const auto& name : response.parameters) writer.open("parameter").attribute("name", name).close();
  for (const auto& error : response.errors)
    writer.open("error").attribute("var", error.var).text(error.text).close();
  writer.close();
}

void write(xml::Writer& writer, const ControlParamError& error) {
  writer.open("paramError", ns::iot_control).attribute("var", error.var).text(error.text).close();
}

}  // namespace starling::payload
