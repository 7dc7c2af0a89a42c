// Delivery of messages by RFC 6121 8.5, and the undelivered tail of the account's archive (XEP-0160).

#include "base/log.h"
#include "server/shard.h"
#include "server/users/user.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::server {
namespace {
constexpr std::size_t kTailPage = 100;      // messages read from the tail at once
constexpr std::size_t kTailWindow = 65536;  // bytes of it that may wait for the client
}  // namespace

void User::receive_message(Envelope envelope) {
  const Type type = envelope.stanza->type();
  if (!exists()) {  // 8.5.1: no such user. An error is never answered.
    shard_.bounce(envelope, {Condition::service_unavailable, "There is no such account here"});
    return;
  }
  if (envelope.to.is_full()) {
    if (UserSession* session = find(envelope.to.resource())) {  // 8.5.3.1
      session->link().send({std::move(envelope), nullptr});
    } else if (type == Type::chat) {  // 8.5.3.2.1: as if to the bare JID
      deliver_to_bare(std::move(envelope));
    } else if (type != Type::headline) {  // bounce() drops an error
      shard_.bounce(envelope, {Condition::service_unavailable, "That session is not here"});
    }
    return;
  }
  deliver_to_bare(std::move(envelope));
}

void User::deliver_to_bare(Envelope envelope) {
  const Type type = envelope.stanza->type();
  if (type == Type::error) return;  // 8.5.2.1.1: there is no session it could concern
  if (type == Type::groupchat) {
    shard_.bounce(envelope, {Condition::service_unavailable, "A group chat message needs a full JID"});
    return;
  }
  // While the tail is handed over, what is new goes behind it; only what nobody would keep goes on at once.
  if (flushing_ && type != Type::headline && shard_.absent(*this, *envelope.stanza) == Keep::yes) {
    keep_or_bounce(std::move(envelope));
    return;
  }
  int highest = -1;
  unsigned count = 0;
  for (const auto& session : sessions_) {
    if (!session->takes_messages()) continue;
    if (session->priority() > highest) {
      highest = session->priority();
      count = 1;
    } else if (session->priority() == highest) {
      ++count;
    }
  }
  if (count == 0) {
    if (type != Type::headline) keep_or_bounce(std::move(envelope));  // 8.5.2.2.1
    return;
  }
  // 8.5.2.1.1: a headline to all that take messages, the others to the most available session; equals share.
  const auto delivery =
      count > 1 && type != Type::headline ? std::make_shared<Delivery>(Delivery{.pending = count}) : nullptr;
  for (const auto& session : sessions_)
    if (session->takes_messages() && (type == Type::headline || session->priority() == highest))
      session->link().send({envelope, delivery});
}

void User::keep_or_bounce(Envelope envelope) {
  switch (shard_.absent(*this, *envelope.stanza)) {
    case Keep::yes:
      break;
    case Keep::no:
      shard_.bounce(envelope, {Condition::service_unavailable});
      return;
    case Keep::drop:
      return;
  }
  const auto& limits = shard_.config().limits;
  if (tail_.messages >= limits.offline_messages || tail_.bytes >= limits.offline_bytes) {
    shard_.bounce(envelope,
                  {Condition::service_unavailable, "The recipient's store for offline messages is full"});
    return;
  }
  spawn(store(std::move(envelope)));
}

Task<void> User::store(Envelope envelope) {
  storage::ArchivedMessage message{.owner = jid_.text(),
                                   .peer = std::string(envelope.stanza->from().bare()),
                                   .stamp_ms = envelope.stamp_ms != 0 ? envelope.stamp_ms : shard_.wall_ms(),
                                   .undelivered = true};
  envelope.stanza->write(message.stanza, envelope.stanza->to());
  const std::size_t bytes = message.stanza.size();
  ++tail_.messages;
  tail_.bytes += bytes;
  ++appends_in_flight_;
  storage::Batch batch;
  batch.emplace_back(storage::Append{std::move(message)});
  auto done = co_await shard_.store().commit(std::move(batch));
  --appends_in_flight_;
  ++appends_ended_;
  if (!done) {
    --tail_.messages;
    tail_.bytes -= bytes;
    log::error("a message to {} was not stored: {}", jid_.text(), done.error().message);
    shard_.bounce(envelope,
                  {Condition::internal_server_error, "The message could not be stored", ErrorType::wait});
  }
  if (appends_in_flight_ == 0)
    for (const auto& resolve : std::exchange(append_waiters_, {})) resolve.here(true);
  shard_.drain();
}

