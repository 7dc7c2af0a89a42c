#pragma once
// What every subcommand that logs in to a server shares: options, password, debug log, signals, exit codes.
// Main thread.
#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "cli/context.h"
#include "client/client.h"

namespace starling::cli {

// Of one command line.
struct Login {
  std::string jid, password_file, connect, ca_file, dns_server, tls = "required";
  bool password_stdin = false, insecure = false, direct_tls = false, plain = false;
  bool debug = false, verbose = false;
  bool new_password = false;  // asked for twice, where it is asked for
  double timeout = 30;        // seconds
};
using LoginPtr = std::shared_ptr<Login>;

enum class Lifetime : std::uint8_t {
  once,  // never reconnects, and gives up after --timeout
  long_  // reconnects until it is interrupted
};

// Adds `name` with -j, the password's options, where and how to connect, --json, -d and -v.
CLI::App* add_tool(CLI::App& app, Context& context, const std::string& name, const std::string& doc,
                   const LoginPtr& login, Lifetime lifetime,
                   const std::string& jid_doc = "the account to log in with, NAME@DOMAIN[/RESOURCE]");

// What to tell a Client; asks for the password where it is to be asked for. Prints --insecure's warning.
std::expected<client::Options, Failure> client_options(const Login& login, Lifetime lifetime);

// The first line of a file. Errors: io, and those of read_password_line().
Result<std::string> read_password_file(const std::string& path);

// Logs in, does `work` once in the session (a coroutine, which returns the exit code), closes, and ends. An
// error of the connection is printed here, in one line. `work` must not outlive its captures: it is kept
// until it has ended.
using Work = std::function<Task<int>(client::Client&)>;
// Names the extensions that are needed, before the client connects.
using Use = std::function<void(client::Client&)>;
int run_once(const Context& context, const Login& login, Work work, const Use& use = {});
// The same for options that the caller made.
int run_once(const Context& context, const Login& login, client::Options options, Work work,
             const Use& use = {});

// For commands that ask one entity something: a JID argument that may be left out, and its run. A JID that
// was left out is an empty one.
void add_peer(CLI::App& command, std::string& peer, const std::string& doc);
int ask_peer(const Context& context, const Login& login, const std::string& peer,
             const std::function<Task<int>(client::Client&, const Context&, Jid)>& ask);

// Stays until SIGINT, SIGTERM, client.close() or an end that reconnecting does not mend. `set_up` adds
// handlers before it connects; what it returns is kept until the client has ended, and goes before the
// client does. Says on stderr when the connection is lost.
using SetUp = std::function<std::shared_ptr<void>(client::Client&)>;
int run_until_interrupted(const Context& context, const Login& login, const SetUp& set_up);

// Prints why a request has failed (unless the connection's end tells it) and returns the exit code.
int report(const Context& context, const client::RequestError& error);
int usage(const Context& context, std::string message);
// A JID argument; the error names it.
Result<Jid> read_jid(const std::string& text);
// The same; prints what is wrong with it.
std::optional<Jid> parse_jid(const Context& context, const std::string& text);

bool is_utf8(std::string_view text);
// `text` from somebody else, safe for a terminal: control characters but tab and line feed become U+FFFD.
std::string printable(std::string_view text);

}  // namespace starling::cli
