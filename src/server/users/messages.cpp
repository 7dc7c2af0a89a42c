// Delivery of messages by RFC 6121 8.5, and the undelivered tail of the account's archive (XEP-0160).

#include "base/log.h"
#include "server/shard.h"
#include "server/stanza_id.h"
#include "server/users/user.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::server {
namespace {
constexpr std::size_t kTailPage = 100;      // messages read from the tail at once
constexpr std::size_t kTailWindow = 65536;  // bytes of it that may wait for the client
}  // namespace

bool User::receive_message(Envelope envelope) {
  const Type type = envelope.stanza->type();
  if (!exists()) {  // 8.5.1: no such user. An error is never answered.
    shard_.bounce(envelope, {Condition::service_unavailable, "There is no such account here"});
    return false;
  }
  if (has_ids(*envelope.stanza) && envelope.archive_id == 0) {
    remove_stanza_id(envelope);
    if (is_stored(envelope)) return settle_with_earlier(std::move(envelope));
  }
  if (envelope.to.is_full()) {
    if (UserSession* session = find(envelope.to.resource()))  // 8.5.3.1
      return deliver_to({&session, 1}, std::move(envelope));
    if (type == Type::chat) return deliver_to_bare(std::move(envelope));  // 8.5.3.2.1: as if to the bare JID
    if (type != Type::headline)                                           // bounce() drops an error
      shard_.bounce(envelope, {Condition::service_unavailable, "That session is not here"});
    return false;
  }
  return deliver_to_bare(std::move(envelope));
}

bool User::deliver_to_bare(Envelope envelope) {
  const Type type = envelope.stanza->type();
  if (type == Type::error) return false;  // 8.5.2.1.1: there is no session it could concern
  if (type == Type::groupchat) {
    shard_.bounce(envelope, {Condition::service_unavailable, "A group chat message needs a full JID"});
    return false;
  }
  // While there is a tail (it is handed over, or waits for a client to resume its session), what is new goes
  // behind it; only what nobody would keep goes on at once.
  if ((flushing_ || tail_waits()) && type != Type::headline &&
      shard_.absent(*this, *envelope.stanza) == Keep::yes) {
    UserSession* const best = most_available();
    const bool kept = keep_or_bounce(envelope);
    copy(envelope, best != nullptr ? std::span(&best, 1) : std::span<UserSession* const>());
    return kept;
  }
  // 8.5.2.1.1: a headline to all that take messages, the others to the most available session; equals share.
  int highest = -1;
  std::vector<UserSession*> takers;
  for (const auto& session : sessions_) {
    if (!session->takes_messages()) continue;
    if (type != Type::headline) {
      if (session->priority() < highest) continue;
      if (session->priority() > highest) takers.clear();
      highest = session->priority();
    }
    takers.push_back(session.get());
  }
  if (takers.empty()) {  // 8.5.2.2.1
    const bool kept = type != Type::headline && keep_or_bounce(envelope);
    copy(envelope, {});
    return kept;
  }
  return deliver_to(takers, std::move(envelope));
}

// Delivery does not wait for the disk; only the acknowledgement does.
bool User::deliver_to(std::span<UserSession* const> sessions, Envelope envelope) {
  const Keeping keeping =
      to_keep(envelope, envelope.counted || std::ranges::any_of(sessions, &UserSession::management));
  std::shared_ptr<Delivery> delivery;
  if (keeping || (sessions.size() > 1 && envelope.stanza->type() != Type::headline))
    delivery = std::make_shared<Delivery>(*this, static_cast<unsigned>(sessions.size()));
  if (keeping && !keep(*delivery, envelope, keeping)) return false;
  for (UserSession* session : sessions) session->send({envelope, delivery});
  copy(envelope, sessions);
  if (keeping) shard_.journal().add(delivery);
  return static_cast<bool>(keeping);
}

// What is written anyway is in the tail as well until it is taken.
Keeping User::to_keep(const Envelope& envelope, bool must_last) const {
  Keeping keeping{.in_tail = false,
                  .for_owner = envelope.archive_id == 0 && shard_.archives(*this, *envelope.stanza, false),
                  .for_sender = envelope.for_sender};
  keeping.in_tail = (must_last || keeping) && shard_.absent(*this, *envelope.stanza) == Keep::yes;
  return keeping;
}

