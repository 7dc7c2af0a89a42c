// starling check
#include "cli/check.h"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/chrono.h>
#include <fmt/color.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "server/control_socket.h"

namespace starling::cli {
namespace {

using server::Finding;
using Severity = Finding::Severity;
using Findings = std::vector<Finding>;
using WallTime = std::chrono::system_clock::time_point;

constexpr auto kExpiresSoon = std::chrono::days(30);

std::string day(WallTime time) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

void check_key_permission(const std::string& path, const std::string& where, Findings& out) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || (status.st_mode & 077U) == 0)
    return;  // unreadable ones are found by loading
  const bool everybody = (status.st_mode & 007U) != 0;
  out.push_back({everybody ? Severity::error : Severity::warning, where,
                 fmt::format("{}: expected a private key that its owner alone can read (mode 0600), found "
                             "mode {:04o}; chmod 600 it",
                             path, status.st_mode & 07777U)});
}

void check_lifetime(const net::CertificateStatus& status, const std::string& path, const std::string& where,
                    WallTime now, Findings& out) {
  if (now > status.not_after)
    out.push_back(
        {Severity::error, where, fmt::format("{}: expired on {}; renew it", path, day(status.not_after))});
  else if (now < status.not_before)
    out.push_back(
        {Severity::error, where, fmt::format("{}: is valid only from {}", path, day(status.not_before))});
  else if (now + kExpiresSoon > status.not_after)
    out.push_back(
        {Severity::warning, where, fmt::format("{}: expires on {}; renew it", path, day(status.not_after))});
  else
    out.push_back({Severity::note, where,
                   fmt::format("{}: proves {}, valid until {}", path, fmt::join(status.names, ", "),
                               day(status.not_after))});
}

void check_certificates(const server::ReadConfig& read, WallTime now, Findings& out) {
  if (read.unread.contains("tls.certificate") || read.unread.contains("tls.key")) return;
  const auto where = read.where("tls.certificate");
  const auto files = read.config.tls.files();
  if (files.empty()) {
    out.push_back(
        {Severity::note, "",
         "tls.certificate is not set: a self-signed certificate is made, kept in tls/ and renewed"});
    return;
  }
  std::vector<std::string> names;
  bool all_loaded = true;
  for (const auto& file : files) {
    check_key_permission(file.key, read.where("tls.key").empty() ? where : read.where("tls.key"), out);
    auto status = net::read_certificate_status(file.certificate);
    auto context = status ? net::TlsContext::make_server({file}) : std::unexpected(status.error());
    if (!context) {
      out.push_back({Severity::error, where, context.error().message});
      all_loaded = false;
      continue;
    }
    check_lifetime(*status, file.certificate, where, now, out);
    names.insert(names.end(), status->names.begin(), status->names.end());
  }
  if (read.unread.contains("domains")) return;
  for (const auto& domain : read.config.domains) {
    const std::string wanted = domain_to_ascii(domain).value_or(domain);
    const auto covers = [&](const std::string& name) { return name_covers(name, wanted); };
    if (all_loaded && std::ranges::none_of(names, covers))
      out.push_back({Severity::error, where,
                     fmt::format("tls.certificate: no certificate proves {}; found {}", domain,
                                 names.empty() ? "no names" : fmt::format("{}", fmt::join(names, ", ")))});
  }
}

void check_ports(const server::ReadConfig& read, const server::DataPaths& paths, Findings& out) {
  if (const auto running = server::connect_control_socket(paths.control_socket())) {
    ::close(*running);
    out.push_back({Severity::note, "",
                   fmt::format("a server runs on {}; the ports are its own and not tried", paths.root)});
    return;
  }
  std::vector<std::unique_ptr<net::TcpListener>> held;  // so that the same port given twice is found
  const auto try_all = [&](std::string_view key, const std::vector<net::Endpoint>& endpoints) {
    if (read.unread.contains(key)) return;
    for (const auto& endpoint : endpoints) {
      auto bound = net::TcpListener::bind(endpoint);
      if (bound) {
        held.push_back(*std::move(bound));
        out.push_back({Severity::note, read.where(key), fmt::format("{}: {} is free", key, endpoint.text())});
        continue;
      }
      const auto severity = bound.error().code == Errc::unavailable ? Severity::warning : Severity::error;
      out.push_back({severity, read.where(key), fmt::format("{}: {}", key, bound.error().message)});
    }
  };
  try_all("listen.c2s", read.config.listen.c2s);
  try_all("listen.c2s_tls", read.config.listen.c2s_tls);
}

