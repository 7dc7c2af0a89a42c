#include "client/ext/control.h"

#include <algorithm>
#include <array>

#include "client/ext/iot.h"
#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::client {
namespace {

using payload::IotType;

// The datatypes of forms (XEP-0122, XEP-0331); booleans are known by the type of their field.
constexpr auto kDatatypes = std::to_array<std::pair<IotType, std::string_view>>({
    {IotType::color, "xdc:Color"},
    {IotType::date, "xs:date"},
    {IotType::date_time, "xs:dateTime"},
    {IotType::double_, "xs:double"},
    {IotType::duration, "xs:duration"},
    {IotType::int_, "xs:int"},
    {IotType::long_, "xs:long"},
    {IotType::string, "xs:string"},
    {IotType::time, "xs:time"},
});

bool is_below(const payload::IotValue& value, std::string_view bound) {
  if (const auto whole = value.integer(), limit = payload::parse_long(bound); whole && limit)
    return *whole < *limit;
  const auto limit = payload::parse_double(bound);
  return limit && !(value.number().value_or(*limit) >= *limit);  // what is no number is below all
}

bool is_above(const payload::IotValue& value, std::string_view bound) {
  if (const auto whole = value.integer(), limit = payload::parse_long(bound); whole && limit)
    return *whole > *limit;
  const auto limit = payload::parse_double(bound);
  return limit && !(value.number().value_or(*limit) <= *limit);
}

// For a person; nothing if the value may be set.
std::optional<std::string> problem_of(const Control::Parameter& parameter, const payload::IotValue& value) {
  if (value.type != parameter.type)
    return fmt::format("Invalid parameter type: it is {}.", to_string(parameter.type));
  if (!value.valid())
    return fmt::format("Invalid parameter value: not of the type {}.", to_string(value.type));
  if (!parameter.min.empty() && is_below(value, parameter.min))
    return fmt::format("Invalid parameter value: less than {}.", parameter.min);
  if (!parameter.max.empty() && is_above(value, parameter.max))
    return fmt::format("Invalid parameter value: more than {}.", parameter.max);
  if (!parameter.options.empty() &&
      std::ranges::find(parameter.options, value.text) == parameter.options.end())
    return fmt::format("Invalid parameter value: not one of {}.", fmt::join(parameter.options, ", "));
  return std::nullopt;
}

Condition condition_for(Errc code) {
  switch (code) {
    case Errc::invalid:
    case Errc::limit:
      return Condition::bad_request;
    case Errc::not_found:
      return Condition::item_not_found;
    case Errc::conflict:
      return Condition::conflict;
    case Errc::unavailable:
      return Condition::feature_not_implemented;
    case Errc::io:
    case Errc::corrupt:
      break;
  }
  return Condition::internal_server_error;
}

// Table 2, where it differs from the RFC.
std::optional<ErrorType> type_for(Condition condition) {
  if (condition == Condition::forbidden) return ErrorType::cancel;
  if (condition == Condition::conflict) return ErrorType::wait;
  return std::nullopt;
}

payload::DataForm::Field to_field(const Control::Parameter& parameter) {
  using FieldType = payload::DataForm::FieldType;
  payload::DataForm::Field field;
  field.var = parameter.name;
  field.label = parameter.label.empty() ? parameter.name : parameter.label;
  field.desc = parameter.description;
  field.type = FieldType::text_single;
  if (parameter.type == IotType::boolean) {
    field.type = FieldType::boolean;
  } else {
    field.datatype =
        std::ranges::find(kDatatypes, parameter.type, &decltype(kDatatypes)::value_type::first)->second;
  }
  if (!parameter.options.empty()) field.type = FieldType::list_single;
  for (const auto& option : parameter.options) field.options.push_back({.label = {}, .value = option});
  field.min = parameter.min;
  field.max = parameter.max;
  field.not_same = true;
  field.group = parameter.group;
  if (parameter.get) field.values = {parameter.get()};
  return field;
}

}  // namespace

// --- the device ---

struct Control::Refusal {
  Condition condition = Condition::bad_request;
  std::string text;
  std::vector<payload::IotNode> nodes;
  std::vector<payload::ControlParamError> parameters;

  void answer(const Responder& respond) const {
    StanzaError error{condition, text, type_for(condition), {}};
    payload::ControlSetResponse response{
        .code = payload::code_of(condition), .nodes = nodes, .parameters = {}, .errors = parameters};
    for (const auto& parameter : parameters) {
      error.application += to_xml(parameter);
      response.parameters.push_back(parameter.var);
    }
    respond.error(error, to_xml(response));
  }
  [[nodiscard]] std::string message() const {
    auto message = std::string(to_string(condition));
    if (!text.empty()) message += ": " + text;
    for (const auto& parameter : parameters)
      message += fmt::format("; {}: {}", parameter.var, parameter.text);
    return message;
  }
};

