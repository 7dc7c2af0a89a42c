#include "support/dns_server.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace starling {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);
constexpr int kPorts = 5;  // another program may take the port that was free

// Free for UDP and, most likely, for TCP.
std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  const bool bound = ::bind(fd, any, size) == 0 && ::getsockname(fd, any, &size) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error("no free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

std::string quoted(const std::string& text) { return "'" + text + "'"; }

}  // namespace

DnsServer::DnsServer(const Zones& zones) {
  // A root zone of its own answers everything, so that nothing is asked outside.
  configuration_ = R"(server:
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  log-time-ascii: no
  verbosity: 1
  module-config: "iterator"
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  local-zone: "." static
)";
  const auto zone = [&](const std::string& name, std::string_view type) {
    configuration_ += fmt::format("  local-zone: {} {}\n", quoted(name), type);
  };
  for (const std::string& name : zones.silent) zone(name, "always_deny");
  for (const std::string& name : zones.refused) zone(name, "always_refuse");
  for (const std::string& record : zones.records)
    configuration_ += fmt::format("  local-data: {}\n", quoted(record));

  std::string words;
  for (int i = 0; i < kPorts; ++i)
    if (try_port(words)) return;
  throw std::runtime_error("unbound does not start (tools/deps test installs it): " + words);
}

DnsServer::~DnsServer() { stop(); }

std::string DnsServer::address() const { return fmt::format("127.0.0.1:{}", port_); }

bool DnsServer::try_port(std::string& words) {
  port_ = free_port();
  const std::string file = directory_.file("unbound.conf");
  std::ofstream(file) << configuration_ << fmt::format("  interface: 127.0.0.1@{}\n", port_)
                      << "remote-control:\n  control-enable: no\n";

  std::array<int, 2> log{};
  if (::pipe2(log.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that dies takes it along
    ::dup2(log[1], STDERR_FILENO);
    ::dup2(log[1], STDOUT_FILENO);
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    ::execlp("unbound", "unbound", "-d", "-p", "-c", file.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(log[1]);
  // It says so when it has bound its port.
  words.clear();
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  bool started = false;
  while (!started) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entry{log[0], POLLIN, 0};
    if (left.count() <= 0 || ::poll(&entry, 1, static_cast<int>(left.count())) == 0) break;
    std::array<char, 1024> block{};
    const ssize_t got = ::read(log[0], block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    words.append(block.data(), static_cast<std::size_t>(got));
    started = words.find("start of service") != std::string::npos;
  }
  if (started) {
    log_ = log[0];
    return true;
  }
  ::close(log[0]);
  stop();
  return false;
}

void DnsServer::stop() {
  if (log_ >= 0) ::close(std::exchange(log_, -1));
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = -1;
}

}  // namespace starling
