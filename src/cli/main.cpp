// starling: one binary, a table of subcommands.
#include <csignal>
#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/version.h"
#include "cli/commands.h"
#include "server/config.h"

namespace {

constexpr auto kSubcommands = {
    &starling::cli::add_serve,   &starling::cli::add_check,
    &starling::cli::add_user,    &starling::cli::add_status,
    &starling::cli::add_reload,  &starling::cli::add_sessions,
    &starling::cli::add_kick,    &starling::cli::add_config_reference,
    &starling::cli::add_send,    &starling::cli::add_echo,
    &starling::cli::add_chat,    &starling::cli::add_listen,
    &starling::cli::add_ping,    &starling::cli::add_disco,
    &starling::cli::add_roster,  &starling::cli::add_presence,
    &starling::cli::add_vcard,   &starling::cli::add_iq,
    &starling::cli::add_sensor,  &starling::cli::add_read,
    &starling::cli::add_control, &starling::cli::add_register,
    &starling::cli::add_time,    &starling::cli::add_version,
    &starling::cli::add_last,
};

// CLI11 says that a subcommand is missing when one is misspelt.
int no_such_subcommand(const starling::cli::Context& context, const CLI::App& app,
                       const std::vector<std::string>& words) {
  using namespace starling;
  const CLI::App* at = &app;
  for (const std::string& word : words) {
    if (word.starts_with('-')) break;
    const auto known = at->get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
    if (!known.empty()) {
      at = known.front();
      continue;
    }
    std::vector<std::string_view> names;
    for (const CLI::App* one : at->get_subcommands({}))
      if (!one->get_group().empty()) names.push_back(one->get_name());
    const auto nearest = server::nearest_word(word, names);
    cli::print_error(
        context,
        {Errc::invalid, fmt::format("there is no command '{}'; {}", word,
                                    nearest ? fmt::format("did you mean '{}'?", *nearest)
                                            : fmt::format("expected one of {}", fmt::join(names, ", ")))});
    return cli::kUsage;
  }
  fmt::print(stderr, "{}", at->help());
  return cli::kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace starling;
  ::umask(077);  // what we write is nobody else's business
  std::signal(SIGPIPE, SIG_IGN);
  log::set_level(log::Level::warn);  // of the tools; the server sets its own
  cli::Context context;
  try {
    CLI::App app{"Starling, an XMPP server and clients for any", "starling"};
    app.set_version_flag("--version", fmt::format("starling {}", kVersion));
    app.require_subcommand(1);
    app.get_formatter()->column_width(36);
    app.footer(
        "Exit codes: 0 done, 1 failed, 2 usage, 3 no server runs or none could be connected to, 4 not "
        "authorised, 5 "
        "timed out,\n6 refused by the peer.\n\nExamples:\n"
        "  starling user add alice@localhost\n"
        "  starling serve --data /var/lib/starling --set domains=example.org\n"
        "  starling send -j alice@example.org -t bob@example.org -m Hello\n"
        "`starling SUBCOMMAND --help` says more.");
    for (const auto add : kSubcommands) add(app, context);
    try {
      app.parse(argc, argv);
    } catch (const CLI::RequiredError&) {
      return no_such_subcommand(context, app, {argv + 1, argv + argc});
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? cli::kDone : cli::kUsage;
    }
  } catch (const std::exception& error) {
    cli::print_error(context, {Errc::io, error.what()});
    return cli::kFailed;
  }
  return context.exit;
}
