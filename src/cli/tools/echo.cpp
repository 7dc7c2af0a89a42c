// starling echo: answers every message with thanks and its own words.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/tool.h"
#include "client/ext/disco.h"
#include "client/ext/ping.h"
#include "client/ext/roster.h"

namespace starling::cli {
namespace {

std::shared_ptr<void> set_up(client::Client& client, const Context& context) {
  client.use<client::Disco>();
  client.use<client::Ping>();
  client.use<client::Roster>();
  client.on.session_start([&client, &context] {
    client.send(client::Presence{});
    client.use<client::Roster>().get().then([](const auto&) {});
    if (!context.json) say(fmt::format("echoing as {}; Ctrl-C ends", client.jid().text()));
  });
  client.on.message([&client, &context](const Stanza& message) {
    if (message.type() != Type::chat && message.type() != Type::normal) return;  // no groupchat, no errors
    const auto body = client::body_of(message);
    if (body.empty()) return;
    if (context.json)
      print_json({{"from", message.from().text()}, {"body", body}});
    else
      fmt::print("{}: {}\n", message.from().text(), indented(body));
    flush_output();
    client.send(client::reply_to(message, fmt::format("Thanks for sending\n{}", body)));
  });
  return nullptr;
}

}  // namespace

void add_echo(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  auto* command = add_tool(app, context, "echo", "answer every message with thanks and its own words", login,
                           Lifetime::long_);
  command->footer(
      "Reconnects when the connection is lost; Ctrl-C ends it.\n\n"
      "Example:\n  starling echo -j bob@example.org");
  command->callback([&context, login] {
    context.exit = run_until_interrupted(
        context, *login, [&context](client::Client& client) { return set_up(client, context); });
  });
}

}  // namespace starling::cli
