#pragma once
// In-Band Bytestreams (XEP-0047): bytes both ways between two full addresses, in Base64 inside of stanzas.
// For small things, and where nothing better works.
//
//   auto& ibb = client.use<InBandBytestreams>();
//   ibb.send(*Jid::parse("bob@example.org/desk"), picture).then([](Outcome<void> sent) { ... });
//
//   ibb.accept = [](const InBandBytestreams::Stream& offer) { return offer.peer.domain() == "example.org"; };
//   ibb.received([&](const InBandBytestreams::Stream& stream, std::string_view bytes) { ... });
//
// A stream ends with its session, with the peer's presence, and with the first chunk that is not the next one
// or cannot be read.
//
// Known gaps: we send chunks in IQs only, also on a stream that was opened for messages (either is taken); a
// chunk that could not be delivered ends the stream at once, without another try (2.2).
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "client/client.h"

namespace starling::client {

class InBandBytestreams final : public Extension {
 public:
  struct Settings {
    std::size_t block_size = 4096;      // that we ask for, at most 65535
    std::size_t smallest_block = 256;   // no less is tried when the peer wants less
    std::size_t largest_block = 65535;  // that we let others send: more is answered resource-constraint
    std::size_t window = 1;             // chunks on the way without an acknowledgement; 1: the XEP's advice
    std::size_t incoming = 16;          // streams of others at once: more are refused
    std::uint64_t most_bytes = 67'108'864;  // that a stream of others may bring in all
    Milliseconds idle{600'000};             // without a stanza, a stream of others is closed
  };

  // An open stream, or one that is offered.
  struct Stream {
    std::uint64_t id = 0;  // ours; never used again
    Jid peer;
    std::string sid;
    std::size_t block_size = 0;
    bool incoming = false;         // they opened it
    std::uint64_t received = 0;    // bytes
    std::uint64_t sent = 0;        // bytes, acknowledged
    std::uint64_t most_bytes = 0;  // that may be received
  };

  struct Closed {
    enum class Why : std::uint8_t {
      by_us,
      by_peer,
      broken,  // by a chunk that is none, a refused chunk, too many bytes, the end of the session, silence
    };
    Why why = Why::by_us;
    std::string text;  // for a person, when broken
  };

  explicit InBandBytestreams(Client& client);
  ~InBandBytestreams() override;
  [[nodiscard]] Info info() const override;

  Settings settings;

  // Whether to take a stream that is offered; it may lower `most_bytes`. Without it, none is taken
  // (not-acceptable).
  std::function<bool(Stream& offer)> accept;

  // In this order. `received` has what one chunk brought, in order and complete.
  Signal<const Stream&> opened{"ibb_stream_start"};  // by them or by us
  Signal<const Stream&, std::string_view> received{"ibb_stream_data"};
  Signal<const Stream&, const Closed&> closed{"ibb_stream_end"};

  // Opens a stream, writes `data` and closes it. Done when the peer has acknowledged all of it.
  Request<void> send(const Jid& to, std::string data);

  // The same in steps. Blocks are halved until the peer takes them, down to Settings::smallest_block.
  Request<Stream> open(const Jid& to);
  // Done when all of it is acknowledged; several writes go out one after the other. If the stream ends
  // meanwhile, whatever was not acknowledged may have arrived or not.
  Request<void> write(std::uint64_t stream, std::string data);
  // After all that was written. The stream is closed whatever the answer says.
  Request<void> close(std::uint64_t stream);

  [[nodiscard]] const Stream* find(std::uint64_t stream) const;

 private:
  struct Write {
    std::string data;
    std::size_t taken = 0, acknowledged = 0;
    Request<void>::Resolver done;
  };
  struct Entry {
    Stream stream;
    std::uint16_t next_in = 0, next_out = 0;  // seq
    std::deque<Write> writes;
    std::size_t on_the_way = 0;  // chunks
    std::optional<Request<void>::Resolver> closing;
    bool close_sent = false;
    Loop::TimerId idle_timer = 0;
  };
  using Entries = std::map<std::uint64_t, Entry>;

  void try_open(Stream stream, const Request<Stream>::Resolver& done);
  void pump(std::uint64_t id);
  void acknowledged(std::uint64_t id, std::size_t bytes, const Outcome<StanzaPtr>& answer);
  void send_close(std::uint64_t id);

  Entries::iterator find_peer(const Jid& peer, std::string_view sid);
  void handle_open(const Stanza& iq, const Responder& respond);
  void handle_close(const Stanza& iq, const Responder& respond);
  using Answer = std::function<void(const std::optional<StanzaError>& error)>;
  void handle_data(const Stanza& stanza, const xml::Element& data, const Answer& answer);
  void arm_idle(Entry& entry);
  void break_off(std::uint64_t id, std::string text);
  void end(std::uint64_t id, const Closed& how);
  template <class Predicate>
  void break_all(Predicate which, const std::string& text);

  Client& client_;
  Entries entries_;
  std::uint64_t last_id_ = 0;
};

}  // namespace starling::client
