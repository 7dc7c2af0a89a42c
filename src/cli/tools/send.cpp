// starling send: logs in, sends one message, and leaves.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/tools/tool.h"

namespace starling::cli {
namespace {

struct Options {
  std::string to, text, subject, type = "chat";
};

// What has become of the message. It outlives the session: the message's error may come until the stream's
// end.
struct Fate {
  std::string id;
  bool taken = false;
  std::optional<StanzaError> refused;
};
using FatePtr = std::shared_ptr<Fate>;

Task<int> send(client::Client& client, const Context& context, client::Message message, FatePtr fate) {
  client.on.message([fate](const Stanza& stanza) {
    if (stanza.type() == Type::error && stanza.id() == fate->id) fate->refused = client::error_of(stanza);
  });
  client.send(client::Presence{});
  fate->id = client.send(message);
  if (const auto done = co_await taken(client, message.to); !done) co_return report(context, done.error());
  fate->taken = true;
  co_return kDone;
}

int tell(const Context& context, const Fate& fate, const Jid& to) {
  if (fate.refused) return report(context, {client::RequestError::Kind::refused, *fate.refused, {}}, to);
  if (context.json)
    print_json({{"id", fate.id}, {"to", to.text()}});
  else
    fmt::print("Done\n");
  return kDone;
}

}  // namespace

void add_send(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command = add_tool(app, context, "send", "log in, send one message and leave", login, Lifetime::once);
  command->add_option("-t,--to", options->to, "whom to send it to")->type_name("JID")->required();
  command->add_option("-m,--message", options->text, "the text")->type_name("TEXT")->required();
  command->add_option("--subject", options->subject, "a subject")->type_name("TEXT");
  command->add_option("--type", options->type, "chat, normal or headline")
      ->check(CLI::IsMember({"chat", "normal", "headline"}))
      ->capture_default_str();
  command->footer(
      "Prints Done once the server has the message and nobody has refused it. Exit codes: 0 done, 2 usage, 3 "
      "could not connect, 4 not "
      "authorised, 5 timed out, 6 refused.\n\n"
      "Examples:\n"
      "  starling send -j alice@example.org -t bob@example.org -m 'Hello, Bob'\n"
      "  STARLING_PASSWORD=... starling send -j alice@localhost --ca data/tls/self-signed.crt -t "
      "bob@localhost -m Hi");
  command->callback([&context, login, options] {
    if (options->text.empty() && options->subject.empty()) {
      context.exit =
          usage(context, "there is nothing to send: --message is empty, and there is no --subject");
      return;
    }
    const auto to = parse_jid(context, options->to);
    if (!to) {
      context.exit = kUsage;
      return;
    }
    const client::Message message{.to = *to,
                                  .body = options->text,
                                  .type = options->type == "headline" ? Type::headline
                                          : options->type == "normal" ? Type::normal
                                                                      : Type::chat,
                                  .subject = options->subject};
    const auto fate = std::make_shared<Fate>();
    context.exit = run_once(context, *login, [&context, message, fate](client::Client& client) {
      return send(client, context, message, fate);
    });
    if (context.exit == kDone && fate->taken) context.exit = tell(context, *fate, *to);
  });
}

}  // namespace starling::cli
