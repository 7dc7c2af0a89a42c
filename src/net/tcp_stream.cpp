#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/openssl.h"
#include "net/peer_check.h"
#include "net/socket.h"
#include "net/tcp.h"
#include "net/tls.h"

namespace starling::net {
namespace {

using Status = IoResult::Status;

constexpr std::size_t kRecordBytes = 16384;  // RFC 8446 5.1
// What an idle server-side SSL object of OpenSSL 3.0 keeps after a TLS 1.3 handshake, its buffers released
// (measured).
constexpr std::size_t kTlsObjectBytes = 14'336;

IoResult failed(std::string_view reason) { return {.status = Status::error, .error = reason}; }

// RFC 9266 2: 32 bytes, empty context. Unique to the connection in TLS 1.3, and in TLS 1.2 only with the
// extended master secret (4.2).
std::string exporter_binding(SSL* ssl) {
  if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) return {};
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  static constexpr unsigned char kNoContext = 0;
  std::string out(32, '\0');
  if (SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(out.data()), out.size(), kLabel.data(),
                                 kLabel.size(), &kNoContext, 0, 1) != 1)
    return {};
  return out;
}

std::unique_ptr<TlsInfo> describe(SSL* ssl) {
  auto info = std::make_unique<TlsInfo>();
  info->version = SSL_get_version(ssl);
  info->cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) info->server_name = name;
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
  info->alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
  info->resumed = SSL_session_reused(ssl) == 1;
  info->exporter_binding = exporter_binding(ssl);
  info->end_point_binding =
      end_point_binding(SSL_is_server(ssl) == 1 ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl));
  return info;
}

}  // namespace

struct TcpStream::State {
  Socket socket;
  std::uint32_t armed = 0;      // what the reactor watches for
  std::uint32_t half_sent = 0;  // plaintext bytes of the record that the kernel has taken in part
  bool watching : 1 = false;    // the descriptor is in the reactor's set
  bool paused : 1 = false;
  bool ended : 1 = false;            // read() has said closed or error
  bool blocked : 1 = false;          // the last read() said would_block
  bool hung_up : 1 = false;          // EPOLLHUP or EPOLLERR, which cannot be disarmed, was seen
  bool unwatchable : 1 = false;      // the kernel refused to watch it: read() says so
  bool want_write : 1 = false;       // a write() took less than all
  bool tls_wants_write : 1 = false;  // reading cannot go on before TLS has written
  bool handshaking : 1 = false;
  bool broken : 1 = false;   // TLS has failed: nothing more can be sent under it
  bool closing : 1 = false;  // close_notify waits for room
  bool write_shut : 1 = false;
  bool loopback : 1 = false;
  Reactor* loop = nullptr;
  Handler* handler = nullptr;
  bool* left = nullptr;    // set on the stack of a dispatch: tells it that the stream has gone from this loop
  Loop::TimerId kick = 0;  // calls on_readable in the next turn
  SSL* ssl = nullptr;
  std::shared_ptr<TlsContext> context;  // until the handshake is through
  std::unique_ptr<TlsInfo> info;
  std::string peer_address;

  void leave() {
    if (left != nullptr) *std::exchange(left, nullptr) = true;
  }

  // The owner's handlers run inside of one: afterwards nothing of the stream is touched if it was detached or
  // destroyed.
  class Dispatch {
   public:
    explicit Dispatch(State& state) : state_(state) { state_.left = &gone_; }
    Dispatch(const Dispatch&) = delete;
    Dispatch& operator=(const Dispatch&) = delete;
    ~Dispatch() {
      if (!gone_) state_.left = nullptr;
    }
    // Runs on_readable unless reading is paused or over; false when the stream has gone.
    bool readable() {
      if (state_.paused || state_.ended) return true;
      state_.blocked = false;
      state_.handler->on_readable();
      return !gone_;
    }
    bool writable() {
      state_.handler->on_writable();
      return !gone_;
    }

   private:
    State& state_;
    bool gone_ = false;
  };

  IoResult handshake() {
    ERR_clear_error();
    const int outcome = SSL_do_handshake(ssl);
    if (outcome != 1) return tls_result(outcome);
    handshaking = false;
    info = describe(ssl);
    context.reset();
    return {.status = Status::ok};
  }

  // What a call of OpenSSL that did not succeed means to the reader.
  IoResult tls_result(int outcome) {
    switch (SSL_get_error(ssl, outcome)) {
      case SSL_ERROR_WANT_WRITE:
        tls_wants_write = true;
        [[fallthrough]];
      case SSL_ERROR_WANT_READ:
        blocked = true;
        return {.status = Status::would_block};
      case SSL_ERROR_ZERO_RETURN:
        ended = true;
        return {.status = Status::closed};
      default:
        break;
    }
    ended = broken = true;
    if (socket.ended)
      return {.status = Status::closed};  // without close_notify: XMPP has its own end of stream
    if (socket.error != 0) return failed(socket_error(socket.error));
    if (const long verdict = SSL_get_verify_result(ssl); handshaking && verdict != X509_V_OK)
      return failed(X509_verify_cert_error_string(verdict));
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    return failed(reason != nullptr ? reason : "TLS failed");
  }
};

