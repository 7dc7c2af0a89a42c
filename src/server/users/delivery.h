#pragma once
// One message on its way to the sessions of a user, and to the store. On the account's shard.
#include <cstdint>
#include <memory>

#include "server/envelope.h"
#include "server/journal.h"

namespace starling::server {

class User;

// Several sessions may get the same message; it is lost only if none of them takes it. A durable one is in
// the journal as well, so that it outlives the server until somebody has taken it; it is written only if
// nobody has when the journal gets to it.
class Delivery final : public Journal::Entry {
 public:
  Delivery(User& user, unsigned copies) : user_(user), pending_(copies) {}

  // Makes it durable; the caller adds it to the journal. The sender's stanza is safe when that is done.
  void keep(Envelope envelope);
  [[nodiscard]] bool durable() const { return envelope_.stanza != nullptr; }
  // The one session that gets it may be resumed, and counts it as its stanza `number`.
  void handed_to(std::uint64_t session, std::uint32_t number) {
    session_ = session;
    number_ = number;
  }
  [[nodiscard]] bool only_copy() const { return pending_ == 1; }

  // A session has it for good.
  void taken();
  // A session will not take it. True if nobody has it or may take it still, and the caller must see to it.
  [[nodiscard]] bool returned();

  // Journal::Entry
  void fill(storage::Batch& batch) override;
  void done(std::span<const std::uint64_t> ids) override;
  bool failed(const Error& error) override;
  [[nodiscard]] std::size_t bytes() const override { return envelope_.stanza->memory_bytes(); }

 private:
  void count();
  void settle(bool recorded);

  User& user_;  // which is not unloaded before a durable message is settled
  Envelope envelope_;
  std::uint64_t id_ = 0;   // in the store
  std::size_t bytes_ = 0;  // there
  std::uint64_t session_ = 0;
  std::uint32_t number_ = 0;
  unsigned pending_;  // copies that were neither taken nor returned
  bool taken_ = false;
  bool appended_ = false;  // the last fill() wrote it
  bool in_tail_ = false;   // User::tail_ counts it
};

// A message on its way to one session.
struct Outgoing {
  Envelope envelope;
  std::shared_ptr<Delivery> delivery;  // null for the only copy
};

}  // namespace starling::server
