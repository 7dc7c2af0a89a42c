#include "server/users/delivery.h"

#include "server/shard.h"
#include "server/stanza_id.h"
#include "server/users/user.h"

namespace starling::server {

void Delivery::keep(Envelope& envelope, std::uint64_t id, const Keeping& keeping) {
  id_ = id;
  keeping_ = keeping;
  if (keeping.for_owner) envelope.archive_id = id;
  envelope.for_sender = false;  // that is seen to
  if (envelope.fingerprint != Fingerprint{}) user_.shard_.on_their_way().insert(envelope.fingerprint);
  begin(envelope);
  if (keeping.in_tail && pending_ == 0) count();
}

void Delivery::settle_with_earlier(Envelope envelope) {
  taken_ = repeat_ = true;
  begin(std::move(envelope));
}

void Delivery::begin(Envelope envelope) {
  envelope_ = std::move(envelope);
  bytes_ = envelope_.stanza->element().bytes().size();
  ++user_.kept_;
}

// The tail grows by it, or does not after all.
void Delivery::count() {
  if (std::exchange(counted_, true)) return;
  ++user_.tail_.messages;
  user_.tail_.bytes += bytes_;
}

void Delivery::uncount() {
  if (!std::exchange(counted_, false)) return;
  --user_.tail_.messages;
  user_.tail_.bytes -= bytes_;
}

void Delivery::taken() {
  --pending_;
  if (std::exchange(taken_, true)) return;
  if (in_store_) user_.delivered(id_);
}

bool Delivery::returned() {
  --pending_;
  if (taken_ || pending_ > 0) return false;
  if (!keeping_.in_tail) taken_ = true;  // by whoever asked
  if (in_store_) {
    user_.tail_out_.erase(id_);
    user_.tail_returned_ = true;
  } else if (keeping_.in_tail) {
    count();  // it will be: what comes from now on stands behind it
  }
  return true;
}

void Delivery::fill(storage::Batch& batch) {
  undelivered_ = keeping_.in_tail && !taken_;
  appended_ = user_.exists() && (undelivered_ || keeping_.for_owner || keeping_.for_sender);
  if (appended_) {
    storage::ArchivedMessage message{
        .id = id_,
        .owner = user_.jid().text(),
        .peer = std::string(envelope_.stanza->from().bare()),
        .stamp_ms = envelope_.stamp_ms != 0 ? envelope_.stamp_ms : user_.shard_.wall_ms(),
        .undelivered = undelivered_};
    if (undelivered_ && pending_ > 0) {
      message.session = session_;
      message.number = number_;
    }
    envelope_.stanza->write(message.stanza, envelope_.stanza->to());
    if (counted_) user_.tail_.bytes += message.stanza.size() - bytes_;
    bytes_ = message.stanza.size();
    storage::Append append{
        .message = std::move(message), .for_owner = keeping_.for_owner, .for_peer = keeping_.for_sender};
    if (envelope_.fingerprint != Fingerprint{}) append.fingerprint = as_text(envelope_.fingerprint);
    batch.emplace_back(std::move(append));
  }
  const Counted& counted = envelope_.counted;
  if (counted.recorded) batch.emplace_back(storage::Receive{counted.session, counted.number, counted.after});
}

void Delivery::done(std::span<const std::uint64_t> ids) {
  const bool stored = appended_ && ids.front() == id_;  // and is no repeat
  if (stored && undelivered_) {
    in_store_ = true;
    count();
    if (taken_ || pending_ > 0) user_.tail_out_.emplace(id_, bytes_);
    if (taken_) user_.delivered(id_);
  } else {
    uncount();
  }
  if (stored && (keeping_.for_owner || keeping_.for_sender))
    user_.shard_.archived({envelope_, user_.jid(), keeping_.for_owner, keeping_.for_sender});
  if (!appended_ && !taken_ && pending_ == 0)  // the account is being deleted
    user_.shard_.bounce(envelope_, {Condition::service_unavailable});
  settle(envelope_.counted.recorded);
  if (in_store_ && !taken_ && pending_ == 0) user_.start_tail();
}

// What is in a session's hands is tried again; of the rest the sender hears.
bool Delivery::failed(const Error& /*error*/) {
  if (taken_ || pending_ > 0) return true;
  uncount();
  user_.shard_.bounce(envelope_,
                      {Condition::internal_server_error, "The message could not be stored", ErrorType::wait});
  settle(false);
  return false;
}

void Delivery::settle(bool recorded) {
  user_.shard_.message_ids().settle(id_);
  if (!repeat_) user_.shard_.on_their_way().erase(envelope_.fingerprint);
  --user_.kept_;
  ++user_.settled_;
  if (envelope_.counted) user_.shard_.safe(envelope_.stanza->from(), envelope_.counted, recorded);
  user_.shard_.drain();
}

}  // namespace starling::server
