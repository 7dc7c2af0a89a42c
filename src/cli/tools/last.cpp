// starling last [JID]
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/tool.h"
#include "client/ext/last_activity.h"

namespace starling::cli {
namespace {

// "3 days 4 h", the two largest units.
std::string duration(std::chrono::seconds time) {
  struct Unit {
    std::string_view name;
    std::int64_t seconds;
  };
  std::string text;
  int units = 0;
  auto left = static_cast<std::int64_t>(time.count());
  for (const Unit unit : {Unit{"days", 86400}, Unit{"h", 3600}, Unit{"min", 60}, Unit{"s", 1}}) {
    const auto count = left / unit.seconds;
    left %= unit.seconds;
    if (count == 0 && units == 0 && unit.seconds > 1) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : " ", count, unit.name);
    if (++units == 2) break;
  }
  return text;
}

Task<int> last(client::Client& client, const Context& context, Jid of) {
  if (of.empty()) of = client.jid().to_domain();
  const auto answer = co_await client.use<client::LastActivity>().of(of);
  if (!answer) co_return report(context, answer.error(), of);
  if (context.json) {
    print_json({{"jid", of.text()}, {"seconds", answer->ago.count()}, {"status", answer->status}});
    co_return kDone;
  }
  // XEP-0012 section 4; who has just left has a status, or is told of so for a second.
  if (!of.is_domain() && of.is_bare() && answer->ago.count() == 0 && answer->status.empty()) {
    fmt::print("online now\n");
    co_return kDone;
  }
  const std::string_view what = of.is_domain() ? "up for" : of.is_full() ? "idle for" : "last seen, before";
  fmt::print("{} {}{}\n", what, duration(answer->ago),
             answer->status.empty() ? "" : fmt::format(" ({})", one_line(answer->status)));
  co_return kDone;
}

}  // namespace

void add_last(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto of = std::make_shared<std::string>();
  auto* command = add_tool(app, context, "last", "ask since when somebody is idle or away, or a server up",
                           login, Lifetime::once);
  add_peer(*command, *of, "whom to ask; our own server if it is left out");
  command->footer(
      "Of an account it is how long ago it was last seen, of a full address how long it has been idle, of a "
      "server how "
      "long it has been up.\n\n"
      "Example:\n  starling last bob@example.org -j alice@example.org");
  command->callback([&context, login, of] {
    context.exit = ask_peer(context, *login, *of, last, use<client::LastActivity>);
  });
}

}  // namespace starling::cli
