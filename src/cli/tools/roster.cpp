// starling roster [list|add|remove|subscribe|approve]
#include "client/ext/roster.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/tools/tool.h"

namespace starling::cli {
namespace {

struct Options {
  std::string action = "list", jid, name;
  std::vector<std::string> groups;
};

// All, or `only` one.
Task<int> list(client::Client& client, const Context& context, Jid only) {
  auto& roster = client.use<client::Roster>();
  if (const auto got = co_await roster.get(); !got) co_return report(context, got.error());
  if (!only.empty() && roster.find(only) == nullptr) {
    print_error(context, {Errc::not_found, fmt::format("{} is not in the roster", only.text())});
    co_return kFailed;
  }
  auto rows = Json::array();
  for (const auto& [jid, item] : roster.items()) {
    if (!only.empty() && jid != only) continue;
    rows.push_back({{"jid", jid.text()},
                    {"name", item.name},
                    {"subscription", to_string(item.subscription)},
                    {"ask", item.ask},
                    {"approved", item.approved},
                    {"groups", item.groups}});
  }
  if (context.json)
    print_json(rows);
  else if (rows.empty())
    fmt::print("nobody yet; starling roster add JID makes a start\n");
  else
    print_table(rows, "jid");
  co_return kDone;
}

// The server has acted on a presence when it has answered what came after it (RFC 6120 10.1).
Task<int> after_presence(client::Client& client, const Context& context, std::string what) {
  const auto answer = co_await client.request(Type::get, Jid(), "<query xmlns='jabber:iq:roster'/>");
  if (!answer) co_return report(context, answer.error());
  if (context.json)
    print_json({{"done", what}});
  else
    fmt::print("{}\n", what);
  co_return kDone;
}

Task<int> change(client::Client& client, const Context& context, Options options, Jid jid) {
  auto& roster = client.use<client::Roster>();
  if (options.action == "subscribe") {
    roster.subscribe(jid);
    co_return co_await after_presence(client, context,
                                      fmt::format("asked {} for a subscription", jid.text()));
  }
  if (options.action == "approve") {
    if (!roster.pre_approve(jid)) roster.approve(jid);
    co_return co_await after_presence(client, context, fmt::format("approved {}", jid.text()));
  }
  const bool removes = options.action == "remove";
  const auto done = removes
                        ? co_await roster.remove(jid)
                        : co_await roster.set({.jid = jid, .name = options.name, .groups = options.groups});
  if (!done) co_return report(context, done.error());
  if (context.json)
    print_json({{"jid", jid.text()}});
  else
    fmt::print("{} {}\n", removes ? "removed" : "added", jid.text());
  co_return kDone;
}

int run(const Context& context, const Login& login, const Options& options) {
  const bool lists = options.action == "list";
  if (options.jid.empty() && !lists)
    return usage(context, fmt::format("roster {}: whom? Give a JID", options.action));
  Jid jid;
  if (!options.jid.empty()) {
    const auto parsed = parse_jid(context, options.jid);
    if (!parsed) return kUsage;
    jid = *parsed;
  }
  if (jid.is_full())
    return usage(context, fmt::format("roster {}: '{}' has a resource, and contacts have none: give {}",
                                      options.action, jid.text(), jid.bare()));
  return run_once(
      context, login,
      [&context, options, lists, jid](client::Client& client) {
        return lists ? list(client, context, jid) : change(client, context, options, jid);
      },
      use<client::Roster>);
}

}  // namespace

void add_roster(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command = add_tool(app, context, "roster", "print or change the contact list", login, Lifetime::once);
  command->add_option("ACTION", options->action, "list, add, remove, subscribe or approve")
      ->check(CLI::IsMember({"list", "add", "remove", "subscribe", "approve"}))
      ->capture_default_str();
  command->add_option("JID", options->jid, "the contact; list prints all without one");
  command->add_option("--name", options->name, "with add: what to call the contact")->type_name("TEXT");
  add_repeated(*command, "--group", options->groups, "with add: a group; may be repeated")->type_name("TEXT");
  command->footer(
      "subscribe asks to see the contact's presence; approve lets the contact see ours, now or once it "
      "asks.\n\n"
      "Examples:\n  starling roster -j alice@example.org\n"
      "  starling roster add bob@example.org --name Bob --group Friends -j alice@example.org\n"
      "  starling roster subscribe bob@example.org -j alice@example.org");
  command->callback([&context, login, options] { context.exit = run(context, *login, *options); });
}

}  // namespace starling::cli
