// starling register: makes an account by in-band registration, changes its password, or ends it.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/crypto.h"
#include "cli/commands.h"
#include "cli/tools/tool.h"
#include "client/ext/registration.h"

namespace starling::cli {
namespace {

struct Options {
  std::string email, new_password_file;
  bool remove = false;
};

int tell(const Context& context, const client::Outcome<void>& done, std::string_view what,
         const std::string& jid) {
  if (!done) return report(context, done.error());
  if (context.json)
    print_json({{"jid", jid}, {"done", what}});
  else
    fmt::print("{} {}\n", what, jid);
  return kDone;
}

Task<int> create(client::Client& client, const Context& context, Jid account, std::string password,
                 std::string email) {
  const auto done = co_await client.use<client::Registration>().create(std::string(account.local()),
                                                                       std::move(password), email);
  co_return tell(context, done, "registered", account.text());
}

Task<int> change(client::Client& client, const Context& context, Jid account, std::string password) {
  const auto done = co_await client.use<client::Registration>().change_password(password);
  co_return tell(context, done, "changed the password of", account.text());
}

Task<int> remove(client::Client& client, const Context& context, Jid account) {
  const auto done = co_await client.use<client::Registration>().remove();
  co_return tell(context, done, "removed", account.text());
}

int run(const Context& context, Login login, const Options& options) {
  login.new_password = !options.remove && options.new_password_file.empty();
  const auto jid = parse_jid(context, login.jid);
  if (!jid) return kUsage;
  const Jid account = jid->to_bare();
  Work work;
  Adjust adjust;
  std::string password;
  if (options.remove) {
    work = [&](client::Client& client) { return remove(client, context, account); };
  } else if (!options.new_password_file.empty()) {
    auto read = read_password_file(options.new_password_file);
    if (!read) return usage(context, read.error().message);
    password = *std::move(read);
    work = [&](client::Client& client) { return change(client, context, account, password); };
  } else {
    // A stream without login, to the domain.
    adjust = [&](client::Options& made) {
      password = std::exchange(made.password, {});
      made.jid = account.to_domain();
    };
    work = [&](client::Client& client) { return create(client, context, account, password, options.email); };
  }
  const int exit = run_once(context, login, std::move(work), use<client::Registration>, adjust);
  crypto::wipe(password);
  return exit;
}

}  // namespace

void add_register(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command = add_tool(app, context, "register", "make an account on a server that allows it", login,
                           Lifetime::once, "the account to make, NAME@DOMAIN");
  command->add_option("--email", options->email, "where the server asks for it")->type_name("ADDRESS");
  auto* change = command
                     ->add_option("--new-password-file", options->new_password_file,
                                  "change the password of the account to the first line of FILE instead")
                     ->type_name("FILE");
  command->add_flag("--remove", options->remove, "remove the account with all it has instead")
      ->excludes(change);
  command->footer(
      "Examples:\n  starling register -j carol@example.org\n"
      "  starling register -j carol@example.org --remove");
  command->callback([&context, login, options] { context.exit = run(context, *login, *options); });
}

}  // namespace starling::cli
