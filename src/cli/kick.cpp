// starling kick FULLJID
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/control.h"

namespace starling::cli {

void add_kick(CLI::App& app, Context& context) {
  auto* kick = app.add_subcommand("kick", "end one session; its user may log in again");
  add_common_options(*kick, context);
  const auto jid = std::make_shared<std::string>();
  kick->add_option("FULLJID", *jid, "the session, NAME@DOMAIN/RESOURCE")->required();
  kick->footer("Exits with 3 when no server runs.\n\nExample:\n  starling kick alice@localhost/phone");
  kick->callback([&context, jid] {
    context.exit = finish(context, ask_server(context, "kick", {{"jid", *jid}}),
                          [](const Json& done) { fmt::print("ended {}\n", done.value("jid", "")); });
  });
}

}  // namespace starling::cli
