// starling: one binary, a table of subcommands.
#include <csignal>
#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.h"
#include "cli/commands.h"
#include "server/version.h"

namespace {

constexpr auto kSubcommands = {
    &starling::cli::add_serve,  &starling::cli::add_check,
    &starling::cli::add_user,   &starling::cli::add_status,
    &starling::cli::add_reload, &starling::cli::add_sessions,
    &starling::cli::add_kick,   &starling::cli::add_config_reference,
};

}  // namespace

int main(int argc, char** argv) {
  using namespace starling;
  ::umask(077);  // what we write is nobody else's business
  std::signal(SIGPIPE, SIG_IGN);
  log::set_level(log::Level::warn);  // of the tools; the server sets its own
  cli::Context context;
  try {
    CLI::App app{"Starling, an XMPP server", "starling"};
    app.set_version_flag("--version", fmt::format("starling {}", server::kVersion));
    app.require_subcommand(1);
    app.get_formatter()->column_width(36);
    app.footer(
        "Exit codes: 0 done, 1 failed, 2 usage, 3 no server runs.\n\nExamples:\n"
        "  starling user add alice@localhost\n"
        "  starling serve --data /var/lib/starling --set domains=example.org\n"
        "`starling SUBCOMMAND --help` says more.");
    for (const auto add : kSubcommands) add(app, context);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? cli::kDone : cli::kUsage;
    }
  } catch (const std::exception& error) {
    cli::print_error(context, {Errc::io, error.what()});
    return cli::kFailed;
  }
  return context.exit;
}
