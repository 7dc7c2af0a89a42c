#include "cli/tools/tool.h"

#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/running.h"
#include "cli/interrupts.h"
#include "cli/text.h"
#include "net/reactor.h"

namespace starling::cli {
namespace {

using client::Ended;

// How far a client has come.
enum class Reached : std::uint8_t { nothing, server, session };

int exit_of(Ended::Why why, Reached reached) {
  switch (why) {
    case Ended::Why::closed:
      return kDone;
    case Ended::Why::not_authorized:
      return kNotAuthorized;
    case Ended::Why::timed_out:
      return kTimedOut;
    case Ended::Why::refused:
      return reached == Reached::session ? kRefused : kCouldNotConnect;
    case Ended::Why::could_not_connect:
    case Ended::Why::untrusted:
    case Ended::Why::lost:
      break;
  }
  return kCouldNotConnect;
}

void note(client::Client& client, Reached& reached) {
  client.on.connected([&reached] { reached = std::max(reached, Reached::server); });
  client.on.session_start([&reached] { reached = Reached::session; });
}

// What to try next, where that is not in the text already.
std::string advice(const Ended& ended, const Login& login, Reached reached) {
  if (ended.condition == StreamCondition::conflict)
    return " (who logs in with the same address takes it over: each needs a RESOURCE of its own, sensors a "
           "--node)";
  switch (ended.why) {
    case Ended::Why::could_not_connect:
      return login.connect.empty() && reached == Reached::nothing
                 ? " (to go past DNS: --connect HOST:PORT; to see every step: -d)"
                 : " (to see every step: -d)";
    case Ended::Why::not_authorized:
      return fmt::format(" (logging in as {})", login.jid);
    default:
      return {};
  }
}

int print_end(const Context& context, const Login& login, const Ended& ended, Reached reached) {
  const int exit = exit_of(ended.why, reached);
  const Errc code = exit == kTimedOut        ? Errc::limit
                    : exit == kNotAuthorized ? Errc::invalid
                                             : Errc::unavailable;
  if (exit != kDone) print_error(context, {code, one_line(ended.text) + advice(ended, login, reached)});
  return exit;
}

Errc code_of(const client::RequestError& error) {
  using Kind = client::RequestError::Kind;
  if (error.kind == Kind::timed_out) return Errc::limit;
  return error.error.condition == Condition::item_not_found ? Errc::not_found : Errc::unavailable;
}

}  // namespace

int run_once(const Context& context, const Login& login, Work work, const Use& use, const Adjust& adjust) {
  auto options = client_options(login, Lifetime::once);
  if (!options) {
    print_error(context, options.error().error);
    return options.error().exit;
  }
  if (adjust) adjust(*options);
  const auto limit = milliseconds(login.timeout);
  options->close_timeout = std::min(options->close_timeout, limit);
  net::Reactor reactor;
  Interrupts interrupts;  // before the client, which has a thread of its own
  client::Client client(*std::move(options), reactor);
  if (use) use(client);
  std::optional<int> exit;
  bool interrupted = false;
  std::exception_ptr thrown;
  const auto carry_out = [&]() -> Task<void> {
    try {
      exit = co_await work(client);
    } catch (...) {
      thrown = std::current_exception();
    }
    client.close();
  };
  std::optional<Running<void>> working;
  auto reached = Reached::nothing;
  note(client, reached);
  client.on.session_start([&] { working.emplace(start(carry_out())); });
  interrupts.watch(reactor, [&] {
    interrupted = true;
    client.close();
  });
  bool late = false;
  reactor.run_after(limit, [&] {
    if (exit || thrown) return;
    late = true;
    working.reset();  // what it would still hear is too late as well
    client.close();
  });
  const Ended ended = client.run();
  working.reset();
  if (thrown) std::rethrow_exception(thrown);
  if (interrupted) return kDone;
  if (late) {
    print_error(context,
                {Errc::limit, fmt::format("not done within {} s; --timeout gives it longer", login.timeout)});
    return kTimedOut;
  }
  if (ended.why != Ended::Why::closed) return print_end(context, login, ended, reached);
  return exit.value_or(kFailed);
}

void add_peer(CLI::App& command, std::string& peer, const std::string& doc) {
  command.add_option("JID", peer, doc);
}

int ask_peer(const Context& context, const Login& login, const std::string& peer,
             const std::function<Task<int>(client::Client&, const Context&, Jid)>& ask, const Use& use) {
  Jid jid;
  if (!peer.empty()) {
    const auto parsed = parse_jid(context, peer);
    if (!parsed) return kUsage;
    jid = *parsed;
  }
  return run_once(context, login, [&](client::Client& client) { return ask(client, context, jid); }, use);
}

int run_until_interrupted(const Context& context, const Login& login, const SetUp& set_up) {
  auto options = client_options(login, Lifetime::long_);
  if (!options) {
    print_error(context, options.error().error);
    return options.error().exit;
  }
  net::Reactor reactor;
  Interrupts interrupts;  // before the client, which has a thread of its own
  client::Client client(*std::move(options), reactor);
  bool lost = false;  // a connection, and there was none since
  client.on.session_start([&] {
    if (std::exchange(lost, false))
      say("starling: connected again, in a new session: what others sent meanwhile may be missing");
  });
  client.on.session_resumed([&] {
    if (std::exchange(lost, false)) say("starling: connected again");
  });
  client.on.disconnected([&](const Ended& ended) {
    if (login.debug || login.verbose) return;
    lost = true;
    // Afterwards, since only then is it clear whether that was the end.
    client.post([&client, text = ended.text] {
      if (!client.ended()) say(fmt::format("starling: {}; trying again", one_line(text)));
    });
  });
  auto reached = Reached::nothing;
  note(client, reached);
  const auto kept = set_up(client);
  bool interrupted = false;
  interrupts.watch(reactor, [&] {
    interrupted = true;
    client.close();
  });
  const Ended ended = client.run();
  return interrupted ? int{kDone} : print_end(context, login, ended, reached);
}

std::string explained(const client::RequestError& error, const Jid& peer) {
  const bool says_nothing = error.kind == client::RequestError::Kind::refused && error.error.text.empty() &&
                            error.error.condition == Condition::service_unavailable && !peer.empty();
  if (!says_nothing) return error.message();
  return peer.is_domain() ? fmt::format("{}: {} does not offer this", error.message(), peer.text())
                          : fmt::format("{}: {} does not exist, is not there, or does not offer this",
                                        error.message(), peer.text());
}

// At our own domain a request goes the messages' way, to be answered after their errors; and without stream
// management that answer tells as well that the server has them (RFC 6120 10.1).
Task<client::Outcome<void>> taken(client::Client& client, Jid to) {
  const bool is_near = to.domain() == client.jid().domain();
  if (is_near) {
    auto answer = co_await client.request(Type::get, to.to_bare(), "<ping xmlns='urn:xmpp:ping'/>");
    if (!answer && answer.error().kind != client::RequestError::Kind::refused)
      co_return std::unexpected(std::move(answer.error()));
  }
  if (is_near && !client.acknowledges()) co_return client::Outcome<void>();
  co_return co_await client.acknowledged();
}

int report(const Context& context, const client::RequestError& error, const Jid& peer) {
  using Kind = client::RequestError::Kind;
  if (error.kind == Kind::disconnected) return kCouldNotConnect;  // told when the connection ends
  print_error(context, {code_of(error), one_line(explained(error, peer))});
  return error.kind == Kind::timed_out ? kTimedOut : kRefused;
}

std::optional<Jid> parse_jid(const Context& context, const std::string& text) {
  auto jid = read_jid(text);
  if (jid) return *std::move(jid);
  print_error(context, jid.error());
  return std::nullopt;
}

Result<Setting> parse_setting(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return fail(Errc::invalid, fmt::format("'{}': expected NAME=VALUE", text));
  return Setting{text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace starling::cli
