// starling sessions
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/control.h"

namespace starling::cli {

void add_sessions(CLI::App& app, Context& context) {
  auto* sessions = app.add_subcommand("sessions", "print the sessions of the running server, one a line");
  add_common_options(*sessions, context);
  sessions->footer("Exits with 3 when no server runs.\n\nExample:\n  starling sessions --json");
  sessions->callback([&context] {
    context.exit = finish(context, ask_server(context, "sessions", Json::object()),
                          [](const Json& found) { print_table(found["sessions"], "jid"); });
  });
}

}  // namespace starling::cli