const Control::Parameter* Control::Node::find(std::string_view name) const {
  const auto found = std::ranges::find(parameters, name, &Parameter::name);
  return found != parameters.end() ? &*found : nullptr;
}

Control::Control(Client& client) : client_(client) {
  client.on_request(Type::set, "set", ns::iot_control, [this](const Stanza& iq, const Responder& respond) {
    const auto done = carry_out(iq.from(), *iq.payload());
    if (!done) return done.error().answer(respond);
    payload::ControlSetResponse response;
    response.code = payload::ControlCode::ok;
    respond.result(to_xml(response));
  });
  client.on_request(Type::get, "getForm", ns::iot_control,
                    [this](const Stanza& iq, const Responder& respond) { handle_get_form(iq, respond); });
  client.on.message([this](const Stanza& message) {
    if (message.type() == Type::error || message.type() == Type::groupchat) return;
    const auto* set = message.child("set", ns::iot_control);
    if (set == nullptr) return;
    if (const auto done = carry_out(message.from(), *set); !done)
      client_.trace(Trace::warning, fmt::format("A command of {} was not carried out: {}",
                                                message.from().text(), done.error().message()));
  });
}

Extension::Info Control::info() const {
  return {"XEP-0325",
          "Internet of Things - Control",
          {ns::iot_control},
          "0.5.1",
          "is a device whose parameters others set"};
}

Control::Node& Control::add_node(payload::IotNode id) {
  return *nodes_.emplace_back(std::make_unique<Node>(Node{.id = std::move(id), .parameters = {}}));
}

bool Control::is_allowed(const Jid& who) const {
  return allow ? allow(who) : who.empty() || who.same_bare(client_.jid());
}

std::expected<Control::Nodes, Control::Refusal> Control::select(
    const std::vector<payload::IotNode>& wanted) const {
  Nodes nodes;
  for (const auto& node : nodes_) {
    const bool named = wanted.empty() || std::ranges::any_of(wanted, [&](const auto& name) {
                         return is_named(node->id, name);
                       });
    if (named) nodes.push_back(node.get());
  }
  Refusal unknown{.condition = Condition::item_not_found, .text = {}, .nodes = {}, .parameters = {}};
  for (const auto& name : wanted)
    if (std::ranges::none_of(nodes, [&](const Node* node) { return is_named(node->id, name); }))
      unknown.nodes.push_back(name);
  if (unknown.nodes.empty()) return nodes;
  unknown.text = fmt::format("There is no node {}.", unknown.nodes.front().node_id);
  return std::unexpected(std::move(unknown));
}

// A form has texts, whose types are those of the parameters.
Control::Parameters Control::parameters_of(const payload::ControlSet& set, const Nodes& nodes) {
  auto parameters = set.parameters;
  if (!set.form) return parameters;
  for (const auto& field : set.form->fields) {
    using FieldType = payload::DataForm::FieldType;
    if (field.type == FieldType::hidden || field.type == FieldType::fixed || field.var == "xdd session")
      continue;
    const auto* known = nodes.empty() ? nullptr : nodes.front()->find(field.var);
    parameters.push_back(
        {.name = field.var,
         .value = {known != nullptr ? known->type : IotType::string, std::string(field.value())}});
  }
  return parameters;
}

std::expected<void, Control::Refusal> Control::check(const Nodes& nodes, const Parameters& parameters) {
  Refusal refusal;
  for (const auto& [name, value] : parameters) {
    for (const Node* node : nodes) {
      const auto* known = node->find(name);
      const auto problem = known != nullptr ? problem_of(*known, value) : "There is no such parameter.";
      if (!problem) continue;
      if (refusal.parameters.empty() && known == nullptr) refusal.condition = Condition::item_not_found;
      refusal.parameters.push_back({.var = name, .text = *problem});
      break;
    }
  }
  if (refusal.parameters.empty()) return {};
  return std::unexpected(std::move(refusal));
}

