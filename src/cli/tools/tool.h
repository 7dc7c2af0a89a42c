#pragma once
// What every subcommand that logs in to a server shares: how it runs, its signals and its exit codes. Main
// thread.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/task.h"
#include "cli/tools/login.h"
#include "client/client.h"

namespace starling::cli {

// Logs in, does `work` once in the session (a coroutine, which returns the exit code), closes, and ends. An
// error of the connection is printed here, in one line. `work` must not outlive its captures: it is kept
// until it has ended.
using Work = std::function<Task<int>(client::Client&)>;
// Names the extensions that are needed, before the client connects.
using Use = std::function<void(client::Client&)>;
// Changes what the client is told.
using Adjust = std::function<void(client::Options&)>;
int run_once(const Context& context, const Login& login, Work work, const Use& use = {},
             const Adjust& adjust = {});

template <class... Extensions>
void use(client::Client& client) {
  (client.use<Extensions>(), ...);
}

// For commands that ask one entity something: a JID argument that may be left out, and its run. A JID that
// was left out is an empty one.
void add_peer(CLI::App& command, std::string& peer, const std::string& doc);
int ask_peer(const Context& context, const Login& login, const std::string& peer,
             const std::function<Task<int>(client::Client&, const Context&, Jid)>& ask, const Use& use);

// Stays until SIGINT, SIGTERM, client.close() or an end that reconnecting does not mend. `set_up` adds
// handlers before it connects; what it returns is kept until the client has ended, and goes before the
// client does. Says on stderr when the connection is lost.
using SetUp = std::function<std::shared_ptr<void>(client::Client&)>;
int run_until_interrupted(const Context& context, const Login& login, const SetUp& set_up);

// Prints why a request to `peer` has failed (unless the connection's end tells it) and returns the exit code.
// An empty peer is our own server.
int report(const Context& context, const client::RequestError& error, const Jid& peer = {});
// The error in one line; a bare service-unavailable says nothing by itself (RFC 6120 8.3.3.19).
std::string explained(const client::RequestError& error, const Jid& peer);
// Waits until our server has the messages that were sent to `to`, and what it refuses at our own domain has
// come back.
Task<client::Outcome<void>> taken(client::Client& client, Jid to);
// A JID argument; prints what is wrong with it.
std::optional<Jid> parse_jid(const Context& context, const std::string& text);

// A "NAME=VALUE" argument.
struct Setting {
  std::string name, value;
};
Result<Setting> parse_setting(const std::string& text);

}  // namespace starling::cli