Task<void> User::appended() {
  if (appends_in_flight_ == 0) co_return;
  Completion<bool> ended;
  append_waiters_.push_back(ended.resolver());
  co_await ended;
}

// Hands the tail to the most available session, if there is one and anything to hand over.
void User::start_tail() {
  if (flushing_ || tail_.messages == 0) return;
  UserSession* best = nullptr;
  for (const auto& session : sessions_)
    if (session->takes_messages() && (best == nullptr || session->priority() > best->priority()))
      best = session.get();
  if (best == nullptr) return;
  flushing_ = true;
  spawn(flush_tail(best->jid()));
}

Task<void> User::flush_tail(Jid session_jid) {
  const std::shared_ptr<Link> link = find(session_jid.resource())->shared_link();
  const auto gone = [&] {
    const UserSession* session = find(session_jid.resource());
    return session == nullptr || session->shared_link() != link;
  };
  std::uint64_t after = 0;
  for (bool more = true; more && !gone();) {
    co_await appended();  // what is on its way to the store belongs to the tail as well
    const std::uint64_t appends = appends_ended_;
    tail_returned_ = false;
    auto page = co_await shard_.store().undelivered(jid_.text(), after, kTailPage);
    if (!page) {
      log::error("offline messages of {} cannot be read: {}", jid_.text(), page.error().message);
      break;
    }
    for (const storage::ArchivedMessage& message : *page) {
      if (link->queued_bytes() > kTailWindow) {  // the client's pace, not the disk's
        Completion<bool> drained;
        link->when_drained([resolve = drained.resolver()] { resolve.here(true); });
        co_await drained;
      }
      if (gone()) break;
      after = message.id;
      if (tail_out_.insert(message.id).second) send_stored(*link, message);
    }
    if (tail_returned_) after = 0;
    more = !page->empty() || tail_returned_ || appends_in_flight_ > 0 || appends_ended_ != appends;
  }
  flushing_ = false;
  if (gone()) start_tail();  // somebody else may take the rest
  shard_.drain();
}

// An id that a session did not take.
void User::returned(std::uint64_t tail_id) {
  tail_out_.erase(tail_id);
  tail_returned_ = true;
}

void User::send_stored(Link& link, const storage::ArchivedMessage& message) {
  auto document = xml::parse_fragment(message.stanza, ns::client, xml::kNoLimits);
  std::expected<Stanza, StanzaError> stanza = std::unexpected(StanzaError{});
  if (document) stanza = Stanza::from(std::move(*document));
  if (!stanza) {
    log::error("offline message {} of {} is damaged and stays where it is", message.id, jid_.text());
    return;
  }
  Envelope envelope{.stanza = std::make_shared<const Stanza>(std::move(*stanza)), .to = {}};
  envelope.to = envelope.stanza->to();
  envelope.tail_id = message.id;
  envelope.stamp_ms = message.stamp_ms;
  link.send({std::move(envelope), nullptr});
}

void User::taken(Outgoing& outgoing) {
  if (outgoing.delivery) {
    outgoing.delivery->taken = true;
    --outgoing.delivery->pending;
  }
  if (outgoing.envelope.tail_id == 0) return;
  if (taken_.empty()) shard_.loop().at_turn_end([this] { mark_taken(); });
  taken_.push_back(outgoing.envelope.tail_id);
}

void User::mark_taken() { spawn(commit_taken(std::exchange(taken_, {}))); }

Task<void> User::commit_taken(std::vector<std::uint64_t> ids) {
  storage::Batch batch;
  for (const std::uint64_t id : ids) batch.emplace_back(storage::MarkOneDelivered{jid_.text(), id});
  co_await commit(std::move(batch));
  for (const std::uint64_t id : ids) tail_out_.erase(id);
  ++writes_in_flight_;
  if (auto size = co_await shard_.store().undelivered_size(jid_.text()); size && appends_in_flight_ == 0)
    tail_ = *size;
  --writes_in_flight_;
}

}  // namespace starling::server
