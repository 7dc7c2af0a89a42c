// starling control DEVICE [NAME=VALUE...]: what can be set in a device, and setting it (XEP-0325).
#include "client/ext/control.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/tools/tool.h"

namespace starling::cli {
namespace {

using client::Controller;
using payload::IotType;
using payload::IotValue;

struct Options {
  std::string device;
  std::vector<std::string> settings, nodes;
};

struct Setting {
  std::string name, value;
  std::optional<IotType> type;  // not said: what the device says, or what the value looks like
};

Result<Setting> parse_setting(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return fail(Errc::invalid, fmt::format("'{}': expected NAME=VALUE or NAME:TYPE=VALUE", text));
  Setting setting{text.substr(0, equals), text.substr(equals + 1), std::nullopt};
  if (const auto colon = setting.name.rfind(':'); colon != std::string::npos) {
    setting.type = payload::parse_iot_type(setting.name.substr(colon + 1));
    if (!setting.type) return fail(Errc::invalid, fmt::format("'{}': there is no such type", text));
    setting.name.resize(colon);
  }
  return setting;
}

IotType guess(const std::string& value) {
  for (const auto type : {IotType::boolean, IotType::int_, IotType::long_, IotType::double_,
                          IotType::date_time, IotType::date, IotType::time})
    if (IotValue{type, value}.valid() && (type != IotType::boolean || value == "true" || value == "false"))
      return type;
  return IotType::string;
}

std::optional<IotType> type_in(const payload::DataForm& form, const std::string& name) {
  for (const auto& field : form.fields)
    if (field.var == name) return Controller::type_of(field);
  return std::nullopt;
}

Task<int> set(client::Client& client, const Context& context, Jid device, std::vector<Setting> settings,
              std::vector<payload::IotNode> nodes) {
  auto& controller = client.use<Controller>();
  payload::ControlSet command{.nodes = nodes};
  if (std::ranges::any_of(settings, [](const Setting& setting) { return !setting.type; })) {
    // Not every device has a form to tell types with.
    const auto form = co_await controller.get_form(device, {.nodes = nodes});
    if (!form && form.error().kind != client::RequestError::Kind::refused)
      co_return report(context, form.error());
    for (Setting& setting : settings)
      if (!setting.type && form) setting.type = type_in(*form, setting.name);
  }
  for (const Setting& setting : settings)
    command.parameters.push_back(
        {setting.name, {setting.type.value_or(guess(setting.value)), setting.value}});
  const auto response = co_await controller.set(device, command);
  if (!response) co_return report(context, response.error());
  if (context.json) {
    auto done = Json::object();
    for (const Setting& setting : settings) done[setting.name] = setting.value;
    print_json({{"device", device.text()}, {"set", done}});
  } else {
    for (const Setting& setting : settings) fmt::print("{}={} is set\n", setting.name, setting.value);
  }
  co_return kDone;
}

Task<int> show(client::Client& client, const Context& context, Jid device,
               std::vector<payload::IotNode> nodes) {
  const auto form = co_await client.use<Controller>().get_form(device, {.nodes = nodes});
  if (!form) co_return report(context, form.error());
  auto rows = Json::array();
  for (const auto& field : form->fields) {
    if (field.var.empty() || field.var == "FORM_TYPE") continue;
    const auto type = Controller::type_of(field);
    rows.push_back({{"name", printable(field.var)},
                    {"type", type ? to_string(*type) : "?"},
                    {"value", field.values.empty() ? "" : printable(field.values.front())},
                    {"label", printable(field.label)}});
  }
  if (context.json)
    print_json(rows);
  else if (rows.empty())
    fmt::print("{} has nothing to set\n", device.text());
  else
    print_table(rows, "name");
  co_return kDone;
}

int run(const Context& context, const Login& login, const Options& options) {
  const auto device = parse_jid(context, options.device);
  if (!device) return kUsage;
  std::vector<Setting> settings;
  for (const std::string& text : options.settings) {
    auto setting = parse_setting(text);
    if (!setting) return usage(context, setting.error().message);
    settings.push_back(*std::move(setting));
  }
  std::vector<payload::IotNode> nodes;
  for (const auto& node : options.nodes) nodes.push_back({.node_id = node});
  return run_once(
      context, login,
      [&](client::Client& client) {
        return settings.empty() ? show(client, context, *device, nodes)
                                : set(client, context, *device, settings, nodes);
      },
      [](client::Client& client) { client.use<Controller>(); });
}

}  // namespace

void add_control(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command =
      add_tool(app, context, "control", "print or set the parameters of a device", login, Lifetime::once);
  command->add_option("DEVICE", options->device, "the device, NAME@DOMAIN/NODE")->required();
  command->add_option("NAME=VALUE", options->settings, "what to set; NAME:TYPE=VALUE says the type as well");
  command->add_option("--node", options->nodes, "only at this node; may be repeated")->type_name("NODE");
  command->footer(
      "Without NAME=VALUE it prints what can be set.\n\n"
      "Examples:\n  starling control alice@example.org/1020 -j bob@example.org\n"
      "  starling control alice@example.org/1020 Power=false -j bob@example.org");
  command->callback([&context, login, options] { context.exit = run(context, *login, *options); });
}

}  // namespace starling::cli
