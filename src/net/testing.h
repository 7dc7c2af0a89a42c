#pragma once
// For this room's tests: connected pairs of streams on loopback, an owner that reads and writes them,
// certificates in a directory that goes away, an OpenSSL client with settings of its own.
#include <array>
#include <fstream>
#include <functional>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/running.h"
#include "net/openssl.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "support/temporary_directory.h"

namespace starling::net::testing {

using Status = IoResult::Status;

// Turns until `done`, or for ten seconds of real time at most; tells whether it is done.
template <class Predicate>
bool turn_until(Reactor& reactor, const Predicate& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    reactor.turn(Milliseconds{1});
  }
  return true;
}

// Runs the Task that `make` makes on `reactor`, for ten seconds at most; its value.
template <class Make>
auto await_on(Reactor& reactor, const Make& make) {
  using T = decltype(make().await_resume());
  std::optional<Running<T>> running;
  reactor.post([&] { running.emplace(start(make())); });
  if (!turn_until(reactor, [&] { return running && running->done(); }))
    throw std::runtime_error("the task does not end");
  return running->await_resume();
}

// Every turn that has something to do now.
inline void settle(Reactor& reactor) {
  for (int i = 0; i < 20; ++i) reactor.turn(Milliseconds{0});
}

inline bool has_events(const Reactor& reactor) {
  pollfd entry{reactor.descriptor(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

struct Ends {
  int client = -1;
  int server = -1;
};

// Two ends of a TCP connection over 127.0.0.1, non-blocking. Small buffers make writes short soon.
inline Ends connect_loopback(int buffer_bytes = 0) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  Ends ends;
  ends.client = ::socket(AF_INET, SOCK_STREAM, 0);
  for (const int fd : {listener, ends.client}) {
    if (buffer_bytes == 0) continue;
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  }
  EXPECT_EQ(::bind(listener, any, size), 0);
  EXPECT_EQ(::listen(listener, 1), 0);
  EXPECT_EQ(::getsockname(listener, any, &size), 0);
  EXPECT_EQ(::connect(ends.client, any, size), 0);
  ends.server = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
  ::fcntl(ends.client, F_SETFL, O_NONBLOCK);
  ::close(listener);
  const int on = 1;
  for (const int fd : {ends.client, ends.server}) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return ends;
}

// Reads all there is and writes what it was given, as the owner of a stream does.
struct Owner : ByteStream::Handler {
  std::unique_ptr<TcpStream> stream;
  std::string got;
  std::string unsent;
  bool closed = false;
  std::string error;
  int readable = 0;
  int writable = 0;
  std::size_t read_size = 4096;
  bool one_read_a_turn = false;
  std::function<void()> after_read;  // may destroy or detach the stream

  explicit Owner(int fd = -1) {
    if (fd >= 0) stream = std::make_unique<TcpStream>(fd, "127.0.0.1");
  }

  void on_readable() override {
    ++readable;
    std::string buffer(read_size, '\0');
    for (;;) {
      const IoResult result = stream->read(buffer);
      if (result.status == Status::closed) closed = true;
      if (result.status == Status::error) error = result.error;
      if (result.status != Status::ok) break;
      got.append(buffer, 0, result.bytes);
      if (one_read_a_turn) break;
    }
    if (after_read) after_read();
  }
  void on_writable() override {
    ++writable;
    flush();
  }
  void send(std::string_view bytes) {
    unsent += bytes;
    flush();
  }
  void flush() {
    while (!unsent.empty()) {
      const IoResult result = stream->write(unsent);
      if (result.status == Status::error) error = result.error;
      if (result.status != Status::ok) return;
      const bool all = result.bytes == unsent.size();
      unsent.erase(0, result.bytes);
      if (!all) return;
    }
  }
};

// Text in which a lost, doubled or moved byte shows.
inline std::string long_text(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += fmt::format("{:07} ", i);
  text.resize(size);
  return text;
}

// ... with certificates in it.
class CertificateDirectory : public TemporaryDirectory {
 public:
  // A certificate of its own subdirectory.
  CertificateFiles certificate(const std::vector<std::string>& domains,
                               std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) {
    auto files = ensure_self_signed(domains, file(std::to_string(++count_)), now);
    EXPECT_TRUE(files) << files.error().message;
    return *files;
  }
  std::string write(const std::string& name, std::string_view content) {
    std::ofstream(file(name)) << content;
    return file(name);
  }

 private:
  int count_ = 0;
};

// A client that speaks OpenSSL itself, to ask for what our own never would.
struct RawClient {
  SslContextPtr context{SSL_CTX_new(TLS_client_method())};
  std::unique_ptr<SSL, Freer<SSL_free>> ssl;
  int fd = -1;
  std::string failure;  // OpenSSL's reason

  RawClient() = default;
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() {
    if (fd >= 0) ::close(fd);
  }
  void connect(int descriptor, const char* name = nullptr) {
    fd = descriptor;
    ssl.reset(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd);
    if (name != nullptr) SSL_set_tlsext_host_name(ssl.get(), name);
    SSL_set_connect_state(ssl.get());
  }
  // One step; true when it is over, one way or the other.
  bool step(int outcome) {
    if (outcome == 1) return true;
    const int reason = SSL_get_error(ssl.get(), outcome);
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) return false;
    failure = openssl_reason();
    return true;
  }
  bool handshake() {
    ERR_clear_error();
    return step(SSL_do_handshake(ssl.get()));
  }
  // Reads what there is; true when something was read or the connection is over.
  bool read(std::string& got) {
    std::array<char, 4096> buffer{};
    std::size_t count = 0;
    ERR_clear_error();
    const int outcome = SSL_read_ex(ssl.get(), buffer.data(), buffer.size(), &count);
    got.append(buffer.data(), count);
    return step(outcome);
  }
};

}  // namespace starling::net::testing
