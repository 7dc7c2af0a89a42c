#include "server/users/user.h"

#include "base/crypto.h"
#include "base/log.h"
#include "server/shard.h"
#include "xml/namespaces.h"

namespace starling::server {

User::User(Shard& shard, Jid bare) : shard_(shard), jid_(std::move(bare)), last_used_(shard.loop().now()) {}

User::~User() {
  for (const auto& session : sessions_) shard_.loop().cancel(session->expiry_);
}

void User::load() { spawn(read()); }

Task<void> User::read() {
  auto record = co_await shard_.store().account(jid_.text());
  Error problem;
  bool ok = record.has_value();
  if (!ok) problem = record.error();
  if (ok && *record) {
    auto kinds = co_await shard_.store().values_of(
        jid_.text(), std::vector<std::string>{std::string(Roster::kKind), std::string(Roster::kMetaKind),
                                              std::string(kSessionKind), std::string(kSettingKind)});
    auto tail = co_await shard_.store().undelivered_size(jid_.text());
    ok = kinds.has_value() && tail.has_value();
    if (ok) {
      roster_ = Roster::load((*kinds)[0], (*kinds)[1]);
      tail_ = *tail;
      settings_ = std::move((*kinds)[3]);
      record_ = std::move(**record);
      record_->sha1 =
          record_->sha256 = {};  // a login reads them from the store; here they would only lie about
      if (!(*kinds)[2].empty()) co_await restore((*kinds)[2]);
    } else {
      problem = kinds ? tail.error() : kinds.error();
    }
  }
  if (!ok) log::error("account {} cannot be loaded: {}", jid_.text(), problem.message);
  last_used_ = shard_.loop().now();
  state_ = ok ? State::loaded : State::failed;
  for (auto& job : std::exchange(waiting_, {})) job(*this, ok);
  for (Envelope& envelope : std::exchange(inbox_, {})) shard_.route(std::move(envelope));
  shard_.drain();
  if (!exists())
    shard_.loop().at_turn_end([&shard = shard_, jid = jid_] { shard.forget(jid); });  // costs no memory
  reading_ = false;
}

void User::when_loaded(std::move_only_function<void(User&, bool)> job) {
  if (state_ == State::loading) {
    waiting_.push_back(std::move(job));
  } else {
    job(*this, state_ == State::loaded);
  }
}

bool User::may_stop() const {
  return !reading_ && !retiring_ && writes_in_flight_ == 0 && kept_ == 0 && !flushing_ &&
         delivered_.empty() && std::ranges::all_of(sessions_, &UserSession::detached);
}

bool User::idle() const { return sessions_.empty() && may_stop(); }

std::vector<Session*> User::sessions() const {
  std::vector<Session*> all;
  all.reserve(sessions_.size());
  for (const auto& session : sessions_) all.push_back(session.get());
  return all;
}

UserSession* User::find(std::string_view resource) const {
  const auto found =
      std::ranges::find_if(sessions_, [&](const auto& one) { return one->jid().resource() == resource; });
  return found == sessions_.end() ? nullptr : found->get();
}

bool User::trusts(const Jid& contact) const {
  return contact.same_bare(jid_) || roster_.subscription(contact.bare()).from;
}

bool User::in_roster(const Jid& contact) const {
  const RosterItem* item = roster_.find(contact.bare());
  return item != nullptr && item->listed;
}

std::string_view User::setting(std::string_view name) const {
  const auto found = std::ranges::find(settings_, name, &storage::Entries::value_type::first);
  return found == settings_.end() ? std::string_view() : found->second;
}

void User::setting_changed(std::string_view name, std::string value) {
  const auto found = std::ranges::find(settings_, name, &storage::Entries::value_type::first);
  if (found != settings_.end())
    found->second = std::move(value);
  else
    settings_.emplace_back(name, std::move(value));
}

std::expected<UserSession*, StanzaError> User::bind(std::shared_ptr<Link> link, const std::string& resource) {
  // RFC 6120 7.6: no resource asked for means one that nobody can guess.
  auto full = jid_.with_resource(resource.empty() ? crypto::random_id(96) : resource);
  if (!full) return std::unexpected(StanzaError{Condition::bad_request, full.error().message});
  // RFC 6120 7.7.2.2: the newer one wins, as Prosody and ejabberd do it.
  if (UserSession* older = find(full->resource()))
    older->link().end({StreamCondition::conflict, "Replaced by a new session with the same resource"});
  if (const std::size_t limit = shard_.config().limits.sessions_per_account; sessions_.size() >= limit)
    return std::unexpected(
        StanzaError{Condition::resource_constraint,
                    fmt::format("This account has {} sessions already, which is its limit", limit),
                    ErrorType::wait, "<resource-limit-exceeded xmlns='urn:xmpp:errors'/>"});  // XEP-0205 4.4
  auto& session =
      sessions_.emplace_back(std::make_unique<UserSession>(*this, std::move(*full), std::move(link)));
  for (const SessionEvents& events : shard_.session_events())
    if (events.bound) events.bound(*this, *session);
  return session.get();
}

void User::closed(UserSession& session, std::vector<Outgoing> untaken) {
  const auto at = std::ranges::find_if(sessions_, [&](const auto& one) { return one.get() == &session; });
  const std::unique_ptr<UserSession> gone = std::move(*at);
  sessions_.erase(at);
  last_used_ = shard_.loop().now();
  std::string status;
  if (gone->available() || !gone->directed_.empty()) {
    const auto end = std::make_shared<const Stanza>(
        Stanza::make(Kind::presence, Type::unavailable, gone->jid(), {}, {}, {}));
    went_unavailable(*gone, end, gone->available());
  } else if (const xml::Element* said =
                 gone->presence_ ? gone->presence_->child("status", ns::client) : nullptr) {
    status = said->text();
  }
  for (const SessionEvents& events : shard_.session_events())
    if (events.closed) events.closed(*this, *gone);

  gone->acknowledged();  // not any more
  if (Management* management = gone->management()) {
    shard_.loop().cancel(gone->expiry_);
    shard_.unmanage(*management);
    for (Outgoing& one : management->take_unacknowledged()) untaken.push_back(std::move(one));
    if (management->resumable()) forget(*gone);
  }
  returned(std::move(untaken));
  if (sessions_.empty() && record_) {
    record_->last_seen = shard_.wall_ms() / 1000;
    record_->last_status = std::move(status);
    save({storage::SetLastSeen{jid_.text(), record_->last_seen, record_->last_status}});
  } else {
    start_tail();
  }
  shard_.drain();
}

void User::end_sessions(const Jid& except, const StreamError& why) {
  // end() may call closed(), which shortens the list.
  std::vector<std::shared_ptr<Link>> links;
  for (const auto& session : sessions_)
    if (session->jid() != except) links.push_back(session->shared_link());
  for (const auto& link : links) link->end(why);
}

void User::receive(Envelope envelope) {
  last_used_ = shard_.loop().now();
  if (state_ == State::loading) {
    inbox_.push_back(std::move(envelope));
  } else {
    dispatch(std::move(envelope));
  }
}

void User::dispatch(Envelope envelope) {
  const Counted counted = envelope.counted;
  const StanzaPtr stanza = counted ? envelope.stanza : nullptr;
  if (!dispatch_kind(std::move(envelope)) && counted) shard_.safe(stanza->from(), counted, false);
}

bool User::dispatch_kind(Envelope envelope) {
  if (state_ == State::failed) {
    shard_.bounce(envelope, {Condition::internal_server_error,
                             "The account's data cannot be read at the moment", ErrorType::wait});
    return false;
  }
  if (exists()) {
    if (auto passed = shard_.screen({envelope, *this, false}); !passed) {
      shard_.bounce(envelope, passed.error());
      return false;
    }
  }
  switch (envelope.stanza->kind()) {
    case Kind::message:
      return receive_message(std::move(envelope));
    case Kind::presence:
      receive_presence(std::move(envelope));
      break;
    case Kind::iq:
      receive_iq(std::move(envelope));
      break;
  }
  return false;
}

void User::receive_iq(Envelope envelope) {
  if (envelope.to.is_bare()) {  // RFC 6121 8.5.1, 8.5.2.1.3: the server answers for the account
    shard_.handle_iq(envelope.stanza, Target::account, exists() ? this : nullptr);
  } else if (UserSession* session = find(envelope.to.resource())) {  // 8.5.3.1
    session->send({std::move(envelope), nullptr});
  } else {  // 8.5.3.2.3
    shard_.bounce(envelope, {Condition::service_unavailable});
  }
}

void User::save(storage::Batch batch) {
  if (!batch.empty()) spawn(commit(std::move(batch)));
}

Task<void> User::commit(storage::Batch batch) {
  ++writes_in_flight_;
  auto done = co_await shard_.store().commit(std::move(batch));
  --writes_in_flight_;
  if (!done) {
    log::error("changes of account {} were not stored: {}", jid_.text(), done.error().message);
    roster_.forget_history();
  }
}

}  // namespace starling::server
