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

bool User::receive_message(Envelope envelope) {
  const Type type = envelope.stanza->type();
  if (!exists()) {  // 8.5.1: no such user. An error is never answered.
    shard_.bounce(envelope, {Condition::service_unavailable, "There is no such account here"});
    return false;
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
    copy(envelope, best != nullptr ? std::span(&best, 1) : std::span<UserSession* const>());
    return keep_or_bounce(std::move(envelope));
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
    copy(envelope, {});
    return type != Type::headline && keep_or_bounce(std::move(envelope));
  }
  return deliver_to(takers, std::move(envelope));
}

// Delivery does not wait for the disk; only the acknowledgement does.
bool User::deliver_to(std::span<UserSession* const> sessions, Envelope envelope) {
  const Type type = envelope.stanza->type();
  const bool managed = std::ranges::any_of(sessions, &UserSession::management);
  const bool durable = (envelope.counted || managed) && type != Type::headline &&
                       shard_.absent(*this, *envelope.stanza) == Keep::yes;
  if (durable && shard_.journal_full()) {
    shard_.bounce(envelope, {Condition::resource_constraint, "Messages cannot be stored at the moment"});
    return false;
  }
  std::shared_ptr<Delivery> delivery;
  if (durable || (sessions.size() > 1 && type != Type::headline))
    delivery = std::make_shared<Delivery>(*this, static_cast<unsigned>(sessions.size()));
  if (durable) delivery->keep(envelope);
  for (UserSession* session : sessions) session->send({envelope, delivery});
  copy(envelope, sessions);
  if (durable) shard_.journal().add(delivery);
  return durable;
}

// For the sessions beside those that have it.
void User::copy(const Envelope& envelope, std::span<UserSession* const> have_it) {
  if (sessions_.size() <= have_it.size()) return;
  const std::vector<Session*> sessions(have_it.begin(), have_it.end());
  shard_.copy({envelope, *this, false, sessions});
}

bool User::keep_or_bounce(Envelope envelope) {
  switch (shard_.absent(*this, *envelope.stanza)) {
    case Keep::yes:
      break;
    case Keep::no:
      shard_.bounce(envelope, {Condition::service_unavailable});
      return false;
    case Keep::drop:
      return false;
  }
  const auto& limits = shard_.config().limits;
  if (tail_.messages >= limits.offline_messages || tail_.bytes >= limits.offline_bytes) {
    shard_.bounce(envelope,
                  {Condition::service_unavailable, "The recipient's store for offline messages is full"});
    return false;
  }
  const auto delivery = std::make_shared<Delivery>(*this, 0);
  delivery->keep(std::move(envelope));
  shard_.journal().add(delivery);
  return true;
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
  envelope.stamp_ms = message.stamp_ms;
  return envelope;
}

// What sessions did not take, in its order.
void User::returned(std::vector<Outgoing> untaken) {
  for (Outgoing& one : untaken) {
    const Stanza& stanza = *one.envelope.stanza;
    const bool durable = one.delivery && one.delivery->durable();
    if (one.delivery && !one.delivery->returned()) continue;  // another session has it, or decides
    if (durable) continue;                                    // it is in the store, or will be
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

// --- Delivery ---

void Delivery::keep(Envelope envelope) {
  envelope_ = std::move(envelope);
  bytes_ = envelope_.stanza->element().bytes().size();
  ++user_.kept_;
  if (pending_ == 0) count();
}

// The tail grows by it.
void Delivery::count() {
  if (std::exchange(in_tail_, true)) return;
  ++user_.tail_.messages;
  user_.tail_.bytes += bytes_;
}

void Delivery::taken() {
  --pending_;
  if (std::exchange(taken_, true)) return;
  if (id_ != 0) user_.delivered(id_);
}

bool Delivery::returned() {
  --pending_;
  if (taken_ || pending_ > 0) return false;
  if (id_ != 0) {
    user_.tail_out_.erase(id_);
    user_.tail_returned_ = true;
  }
  return true;
}

void Delivery::fill(storage::Batch& batch) {
  appended_ = !taken_ && user_.exists();
  if (appended_) {
    storage::ArchivedMessage message{
        .owner = user_.jid().text(),
        .peer = std::string(envelope_.stanza->from().bare()),
        .stamp_ms = envelope_.stamp_ms != 0 ? envelope_.stamp_ms : user_.shard_.wall_ms(),
        .undelivered = true};
    if (pending_ > 0) {
      message.session = session_;
      message.number = number_;
    }
    envelope_.stanza->write(message.stanza, envelope_.stanza->to());
    if (in_tail_) user_.tail_.bytes += message.stanza.size() - bytes_;
    bytes_ = message.stanza.size();
    batch.emplace_back(storage::Append{std::move(message)});
  }
  const Counted& counted = envelope_.counted;
  if (counted.recorded) batch.emplace_back(storage::Receive{counted.session, counted.number, counted.after});
}

void Delivery::done(std::span<const std::uint64_t> ids) {
  if (appended_) {
    id_ = ids.front();
    count();
    if (taken_ || pending_ > 0) user_.tail_out_.emplace(id_, bytes_);
    if (taken_) user_.delivered(id_);
  }
  if (!appended_ && !taken_ && pending_ == 0)  // the account is being deleted
    user_.shard_.bounce(envelope_, {Condition::service_unavailable});
  settle(envelope_.counted.recorded);
  if (appended_ && !taken_ && pending_ == 0) user_.start_tail();
}

// What is in a session's hands is tried again; of the rest the sender hears.
bool Delivery::failed(const Error& /*error*/) {
  if (taken_ || pending_ > 0) return true;
  if (in_tail_) {
    --user_.tail_.messages;
    user_.tail_.bytes -= bytes_;
  }
  user_.shard_.bounce(envelope_,
                      {Condition::internal_server_error, "The message could not be stored", ErrorType::wait});
  settle(false);
  return false;
}

void Delivery::settle(bool recorded) {
  --user_.kept_;
  ++user_.settled_;
  if (envelope_.counted) user_.shard_.safe(envelope_.stanza->from(), envelope_.counted, recorded);
  user_.shard_.drain();
}

}  // namespace starling::server
