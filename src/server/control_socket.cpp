#include "server/control_socket.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

namespace starling::server {
namespace {

// sun_path has 108 bytes; a longer path is reached through its opened directory.
class Address {
 public:
  explicit Address(const std::string& path) {
    address_.sun_family = AF_UNIX;
    std::string name = path;
    if (name.size() >= sizeof address_.sun_path) {
      const auto slash = path.rfind('/');
      directory_ = ::open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
      name = fmt::format("/proc/self/fd/{}/{}", directory_, path.substr(slash + 1));
    }
    std::memcpy(address_.sun_path, name.data(), std::min(name.size(), sizeof address_.sun_path - 1));
  }
  Address(const Address&) = delete;
  Address& operator=(const Address&) = delete;
  ~Address() {
    if (directory_ >= 0) ::close(directory_);
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t kSize = sizeof(sockaddr_un);

 private:
  sockaddr_un address_{};
  int directory_ = -1;
};

std::unexpected<Error> failed(std::string_view what, const std::string& path) {
  return fail(Errc::io, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

Json error_json(const Error& error) {
  return {{"error", {{"code", to_string(error.code)}, {"message", error.message}}}};
}

}  // namespace

struct ControlSocket::State : net::Reactor::Watcher {
  // One connected tool: its requests are run one after the other.
  struct Client : net::Reactor::Watcher, std::enable_shared_from_this<Client> {
    Client(State& state, int fd) : owner(&state), descriptor(fd) {}
    void on_events(std::uint32_t events) override;
    void read_some();
    void next_request();
    void answer(const Json& reply);
    void settle();  // writes what it can, and watches for what is wanted next
    void close();

    State* owner;  // nullptr once closed
    int descriptor;
    std::string in, out;
    bool busy = false, ended = false;  // a command runs; the peer has said its last
  };

  State(net::Reactor& on, Admin& runs, std::string at, int fd)
      : reactor(on), admin(runs), path(std::move(at)), listener(fd) {}
  ~State() override {
    while (!clients.empty()) clients.begin()->second->close();
    reactor.unwatch(*this);
    ::close(listener);
    ::unlink(path.c_str());
  }
  void on_events(std::uint32_t events) override;

  net::Reactor& reactor;
  Admin& admin;
  std::string path;
  int listener;
  std::unordered_map<int, std::shared_ptr<Client>> clients;
};

void ControlSocket::State::on_events(std::uint32_t /*events*/) {
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    auto client = std::make_shared<Client>(*this, fd);
    if (clients.size() >= kControlClients || !reactor.watch(fd, EPOLLIN, *client)) {
      log::warn("control connection refused clients={}", clients.size());
      ::close(fd);
      continue;
    }
    clients.emplace(fd, std::move(client));
  }
}

void ControlSocket::State::Client::on_events(std::uint32_t events) {
  const auto self = shared_from_this();
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close();
  if ((events & EPOLLIN) != 0) read_some();
  if (owner != nullptr) settle();
}

void ControlSocket::State::Client::read_some() {
  std::array<char, 4096> chunk;
  while (!ended && in.size() <= kControlLineBytes) {
    const auto got = ::recv(descriptor, chunk.data(), chunk.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got <= 0)
      ended = true;
    else
      in.append(chunk.data(), static_cast<std::size_t>(got));
  }
  if (!busy) next_request();
}

void ControlSocket::State::Client::next_request() {
  const auto end = in.find('\n');
  if (end == std::string::npos) {
    if (in.size() > kControlLineBytes) {
      answer(error_json({Errc::limit, fmt::format("a request has more than {} bytes", kControlLineBytes)}));
      in.clear();
      ended = true;
    }
    return;
  }
  auto request = Json::parse(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
  in.erase(0, end + 1);
  busy = true;
  std::string command;
  Json params;
  if (request.is_object()) {
    if (const auto found = request.find("command"); found != request.end() && found->is_string())
      command = *found;
    if (const auto found = request.find("params"); found != request.end()) params = std::move(*found);
  }
  if (command.empty()) {
    answer(error_json({Errc::invalid, R"(expected a line such as {"command":"status","params":{}})"}));
    return;
  }
  log::debug("admin command={}", command);
  spawn(owner->admin.run(std::move(command), std::move(params)),
        [self = shared_from_this()](Result<Json> result) {
          self->answer(result ? Json{{"result", *std::move(result)}} : error_json(result.error()));
        });
}

void ControlSocket::State::Client::answer(const Json& reply) {
  busy = false;
  if (owner == nullptr) return;
  out += reply.dump(-1, ' ', false, Json::error_handler_t::replace);
  out += '\n';
  // The next one in a turn of its own: many short requests must not nest.
  owner->reactor.post([self = shared_from_this()] {
    if (self->owner == nullptr) return;
    if (!self->busy) self->next_request();
    self->settle();
  });
}

void ControlSocket::State::Client::settle() {
  while (!out.empty()) {
    const auto sent = ::send(descriptor, out.data(), out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (sent <= 0) return close();
    out.erase(0, static_cast<std::size_t>(sent));
  }
  if (ended && !busy && out.empty() && in.find('\n') == std::string::npos) return close();
  const bool reading = !ended && !busy && in.size() <= kControlLineBytes;
  owner->reactor.change(descriptor, (reading ? EPOLLIN : 0U) | (out.empty() ? 0U : EPOLLOUT), *this);
}

void ControlSocket::State::Client::close() {
  if (owner == nullptr) return;
  auto* state = std::exchange(owner, nullptr);
  state->reactor.unwatch(*this);
  ::close(descriptor);
  const auto self = shared_from_this();
  state->clients.erase(descriptor);
}

ControlSocket::ControlSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}
ControlSocket::~ControlSocket() = default;

Result<std::unique_ptr<ControlSocket>> ControlSocket::listen(net::Reactor& reactor, Admin& admin,
                                                             std::string path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("cannot make the control socket", path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    ::close(fd);
    return failed("cannot replace", path);
  }
  const Address address(path);
  // Mode before listen(): until then nobody can connect.
  if (::bind(fd, address.get(), Address::kSize) != 0 || ::chmod(path.c_str(), 0600) != 0 ||
      ::listen(fd, SOMAXCONN) != 0) {
    auto error = failed("cannot listen on the control socket", path);
    ::close(fd);
    return error;
  }
  auto state = std::make_unique<State>(reactor, admin, std::move(path), fd);
  if (auto watched = reactor.watch(fd, EPOLLIN, *state); !watched) return std::unexpected(watched.error());
  return std::unique_ptr<ControlSocket>(new ControlSocket(std::move(state)));
}

Result<int> connect_control_socket(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("cannot make a socket for", path);
  const Address address(path);
  if (::connect(fd, address.get(), Address::kSize) == 0) return fd;
  const int reason = errno;
  ::close(fd);
  errno = reason;
  if (reason == ENOENT || reason == ECONNREFUSED || reason == ENOTDIR)
    return fail(Errc::not_found, fmt::format("nobody listens at {}", path));
  return failed("cannot connect to", path);
}

}  // namespace starling::server
