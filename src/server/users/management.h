#pragma once
// Stream management's books of one session (XEP-0198 4 and 5): how far its client's stanzas are safe, and
// what it was sent and has not acknowledged. Counting alone: who sends, stores and waits is elsewhere. On the
// account's shard.
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "server/users/delivery.h"
#include "storage/ledger.h"

namespace starling::server {

// Numbers of stanzas wrap at 2^32 (4): `a` comes after `b`.
[[nodiscard]] constexpr bool is_after(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) > 0;
}

class Management {
 public:
  // A stanza that the session was sent: one that came from somebody, or text of the server's own.
  struct Sent {
    Outgoing outgoing;
    std::string text;
    [[nodiscard]] std::size_t bytes() const;
  };

  // Without `resume_seconds` it cannot be resumed.
  Management(std::uint64_t token, std::string id, std::size_t resume_seconds)
      : token_(token), id_(std::move(id)), resume_seconds_(resume_seconds) {}

  [[nodiscard]] std::uint64_t token() const { return token_; }  // the session's name in the store
  [[nodiscard]] const std::string& id() const { return id_; }   // and for its client
  [[nodiscard]] bool resumable() const { return resume_seconds_ != 0; }
  [[nodiscard]] std::size_t resume_seconds() const { return resume_seconds_; }

  // What the store knows of a session of before the server's start. `lossy`: the last stanza that the client
  // must have, since it cannot be made again. `untaken`, by number: the messages it was handed.
  void restore(storage::Ledger received, std::uint32_t sent, std::uint32_t lossy,
               std::vector<std::pair<std::uint32_t, Outgoing>> untaken);
  [[nodiscard]] bool restored() const { return restored_; }  // and not yet resumed
  void resumed() { restored_ = false; }

  // --- from the client ---
  // Numbers the next stanza. It is safe when safe() is called with what this returned. A repeat was handled
  // before the server's end, and its client could not know.
  [[nodiscard]] Counted receive(bool message, bool& repeat);
  // The stanza that receive() numbered last is not safe when its handling returns: it waits for an answer.
  void wait_for(std::uint32_t number);
  // `recorded`: the store counts it too.
  void safe(const Counted& counted, bool recorded);
  [[nodiscard]] std::uint32_t received() const { return received_; }
  // The client may forget its stanzas up to here, once stored() says that the store knows it.
  [[nodiscard]] std::uint32_t handled() const { return unsafe_.empty() ? received_ : unsafe_.front() - 1; }
  [[nodiscard]] std::uint32_t recorded() const { return recorded_.received(); }
  // The store has counted so much out of order that it should be told what is handled.
  [[nodiscard]] bool scattered() const {
    return recorded_.beyond().size() >= 16 && is_after(handled(), recorded());
  }
  void record(std::uint32_t number) { recorded_.apply(number, number); }
  // What an <a/> may say now.
  [[nodiscard]] std::uint32_t acknowledgeable() const;

  // --- to the client ---
  void send(Sent sent);
  // The stanza that was sent last cannot be made again from the store.
  void lose() { lossy_ = sent(); }
  // It is a message that other sessions were sent as well, and the store cannot tell who has it.
  void share() {
    shared_ = sent();
    shares_ = true;
  }
  // True once the client has acknowledged those that are shared: the store knows it as one that may not be
  // resumed.
  [[nodiscard]] bool take_shared() {
    return shares_ && !is_after(shared_, acknowledged_) && std::exchange(shares_, false);
  }
  // The client must have this one for the session to be resumed after a restart. Beyond sent(): it may not
  // be.
  [[nodiscard]] std::uint32_t lossy() const {
    if (shares_ && is_after(shared_, acknowledged_)) return sent() + 1;
    return is_after(acknowledged_, lossy_) ? acknowledged_ : lossy_;
  }
  // The client has them up to `h`. False if it says more than it was sent (6).
  template <class Taken>
  [[nodiscard]] bool acknowledge(std::uint32_t h, Taken taken) {
    // What a restored session was handed since the start no client can have.
    if (h - acknowledged_ > (restored_ ? restored_sent_ : sent()) - acknowledged_) return false;
    for (Outgoing& outgoing : std::exchange(earlier_, {})) taken(outgoing);
    for (; acknowledged_ != h; ++acknowledged_) {
      bytes_ -= queue_.front().bytes();
      Outgoing outgoing = std::move(queue_.front().outgoing);
      queue_.pop_front();
      if (outgoing.envelope.stanza) taken(outgoing);
    }
    return true;
  }
  [[nodiscard]] std::uint32_t sent() const {
    return acknowledged_ + static_cast<std::uint32_t>(queue_.size());
  }
  [[nodiscard]] const std::deque<Sent>& unacknowledged() const { return queue_; }
  [[nodiscard]] std::size_t unacknowledged_bytes() const { return bytes_; }
  // All that the client did not acknowledge and that came from somebody, in its order.
  [[nodiscard]] std::vector<Outgoing> take_unacknowledged();
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  std::uint64_t token_;
  std::string id_;
  std::size_t resume_seconds_;

  std::uint32_t received_ = 0;
  std::uint32_t last_message_ = 0;
  std::vector<std::uint32_t> unsafe_;  // ascending
  storage::Ledger recorded_;

  std::uint32_t acknowledged_ = 0;
  std::deque<Sent> queue_;
  std::size_t bytes_ = 0;
  std::uint32_t lossy_ = 0, shared_ = 0;
  bool shares_ = false;
  std::vector<Outgoing> earlier_;  // of a restored session: what its client has if it may be resumed
  bool restored_ = false;
  std::uint32_t restored_sent_ = 0;
};

}  // namespace starling::server
