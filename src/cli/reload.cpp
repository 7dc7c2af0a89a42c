// starling reload
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/control.h"

namespace starling::cli {

void add_reload(CLI::App& app, Context& context) {
  auto* reload =
      app.add_subcommand("reload", "make the running server read its configuration and certificates again");
  add_common_options(*reload, context);
  reload->footer(
      "Drops no session. Where something is wrong the old one stays, and the exit code is 1. Exits with 3 "
      "when no server\n"
      "runs.\n\nExample:\n  starling check && starling reload");
  reload->callback([&context] {
    context.exit = finish(context, ask_server(context, "reload", Json::object()),
                          [](const Json& done) { fmt::print("{}\n", done.value("message", "")); });
  });
}

}  // namespace starling::cli
