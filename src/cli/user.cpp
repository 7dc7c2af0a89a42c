// starling user add|passwd|delete|list|show
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/crypto.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/password.h"
#include "cli/tools/login.h"

namespace starling::cli {
namespace {

struct Options {
  std::string jid, password, domain;
  bool password_stdin = false, password_given = false;
};
using Shared = std::shared_ptr<Options>;

std::expected<std::string, Failure> password_of(const Options& options) {
  if (options.password_given) return options.password;
  if (!options.password_stdin && ::isatty(STDIN_FILENO) == 0)
    return std::unexpected(
        Failure{kUsage,
                {Errc::invalid,
                 "give --password P or --password-stdin; it is asked for only where there is a terminal"}});
  auto read = options.password_stdin
                  ? read_password_line(STDIN_FILENO)
                  : ask_password_twice(STDIN_FILENO, fmt::format("Password for {}", options.jid));
  if (!read) return std::unexpected(Failure{kFailed, std::move(read.error())});
  return *std::move(read);
}

// Before a password is asked for, or a server.
std::optional<Failure> refuse_address(const std::string& text) {
  const auto jid = read_jid(text);
  if (jid && !jid->local().empty() && jid->is_bare()) return std::nullopt;
  return Failure{kUsage,
                 jid ? Error{Errc::invalid, fmt::format("'{}' is no account; expected NAME@DOMAIN", text)}
                     : jid.error()};
}

// A command on the one account that the options name.
Outcome on_account(const Context& context, const std::string& command, const Options& options) {
  if (auto refused = refuse_address(options.jid)) return std::unexpected(*std::move(refused));
  return ask_server_or_store(context, command, {{"jid", options.jid}});
}

Outcome with_password(const Context& context, const std::string& command, const Options& options) {
  if (auto refused = refuse_address(options.jid)) return std::unexpected(*std::move(refused));
  auto password = password_of(options);
  if (!password) return std::unexpected(std::move(password.error()));
  Json params{{"jid", options.jid}, {"password", *password}};
  auto outcome = ask_server_or_store(context, command, params);
  crypto::wipe(params["password"].get_ref<std::string&>());
  crypto::wipe(*password);
  return outcome;
}

Outcome all_accounts(const Context& context, const std::string& domain) {
  auto accounts = Json::array();
  for (;;) {
    const auto after = accounts.empty() ? std::string() : accounts.back().get<std::string>();
    auto page = ask_server_or_store(context, "user.list", {{"domain", domain}, {"after", after}});
    if (!page) return page;
    auto& found = (*page)["accounts"];
    accounts.insert(accounts.end(), found.begin(), found.end());
    if (!found.empty() && page->value("more", false)) continue;
    if (accounts.empty() && !page->value("served", true))
      say(fmt::format("starling: {} is no domain of this server, and has no accounts", domain));
    return Json{{"accounts", std::move(accounts)}};
  }
}

CLI::App* add_leaf(CLI::App& group, Context& context, const std::string& name, const std::string& doc) {
  auto* leaf = group.add_subcommand(name, doc);
  add_common_options(*leaf, context);
  add_set_option(*leaf, context);
  return leaf;
}

void add_jid(CLI::App& leaf, const Shared& options) {
  leaf.add_option("JID", options->jid, "the account, NAME@DOMAIN")->required();
}

void add_password(CLI::App& leaf, const Shared& options) {
  auto* given = leaf.add_option("--password", options->password,
                                "the password; other users of this machine may see it while this runs")
                    ->type_name("P");
  leaf.add_flag("--password-stdin", options->password_stdin, "read the password from the first line of stdin")
      ->excludes(given);
}

}  // namespace

void add_user(CLI::App& app, Context& context) {
  auto* user = app.add_subcommand("user", "make, change, remove and show accounts");
  user->require_subcommand(1);
  user->footer(
      "They reach the running server, or work on the database when none runs.\n\nExamples:\n"
      "  starling user add alice@localhost\n"
      "  starling user list --data /var/lib/starling --json");
  const auto options = std::make_shared<Options>();

  auto* add = add_leaf(*user, context, "add", "make an account; asks for the password on a terminal");
  add_jid(*add, options);
  add_password(*add, options);
  add->footer(
      "Examples:\n  starling user add alice@localhost\n  pass show xmpp | starling user add alice@localhost "
      "--password-stdin");
  add->callback([&context, options, add] {
    options->password_given = add->count("--password") > 0;
    context.exit = finish(context, with_password(context, "user.add", *options),
                          [](const Json& done) { fmt::print("added {}\n", done.value("jid", "")); });
  });

  auto* passwd = add_leaf(*user, context, "passwd", "change a password and end the account's sessions");
  add_jid(*passwd, options);
  add_password(*passwd, options);
  passwd->footer("Example:\n  starling user passwd alice@localhost");
  passwd->callback([&context, options, passwd] {
    options->password_given = passwd->count("--password") > 0;
    context.exit = finish(context, with_password(context, "user.passwd", *options), [](const Json& done) {
      fmt::print("changed the password of {}\n", done.value("jid", ""));
    });
  });

  auto* remove = add_leaf(*user, context, "delete",
                          "remove an account with all it has, its sessions and its subscriptions");
  add_jid(*remove, options);
  remove->footer("Example:\n  starling user delete alice@localhost");
  remove->callback([&context, options] {
    context.exit = finish(context, on_account(context, "user.delete", *options),
                          [](const Json& done) { fmt::print("deleted {}\n", done.value("jid", "")); });
  });

  auto* list = add_leaf(*user, context, "list", "print the accounts, one a line");
  list->add_option("DOMAIN", options->domain, "only those of this domain");
  list->footer("Examples:\n  starling user list\n  starling user list example.org --json");
  list->callback([&context, options] {
    context.exit = finish(context, all_accounts(context, options->domain), [](const Json& found) {
      for (const auto& jid : found["accounts"]) fmt::print("{}\n", jid.get_ref<const std::string&>());
    });
  });

  auto* show = add_leaf(*user, context, "show", "print what is known about an account");
  add_jid(*show, options);
  show->footer("Example:\n  starling user show alice@localhost");
  show->callback([&context, options] {
    context.exit = finish(context, on_account(context, "user.show", *options), print_members);
  });
}

}  // namespace starling::cli
