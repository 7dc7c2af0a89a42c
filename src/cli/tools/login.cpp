#include "cli/tools/login.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/password.h"
#include "cli/text.h"
#include "net/address.h"
#include "net/tcp.h"
#include "net/tls.h"

namespace starling::cli {
namespace {

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
  say(fmt::format("{}{}", label(kind), printable(line)));
}

// What is wrong with it, before anybody is asked for a password; as the client reads it.
std::string check_name_server(const std::string& server) {
  const auto endpoint = net::Endpoint::parse(server);
  if (net::ip_literal(server) || (endpoint && net::ip_literal(endpoint->host))) return {};
  return fmt::format("'{}' is no name server: expected an IP address, with a port or without", server);
}
std::string check_certificates(const std::string& file) {
  const auto status = net::read_certificate_status(file);
  return status ? std::string() : status.error().message;
}
std::string check_seconds(const std::string& text) {
  double seconds = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (problem == std::errc() && end == text.data() + text.size() && seconds >= 0.001 && seconds <= 86400)
    return {};
  return fmt::format("'{}' is no number of seconds from 0.001 to 86400", text);
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

// (XML 1.0 2.2)
bool is_unsendable(char c) {
  return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
}

}  // namespace

Result<std::string> read_password_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return fail(Errc::io, fmt::format("cannot read the password file {}: {}", path, std::strerror(errno)));
  auto line = read_password_line(file);
  ::close(file);
  if (!line) return line;
  return prepare_password(*line);
}

std::string check_place(const std::string& place) {
  if (net::Endpoint::parse(place) || net::Endpoint::parse(place + ":1")) return {};
  return fmt::format("'{}' is no HOST:PORT", place);
}

CLI::App* add_tool(CLI::App& app, Context& context, const std::string& name, const std::string& doc,
                   const LoginPtr& login, Lifetime lifetime, const std::string& jid_doc) {
  auto* tool = app.add_subcommand(name, doc);
  tool->group("Clients");
  tool->add_option("-j,--jid", login->jid, jid_doc)->type_name("JID")->envname("STARLING_JID")->required();
  tool->add_flag("--password-stdin", login->password_stdin,
                 "read the password from the first line of stdin; without this and the next it is "
                 "STARLING_PASSWORD, or asked for on the terminal");
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
      ->check(check_certificates);
  tool->add_option("--dns", login->dns_server, "ask this name server")
      ->type_name("ADDRESS[:PORT]")
      ->check(check_name_server);
  add_seconds(
      *tool, "--timeout", login->timeout,
      lifetime == Lifetime::once ? "give up after so long" : "give up an attempt to connect after so long");
  tool->add_flag("--json", context.json, "answer in JSON");
  tool->add_flag("-v,--verbose", login->verbose, "say on stderr how the connection comes about");
  tool->add_flag("-d,--debug", login->debug, "print every step and every stanza on stderr, without secrets");
  // What is not could not be sent: the server would end the stream.
  tool->parse_complete_callback([tool] {
    for (const CLI::Option* option : tool->get_options())
      for (const std::string& text : option->results())
        if (!is_utf8(text))
          throw CLI::ValidationError(option->get_name(), "the text is not UTF-8");
        else if (std::ranges::any_of(text, is_unsendable))
          throw CLI::ValidationError(option->get_name(),
                                     "the text has a control character, which XML cannot carry");
  });
  return tool;
}

CLI::Option* add_repeated(CLI::App& tool, const std::string& name, std::vector<std::string>& values,
                          const std::string& doc) {
  return tool.add_option(name, values, doc)->allow_extra_args(false);
}

CLI::Option* add_seconds(CLI::App& tool, const std::string& name, double& value, const std::string& doc) {
  return tool.add_option(name, value, doc)->type_name("SECONDS")->check(check_seconds)->capture_default_str();
}

Milliseconds milliseconds(double seconds) {
  return Milliseconds(static_cast<Milliseconds::rep>(seconds * 1000));
}

std::expected<client::Options, Failure> client_options(const Login& login, Lifetime lifetime) {
  auto jid = read_jid(login.jid);
  if (!jid) return std::unexpected(Failure{kUsage, std::move(jid.error())});
  if (jid->local().empty())
    return std::unexpected(
        Failure{kUsage, {Errc::invalid, fmt::format("'{}' is no account: expected NAME@DOMAIN", login.jid)}});
  auto password = password_of(login);
  if (!password) return std::unexpected(std::move(password.error()));
  if (auto usable = prepare_password(*password); !usable)
    return std::unexpected(Failure{kUsage, std::move(usable.error())});
  if (login.insecure)
    say("starling: warning: --insecure: the server's certificate is not checked, anybody may be it");
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
  options.connect_timeout = milliseconds(login.timeout);
  options.request_timeout = options.connect_timeout;
  if (login.debug || login.verbose)
    options.trace = [everything = login.debug](Trace kind, std::string_view line) {
      print_trace(everything, kind, line);
    };
  return options;
}

Result<Jid> read_jid(const std::string& text) {
  auto jid = Jid::parse(text);
  if (!jid) return fail(jid.error().code, fmt::format("'{}' is no address: {}", text, jid.error().message));
  return jid;
}

}  // namespace starling::cli
