// starling ping [JID]
#include "client/ext/ping.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/tools/tool.h"

namespace starling::cli {
namespace {

Task<int> ping(client::Client& client, const Context& context, Jid to) {
  if (to.empty()) to = client.jid().to_domain();
  const auto took = co_await client.use<client::Ping>().ping(to);
  if (!took) co_return report(context, took.error(), to);
  if (context.json)
    print_json({{"jid", to.text()}, {"milliseconds", took->count()}});
  else
    fmt::print("answer from {} after {} ms\n", to.text(), took->count());
  co_return kDone;
}

}  // namespace

void add_ping(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto to = std::make_shared<std::string>();
  auto* command =
      add_tool(app, context, "ping", "ask a server or a client whether it is there", login, Lifetime::once);
  add_peer(*command, *to, "whom to ask; our own server if it is left out");
  command->footer(
      "Examples:\n  starling ping -j alice@example.org\n"
      "  starling ping -j alice@example.org bob@example.org/phone");
  command->callback(
      [&context, login, to] { context.exit = ask_peer(context, *login, *to, ping, use<client::Ping>); });
}

}  // namespace starling::cli