// False, and the sender is told, when it cannot be.
bool User::keep(Delivery& delivery, Envelope& envelope, const Keeping& keeping) {
  const std::uint64_t id = shard_.journal_full() ? 0 : shard_.message_ids().take();
  if (id != 0) {
    delivery.keep(envelope, id, keeping);
    return true;
  }
  shard_.bounce(envelope, {Condition::resource_constraint, "Messages cannot be stored at the moment"});
  return false;
}

void User::remove_stanza_id(Envelope& envelope) const {
  if (auto cleaned = without_stanza_id(*envelope.stanza, jid_))
    envelope.stanza = std::make_shared<const Stanza>(*std::move(cleaned));
}

// Or will be in a moment.
bool User::is_stored(const Envelope& envelope) const {
  return envelope.fingerprint != Fingerprint{} &&
         (shard_.on_their_way().contains(envelope.fingerprint) ||
          shard_.store().repeats(as_text(envelope.fingerprint), shard_.wall_ms()));
}

// It came before, and whoever sent it again did not know. That one may still be on its way to the disk, with
// nothing that comes later in front of it.
bool User::settle_with_earlier(Envelope envelope) {
  if (!envelope.counted) return false;
  const auto delivery = std::make_shared<Delivery>(*this, 0);
  delivery->settle_with_earlier(std::move(envelope));
  shard_.journal().add(delivery);
  return true;
}

// For the sessions beside those that have it.
void User::copy(const Envelope& envelope, std::span<UserSession* const> have_it) {
  if (sessions_.size() <= have_it.size()) return;
  const std::vector<Session*> sessions(have_it.begin(), have_it.end());
  shard_.copy({envelope, *this, false, sessions});
}

// Sets the envelope's id in the archive, if that keeps it.
bool User::keep_or_bounce(Envelope& envelope) {
  const auto& limits = shard_.config().limits;
  const bool full = tail_.messages >= limits.offline_messages || tail_.bytes >= limits.offline_bytes;
  Keeping keeping = to_keep(envelope, true);
  const bool too_much = keeping.in_tail && full;
  if (too_much) keeping.in_tail = false;
  if (keeping.in_tail || keeping.for_owner) {
    const auto delivery = std::make_shared<Delivery>(*this, 0);
    if (!keep(*delivery, envelope, keeping)) return false;
    shard_.journal().add(delivery);
    return true;
  }
  if (envelope.archive_id != 0) return false;  // its reader will find it there
  if (too_much)
    shard_.bounce(envelope,
                  {Condition::service_unavailable, "The recipient's store for offline messages is full"});
  else if (shard_.absent(*this, *envelope.stanza) == Keep::no)
    shard_.bounce(envelope, {Condition::service_unavailable});
  return false;
}

// Hands the tail to the most available session, if there is one and anything to hand over.
void User::start_tail() {
  if (flushing_ || !tail_waits()) return;
  const UserSession* best = most_available();
  if (best == nullptr) return;
  flushing_ = true;
  spawn(flush_tail(best->jid()));
}

UserSession* User::most_available() const {
  UserSession* best = nullptr;
  for (const auto& session : sessions_)
    if (session->takes_messages() && !session->detached() &&
        (best == nullptr || session->priority() > best->priority()))
      best = session.get();
  return best;
}

Task<void> User::flush_tail(Jid session_jid) {
  const std::shared_ptr<Link> link = find(session_jid.resource())->shared_link();
  const auto receiver = [&]() -> UserSession* {
    UserSession* session = find(session_jid.resource());
    return session != nullptr && session->shared_link() == link ? session : nullptr;
  };
  std::uint64_t after = 0;
  for (bool more = true; more && receiver() != nullptr;) {
    const std::uint64_t settled = settled_;
    tail_returned_ = false;
    taken_meanwhile_.clear();
    auto page = co_await shard_.store().undelivered(jid_.text(), after, kTailPage);
    if (!page) {
      log::error("offline messages of {} cannot be read: {}", jid_.text(), page.error().message);
      break;
    }
    // What was read may have been written a moment ago, for a session that has it: the journal tells.
    co_await shard_.journal().passed();
    for (const storage::ArchivedMessage& message : *page) {
      if (link->queued_bytes() > kTailWindow) {  // the client's pace, not the disk's
        Completion<bool> drained;
        link->when_drained([resolve = drained.resolver()] { resolve.here(true); });
        co_await drained;
      }
      UserSession* session = receiver();
      if (session != nullptr && queue_half_full(*session)) {
        Completion<bool> acknowledged;
        session->when_acknowledged([resolve = acknowledged.resolver()] { resolve.here(true); });
        co_await acknowledged;
        session = receiver();
      }
      if (session == nullptr) break;
      after = message.id;
      if (taken_meanwhile_.contains(message.id)) continue;
      if (tail_out_.emplace(message.id, message.stanza.size()).second) send_stored(*session, message);
    }
    if (tail_returned_) after = 0;
    more =
        !page->empty() || tail_returned_ || settled_ != settled || (kept_ > 0 && !shard_.journal().failing());
  }
  flushing_ = false;
  if (receiver() == nullptr) start_tail();  // somebody else may take the rest
  shard_.drain();
}

