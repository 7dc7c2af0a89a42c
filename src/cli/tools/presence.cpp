// starling presence: says that we are there, and who else is.
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/pause.h"
#include "cli/commands.h"
#include "cli/tools/tool.h"

namespace starling::cli {
namespace {

struct Options {
  std::string to, show, status;
  int priority = 0;
  double wait = 2;  // seconds
};

// What has come; the handlers that fill it outlive the coroutine that waits.
struct Found {
  struct Seen {
    std::string show, status;
    int priority = 0;
  };
  std::map<std::string, Seen> online;
  std::optional<StanzaError> refused;
};

Task<int> presence(client::Client& client, const Context& context, client::Presence ours, Milliseconds wait) {
  const auto found = std::make_shared<Found>();
  client.on.presence([found, to = ours.to](const Stanza& theirs) {
    const auto& from = theirs.from();
    if (theirs.type() == Type::available)
      found->online[from.text()] = {std::string(client::show_of(theirs)),
                                    std::string(client::status_of(theirs)), client::priority_of(theirs)};
    if (theirs.type() == Type::unavailable) found->online.erase(from.text());
    if (theirs.type() == Type::error && !to.empty() && from == to) found->refused = client::error_of(theirs);
  });
  client.send(ours);
  co_await pause(client.loop(), wait);
  if (found->refused)
    co_return report(context, {client::RequestError::Kind::refused, *found->refused, {}}, ours.to);
  auto rows = Json::array();
  for (const auto& [jid, seen] : found->online)
    rows.push_back({{"jid", jid}, {"show", seen.show}, {"priority", seen.priority}, {"status", seen.status}});
  if (context.json)
    print_json(rows);
  else if (rows.empty())
    fmt::print("nobody has shown up\n");
  else
    print_table(rows, "jid");
  co_return kDone;
}

}  // namespace

void add_presence(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command = add_tool(app, context, "presence", "say that we are there, and print who else is", login,
                           Lifetime::once);
  command->add_option("-t,--to", options->to, "only to this address")->type_name("JID");
  command->add_option("--show", options->show, "away, chat, dnd or xa")
      ->check(CLI::IsMember({"away", "chat", "dnd", "xa"}));
  command->add_option("--status", options->status, "a text for those who see it")->type_name("TEXT");
  command->add_option("--priority", options->priority, "of this session")->check(CLI::Range(-128, 127));
  add_seconds(*command, "--wait", options->wait, "how long to listen; --timeout is on top of it");
  command->footer(
      "Prints whoever shows up within --wait seconds, ourselves included; our presence ends with the "
      "command.\n\n"
      "Examples:\n  starling presence -j alice@example.org\n"
      "  starling presence -j alice@example.org --show away --status 'back at five' --wait 600");
  command->callback([&context, login, options] {
    client::Presence ours{.show = options->show, .status = options->status, .priority = options->priority};
    if (!options->to.empty()) {
      const auto to = parse_jid(context, options->to);
      if (!to) {
        context.exit = kUsage;
        return;
      }
      ours.to = *to;
    }
    Login patient = *login;
    patient.timeout += options->wait;
    context.exit = run_once(context, patient,
                            [&context, ours, wait = milliseconds(options->wait)](client::Client& client) {
                              return presence(client, context, ours, wait);
                            });
  });
}

}  // namespace starling::cli
