#include "cli/tools/tool.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/running.h"
#include "cli/interrupts.h"
#include "cli/password.h"
#include "jid/precis.h"
#include "net/tcp.h"

namespace starling::cli {
namespace {

using client::Ended;
using client::Trace;

std::string_view label(Trace kind) {
  switch (kind) {
    case Trace::tls:
    case Trace::info:
      return "INFO ";
    case Trace::warning:
      return "WARNING ";
    case Trace::dns:
      return "DEBUG DNS: ";
    case Trace::state:
      return "DEBUG ==== ";
    case Trace::event:
      return "DEBUG Event triggered: ";
    case Trace::send:
      return "DEBUG SEND: ";
    case Trace::send_immediate:
      return "DEBUG SEND (IMMED): ";
    case Trace::receive:
      return "DEBUG RECV: ";
    case Trace::plugin:
    case Trace::debug:
      break;
  }
  return "DEBUG ";
}

void print_trace(bool everything, Trace kind, std::string_view line) {
  if (!everything && kind != Trace::tls && kind != Trace::info && kind != Trace::warning) return;
  fmt::print(stderr, "{}{}\n", label(kind), printable(line));
}

// What is wrong with it, before anybody is asked for a password; as the client reads it.
std::string check_place(const std::string& place) {
  if (net::Endpoint::parse(place) || net::Endpoint::parse(place + ":1")) return {};
  return fmt::format("'{}' is no HOST:PORT", place);
}

std::expected<std::string, Failure> password_of(const Login& login) {
  const auto taken = [](Result<std::string> line) -> std::expected<std::string, Failure> {
    if (!line) return std::unexpected(Failure{kUsage, std::move(line.error())});
    return *std::move(line);
  };
  if (login.password_stdin) return taken(read_password_line(STDIN_FILENO));
  if (!login.password_file.empty()) return taken(read_password_file(login.password_file));
  if (const char* set = std::getenv("STARLING_PASSWORD"); set != nullptr && *set != '\0')
    return std::string(set);
  if (::isatty(STDIN_FILENO) == 0)
    return std::unexpected(Failure{kUsage,
                                   {Errc::invalid,
                                    "there is no password: give --password-stdin, --password-file FILE or "
                                    "STARLING_PASSWORD; it is asked for only where there is a terminal"}});
  const auto what = fmt::format("Password for {}", login.jid);
  return taken(login.new_password ? ask_password_twice(STDIN_FILENO, what)
                                  : ask_password(STDIN_FILENO, what));
}

int exit_of(Ended::Why why) {
  switch (why) {
    case Ended::Why::closed:
      return kDone;
    case Ended::Why::not_authorized:
      return kNotAuthorized;
    case Ended::Why::timed_out:
      return kTimedOut;
    case Ended::Why::could_not_connect:
    case Ended::Why::untrusted:
    case Ended::Why::refused:
    case Ended::Why::lost:
      break;
  }
  return kCouldNotConnect;
}

// What to try next, where that is not in the text already.
std::string advice(const Ended& ended, const Login& login) {
  switch (ended.why) {
    case Ended::Why::could_not_connect:
      return login.connect.empty() ? " (to go past DNS: --connect HOST:PORT; to see every step: -d)"
                                   : " (to see every step: -d)";
    case Ended::Why::not_authorized:
      return fmt::format(" (logging in as {})", login.jid);
    default:
      return {};
  }
}

int print_end(const Context& context, const Login& login, const Ended& ended) {
  const int exit = exit_of(ended.why);
  const Errc code = exit == kTimedOut        ? Errc::limit
                    : exit == kNotAuthorized ? Errc::invalid
                                             : Errc::unavailable;
  if (exit != kDone) print_error(context, {code, ended.text + advice(ended, login)});
  return exit;
}

Errc code_of(const client::RequestError& error) {
  using Kind = client::RequestError::Kind;
  if (error.kind == Kind::timed_out) return Errc::limit;
  return error.error.condition == Condition::item_not_found ? Errc::not_found : Errc::unavailable;
}

}  // namespace

Result<std::string> read_password_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return fail(Errc::io, fmt::format("cannot read the password file {}: {}", path, std::strerror(errno)));
  auto line = read_password_line(file);
  ::close(file);
  return line;
}