void check_policy(const server::ReadConfig& read, Findings& out) {
  if (read.unread.contains("tls.policy")) return;
  const auto where = read.where("tls.policy");
  switch (read.config.tls.policy) {
    case server::TlsPolicy::required:
      out.push_back(
          {Severity::note, where, "tls.policy = required: only encrypted connections are accepted"});
      break;
    case server::TlsPolicy::optional:
      out.push_back(
          {Severity::warning, where,
           "tls.policy = optional: connections without encryption are accepted too; required refuses them"});
      break;
    case server::TlsPolicy::off:
      out.push_back({Severity::warning, where,
                     "tls.policy = off: connections to listen.c2s are not encrypted; required refuses such"});
      break;
  }
}

void check_storage(const server::ReadConfig& read, Findings& out) {
  if (read.unread.contains("storage") || read.unread.contains("storage.durability")) return;
  if (read.config.storage == "memory:") return;
  const bool disk = read.config.store.durability == storage::Durability::disk;
  out.push_back(
      {Severity::note, read.where("storage.durability"),
       disk ? "storage.durability = disk: what is acknowledged survives a loss of power"
            : "storage.durability = process: a killed server loses nothing that it acknowledged, and a "
              "loss of power takes the last of it; disk keeps it"});
}

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::note:
      return "note";
  }
  return "";
}

void print_findings(const Findings& findings) {
  const bool colours = ::isatty(STDOUT_FILENO) != 0;
  for (const auto& finding : findings) {
    const auto colour = finding.severity == Severity::error     ? fmt::fg(fmt::terminal_color::red)
                        : finding.severity == Severity::warning ? fmt::fg(fmt::terminal_color::yellow)
                                                                : fmt::fg(fmt::terminal_color::green);
    const auto name =
        finding.severity == Severity::note ? std::string_view("ok") : severity_name(finding.severity);
    fmt::print("{}{}{}: {}\n", finding.where, finding.where.empty() ? "" : ": ",
               colours ? fmt::format(colour, "{}", name) : std::string(name), finding.message);
  }
}

int report(const Context& context, const Findings& findings) {
  const auto count = [&](Severity severity) {
    return std::ranges::count(findings, severity, &Finding::severity);
  };
  const auto errors = count(Severity::error);
  if (context.json) {
    auto list = Json::array();
    for (const auto& finding : findings)
      list.push_back({{"severity", severity_name(finding.severity)},
                      {"where", finding.where},
                      {"message", finding.message}});
    print_json({{"ok", errors == 0}, {"findings", std::move(list)}});
  } else {
    print_findings(findings);
    fmt::print("{} error{}, {} warning{}\n", errors, errors == 1 ? "" : "s", count(Severity::warning),
               count(Severity::warning) == 1 ? "" : "s");
  }
  return errors == 0 ? kDone : kFailed;
}

}  // namespace

bool name_covers(std::string_view name, std::string_view domain) {
  const auto same = [](std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
  };
  if (!name.starts_with("*.")) return same(name, domain);
  const auto dot = domain.find('.');
  return dot != std::string_view::npos && dot > 0 && same(name.substr(1), domain.substr(dot));
}

std::vector<Finding> check(const Context& context, WallTime now) {
  auto read = server::read_config(context.sources());
  auto findings = std::move(read.findings);
  const auto paths = context.paths();
  if (::access(paths.config_file().c_str(), F_OK) != 0)
    findings.push_back(
        {Severity::warning, "", fmt::format("there is no {}; defaults are checked", paths.config_file())});
  check_certificates(read, now, findings);
  check_ports(read, paths, findings);
  check_policy(read, findings);
  check_storage(read, findings);
  return findings;
}

void add_check(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("check", "say what is wrong with the configuration, the certificates and the ports");
  add_common_options(*command, context);
  add_set_option(*command, context);
  command->footer(
      "Each finding names its place, as file:line:column where it is in the file. Exits with 1 when there is "
      "an error.\n\n"
      "Examples:\n  starling check\n  starling check --set tls.certificate=/etc/ssl/xmpp.pem --json");
  command->callback(
      [&context] { context.exit = report(context, check(context, std::chrono::system_clock::now())); });
}

}  // namespace starling::cli
