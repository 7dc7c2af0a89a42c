// starling: one binary, a table of subcommands.
#include <csignal>
#include <exception>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

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
    &starling::cli::add_last,    &starling::cli::add_bench,
};

// Says what is wrong with the command line.
int explain(starling::cli::Context& context, const CLI::App& app, const CLI::ParseError& error,
            const std::vector<std::string>& words) {
  using namespace starling;
  context.json = std::ranges::find(words, "--json") != words.end();  // nothing is set after an error
  const CLI::App* at = &app;
  std::string command = "starling", parents;
  for (const std::string& word : words) {
    std::vector<std::string_view> names;
    for (const CLI::App* one : at->get_subcommands({}))
      if (!one->get_group().empty()) names.push_back(one->get_name());
    if (names.empty() || word.starts_with('-')) break;
    const auto known = at->get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
    if (known.empty()) {  // CLI11 says that one is missing
      const auto nearest = server::nearest_word(word, names);
      return cli::usage(context,
                        fmt::format("there is no command '{}'; {}", word,
                                    nearest ? fmt::format("did you mean '{}'?", *nearest)
                                            : fmt::format("expected one of {}", fmt::join(names, ", "))));
    }
    at = known.front();
    parents = std::exchange(command, command + ' ' + word);
  }
  const bool wants_command = !at->get_subcommands({}).empty();
  if (wants_command && error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError))
    cli::say(at->help(parents));
  return cli::usage(context, fmt::format("{}; see {} --help", error.what(), command));
}

// Returns the exit code.
int run(starling::cli::Context& context, int argc, char** argv) {
  using namespace starling;
  CLI::App app{"Starling, an XMPP server and clients for any", "starling"};
  app.set_version_flag("--version", fmt::format("starling {}", kVersion));
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 no server runs or none could be connected to, 4 not "
      "authorised, 5 "
      "timed out,\n6 refused by the peer, 141 nobody reads what is printed.\n\nExamples:\n"
      "  starling user add alice@localhost\n"
      "  starling serve --data /var/lib/starling --set domains=example.org\n"
      "  starling send -j alice@example.org -t bob@example.org -m Hello\n"
      "`starling SUBCOMMAND --help` says more.");
  for (const auto add : kSubcommands) add(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version
    return explain(context, app, error, {argv + 1, argv + argc});
  }
  return context.exit;
}

// The next file or connection to be opened would get the number of one that is missing, and what we say. A
// stdout that is missing takes nothing, so that what gets lost is noticed.
void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(descriptor, F_GETFD) < 0)  // the new one gets the lowest number that is free
      ::open("/dev/null", descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace starling;
  open_standard_streams();
  ::umask(077);                      // what we write is nobody else's business
  std::signal(SIGPIPE, SIG_IGN);     // who logged in says goodbye before the end
  log::set_level(log::Level::warn);  // of the tools; the server sets its own
  cli::Context context;
  const auto fail = [&context](const std::exception& error) {
    context.json = false;  // it may be stdout that has failed
    cli::print_error(context, {Errc::io, error.what()});
    return cli::kFailed;
  };
  try {
    const int exit = run(context, argc, argv);
    cli::flush_output();
    return exit;
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::broken_pipe) return cli::kNobodyReads;
    return fail(error);
  } catch (const std::exception& error) {
    return fail(error);
  }
}