CLI::App* add_tool(CLI::App& app, Context& context, const std::string& name, const std::string& doc,
                   const LoginPtr& login, Lifetime lifetime, const std::string& jid_doc) {
  auto* tool = app.add_subcommand(name, doc);
  tool->group("Clients");
  tool->add_option("-j,--jid", login->jid, jid_doc)->type_name("JID")->envname("STARLING_JID")->required();
  tool->add_flag("--password-stdin", login->password_stdin, "read the password from the first line of stdin");
  tool->add_option("--password-file", login->password_file, "read it from the first line of FILE")
      ->type_name("FILE")
      ->excludes("--password-stdin");
  tool->add_option("--connect", login->connect, "connect there instead of asking DNS")
      ->type_name("HOST:PORT")
      ->check(check_place);
  tool->add_flag("--direct-tls", login->direct_tls, "HOST:PORT speaks TLS from the first byte")
      ->needs("--connect");
  tool->add_option("--tls", login->tls, "required, optional or off")
      ->type_name("POLICY")
      ->check(CLI::IsMember({"required", "optional", "off"}))
      ->capture_default_str();
  tool->add_flag("--plain", login->plain, "the password may be sent without TLS");
  tool->add_flag("--insecure", login->insecure, "accept any certificate");
  tool->add_option("--ca", login->ca_file, "trust the certificates in FILE (PEM) as well")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  tool->add_option("--dns", login->dns_server, "ask this name server")->type_name("ADDRESS[:PORT]");
  tool->add_option("--timeout", login->timeout,
                   lifetime == Lifetime::once ? "give up after so long"
                                              : "give up an attempt to connect after so long")
      ->type_name("SECONDS")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  tool->add_flag("--json", context.json, "answer in JSON");
  tool->add_flag("-v,--verbose", login->verbose, "say on stderr how the connection comes about");
  tool->add_flag("-d,--debug", login->debug, "print every step and every stanza on stderr, without secrets");
  // What is not could not be sent: the server would end the stream.
  tool->parse_complete_callback([tool] {
    for (const CLI::Option* option : tool->get_options())
      for (const std::string& text : option->results())
        if (!is_utf8(text)) throw CLI::ValidationError(option->get_name(), "the text is not UTF-8");
  });
  return tool;
}

std::expected<client::Options, Failure> client_options(const Login& login, Lifetime lifetime) {
  auto jid = read_jid(login.jid);
  if (!jid) return std::unexpected(Failure{kUsage, std::move(jid.error())});
  if (jid->local().empty())
    return std::unexpected(
        Failure{kUsage, {Errc::invalid, fmt::format("'{}' is no account: expected NAME@DOMAIN", login.jid)}});
  auto password = password_of(login);
  if (!password) return std::unexpected(std::move(password.error()));
  if (login.insecure)
    fmt::print(stderr,
               "starling: warning: --insecure: the server's certificate is not checked, anybody may be it\n");
  client::Options options;
  options.jid = *std::move(jid);
  options.password = *std::move(password);
  options.connect = login.connect;
  options.direct_tls = login.direct_tls;
  options.dns_server = login.dns_server;
  options.tls = login.tls == "off"        ? stream::TlsPolicy::off
                : login.tls == "optional" ? stream::TlsPolicy::optional
                                          : stream::TlsPolicy::required;
  options.plain_without_tls = login.plain;
  options.insecure = login.insecure;
  options.ca_file = login.ca_file;
  options.reconnect = lifetime == Lifetime::long_;
  options.connect_timeout = Milliseconds(static_cast<Milliseconds::rep>(login.timeout * 1000));
  options.request_timeout = options.connect_timeout;
  if (login.debug || login.verbose)
    options.trace = [everything = login.debug](Trace kind, std::string_view line) {
      print_trace(everything, kind, line);
    };
  return options;
}

int run_once(const Context& context, const Login& login, Work work, const Use& use) {
  auto options = client_options(login, Lifetime::once);
  if (!options) {
    print_error(context, options.error().error);
    return options.error().exit;
  }
  return run_once(context, login, *std::move(options), std::move(work), use);
}

