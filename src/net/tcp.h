#pragma once
// TCP sockets on a Reactor: the ByteStream of real connections, and listeners that several reactors share.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/byte_stream.h"
#include "net/reactor.h"

struct ssl_st;

namespace starling::net {

struct Endpoint {
  std::string host;  // "0.0.0.0", "::", a name is not resolved here
  std::uint16_t port = 0;
  static Result<Endpoint> parse(std::string_view text);  // "127.0.0.1:5222", "[::]:5222"
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool is_loopback() const;
};

class TcpStream final : public ByteStream, private Reactor::Watcher {
 public:
  // Takes the connected, non-blocking descriptor.
  TcpStream(int fd, std::string peer_address);
  ~TcpStream() override;
  // (the members of ByteStream; the loop of attach() is a Reactor)
  IoResult read(std::span<char> into) override;
  IoResult write(std::string_view bytes) override;
  Result<void> start_tls_server(std::shared_ptr<TlsContext> context) override;
  Result<void> start_tls_client(std::shared_ptr<TlsContext> context, std::string_view domain,
                                std::string_view tls_name = {}) override;
  [[nodiscard]] const TlsInfo* tls() const override;
  [[nodiscard]] const TlsPeer* tls_peer() const override;
  [[nodiscard]] bool handshaking() const override;
  void pause_reading(bool paused) override;
  void shutdown_write() override;
  void attach(Loop& loop, Handler& handler) override;
  void detach() override;
  [[nodiscard]] const std::string& peer_address() const override;
  [[nodiscard]] bool peer_is_loopback() const override;
  [[nodiscard]] std::string local_address() const override;
  [[nodiscard]] std::size_t memory_bytes() const override;

 private:
  void on_events(std::uint32_t events) override;
  void deliver(std::uint32_t events, bool readable);
  Result<void> start_tls(std::shared_ptr<TlsContext> context, Result<ssl_st*> made);
  void finish_shutdown();
  void schedule_read();
  void update();
  struct State;
  std::unique_ptr<State> state_;
};

// One bound socket, watched by every reactor that add()s it: the kernel wakes one of them a connection.
class TcpListener {
 public:
  using Accept = std::move_only_function<void(std::unique_ptr<TcpStream>)>;
  // The error names the endpoint and, for a port in use, says so. No SO_REUSEPORT: a second server must fail.
  // Errc::conflict: the port is in use; unavailable: this machine has no such address (IPv6 switched off);
  // invalid: the host is no IP address; io: anything else.
  static Result<std::unique_ptr<TcpListener>> bind(const Endpoint& endpoint);
  ~TcpListener();  // after every reactor has remove()d it, or runs no more
  // On the reactor's thread. When descriptors run out, accepting pauses for a while, and the log says so
  // once.
  Result<void> add(Reactor& reactor, Accept accept);
  void remove(Reactor& reactor);
  [[nodiscard]] Endpoint endpoint() const;  // with the real port when 0 was asked for

 private:
  TcpListener() = default;
  struct State;
  std::unique_ptr<State> state_;
};

// Raises the soft descriptor limit to the hard one; returns it.
std::size_t raise_descriptor_limit();

}  // namespace starling::net
