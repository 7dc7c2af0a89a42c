// starling control DEVICE [NAME=VALUE...]: what can be set in a device, and setting it (XEP-0325).
#include "client/ext/control.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/device.h"
#include "client/ext/disco.h"
#include "xml/namespaces.h"

namespace starling::cli {
namespace {

using client::Controller;
using payload::IotType;
using payload::IotValue;

struct Options {
  std::string device;
  std::vector<std::string> settings, nodes;
};

struct TypedSetting : Setting {
  std::optional<IotType> type;  // not said: what the device says, or what the value looks like
};
using Settings = std::vector<TypedSetting>;

Result<TypedSetting> read_setting(const std::string& text) {
  auto parsed = parse_setting(text);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  TypedSetting setting{*std::move(parsed), std::nullopt};
  if (const auto colon = setting.name.rfind(':'); colon != std::string::npos) {
    setting.type = payload::parse_iot_type(setting.name.substr(colon + 1));
    if (!setting.type) return fail(Errc::invalid, fmt::format("'{}': there is no such type", text));
    setting.name.resize(colon);
  }
  return setting;
}

Result<Settings> read_settings(const std::vector<std::string>& texts) {
  Settings settings;
  for (const std::string& text : texts) {
    auto setting = read_setting(text);
    if (!setting) return std::unexpected(std::move(setting.error()));
    if (std::ranges::find(settings, setting->name, &TypedSetting::name) != settings.end())
      return fail(Errc::invalid, fmt::format("'{}': {} is given twice", text, setting->name));
    settings.push_back(*std::move(setting));
  }
  return settings;
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

Task<int> set(client::Client& client, const Context& context, Jid device, Settings settings,
              std::vector<payload::IotNode> nodes) {
  auto& controller = client.use<Controller>();
  payload::ControlSet command{.nodes = nodes};
  if (std::ranges::any_of(settings, [](const TypedSetting& setting) { return !setting.type; })) {
    // Not every device has a form to tell types with.
    const auto form = co_await controller.get_form(device, {.nodes = nodes});
    if (!form && form.error().kind != client::RequestError::Kind::refused)
      co_return report(context, form.error());
    for (TypedSetting& setting : settings)
      if (!setting.type && form) setting.type = type_in(*form, setting.name);
  }
  for (const TypedSetting& setting : settings)
    command.parameters.push_back(
        {setting.name, {setting.type.value_or(guess(setting.value)), setting.value}});
  const auto response = co_await controller.set(device, command);
  if (!response) co_return report(context, response.error());
  if (context.json) {
    auto done = Json::object();
    for (const TypedSetting& setting : settings) done[setting.name] = setting.value;
    print_json({{"device", device.text()}, {"set", done}});
  } else {
    for (const TypedSetting& setting : settings) fmt::print("{}={} is set\n", setting.name, setting.value);
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
    rows.push_back({{"name", field.var},
                    {"type", type ? to_string(*type) : "?"},
                    {"value", field.values.empty() ? "" : field.values.front()},
                    {"label", field.label}});
  }
  if (context.json)
    print_json(rows);
  else if (rows.empty())
    fmt::print("{} has nothing to set\n", device.text());
  else
    print_table(rows, "name");
  co_return kDone;
}

Task<int> carry_out(client::Client& client, const Context& context, Jid device, Settings settings,
                    std::vector<payload::IotNode> nodes) {
  const auto features = co_await features_of(client, device);
  if (!features) co_return report(context, features.error());
  if (!has_feature(context, device, *features, ns::iot_control, "device that can be controlled"))
    co_return kRefused;
  if (settings.empty()) co_return co_await show(client, context, device, nodes);
  co_return co_await set(client, context, device, settings, nodes);
}

int run(const Context& context, const Login& login, const Options& options) {
  const auto device = parse_jid(context, options.device);
  if (!device) return kUsage;
  const auto settings = read_settings(options.settings);
  if (!settings) return usage(context, settings.error().message);
  std::vector<payload::IotNode> nodes;
  for (const auto& node : options.nodes) nodes.push_back({.node_id = node});
  return run_once(
      context, login,
      [&](client::Client& client) { return carry_out(client, context, *device, *settings, nodes); },
      use<client::Disco, Controller>);
}

}  // namespace

void add_control(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command =
      add_tool(app, context, "control", "print or set the parameters of a device", login, Lifetime::once);
  command->add_option("DEVICE", options->device, "the device, NAME@DOMAIN/NODE")->required();
  command->add_option("NAME=VALUE", options->settings, "what to set; NAME:TYPE=VALUE says the type as well");
  add_repeated(*command, "--node", options->nodes, "only at this node; may be repeated")->type_name("NODE");
  command->footer(
      "Without NAME=VALUE it prints what can be set.\n\n"
      "Examples:\n  starling control alice@example.org/1020 -j bob@example.org\n"
      "  starling control alice@example.org/1020 Power=false -j bob@example.org");
  command->callback([&context, login, options] { context.exit = run(context, *login, *options); });
}

}  // namespace starling::cli
