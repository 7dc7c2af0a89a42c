#pragma once
// Control (XEP-0325 version 0.5.1), both sides: `Control` is a device with parameters that others set,
// `Controller` sets them.
//
//   auto& control = client.use<Control>();
//   control.allow = [&](const Jid& who) { return who.bare() == owner; };
//   control.add_node({.node_id = "1020"})
//       .parameters.push_back({.name = "Power", .type = payload::IotType::boolean,
//                              .get = [&] { return power ? "true" : "false"; },
//                              .set = [&](const payload::IotValue& value) -> Result<void> {
//                                power = *value.boolean();
//                                return {};
//                              }});
//
//   client.use<Controller>().set(device, {.parameters = {{"Power", {payload::IotType::boolean, "true"}}}})
//
// A command is checked as a whole, against each node that it names (none: all), before anything is set
// (3.4.3); then parameters are set in the order of the command. Beside what the document says, answers have
// the response codes of earlier versions, which some controllers wait for.
//
// Known gaps: no pages in forms (XEP-0141, they have groups) and no dynamic ones (XEP-0336, but for notSame);
// no tokens of provisioning (XEP-0324).
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "client/client.h"
#include "payload/control.h"
#include "payload/data_form.h"

namespace starling::client {

class Control final : public Extension {
 public:
  struct Parameter {
    std::string name;
    payload::IotType type = payload::IotType::string;  // any but enum_, numeric and time_span
    std::string label = {}, description = {};          // for a person
    std::string min = {}, max = {};                    // of numbers, both included; may be empty
    std::vector<std::string> options = {};             // of strings: the values there are; none: any
    std::string group = {};                            // parameters that are to be set together (5.4)
    std::function<std::string()> get = {};             // the value as it is now, for forms; may be empty
    // Only gets valid values. An error is told to the sender: `conflict` as locked, `invalid` as a bad value,
    // `unavailable` as not implemented.
    std::function<Result<void>(const payload::IotValue& value)> set;
  };
  struct Node {
    payload::IotNode id;
    std::vector<Parameter> parameters;  // in the order in which they are to be set (3.2.11)

    [[nodiscard]] const Parameter* find(std::string_view name) const;
  };

  explicit Control(Client& client);
  [[nodiscard]] Info info() const override;

  // Who may set and ask. Without it, only our own account. Others are answered forbidden; their messages are
  // not answered at all.
  std::function<bool(const Jid& who)> allow;
  std::string title;  // of forms; empty: the names of the nodes

  // After a command was carried out as a whole. What a form has set is among the parameters.
  Signal<const Jid&, const payload::ControlSet&> changed{"control_set"};

  Node& add_node(payload::IotNode id);  // it stays where it is, for as long as the client

 private:
  struct Refusal;
  using Nodes = std::vector<const Node*>;
  using Parameters = std::vector<payload::ControlParameter>;

  [[nodiscard]] bool is_allowed(const Jid& who) const;
  [[nodiscard]] std::expected<Nodes, Refusal> select(const std::vector<payload::IotNode>& wanted) const;
  static Parameters parameters_of(const payload::ControlSet& set, const Nodes& nodes);
  static std::expected<void, Refusal> check(const Nodes& nodes, const Parameters& parameters);
  std::expected<void, Refusal> carry_out(const Jid& who, const xml::Element& element);
  void handle_get_form(const Stanza& iq, const Responder& respond) const;

  Client& client_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

class Controller final : public Extension {
 public:
  explicit Controller(Client& client) : client_(client) {}
  [[nodiscard]] Info info() const override;

  // By an IQ. The response says what the command was narrowed to, if it was. Refused: `error.text` has what
  // is wrong with which parameter, such as "Foo: There is no such parameter".
  Request<payload::ControlSetResponse> set(const Jid& device, const payload::ControlSet& command);
  // By a message, which is never answered (3.1.1); false without a session.
  bool command(const Jid& device, const payload::ControlSet& command);
  // The parameters of all the nodes, with their types and values (3.3.1). To set some of them, send
  // ControlSet::form with just those.
  Request<payload::DataForm> get_form(const Jid& device, const payload::ControlGetForm& of = {});
  // What a field of that form takes, for typed commands (3.3.1); nothing if it does not say.
  static std::optional<payload::IotType> type_of(const payload::DataForm::Field& field);

 private:
  Client& client_;
};

}  // namespace starling::client
