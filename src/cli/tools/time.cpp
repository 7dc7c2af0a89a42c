// starling time [JID]
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/tools/tool.h"
#include "client/ext/entity_time.h"
#include "payload/timestamps.h"

namespace starling::cli {
namespace {

Task<int> time(client::Client& client, const Context& context, Jid of) {
  if (of.empty()) of = client.jid().to_domain();
  const auto time = co_await client.use<client::EntityTime>().of(of);
  if (!time) co_return report(context, time.error(), of);
  if (context.json)
    print_json(
        {{"jid", of.text()}, {"utc", payload::timestamp(time->utc, 0)}, {"zone", payload::zone(time->east)}});
  else
    fmt::print("{}, time zone {}\n", payload::timestamp(time->utc, 0), payload::zone(time->east));
  co_return kDone;
}

}  // namespace

void add_time(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto of = std::make_shared<std::string>();
  auto* command =
      add_tool(app, context, "time", "ask a server or a client what time it has", login, Lifetime::once);
  add_peer(*command, *of, "whom to ask; our own server if it is left out");
  command->footer("Example:\n  starling time bob@example.org/phone -j alice@example.org");
  command->callback([&context, login, of] {
    context.exit = ask_peer(context, *login, *of, time, use<client::EntityTime>);
  });
}

}  // namespace starling::cli
