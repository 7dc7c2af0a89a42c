#pragma once
// One message on its way to the sessions of a user, and to the store. On the account's shard.
#include <cstdint>
#include <memory>

#include "server/envelope.h"
#include "server/journal.h"

namespace starling::server {

class User;

// What is to be written of a message.
struct Keeping {
  bool in_tail = false;                        // until somebody has taken it
  bool for_owner = false, for_sender = false;  // whose archives have it
  explicit operator bool() const { return in_tail || for_owner || for_sender; }
};

// Several sessions may get the same message; it is lost only if none of them takes it. One that is to be kept
// is in the journal as well: for archives, and for the tail so that it outlives the server until somebody has
// taken it, if nobody has when the journal gets to it.
class Delivery final : public Journal::Entry {
 public:
  Delivery(User& user, unsigned copies) : user_(user), pending_(copies) {}

  // Makes it durable under an id of Shard::message_ids(); the caller adds it to the journal. The sender's
  // stanza is safe when that is done. The envelope says afterwards what is seen to.
  void keep(Envelope& envelope, std::uint64_t id, const Keeping& keeping);
  // It is in the journal or the store already: the sender's stanza is safe when the journal gets here.
  void settle_with_earlier(Envelope envelope);
  // It is in the tail until it is taken, or will be.
  [[nodiscard]] bool keeps() const { return keeping_.in_tail; }
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
  void begin(Envelope envelope);
  void count();
  void uncount();
  void settle(bool recorded);

  User& user_;  // which is not unloaded before what is kept is settled
  Envelope envelope_;
  Keeping keeping_;
  std::uint64_t id_ = 0;
  std::size_t bytes_ = 0;  // in the store
  std::uint64_t session_ = 0;
  std::uint32_t number_ = 0;
  unsigned pending_;  // copies that were neither taken nor returned
  bool taken_ = false;
  bool repeat_ = false;                          // of an earlier one, which is what is kept
  bool appended_ = false, undelivered_ = false;  // what the last fill() wrote
  bool in_store_ = false;                        // as a part of the tail
  bool counted_ = false;                         // User::tail_ counts it
};

// A message on its way to one session.
struct Outgoing {
  Envelope envelope;
  std::shared_ptr<Delivery> delivery;  // null for the only copy
};

}  // namespace starling::server
