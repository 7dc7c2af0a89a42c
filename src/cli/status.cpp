// starling status
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/control.h"

namespace starling::cli {

void add_status(CLI::App& app, Context& context) {
  auto* status = app.add_subcommand("status", "print what the running server is doing");
  add_common_options(*status, context);
  status->footer(
      "Exits with 3 when no server runs.\n\nExample:\n  starling status --data /var/lib/starling --json");
  status->callback([&context] {
    context.exit = finish(context, ask_server(context, "status", Json::object()), print_members);
  });
}

}  // namespace starling::cli
