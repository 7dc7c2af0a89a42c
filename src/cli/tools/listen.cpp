// starling listen: prints what comes.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/tool.h"
#include "client/ext/caps.h"
#include "client/ext/ping.h"
#include "client/ext/receipts.h"

namespace starling::cli {
namespace {

void print_message(const Context& context, const Stanza& message) {
  const auto body = client::body_of(message);
  if (context.json) {
    Json line{{"kind", "message"},
              {"from", message.from().text()},
              {"type", message.type() == Type::normal ? "normal" : to_string(message.type())},
              {"id", message.id()},
              {"body", body}};
    if (message.type() == Type::error) line["error"] = to_string(client::error_of(message).condition);
    if (const auto thread = client::thread_of(message); !thread.empty()) line["thread"] = thread;
    line["content"] = message.inner();
    return print_json(line);
  }
  const auto from = message.from().text();
  if (message.type() == Type::error)
    return fmt::print("{} (error): {}\n", from, to_string(client::error_of(message).condition));
  const auto* subject = message.child("subject", message.element().ns());
  std::string text;
  if (subject != nullptr && !subject->text().empty()) text = fmt::format("[{}]", one_line(subject->text()));
  if (!body.empty()) text += fmt::format("{}{}", text.empty() ? "" : " ", indented(body));
  if (!text.empty())
    fmt::print("{}{}: {}\n", from, message.type() == Type::headline ? " (headline)" : "", text);
}

void print_presence(const Context& context, const Stanza& presence) {
  const auto show = presence.type() == Type::available || presence.type() == Type::unavailable
                        ? client::show_of(presence)
                        : to_string(presence.type());
  const auto status = client::status_of(presence);
  if (context.json)
    return print_json({{"kind", "presence"},
                       {"from", presence.from().text()},
                       {"show", show},
                       {"status", status},
                       {"priority", client::priority_of(presence)}});
  fmt::print("{} is {}{}\n", presence.from().text(), one_line(show),
             status.empty() ? "" : fmt::format(" ({})", one_line(status)));
}

std::shared_ptr<void> set_up(client::Client& client, const Context& context) {
  client.use<client::Roster>();
  client.use<client::Disco>();
  client.use<client::Caps>();
  client.use<client::Ping>();
  client.use<client::Receipts>();
  client.on.session_start([&client] {
    client.use<client::Roster>().get().then([&client](const auto&) { client.send(client::Presence{}); });
  });
  client.on.message([&context](const Stanza& message) {
    print_message(context, message);
    flush_output();
  });
  client.on.presence([&context](const Stanza& presence) {
    print_presence(context, presence);
    flush_output();
  });
  return nullptr;
}

}  // namespace

void add_listen(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  auto* command =
      add_tool(app, context, "listen", "print the messages and presences that come", login, Lifetime::long_);
  command->footer(
      "A line each, with --json an object. Reconnects when the connection is lost; Ctrl-C ends it.\n\n"
      "Example:\n  starling listen -j alice@example.org --json | jq .body");
  command->callback([&context, login] {
    context.exit = run_until_interrupted(
        context, *login, [&context](client::Client& client) { return set_up(client, context); });
  });
}

}  // namespace starling::cli