TcpStream::TcpStream(int fd, std::string peer_address) : state_(std::make_unique<State>()) {
  state_->socket.fd = fd;
  state_->peer_address = std::move(peer_address);
  state_->loopback = Endpoint{.host = state_->peer_address}.is_loopback();
}

TcpStream::~TcpStream() {
  detach();
  SSL_free(state_->ssl);
  ::close(state_->socket.fd);
}

IoResult TcpStream::read(std::span<char> into) {
  State& s = *state_;
  if (s.ended) return {.status = Status::closed};
  if (s.unwatchable) {
    s.ended = true;
    return failed("the kernel watches no more descriptors");
  }
  IoResult result;
  if (s.ssl == nullptr) {
    const ssize_t got = s.socket.receive(into.data(), into.size());
    if (got > 0) return {.status = Status::ok, .bytes = static_cast<std::size_t>(got)};
    if (got < 0 && s.socket.error == 0) {
      s.blocked = true;
      return {.status = Status::would_block};
    }
    s.ended = true;
    result = got == 0 ? IoResult{.status = Status::closed} : failed(socket_error(s.socket.error));
  } else {
    if (s.handshaking) {
      result = s.handshake();
      if (result.status != Status::ok) {
        update();
        return result;
      }
    }
    ERR_clear_error();
    std::size_t got = 0;
    if (SSL_read_ex(s.ssl, into.data(), into.size(), &got) == 1)
      result = {.status = Status::ok, .bytes = got};
    else
      result = s.tls_result(0);
  }
  update();
  return result;
}

IoResult TcpStream::write(std::string_view bytes) {
  State& s = *state_;
  if (s.write_shut || s.closing) return failed("the stream is closed for writing");
  if (bytes.empty()) return {.status = Status::ok};
  std::size_t taken = 0;
  if (s.ssl == nullptr) {
    const ssize_t sent = s.socket.send(bytes.data(), bytes.size());
    if (sent < 0 && s.socket.error != 0) return failed(socket_error(s.socket.error));
    taken = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  } else if (!s.handshaking) {
    while (taken < bytes.size()) {
      const std::size_t left = bytes.size() - taken;
      const std::size_t record = s.half_sent != 0 ? s.half_sent : std::min(left, kRecordBytes);
      if (record > left) return failed("a write was repeated with fewer bytes");
      ERR_clear_error();
      std::size_t sent = 0;
      if (SSL_write_ex(s.ssl, bytes.data() + taken, record, &sent) == 1) {
        taken += sent;
        s.half_sent = 0;
        continue;
      }
      const int reason = SSL_get_error(s.ssl, 0);
      if (reason != SSL_ERROR_WANT_WRITE && reason != SSL_ERROR_WANT_READ) {
        s.broken = true;
        if (taken > 0) break;  // the next call meets the error again
        return failed(s.socket.error != 0 ? socket_error(s.socket.error) : "TLS cannot write");
      }
      s.half_sent = static_cast<std::uint32_t>(record);
      break;
    }
  }
  s.want_write = taken < bytes.size();
  if (s.want_write) update();
  return {.status = taken > 0 ? Status::ok : Status::would_block, .bytes = taken};
}

Result<void> TcpStream::start_tls(std::shared_ptr<TlsContext> context, Result<ssl_st*> made) {
  State& s = *state_;
  if (!made) return std::unexpected(made.error());
  if (s.ssl != nullptr) {
    SSL_free(*made);
    return fail(Errc::conflict, "the stream is under TLS already");
  }
  BIO* const bio = make_bio(s.socket);
  if (bio == nullptr) {
    SSL_free(*made);
    return fail(Errc::io, "out of memory for TLS");
  }
  s.ssl = *made;
  SSL_set_bio(s.ssl, bio, bio);
  s.context = std::move(context);
  s.handshaking = true;
  schedule_read();
  return {};
}

Result<void> TcpStream::start_tls_server(std::shared_ptr<TlsContext> context) {
  auto made = context->new_server();
  return start_tls(std::move(context), std::move(made));
}

Result<void> TcpStream::start_tls_client(std::shared_ptr<TlsContext> context, std::string_view domain,
                                         std::string_view tls_name) {
  auto made = context->new_client(domain, tls_name);
  return start_tls(std::move(context), std::move(made));
}

const TlsInfo* TcpStream::tls() const { return state_->info.get(); }
const TlsPeer* TcpStream::tls_peer() const {
  const PeerCheck* const check = state_->ssl != nullptr ? attached_check(state_->ssl) : nullptr;
  return check != nullptr && check->seen ? &check->peer : nullptr;
}
bool TcpStream::handshaking() const { return state_->handshaking; }

