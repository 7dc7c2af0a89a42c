// starling sensor: a device that others read (XEP-0323) and control (XEP-0325).
#include "client/ext/sensor.h"

#include <random>
#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/tool.h"
#include "client/ext/caps.h"
#include "client/ext/control.h"
#include "client/ext/ping.h"
#include "client/ext/roster.h"

namespace starling::cli {
namespace {

using client::Control;
using client::Sensor;
using payload::IotType;

struct Options {
  std::string node = "1";
  std::vector<std::string> fields, parameters, allow;
  std::string start = "25", random;
};

struct Range {
  std::int64_t low = 0, high = 0;
};

struct FieldSpec {
  std::string name, unit;
};
struct ParameterSpec {
  std::string name, value;
  IotType type = IotType::string;
};

// What the options say, checked.
struct Plan {
  std::string node;
  std::vector<FieldSpec> fields;
  std::vector<ParameterSpec> parameters;
  std::set<std::string> allow;  // bare addresses; none: everybody
  std::int64_t start = 0;
  std::optional<Range> random;
};

// A whole number that counting up from will not end.
std::optional<std::int64_t> number(std::string_view text) {
  constexpr std::int64_t kMost = 999'999'999'999'999;
  const auto value = payload::IotValue{IotType::long_, std::string(text)}.integer();
  return value && *value >= -kMost && *value <= kMost ? value : std::nullopt;
}

Result<FieldSpec> read_field(const std::string& text) {
  const auto colon = text.find(':');
  FieldSpec field{text.substr(0, colon), colon == std::string::npos ? "" : text.substr(colon + 1)};
  if (field.name.empty())
    return fail(Errc::invalid,
                fmt::format("--field {}: expected NAME or NAME:UNIT, such as Temperature:C", text));
  return field;
}

// Values of the other types cannot be set (XEP-0325 3.2).
std::optional<IotType> settable_type(std::string_view name) {
  const auto type = payload::parse_iot_type(name);
  const bool settable =
      type && *type != IotType::enum_ && *type != IotType::numeric && *type != IotType::time_span;
  return settable ? type : std::nullopt;
}

Result<ParameterSpec> read_parameter(const std::string& text) {
  const auto colon = text.find(':');
  const auto equals = text.find('=');
  const bool complete =
      colon != std::string::npos && colon > 0 && equals != std::string::npos && equals > colon;
  const auto type = complete ? settable_type(text.substr(colon + 1, equals - colon - 1)) : std::nullopt;
  if (!type)
    return fail(Errc::invalid,
                fmt::format("--parameter {}: expected NAME:TYPE=VALUE, such as Power:boolean=true", text));
  ParameterSpec parameter{text.substr(0, colon), text.substr(equals + 1), *type};
  if (!payload::IotValue{*type, parameter.value}.valid())
    return fail(Errc::invalid, fmt::format("--parameter {}: '{}' is no value of type {}", text,
                                           parameter.value, to_string(*type)));
  return parameter;
}

// Of the option `name`, each read by `read`; no two with the same name.
template <class Spec>
Result<std::vector<Spec>> read_all(std::string_view name, const std::vector<std::string>& texts,
                                   Result<Spec> (*read)(const std::string&)) {
  std::vector<Spec> specs;
  for (const std::string& text : texts) {
    auto spec = read(text);
    if (!spec) return std::unexpected(std::move(spec.error()));
    if (std::ranges::find(specs, spec->name, &Spec::name) != specs.end())
      return fail(Errc::invalid, fmt::format("{} {}: {} is given twice", name, text, spec->name));
    specs.push_back(*std::move(spec));
  }
  return specs;
}

Result<Plan> read_options(const Options& options) {
  Plan plan{.node = options.node};
  if (plan.node.empty()) return fail(Errc::invalid, "--node: expected a name, such as 1020");
  auto fields = read_all("--field", options.fields, read_field);
  if (!fields) return std::unexpected(std::move(fields.error()));
  plan.fields = *std::move(fields);
  auto parameters = read_all("--parameter", options.parameters, read_parameter);
  if (!parameters) return std::unexpected(std::move(parameters.error()));
  plan.parameters = *std::move(parameters);
  for (const std::string& who : options.allow) {
    auto jid = read_jid(who);
    if (!jid) return std::unexpected(std::move(jid.error()));
    plan.allow.emplace(jid->bare());
  }
  const auto start = number(options.start);
  if (!start)
    return fail(Errc::invalid,
                fmt::format("--start {}: expected a whole number of at most 15 digits", options.start));
  plan.start = *start;
  if (!options.random.empty()) {
    const auto colon = options.random.find(':');
    const auto low = number(options.random.substr(0, colon));
    const auto high = colon == std::string::npos ? std::nullopt : number(options.random.substr(colon + 1));
    if (low && high && *low > *high)
      return fail(Errc::invalid,
                  fmt::format("--random {}: LOW must be the smaller one, such as 30:60", options.random));
    if (!low || !high)
      return fail(Errc::invalid,
                  fmt::format("--random {}: expected LOW:HIGH, such as 30:60", options.random));
    plan.random = Range{*low, *high};
  }
  return plan;
}

// One device for as long as the client lives.
class Device {
 public:
  Device(client::Client& client, const Context& context, Plan plan)
      : client_(client), context_(context), plan_(std::move(plan)), value_(plan_.start) {
    client.use<client::Disco>().set_identity("client", "bot", "Starling sensor");
    client.use<client::Caps>();
    client.use<client::Ping>();
    client.use<client::Roster>();
    add_sensor();
    add_control();
    client.on.session_start([this] { start(); });
    client.on.message([this](const Stanza& message) { answer(message); });
    client.on.subscription([this](const Stanza& presence) {
      if (presence.type() == Type::subscribe && allowed(presence.from()))
        client_.use<client::Roster>().approve(presence.from().to_bare());
    });
  }

