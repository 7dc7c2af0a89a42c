#pragma once
// One connected byte stream, plain or TLS, without its readiness loop's details: TcpStream is the real one,
// MemoryStream the tests'. Belongs to one loop at a time; detach() and attach() move it to another, with its
// TLS state.
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/loop.h"

namespace starling::net {

class TlsContext;
struct TlsPeer;

struct TlsInfo {
  std::string_view version;  // "TLSv1.3"; this and the next: of static storage
  std::string_view cipher;
  std::string server_name;  // SNI, empty if none was sent
  std::string alpn;
  bool resumed = false;
  // What logins may be bound to. tls-exporter (RFC 9266); empty where it is not valid (TLS 1.2 without
  // extended master secret).
  std::string exporter_binding;
  // tls-server-end-point (RFC 5929 section 4) of the server's certificate; empty when its signature has no
  // hash of its own (Ed25519).
  std::string end_point_binding;
};

struct IoResult {
  enum class Status { ok, would_block, closed, error } status = Status::would_block;
  std::size_t bytes = 0;   // with ok
  std::string_view error;  // with error: of static storage
};

class ByteStream {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    // There may be something to read (a TLS handshake's progress is handled inside read()): call read() until
    // would_block, or stop and be called again in the next turn. Called until read() has said closed or
    // error. Both handlers may detach or destroy the stream.
    virtual void on_readable() = 0;
    virtual void on_writable() = 0;  // once after each write() that took less than all
  };

  virtual ~ByteStream() = default;

  virtual IoResult read(std::span<char> into) = 0;
  // ok may have taken less than all, would_block took nothing: the next write() begins with the first byte
  // not taken and offers no fewer bytes than were left over (a TLS record of them may be half sent). What was
  // taken is wholly in the kernel. During a handshake it takes nothing; on_writable() follows when it is
  // through.
  virtual IoResult write(std::string_view bytes) = 0;

  // From here on bytes are TLS records; read() drives the handshake and says would_block until it is through
  // (on_readable() follows in the next turn, to begin it). The caller has written everything it was told to
  // write in plain, and refuses the peer when it has read bytes beyond the request for TLS: they were
  // injected.
  virtual Result<void> start_tls_server(std::shared_ptr<TlsContext> context) = 0;
  // `domain` and `tls_name` as for TlsContext::new_client().
  virtual Result<void> start_tls_client(std::shared_ptr<TlsContext> context, std::string_view domain,
                                        std::string_view tls_name = {}) = 0;
  // Set once the handshake is through.
  [[nodiscard]] virtual const TlsInfo* tls() const = 0;
  // The server's certificate (net/tls.h), from when a client has seen it, so also after a handshake that
  // failed for it; nullptr before, and for a server.
  [[nodiscard]] virtual const TlsPeer* tls_peer() const { return nullptr; }
  [[nodiscard]] virtual bool handshaking() const = 0;

  virtual void pause_reading(bool paused) = 0;
  // Sends what TLS owes (close_notify) and a FIN; reading goes on, so that the peer gets to read our last
  // words.
  virtual void shutdown_write() = 0;

  // On the loop's thread. What has arrived meanwhile, in the kernel or inside the TLS state, calls
  // on_readable() in the next turn; a write() that was cut short before calls on_writable().
  virtual void attach(Loop& loop, Handler& handler) = 0;
  virtual void detach() = 0;  // on the old loop's thread; of a stream that is not attached: no effect

  [[nodiscard]] virtual const std::string& peer_address() const = 0;  // "127.0.0.1" or "::1", without port
  [[nodiscard]] virtual bool peer_is_loopback() const = 0;
  [[nodiscard]] virtual std::string local_address() const = 0;  // our own end, likewise; asks the kernel
  [[nodiscard]] virtual std::size_t memory_bytes() const = 0;
};

}  // namespace starling::net