void TcpStream::pause_reading(bool paused) {
  State& s = *state_;
  if (s.paused == paused) return;
  s.paused = paused;
  // What TLS has read ahead raises no event.
  if (!paused && s.ssl != nullptr && SSL_has_pending(s.ssl) == 1) schedule_read();
  update();
}

void TcpStream::shutdown_write() {
  State& s = *state_;
  if (s.write_shut || s.closing) return;
  s.want_write = false;
  finish_shutdown();
}

void TcpStream::finish_shutdown() {
  State& s = *state_;
  // A record that is half sent cannot be followed by close_notify.
  if (s.ssl != nullptr && !s.handshaking && !s.broken && s.half_sent == 0) {
    ERR_clear_error();
    const int outcome = SSL_shutdown(s.ssl);
    s.closing = outcome < 0 && SSL_get_error(s.ssl, outcome) == SSL_ERROR_WANT_WRITE;
  } else {
    s.closing = false;
  }
  if (!s.closing) {
    ::shutdown(s.socket.fd, SHUT_WR);
    s.write_shut = true;
  }
  update();
}

void TcpStream::attach(Loop& loop, Handler& handler) {
  State& s = *state_;
  s.loop = static_cast<Reactor*>(&loop);
  s.handler = &handler;
  s.hung_up = false;
  s.socket.watched = true;
  update();
  if (s.ssl != nullptr && (s.handshaking || SSL_has_pending(s.ssl) == 1)) schedule_read();
}

void TcpStream::detach() {
  State& s = *state_;
  if (s.loop == nullptr) return;
  s.loop->unwatch(*this);
  s.loop->cancel(std::exchange(s.kick, 0));
  s.loop = nullptr;
  s.handler = nullptr;
  s.watching = false;
  s.armed = 0;
  s.socket.watched = s.socket.drained = false;
  s.leave();
}

// Brings what the reactor watches for in line with what is waited for.
void TcpStream::update() {
  State& s = *state_;
  if (s.loop == nullptr || s.unwatchable) return;
  std::uint32_t wanted = 0;
  if (!s.paused && !s.ended) wanted |= EPOLLIN;
  if ((s.want_write && !s.handshaking) || s.tls_wants_write || s.closing) wanted |= EPOLLOUT;
  if (s.watching && wanted == 0 && s.hung_up) {
    s.loop->unwatch(*this);
    s.watching = false;
  } else if (!s.watching && (wanted != 0 || !s.hung_up)) {
    const auto added = s.loop->watch(s.socket.fd, wanted, *this);
    s.watching = added.has_value();
    if (!added) {
      log::error("{}", added.error().message);
      s.unwatchable = true;
      schedule_read();
    }
  } else if (s.watching && wanted != s.armed) {
    s.loop->change(s.socket.fd, wanted, *this);
  }
  s.armed = wanted;
}

void TcpStream::schedule_read() {
  State& s = *state_;
  if (s.loop == nullptr || s.kick != 0) return;
  // A timer, since it can be taken back.
  s.kick = s.loop->run_after(Milliseconds{0}, [this] {
    state_->kick = 0;
    deliver(0, true);
  });
}

void TcpStream::on_events(std::uint32_t events) {
  State& s = *state_;
  s.socket.drained = false;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) s.hung_up = true;
  deliver(events, (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0);
}

void TcpStream::deliver(std::uint32_t events, bool readable) {
  State& s = *state_;
  State::Dispatch dispatch(s);
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
    if (s.closing) finish_shutdown();
    if (s.tls_wants_write) {
      s.tls_wants_write = false;
      readable = true;
    }
  }
  if (readable && !dispatch.readable()) return;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && s.want_write && !s.handshaking) {
    s.want_write = false;
    if (!dispatch.writable()) return;
  }
  if (!s.blocked && !s.paused && !s.ended && s.ssl != nullptr && SSL_has_pending(s.ssl) == 1) schedule_read();
  update();
}

std::size_t TcpStream::memory_bytes() const {
  std::size_t bytes = sizeof *this + sizeof *state_ + state_->peer_address.capacity();
  if (state_->ssl != nullptr) bytes += kTlsObjectBytes;
  if (state_->info)
    bytes += sizeof(TlsInfo) + state_->info->server_name.capacity() +
             state_->info->exporter_binding.capacity() + state_->info->end_point_binding.capacity();
  return bytes;
}

const std::string& TcpStream::peer_address() const { return state_->peer_address; }
bool TcpStream::peer_is_loopback() const { return state_->loopback; }
std::string TcpStream::local_address() const {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  std::array<char, NI_MAXHOST> text{};
  auto* const any = reinterpret_cast<sockaddr*>(&own);
  if (::getsockname(state_->socket.fd, any, &size) != 0 ||
      ::getnameinfo(any, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0)
    return {};
  return text.data();
}

}  // namespace starling::net