 private:
  [[nodiscard]] bool allowed(const Jid& who) const {
    return plan_.allow.empty() || plan_.allow.contains(std::string(who.bare()));
  }

  void add_sensor() {
    auto& sensor = client_.use<Sensor>();
    sensor.allow = [this](const Jid& who) { return allowed(who); };
    auto& node = sensor.add_node({.node_id = plan_.node});
    for (const FieldSpec& field : plan_.fields)
      node.add_field(
          {.name = field.name, .value = {IotType::numeric, std::to_string(value_)}, .unit = field.unit});
    node.refresh = [this](Sensor::Node& read, const Sensor::Names& wanted, const Sensor::Done& done) {
      if (!powered_)
        return done(fail(Errc::unavailable, "the device is switched off (its parameter Power is false)"));
      refresh();
      for (const std::string& name : wanted) read.set(name, std::to_string(value_));
      print_reading(wanted);
      done({});
    };
  }

  void refresh() {
    if (plan_.random) {
      value_ = std::uniform_int_distribution<std::int64_t>(plan_.random->low, plan_.random->high)(random_);
    } else {
      ++value_;
    }
  }

  void add_control() {
    auto& control = client_.use<Control>();
    control.allow = [this](const Jid& who) { return allowed(who); };
    auto& node = control.add_node({.node_id = plan_.node});
    for (const ParameterSpec& spec : plan_.parameters) {
      values_[spec.name] = spec.value;
      node.parameters.push_back(
          {.name = spec.name,
           .type = spec.type,
           .get = [this, name = spec.name] { return values_[name]; },
           .set = [this, name = spec.name](const payload::IotValue& value) -> Result<void> {
             values_[name] = value.text;
             if (name == "Power") powered_ = value.boolean().value_or(true);
             return {};
           }});
      if (spec.name == "Power") powered_ = spec.value != "false" && spec.value != "0";
    }
    control.changed([this](const Jid& who, const payload::ControlSet& set) {
      for (const auto& parameter : set.parameters) print_change(who, parameter);
    });
  }

