#pragma once
// Logging in from the command line: the options for it, the password, and what they tell a client. Main
// thread.
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "cli/context.h"
#include "client/options.h"

namespace CLI {
class Option;
}

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
// What is wrong with a "HOST:PORT", as the client reads it; empty: nothing.
std::string check_place(const std::string& place);
// An option that may be repeated, each time with one value.
CLI::Option* add_repeated(CLI::App& tool, const std::string& name, std::vector<std::string>& values,
                          const std::string& doc);
// An option in seconds, from a millisecond to a day.
CLI::Option* add_seconds(CLI::App& tool, const std::string& name, double& value, const std::string& doc);
Milliseconds milliseconds(double seconds);

// What to tell a Client; asks for the password where it is to be asked for. Prints --insecure's warning.
std::expected<client::Options, Failure> client_options(const Login& login, Lifetime lifetime);

// The first line of a file. Errors: io, and those of read_password_line() and prepare_password().
Result<std::string> read_password_file(const std::string& path);

// A JID argument; the error names it.
Result<Jid> read_jid(const std::string& text);

}  // namespace starling::cli