void User::send_stored(UserSession& session, const storage::ArchivedMessage& message) {
  if (auto envelope = from_store(message)) session.send({std::move(*envelope), nullptr});
}

std::optional<Envelope> User::from_store(const storage::ArchivedMessage& message) const {
  auto document = xml::parse_fragment(message.stanza, ns::client, xml::kNoLimits);
  std::expected<Stanza, StanzaError> stanza = std::unexpected(StanzaError{});
  if (document) stanza = Stanza::from(std::move(*document));
  if (!stanza) {
    log::error("offline message {} of {} is damaged and stays where it is", message.id, jid_.text());
    return std::nullopt;
  }
  Envelope envelope{.stanza = std::make_shared<const Stanza>(std::move(*stanza)), .to = {}};
  envelope.to = envelope.stanza->to();
  envelope.tail_id = message.id;
  if (message.archived) envelope.archive_id = message.id;
  envelope.stamp_ms = message.stamp_ms;
  return envelope;
}

// What sessions did not take, in its order.
void User::returned(std::vector<Outgoing> untaken) {
  for (Outgoing& one : untaken) {
    const Stanza& stanza = *one.envelope.stanza;
    const bool kept = one.delivery && one.delivery->keeps();
    if (one.delivery && !one.delivery->returned()) continue;  // another session has it, or decides
    if (kept) continue;                                       // it is in the tail, or will be
    if (one.envelope.tail_id != 0) {                          // it is in the store still
      tail_out_.erase(one.envelope.tail_id);
      tail_returned_ = true;
    } else if (stanza.is_request()) {  // RFC 6120 8.2.3: somebody waits for an answer
      shard_.bounce(one.envelope, {Condition::service_unavailable});
    } else if (stanza.kind() == Kind::message && stanza.type() != Type::headline) {
      if (one.envelope.stamp_ms == 0) one.envelope.stamp_ms = shard_.wall_ms();
      one.envelope.to = jid_;
      receive(std::move(one.envelope));
    }
  }
}

void User::taken(Outgoing& outgoing) {
  if (outgoing.delivery) {
    outgoing.delivery->taken();
  } else if (outgoing.envelope.tail_id != 0) {
    delivered(outgoing.envelope.tail_id);
  }
}

namespace {

// Messages that the store may forget.
class Delivered final : public Journal::Entry {
 public:
  using Done = std::move_only_function<void(std::span<const std::uint64_t>)>;
  Delivered(std::string owner, std::vector<std::uint64_t> ids, Done done)
      : owner_(std::move(owner)), ids_(std::move(ids)), done_(std::move(done)) {}
  void fill(storage::Batch& batch) override {
    for (const std::uint64_t id : ids_) batch.emplace_back(storage::MarkOneDelivered{owner_, id});
  }
  void done(std::span<const std::uint64_t> /*ids*/) override { done_(ids_); }

 private:
  std::string owner_;
  std::vector<std::uint64_t> ids_;
  Done done_;
};

}  // namespace

void User::delivered(std::uint64_t id) {
  if (delivered_.empty()) shard_.loop().at_turn_end([this] { mark_delivered(); });
  delivered_.push_back(id);
}

void User::mark_delivered() {
  ++writes_in_flight_;
  shard_.journal().add(
      std::make_shared<Delivered>(jid_.text(), std::exchange(delivered_, {}),
                                  [this](std::span<const std::uint64_t> ids) { forgotten(ids); }));
}

// The store has them marked.
void User::forgotten(std::span<const std::uint64_t> ids) {
  --writes_in_flight_;
  for (const std::uint64_t id : ids) {
    const auto out = tail_out_.extract(id);
    if (!out) continue;
    --tail_.messages;
    tail_.bytes -= out.mapped();
    if (flushing_) taken_meanwhile_.insert(id);
  }
}

}  // namespace starling::server
