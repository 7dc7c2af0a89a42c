#include "support/memory_stream.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <mutex>

namespace starling {
namespace {

using Status = net::IoResult::Status;

constexpr std::string_view kBinding = "the exporter binding of a memory";  // 32 bytes, as RFC 9266 has it
constexpr std::string_view kEndPointBinding =
    "a hash of the certificate of it ";  // as long as one of SHA-256

// One side's state. What belongs to the loop's thread alone and what the peer touches are under the link's
// mutex alike.
struct End {
  Loop* loop = nullptr;
  net::ByteStream::Handler* handler = nullptr;
  std::uint64_t epoch = 0;  // of attaching: a job posted in an earlier one does nothing
  bool read_posted = false;
  bool write_posted = false;

  std::string inbound;
  std::size_t plain = 0;  // of inbound, from its front: written before the peer began TLS
  bool fin = false;       // the peer writes no more
  bool tls = false;
  bool begin_tls = false;  // on_readable is due, as for a handshake
  bool paused = false;
  bool ended = false;       // read() has said closed or error
  bool write_shut = false;  // we write no more
  bool want_write = false;  // a write() took less than all
  bool gone = false;

  [[nodiscard]] bool readable() const { return !paused && !ended && (begin_tls || fin || !inbound.empty()); }
};

}  // namespace

struct MemoryStream::Link : std::enable_shared_from_this<Link> {
  std::mutex mutex;
  std::array<End, 2> ends;
  std::size_t capacity;
  std::string server_name;

  explicit Link(std::size_t limit) : capacity(limit) {}
  End& end(int side) { return ends[static_cast<std::size_t>(side)]; }
  [[nodiscard]] bool writable(int side) {
    return end(side).want_write && (end(1 - side).inbound.size() < capacity || end(1 - side).gone);
  }

  // The rest: with the mutex held.
  void notify(int side) {
    End& e = end(side);
    if (e.loop == nullptr) return;
    if (e.readable() && !e.read_posted) {
      e.read_posted = true;
      e.loop->post([self = shared_from_this(), side, epoch = e.epoch] { self->call_readable(side, epoch); });
    }
    if (writable(side) && !e.write_posted) {
      e.write_posted = true;
      e.loop->post([self = shared_from_this(), side, epoch = e.epoch] { self->call_writable(side, epoch); });
    }
  }

  void call_readable(int side, std::uint64_t epoch) {
    std::unique_lock lock(mutex);
    End& e = end(side);
    if (e.epoch != epoch) return;
    e.read_posted = false;
    if (!e.readable()) return;
    e.begin_tls = false;
    Handler* const handler = e.handler;
    lock.unlock();
    handler->on_readable();
    lock.lock();
    if (e.epoch == epoch) notify(side);  // what it left unread
  }

  void call_writable(int side, std::uint64_t epoch) {
    std::unique_lock lock(mutex);
    End& e = end(side);
    if (e.epoch != epoch) return;
    e.write_posted = false;
    if (!writable(side)) return;
    e.want_write = false;
    Handler* const handler = e.handler;
    lock.unlock();
    handler->on_writable();
  }

  Result<void> start_tls(int side) {
    if (end(side).tls) return fail(Errc::conflict, "the stream is under TLS already");
    end(side).tls = true;
    end(side).begin_tls = true;
    notify(side);
    return {};
  }