int run_once(const Context& context, const Login& login, client::Options options, Work work, const Use& use) {
  const Milliseconds limit(static_cast<Milliseconds::rep>(login.timeout * 1000));
  options.close_timeout = std::min(options.close_timeout, limit);
  std::signal(SIGPIPE, SIG_DFL);  // of a reader of ours that has gone; sockets never raise it
  net::Reactor reactor;
  Interrupts interrupts;  // before the client, which has a thread of its own
  client::Client client(std::move(options), reactor);
  if (use) use(client);
  std::optional<int> exit;
  bool interrupted = false;
  const auto carry_out = [&]() -> Task<void> {
    exit = co_await work(client);
    client.close();
  };
  std::optional<Running<void>> working;
  client.on.session_start([&] { working.emplace(start(carry_out())); });
  interrupts.watch(reactor, [&] {
    interrupted = true;
    client.close();
  });
  bool late = false;
  reactor.run_after(limit, [&] {
    if (exit) return;
    late = true;
    client.close();
  });
  const Ended ended = client.run();
  working.reset();
  if (interrupted) return kDone;
  if (late) {  // whatever the work has made of that
    print_error(context,
                {Errc::limit, fmt::format("not done within {} s; --timeout gives it longer", login.timeout)});
    return kTimedOut;
  }
  if (ended.why != Ended::Why::closed) return print_end(context, login, ended);
  return exit.value_or(kFailed);
}

void add_peer(CLI::App& command, std::string& peer, const std::string& doc) {
  command.add_option("JID", peer, doc);
}

int ask_peer(const Context& context, const Login& login, const std::string& peer,
             const std::function<Task<int>(client::Client&, const Context&, Jid)>& ask) {
  Jid jid;
  if (!peer.empty()) {
    const auto parsed = parse_jid(context, peer);
    if (!parsed) return kUsage;
    jid = *parsed;
  }
  return run_once(context, login, [&](client::Client& client) { return ask(client, context, jid); });
}

int run_until_interrupted(const Context& context, const Login& login, const SetUp& set_up) {
  auto options = client_options(login, Lifetime::long_);
  if (!options) {
    print_error(context, options.error().error);
    return options.error().exit;
  }
  std::signal(SIGPIPE, SIG_DFL);
  net::Reactor reactor;
  Interrupts interrupts;  // before the client, which has a thread of its own
  client::Client client(*std::move(options), reactor);
  bool lost = false;  // a connection, and there was none since
  const auto back = [&] {
    if (std::exchange(lost, false)) fmt::print(stderr, "starling: connected again\n");
  };
  client.on.session_start(back);
  client.on.session_resumed(back);
  client.on.disconnected([&](const Ended& ended) {
    if (login.debug || login.verbose) return;
    lost = true;
    // Afterwards, since only then is it clear whether that was the end.
    client.post([&client, text = ended.text] {
      if (!client.ended()) fmt::print(stderr, "starling: {}; trying again\n", text);
    });
  });
  const auto kept = set_up(client);
  bool interrupted = false;
  interrupts.watch(reactor, [&] {
    interrupted = true;
    client.close();
  });
  const Ended ended = client.run();
  return interrupted ? int{kDone} : print_end(context, login, ended);
}

int report(const Context& context, const client::RequestError& error) {
  using Kind = client::RequestError::Kind;
  if (error.kind == Kind::disconnected) return kCouldNotConnect;  // told when the connection ends
  print_error(context, {code_of(error), printable(error.message())});
  return error.kind == Kind::timed_out ? kTimedOut : kRefused;
}

int usage(const Context& context, std::string message) {
  print_error(context, {Errc::invalid, std::move(message)});
  return kUsage;
}

Result<Jid> read_jid(const std::string& text) {
  auto jid = Jid::parse(text);
  if (!jid) return fail(jid.error().code, fmt::format("'{}' is no address: {}", text, jid.error().message));
  return jid;
}

std::optional<Jid> parse_jid(const Context& context, const std::string& text) {
  auto jid = read_jid(text);
  if (jid) return *std::move(jid);
  print_error(context, jid.error());
  return std::nullopt;
}

bool is_utf8(std::string_view text) { return precis::decode(text).has_value(); }

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool c1 = c == 0xC2 && i + 1 < text.size() &&
                    static_cast<unsigned char>(text[i + 1]) < 0xA0;  // U+0080 to U+009F
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F || c1) {
      out += "\xEF\xBF\xBD";
      if (c1) ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace starling::cli