  void start() {
    client_.use<client::Roster>().get().then([this](const auto&) { client_.send(client::Presence{}); });
    if (context_.json)
      print_json({{"kind", "ready"}, {"jid", client_.jid().text()}, {"node", plan_.node}});
    else
      say(fmt::format("sensor {} as {}; Ctrl-C ends", plan_.node, client_.jid().text()));
  }

  // To a person who tries to chat with it.
  void answer(const Stanza& message) {
    if (message.type() != Type::chat && message.type() != Type::normal) return;
    if (client::body_of(message).empty() || !allowed(message.from())) return;
    const auto& own = client_.jid().text();
    client_.send(client::reply_to(
        message, fmt::format("I am the sensor {} at {}. Read me by XEP-0323: starling read {}\n"
                             "Control me by XEP-0325: starling control {} Power=false",
                             own, client_.local_address(), own, own)));
  }

  void print_reading(const Sensor::Names& wanted) const {
    if (context_.json) {
      Json line{{"kind", "reading"}, {"node", plan_.node}, {"fields", Json::object()}};
      for (const auto& name : wanted) line["fields"][name] = value_;
      return print_json(line);
    }
    for (const auto& field : plan_.fields)
      if (std::ranges::find(wanted, field.name) != wanted.end())
        fmt::print("{} {}{}{}\n", field.name, value_, field.unit.empty() ? "" : " ", field.unit);
    flush_output();
  }
  void print_change(const Jid& who, const payload::ControlParameter& parameter) const {
    if (context_.json)
      return print_json({{"kind", "control"},
                         {"from", who.text()},
                         {"name", parameter.name},
                         {"value", parameter.value.text}});
    fmt::print("{}={} set by {}\n", one_line(parameter.name), one_line(parameter.value.text), who.text());
    flush_output();
  }

  client::Client& client_;
  const Context& context_;
  Plan plan_;
  std::int64_t value_;
  bool powered_ = true;
  std::map<std::string, std::string> values_;  // of parameters
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace

void add_sensor(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command = add_tool(app, context, "sensor", "be a device that others read and control", login,
                           Lifetime::long_, "the account to log in with; without a RESOURCE it is the node");
  command->add_option("-n,--node", options->node, "the node's name")
      ->type_name("NODE")
      ->capture_default_str();
  add_repeated(*command, "--field", options->fields, "a field; may be repeated (default: Temperature:C)")
      ->type_name("NAME[:UNIT]");
  auto* start =
      command->add_option("--start", options->start, "the value before the first reading; each adds 1")
          ->type_name("N")
          ->capture_default_str();
  command->add_option("--random", options->random, "values by chance between these two")
      ->type_name("LOW:HIGH")
      ->excludes(start);
  add_repeated(*command, "--parameter", options->parameters,
               "what can be controlled; may be repeated (default: Power:boolean=true)")
      ->type_name("NAME:TYPE=VALUE");
  add_repeated(*command, "--allow", options->allow, "only this one may read and control; may be repeated")
      ->type_name("JID");
  command->footer(
      "Prints each reading. Reconnects when the connection is lost; Ctrl-C ends it.\n\n"
      "Examples:\n  starling sensor -j alice@example.org --node 1020 --start 25\n"
      "  starling sensor -j alice@example.org --node 1020 --random 30:60 --allow bob@example.org");
  command->callback([&context, login, options] {
    if (options->fields.empty()) options->fields = {"Temperature:C"};
    if (options->parameters.empty()) options->parameters = {"Power:boolean=true"};
    auto plan = read_options(*options);
    if (!plan) {
      context.exit = usage(context, plan.error().message);
      return;
    }
    if (login->jid.find('/') == std::string::npos) login->jid += '/' + options->node;
    context.exit = run_until_interrupted(context, *login, [&](client::Client& client) {
      return std::make_shared<Device>(client, context, *std::move(plan));
    });
  });
}

}  // namespace starling::cli