  void close_write(int side) {
    end(side).write_shut = true;
    end(1 - side).fin = true;
    notify(1 - side);
  }
};

MemoryStream::MemoryStream(std::shared_ptr<Link> link, int side, std::string peer_address)
    : link_(std::move(link)), side_(side), peer_address_(std::move(peer_address)) {}

MemoryStream::~MemoryStream() {
  detach();
  const std::lock_guard lock(link_->mutex);
  link_->end(side_).gone = true;
  link_->close_write(side_);
}

net::IoResult MemoryStream::read(std::span<char> into) {
  const std::lock_guard lock(link_->mutex);
  End& e = link_->end(side_);
  if (e.ended) return {.status = Status::closed};
  if (e.tls && e.plain > 0) {
    e.ended = true;
    return {.status = Status::error, .error = "plaintext where a TLS record was expected"};
  }
  if (e.inbound.empty()) {
    if (!e.fin) return {.status = Status::would_block};
    e.ended = true;
    return {.status = Status::closed};
  }
  const std::size_t count = e.inbound.copy(into.data(), into.size());
  e.inbound.erase(0, count);
  e.plain -= std::min(e.plain, count);
  link_->notify(1 - side_);
  return {.status = Status::ok, .bytes = count};
}

net::IoResult MemoryStream::write(std::string_view bytes) {
  const std::lock_guard lock(link_->mutex);
  End& e = link_->end(side_);
  End& peer = link_->end(1 - side_);
  if (e.write_shut) return {.status = Status::error, .error = "the stream is closed for writing"};
  if (peer.gone) return {.status = Status::error, .error = "the connection is closed"};
  const std::size_t room = link_->capacity - std::min(link_->capacity, peer.inbound.size());
  const std::size_t taken = std::min(room, bytes.size());
  peer.inbound.append(bytes.substr(0, taken));
  if (!e.tls) peer.plain += taken;
  e.want_write = taken < bytes.size();
  link_->notify(1 - side_);
  if (taken == 0 && !bytes.empty()) return {.status = Status::would_block};
  return {.status = Status::ok, .bytes = taken};
}

Result<void> MemoryStream::start_tls_server(std::shared_ptr<net::TlsContext>) {
  const std::lock_guard lock(link_->mutex);
  return link_->start_tls(side_);
}

Result<void> MemoryStream::start_tls_client(std::shared_ptr<net::TlsContext>, std::string_view domain,
                                            std::string_view tls_name) {
  const std::lock_guard lock(link_->mutex);
  link_->server_name = tls_name.empty() ? domain : tls_name;
  return link_->start_tls(side_);
}

const net::TlsInfo* MemoryStream::tls() const {
  const std::lock_guard lock(link_->mutex);
  if (!link_->end(side_).tls) return nullptr;
  info_.version = "TLSv1.3";
  info_.cipher = "TLS_AES_256_GCM_SHA384";
  info_.server_name = link_->server_name;
  info_.exporter_binding = kBinding;
  info_.end_point_binding = kEndPointBinding;
  return &info_;
}

void MemoryStream::pause_reading(bool paused) {
  const std::lock_guard lock(link_->mutex);
  link_->end(side_).paused = paused;
  link_->notify(side_);
}

void MemoryStream::shutdown_write() {
  const std::lock_guard lock(link_->mutex);
  link_->end(side_).want_write = false;
  link_->close_write(side_);
}

void MemoryStream::attach(Loop& loop, Handler& handler) {
  const std::lock_guard lock(link_->mutex);
  End& e = link_->end(side_);
  e.loop = &loop;
  e.handler = &handler;
  ++e.epoch;
  e.read_posted = e.write_posted = false;
  link_->notify(side_);
}

void MemoryStream::detach() {
  const std::lock_guard lock(link_->mutex);
  End& e = link_->end(side_);
  e.loop = nullptr;
  e.handler = nullptr;
  ++e.epoch;
}

const std::string& MemoryStream::peer_address() const { return peer_address_; }

bool MemoryStream::peer_is_loopback() const {
  return peer_address_ == "::1" || peer_address_.starts_with("127.");
}

std::size_t MemoryStream::memory_bytes() const {
  const std::lock_guard lock(link_->mutex);
  return sizeof *this + link_->end(side_).inbound.capacity();
}

MemoryPair memory_pair(const MemoryPairOptions& options) {
  const auto link = std::make_shared<MemoryStream::Link>(options.capacity);
  return {std::make_unique<MemoryStream>(link, 0, options.address_of_b),
          std::make_unique<MemoryStream>(link, 1, options.address_of_a)};
}

}  // namespace starling
