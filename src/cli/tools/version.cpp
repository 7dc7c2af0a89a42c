// starling version [JID]
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/tool.h"
#include "client/ext/software_version.h"

namespace starling::cli {
namespace {

Task<int> version(client::Client& client, const Context& context, Jid of) {
  if (of.empty()) of = client.jid().to_domain();
  const auto answer = co_await client.use<client::SoftwareVersion>().of(of);
  if (!answer) co_return report(context, answer.error(), of);
  if (context.json) {
    print_json(
        {{"jid", of.text()}, {"name", answer->name}, {"version", answer->version}, {"os", answer->os}});
  } else {
    fmt::print("{} {}{}\n", one_line(answer->name), one_line(answer->version),
               answer->os.empty() ? "" : fmt::format(" on {}", one_line(answer->os)));
  }
  co_return kDone;
}

}  // namespace

void add_version(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto of = std::make_shared<std::string>();
  auto* command = add_tool(app, context, "version", "ask which software a server or a client runs", login,
                           Lifetime::once);
  add_peer(*command, *of, "whom to ask; our own server if it is left out");
  command->footer("Our own version: starling --version\n\nExample:\n  starling version -j alice@example.org");
  command->callback([&context, login, of] {
    context.exit = ask_peer(context, *login, *of, version, use<client::SoftwareVersion>);
  });
}

}  // namespace starling::cli
