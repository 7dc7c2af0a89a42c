// starling read DEVICE: what a sensor says (XEP-0323), as a table.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/running.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/device.h"
#include "client/ext/disco.h"
#include "client/ext/sensor_reader.h"
#include "xml/namespaces.h"

namespace starling::cli {
namespace {

using client::SensorReader;
using payload::SensorField;

struct Options {
  std::string device, every;
  unsigned count = 0;  // 0: for ever with --every, else once
  std::vector<std::string> fields, nodes;
  bool csv = false;
};

struct Plan {
  Jid device;
  std::optional<Milliseconds> every;
  unsigned count = 1;
  payload::SensorRequest request;
  bool csv = false;
};

// "10s", "500ms", "2m", "1h"; a number alone is seconds.
Result<Milliseconds> parse_duration(std::string_view text) {
  const auto digits = text.find_first_not_of("0123456789");
  const auto unit = digits == std::string_view::npos ? "s" : text.substr(digits);
  const auto factor = unit == "ms"  ? 1
                      : unit == "s" ? 1000
                      : unit == "m" ? 60'000
                      : unit == "h" ? 3'600'000
                                    : 0;
  const auto number =
      payload::IotValue{payload::IotType::int_, std::string(text.substr(0, digits))}.integer();
  if (factor == 0 || !number || *number <= 0)
    return fail(Errc::invalid, fmt::format("--every {}: expected a time such as 10s, 500ms, 2m or 1h", text));
  return Milliseconds(*number * factor);
}

Result<Plan> read_options(const Options& options) {
  auto device = read_jid(options.device);
  if (!device) return std::unexpected(std::move(device.error()));
  if (device->is_bare())
    return fail(Errc::invalid, fmt::format("'{}' is an account, not a device: give its resource too, {}/NODE",
                                           device->text(), device->text()));
  Plan plan{.device = *std::move(device), .csv = options.csv};
  plan.request.kinds = {payload::SensorFlag::momentary};
  plan.request.fields = options.fields;
  for (const auto& node : options.nodes) plan.request.nodes.push_back({.node_id = node});
  if (!options.every.empty()) {
    const auto every = parse_duration(options.every);
    if (!every) return std::unexpected(every.error());
    plan.every = *every;
    plan.count = options.count;
  } else if (options.count > 1) {
    return fail(Errc::invalid, "--count needs --every, such as --every 10s");
  }
  return plan;
}

constexpr std::string_view kLine = "-----\n";

void print_features(const Jid& device, const std::vector<std::string>& features) {
  fmt::print("{}XMPP Service Discovery\n{}Device: {}\n", kLine, kLine, device.text());
  for (const auto& feature : features) fmt::print("- {}\n", one_line(feature));
  flush_output();
}

void print_fields(const SensorReader::Reading& reading) {
  std::vector<std::array<std::string, 4>> rows{{"Name", "Type", "Value", "Unit"}};
  std::vector<std::string> notes;  // before a row
  notes.emplace_back();
  const bool several = std::ranges::adjacent_find(reading.nodes, std::not_equal_to{}, [](const auto& node) {
                         return node.node.node_id;
                       }) != reading.nodes.end();
  std::optional<std::string> last;  // its data may come in several messages
  for (const auto& node : reading.nodes) {
    std::string note =
        several && last != node.node.node_id ? fmt::format("Node: {}\n", one_line(node.node.node_id)) : "";
    last = node.node.node_id;
    for (const auto& timestamp : node.timestamps)
      for (const SensorField& field : timestamp.fields) {
        rows.push_back({one_line(field.name), std::string(to_string(field.value.type)),
                        one_line(field.value.text), one_line(field.unit)});
        notes.push_back(std::exchange(note, {}));
      }
  }
  std::array<std::size_t, 4> widths{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths.at(i) = std::max(widths.at(i), row.at(i).size());
  fmt::print("{}XEP-0323 Sensor Data\n{}", kLine, kLine);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string line;
    for (std::size_t column = 0; column < 4; ++column)
      line += fmt::format("{:{}} ", rows[i].at(column), widths.at(column));
    line.erase(line.find_last_not_of(' ') + 1);
    fmt::print("{}{}\n", notes[i], line);
  }
  flush_output();
}

template <class Each>
void each_field(const SensorReader::Reading& reading, Each each) {
  for (const auto& node : reading.nodes)
    for (const auto& timestamp : node.timestamps)
      for (const auto& field : timestamp.fields) each(node.node.node_id, timestamp.value, field);
}

std::string in_quotes(std::string_view text) {  // RFC 4180 2
  if (text.find_first_of(",\"\n\r") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

void print_csv(const Jid& device, const SensorReader::Reading& reading) {
  each_field(reading, [&](const std::string& node, const std::string& when, const SensorField& field) {
    fmt::print("{},{},{},{},{},{},{}\n", in_quotes(device.text()), in_quotes(node), in_quotes(when),
               in_quotes(field.name), to_string(field.value.type), in_quotes(field.value.text),
               in_quotes(field.unit));
  });
  flush_output();
}

Json to_json(const Plan& plan, const std::vector<std::string>& features,
             const SensorReader::Reading& reading) {
  Json json{{"device", plan.device.text()}, {"features", features}, {"fields", Json::array()}};
  each_field(reading, [&](const std::string& node, const std::string& when, const SensorField& field) {
    Json one{{"node", node},
             {"timestamp", when},
             {"name", field.name},
             {"type", to_string(field.value.type)},
             {"value", field.value.text}};
    if (field.value.number()) {
      // 26 and 26.0 stay what they are; what has more digits than a number keeps stays a text.
      auto number = Json::parse(field.value.text, nullptr, false);
      if (number.is_number() && number.dump() == field.value.text) one["value"] = std::move(number);
    }
    if (const auto truth = field.value.boolean()) one["value"] = *truth;
    if (!field.unit.empty()) one["unit"] = field.unit;
    json["fields"].push_back(std::move(one));
  });
  for (const auto& problem : reading.problems)
    json["problems"].push_back({{"node", problem.node.node_id}, {"text", problem.text}});
  return json;
}

void set_up(client::Client& client) {
  client.use<client::Disco>();
  client.use<SensorReader>().settings.timeout = client.options().request_timeout;
}

Task<int> read(client::Client& client, const Context& context, Plan plan) {
  const auto features = co_await features_of(client, plan.device);
  if (!features) co_return report(context, features.error());
  if (!context.json && !plan.csv) print_features(plan.device, *features);
  if (!has_feature(context, plan.device, *features, ns::sensor_data, "sensor")) co_return kRefused;
  const auto reading = co_await client.use<SensorReader>().read(plan.device, plan.request).result;
  if (!reading) co_return report(context, reading.error());
  if (context.json)
    print_json(to_json(plan, *features, *reading));
  else if (plan.csv)
    print_csv(plan.device, *reading);
  else if (!reading->nodes.empty() || reading->problems.empty())
    print_fields(*reading);
  if (reading->problems.empty()) co_return kDone;
  if (!context.json)
    for (const auto& problem : reading->problems)
      print_error(context, {Errc::unavailable, fmt::format("node {}: {}", one_line(problem.node.node_id),
                                                           one_line(problem.text))});
  co_return kRefused;
}

// One reading after the other, for as long as a session lasts; what goes wrong is told, and the next is
// tried.
class Periodic {
 public:
  // `exit` is what the last reading came to, once there were as many as asked for.
  Periodic(client::Client& client, const Context& context, Plan plan, std::optional<int>& exit)
      : client_(client), context_(context), plan_(std::move(plan)), exit_(exit) {
    set_up(client);
    client.on.session_start([this] {
      client_.send(client::Presence{});
      running_.emplace(start(go_on()));
    });
    client.on_session_over([this] {
      client_.post([this] {
        if (client_.state() == client::State::disconnected) running_.reset();
      });
    });
  }

 private:
  Task<void> go_on() {
    try {
      co_await loop();
    } catch (const std::system_error&) {
      // What was printed is lost, which is said at the end.
    }
    if (client_.state() == client::State::online) client_.close();
  }
  Task<void> loop() {
    for (;;) {
      const auto began = client_.loop().now();
      const int exit = co_await read(client_, context_, plan_);
      if (client_.state() != client::State::online) co_return;
      if (plan_.count != 0 && ++done_ == plan_.count) {
        exit_ = exit;
        co_return;
      }
      const auto took = std::chrono::duration_cast<Milliseconds>(client_.loop().now() - began);
      Completion<bool> due;
      client_.loop().run_after(std::max(*plan_.every - took, Milliseconds{0}),
                               [resolve = due.resolver()] { resolve.here(true); });
      co_await std::move(due);
    }
  }

  client::Client& client_;
  const Context& context_;
  Plan plan_;
  std::optional<int>& exit_;
  unsigned done_ = 0;
  std::optional<Running<void>> running_;
};

int run(const Context& context, const Login& login, const Options& options) {
  if (options.device.empty())
    return usage(context, "read what? Give the address of a device, NAME@DOMAIN/NODE");
  const auto plan = read_options(options);
  if (!plan) return usage(context, plan.error().message);
  if (plan->csv) fmt::print("device,node,timestamp,name,type,value,unit\n");
  if (!plan->every)
    return run_once(
        context, login,
        [&](client::Client& client) {
          client.send(client::Presence{});
          return read(client, context, *plan);
        },
        set_up);
  std::optional<int> last;
  const int ended = run_until_interrupted(context, login, [&](client::Client& client) {
    return std::make_shared<Periodic>(client, context, *plan, last);
  });
  return ended == kDone ? last.value_or(kDone) : ended;
}

}  // namespace

void add_read(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command = add_tool(app, context, "read", "read a sensor", login, Lifetime::once);
  command->add_option("DEVICE", options->device, "the sensor, NAME@DOMAIN/NODE");
  command->add_option("--every", options->every, "again and again, reconnecting when need be")
      ->type_name("TIME");
  command->add_option("--count", options->count, "with --every: that many times")->type_name("N");
  add_repeated(*command, "--fields", options->fields, "only these")->type_name("NAME,...")->delimiter(',');
  add_repeated(*command, "--node", options->nodes, "only this node; may be repeated")->type_name("NODE");
  command->add_flag("--csv", options->csv, "comma-separated values")->excludes("--json");
  command->footer(
      "Exit codes: 0 done, 2 usage, 3 could not connect, 4 not authorised, 5 timed out, 6 refused by the "
      "device.\n\n"
      "Examples:\n  starling read alice@example.org/1020 -j bob@example.org\n"
      "  starling read alice@example.org/1020 -j bob@example.org --every 10s --csv >> temperatures.csv");
  command->callback([&context, login, options] { context.exit = run(context, *login, *options); });
}

}  // namespace starling::cli
