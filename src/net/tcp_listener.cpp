#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/address.h"
#include "net/tcp.h"

namespace starling::net {
namespace {

constexpr int kBacklog = 4096;  // the kernel lowers it to net.core.somaxconn
constexpr int kAcceptsPerTurn = 64;
constexpr Milliseconds kShortagePause{1000};

Error bind_error(const Endpoint& endpoint, int error) {
  switch (error) {
    case EADDRINUSE:
      return {Errc::conflict,
              fmt::format("port {} on {} is in use by another program", endpoint.port, endpoint.host)};
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL:
      return {Errc::unavailable,
              fmt::format("cannot listen on {}: this machine has no such address", endpoint.text())};
    case EACCES:
    case EPERM:
      return {Errc::io, fmt::format("may not listen on {}{}", endpoint.text(),
                                    endpoint.port < 1024
                                        ? ": a port below 1024 needs the capability cap_net_bind_service"
                                        : "")};
    default:
      return {Errc::io, fmt::format("cannot listen on {}: {}", endpoint.text(), std::strerror(error))};
  }
}

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const auto wrong = [&] {
    return fail(Errc::invalid, fmt::format("'{}' is no host:port; write 127.0.0.1:5222 or [::]:5222", text));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return wrong();
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong();  // an IPv6 address without brackets: which colon is the port's?
  }
  Endpoint endpoint{std::string(host)};
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (problem == std::errc::result_out_of_range && end == digits.data() + digits.size())
    return fail(Errc::invalid, fmt::format("'{}': the port is wrong; expected one up to 65535", text));
  if (digits.empty() || problem != std::errc() || end != digits.data() + digits.size()) return wrong();
  return endpoint;
}

std::string Endpoint::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

bool Endpoint::is_loopback() const {
  Address address;
  switch (to_address(*this, address) == 0 ? AF_UNSPEC : address.any.sa_family) {
    case AF_INET:
      return (ntohl(address.v4.sin_addr.s_addr) >> 24U) == 127;
    case AF_INET6:
      return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr) != 0;
    default:
      return host == "localhost";
  }
}

struct TcpListener::State {
  // One reactor's share: its place in that reactor's epoll set and its handler.
  class Acceptor final : public Reactor::Watcher {
   public:
    Acceptor(State& shared, Reactor& reactor, Accept accept)
        : shared_(shared), reactor_(reactor), accept_(std::move(accept)) {}
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;
    ~Acceptor() override {
      if (gone_ != nullptr) *gone_ = true;
    }

    [[nodiscard]] const Reactor& reactor() const { return reactor_; }
    // EPOLLEXCLUSIVE: of the reactors that wait, the kernel wakes one.
    Result<void> start() { return reactor_.watch(shared_.fd, EPOLLIN | EPOLLEXCLUSIVE, *this); }
    void stop() {
      reactor_.unwatch(*this);
      reactor_.cancel(std::exchange(resume_, 0));
    }

   private:
    void on_events(std::uint32_t) override {
      bool gone = false;
      gone_ = &gone;
      // A bounded number: the rest raises the event again.
      for (int i = 0; i < kAcceptsPerTurn; ++i) {
        if (!accept_one() || gone) break;
      }
      if (!gone) gone_ = nullptr;
    }

    // False when there is nothing more to accept now.
    bool accept_one() {
      Address address;
      socklen_t size = sizeof address;
      const int accepted = ::accept4(shared_.fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted >= 0) {
        accept_(std::make_unique<TcpStream>(accepted, from_address(address).host));
        return true;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (shared_.short_of_descriptors.exchange(false))
          log::warn("accepting connections on {} again", shared_.endpoint.text());
        return false;
      }
      if (!is_shortage(errno)) return true;  // that connection is gone already
      if (!shared_.short_of_descriptors.exchange(true)) {
        log::error(
            "out of descriptors or memory ({}): connections to {} wait until others end; raise the limit of "
            "open files",
            std::strerror(errno), shared_.endpoint.text());
      }
      reactor_.unwatch(*this);
      resume_ = reactor_.run_after(kShortagePause, [this] {
        resume_ = 0;
        if (const auto started = start(); !started) log::error("{}", started.error().message);
      });
      return false;
    }

    State& shared_;
    Reactor& reactor_;
    Accept accept_;
    Loop::TimerId resume_ = 0;
    bool* gone_ = nullptr;
  };

  int fd = -1;
  Endpoint endpoint;
  std::atomic<bool> short_of_descriptors{false};  // an episode, which is logged once
  std::mutex mutex;                               // of the list: each reactor's thread adds its own
  std::vector<std::unique_ptr<Acceptor>> acceptors;

  ~State() {
    if (fd >= 0) ::close(fd);
  }
};

Result<std::unique_ptr<TcpListener>> TcpListener::bind(const Endpoint& endpoint) {
  Address address;
  socklen_t size = to_address(endpoint, address);
  if (size == 0)
    return fail(
        Errc::invalid,
        fmt::format("'{}' is no IP address; listen on 0.0.0.0, :: or one of this machine's", endpoint.host));
  std::unique_ptr<TcpListener> listener(new TcpListener);
  listener->state_ = std::make_unique<State>();
  int& fd = listener->state_->fd;
  fd = ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::unexpected(bind_error(endpoint, errno));
  const int on = 1;
  const auto enable = [&](int level, int option) {
    return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
  };
  // TCP_NODELAY is inherited by the connections: output is gathered per turn already.
  const bool ready = enable(SOL_SOCKET, SO_REUSEADDR) && enable(IPPROTO_TCP, TCP_NODELAY) &&
                     (address.any.sa_family != AF_INET6 || enable(IPPROTO_IPV6, IPV6_V6ONLY)) &&
                     ::bind(fd, &address.any, size) == 0 && ::listen(fd, kBacklog) == 0;
  if (!ready) return std::unexpected(bind_error(endpoint, errno));
  if (::getsockname(fd, &address.any, &size) != 0) return std::unexpected(bind_error(endpoint, errno));
  listener->state_->endpoint = from_address(address);
  return listener;
}

TcpListener::~TcpListener() = default;

Result<void> TcpListener::add(Reactor& reactor, Accept accept) {
  auto acceptor = std::make_unique<State::Acceptor>(*state_, reactor, std::move(accept));
  if (auto started = acceptor->start(); !started) return started;
  const std::lock_guard lock(state_->mutex);
  state_->acceptors.push_back(std::move(acceptor));
  return {};
}

void TcpListener::remove(Reactor& reactor) {
  std::unique_ptr<State::Acceptor> removed;  // destroyed after the lock is free: its handler may own anything
  const std::lock_guard lock(state_->mutex);
  const auto found =
      std::ranges::find_if(state_->acceptors, [&](const auto& a) { return &a->reactor() == &reactor; });
  if (found == state_->acceptors.end()) return;
  (*found)->stop();
  removed = std::move(*found);
  state_->acceptors.erase(found);
}

Endpoint TcpListener::endpoint() const { return state_->endpoint; }

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  return limit.rlim_cur;
}

}  // namespace starling::net
