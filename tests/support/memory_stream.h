#pragma once
// A connected pair of ByteStreams without sockets, on any loops (the same one, or two on different threads).
// Handlers are called from jobs posted to their loop; what is written arrives in a later turn.
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "net/byte_stream.h"

namespace starling {

struct MemoryPairOptions {
  // Bytes that may wait unread in each direction: a reader that does not read makes the writer's write() take
  // part only.
  std::size_t capacity = std::numeric_limits<std::size_t>::max();
  std::string address_of_a = "127.0.0.1";  // what b sees as its peer
  std::string address_of_b = "127.0.0.1";
};

class MemoryStream final : public net::ByteStream {
 public:
  struct Link;  // what both ends share

  MemoryStream(std::shared_ptr<Link> link, int side, std::string peer_address);
  ~MemoryStream() override;  // the peer reads what was written, then `closed`

  net::IoResult read(std::span<char> into) override;
  net::IoResult write(std::string_view bytes) override;

  // TLS is pretended: it is through at once, and both ends have the same bindings. `context` is not
  // used and may be null. As with real TLS, bytes that the peer wrote in plain and that were not read before
  // make read() fail.
  Result<void> start_tls_server(std::shared_ptr<net::TlsContext> context) override;
  Result<void> start_tls_client(std::shared_ptr<net::TlsContext> context, std::string_view domain,
                                std::string_view tls_name = {}) override;
  [[nodiscard]] const net::TlsInfo* tls() const override;
  [[nodiscard]] bool handshaking() const override { return false; }

  void pause_reading(bool paused) override;
  void shutdown_write() override;
  void attach(Loop& loop, Handler& handler) override;
  void detach() override;

  [[nodiscard]] const std::string& peer_address() const override;
  [[nodiscard]] bool peer_is_loopback() const override;
  [[nodiscard]] std::string local_address() const override { return "127.0.0.1"; }
  [[nodiscard]] std::size_t memory_bytes() const override;

 private:
  std::shared_ptr<Link> link_;
  int side_;
  mutable net::TlsInfo info_;  // the server learns the name when the client begins
  std::string peer_address_;
};

using MemoryPair = std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>>;

// Not attached yet.
MemoryPair memory_pair(const MemoryPairOptions& options = {});

}  // namespace starling