std::expected<void, Control::Refusal> Control::carry_out(const Jid& who, const xml::Element& element) {
  if (!is_allowed(who))
    return std::unexpected(
        Refusal{.condition = Condition::forbidden, .text = "Access denied.", .nodes = {}, .parameters = {}});
  auto set = payload::parse_control_set(element);
  if (!set)
    return std::unexpected(Refusal{
        .condition = Condition::bad_request, .text = set.error().message, .nodes = {}, .parameters = {}});
  if (set->form && set->form->type != payload::DataForm::Type::submit)
    return std::unexpected(Refusal{.condition = Condition::bad_request,
                                   .text = "The form is not a submission.",
                                   .nodes = {},
                                   .parameters = {}});
  const auto nodes = select(set->nodes);
  if (!nodes) return std::unexpected(nodes.error());
  set->parameters = parameters_of(*set, *nodes);
  if (const auto checked = check(*nodes, set->parameters); !checked) return checked;

  for (const Node* node : *nodes) {
    for (const auto& [name, value] : set->parameters) {
      const auto* parameter = node->find(name);
      const auto done =
          parameter->set ? parameter->set(value) : fail(Errc::unavailable, "The parameter cannot be set.");
      if (!done)
        return std::unexpected(Refusal{.condition = condition_for(done.error().code),
                                       .text = {},
                                       .nodes = {node->id},
                                       .parameters = {{.var = name, .text = done.error().message}}});
    }
  }
  client_.raise(changed, who, *set);
  return {};
}

void Control::handle_get_form(const Stanza& iq, const Responder& respond) const {
  if (!is_allowed(iq.from()))
    return respond.error({Condition::forbidden, "Access denied.", ErrorType::cancel, {}});
  const auto request = payload::parse_control_get_form(*iq.payload());
  if (!request) return respond.error({Condition::bad_request, request.error().message, {}, {}});
  const auto nodes = select(request->nodes);
  if (!nodes) return respond.error({nodes.error().condition, nodes.error().text, {}, {}});

  payload::DataForm form;
  form.title = title;
  if (title.empty()) {
    std::vector<std::string_view> names;
    for (const Node* node : *nodes) names.push_back(node->id.node_id);
    form.title = fmt::format("{}", fmt::join(names, ", "));
  }
  // What is common to all of them (3.4.4).
  if (!nodes->empty())
    for (const auto& parameter : nodes->front()->parameters)
      if (std::ranges::all_of(*nodes, [&](const Node* node) {
            const auto* same = node->find(parameter.name);
            return same != nullptr && same->type == parameter.type;
          }))
        form.fields.push_back(to_field(parameter));
  respond.result(to_xml(form));
}

// --- the other side ---

namespace {

// What the device says is wrong: of the document's <paramError/>, or of what earlier versions have.
RequestError why_refused(RequestError error) {
  if (!error.answer) return error;
  std::vector<payload::ControlParamError> problems;
  if (const auto* element = error.answer->child("error", ns::client)) {
    problems = payload::parse_control_param_errors(*element);
  } else if (const auto* old = error.answer->child("setResponse", ns::iot_control)) {
    const auto response = payload::parse_control_set_response(*old);
    if (!response) return error;
    error.error.condition = payload::condition_of(response->code.value_or(payload::ControlCode::other_error));
    problems = response->errors;
    // slixmpp names another parameter in its <error/>.
    if (problems.size() == response->parameters.size())
      for (std::size_t i = 0; i < problems.size(); ++i) problems[i].var = response->parameters[i];
  }
  for (const auto& [var, text] : problems) {
    if (!error.error.text.empty()) error.error.text += "; ";
    error.error.text += var.empty() ? text : fmt::format("{}: {}", var, text);
  }
  return error;
}

}  // namespace

Extension::Info Controller::info() const {
  return {
      "XEP-0325", "Internet of Things - Control (controller)", {}, "0.5.1", "sets the parameters of devices"};
}

Request<payload::ControlSetResponse> Controller::set(const Jid& device, const payload::ControlSet& command) {
  Request<payload::ControlSetResponse> request;
  client_.request(Type::set, device, to_xml(command))
      .then([done = request.resolver(), device](Outcome<StanzaPtr> answer) {
        if (!answer) return done(std::unexpected(why_refused(std::move(answer.error()))));
        const auto* element = (*answer)->payload();
        if (element == nullptr) return done(payload::ControlSetResponse());
        auto response = payload::parse_control_set_response(*element);
        if (!response) return done(malformed(fmt::format("{}: {}", device.text(), response.error().message)));
        done(*std::move(response));
      });
  return request;
}

bool Controller::command(const Jid& device, const payload::ControlSet& command) {
  return !client_.send(Message{.to = device, .body = {}, .type = Type::normal, .extra = to_xml(command)})
              .empty();
}

Request<payload::DataForm> Controller::get_form(const Jid& device, const payload::ControlGetForm& of) {
  return client_.request(Type::get, device, to_xml(of)).map(content(payload::parse_data_form));
}

std::optional<payload::IotType> Controller::type_of(const payload::DataForm::Field& field) {
  if (field.type == payload::DataForm::FieldType::boolean) return IotType::boolean;
  if (field.datatype == "xdc:ColorAlpha") return IotType::color;
  const auto found = std::ranges::find(kDatatypes, field.datatype, &decltype(kDatatypes)::value_type::second);
  return found != kDatatypes.end() ? std::optional(found->first) : std::nullopt;
}

}  // namespace starling::client
