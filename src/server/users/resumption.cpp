// Sessions that outlive their connection (XEP-0198 section 5): without one they keep their presence and
// gather what they are sent, until their client resumes them or their time is up.
#include "base/log.h"
#include "server/core.h"
#include "server/shard.h"
#include "server/users/user.h"

namespace starling::server {
namespace {

// Of a session whose client is away. What it is sent is in its Management.
class NoConnection final : public Link {
 public:
  // `last` is what the session had before, if anything.
  NoConnection(Shard& shard, std::uint64_t session, const Link* last)
      : shard_(shard),
        session_(session),
        last_input_(last != nullptr ? last->last_input() : shard.loop().now()) {
    if (last != nullptr) facts_ = last->facts();
  }

  void send(Outgoing /*outgoing*/) override {}
  void send_text(std::string_view /*xml*/) override {}
  void end(const StreamError& /*error*/) override { shard_.end_detached(session_); }
  void replaced() override {}
  [[nodiscard]] std::size_t queued_bytes() const override { return 0; }
  void when_drained(Job job) override { shard_.loop().post(std::move(job)); }
  void hold() override {}
  void release() override {}
  void settled() override {}
  void full() override { shard_.end_detached(session_); }
  [[nodiscard]] Facts facts() const override { return facts_; }
  [[nodiscard]] SteadyTime last_input() const override { return last_input_; }
  [[nodiscard]] std::size_t memory_bytes() const override { return sizeof(*this); }

 private:
  Shard& shard_;
  std::uint64_t session_;
  Facts facts_;
  SteadyTime last_input_;
};

// A session's stanzas are counted in the store up to a number.
class Recorded final : public Journal::Entry {
 public:
  Recorded(Shard& shard, std::uint64_t session, std::uint32_t number)
      : shard_(shard), session_(session), number_(number) {}
  void fill(storage::Batch& batch) override {
    batch.emplace_back(storage::Receive{session_, number_, number_});
  }
  void done(std::span<const std::uint64_t> /*ids*/) override {
    if (UserSession* session = shard_.managed(session_)) session->recorded(number_);
  }

 private:
  Shard& shard_;
  std::uint64_t session_;
  std::uint32_t number_;
};

}  // namespace

// --- UserSession ---

void UserSession::safe(const Counted& counted, bool recorded) {
  management_->safe(counted, recorded);
  if (management_->scattered()) record();
  settle();
}

void UserSession::record() {
  if (recording_ || !management_->resumable()) return;
  recording_ = true;
  Shard& shard = user_.shard();
  shard.journal().add(std::make_shared<Recorded>(shard, management_->token(), management_->handled()));
}

void UserSession::recorded(std::uint32_t number) {
  recording_ = false;
  management_->record(number);
  settle();
}

bool UserSession::settled() const {
  return management_->handled() == management_->received() &&
         management_->acknowledgeable() == management_->received();
}

void UserSession::when_settled(Job job) {
  when_settled_ = std::move(job);
  settle();
}

void UserSession::settle() {
  link_->settled();
  if (!when_settled_) return;
  if (settled())
    user_.shard().loop().post(std::exchange(when_settled_, {}));  // it may do anything to this session
  else if (management_->handled() == management_->received())
    record();
}

// --- User ---

void User::bound_queue(UserSession& session) {
  const Management& management = *session.management();
  const auto& limits = shard_.config().limits;
  // Twice as much without a connection as with one: a full queue costs the connection first, the session
  // last.
  const std::size_t times = session.detached() || session.catching_up_ ? 2 : 1;
  if (management.unacknowledged().size() <= times * limits.unacknowledged_stanzas &&
      management.unacknowledged_bytes() <= times * limits.queue_bytes)
    return;
  if (std::exchange(session.full_, true)) return;
  shard_.loop().at_turn_end([&shard = shard_, token = management.token()] {
    UserSession* full = shard.managed(token);
    if (full == nullptr) return;
    full->full_ = false;
    log::warn("session {} has {} stanzas waiting for an acknowledgement, {}", full->jid().text(),
              full->management()->unacknowledged().size(),
              full->detached() ? "and ends" : "and loses its connection");
    full->link().full();
  });
}

bool User::queue_half_full(const UserSession& session) const {
  const Management* management = session.management();
  const auto& limits = shard_.config().limits;
  return management != nullptr && (management->unacknowledged().size() > limits.unacknowledged_stanzas / 2 ||
                                   management->unacknowledged_bytes() > limits.queue_bytes / 2);
}

void User::detached(UserSession& session, std::vector<Outgoing> untaken) {
  session.set_active(true);  // XEP-0352 5.2
  session.acknowledged();    // not any more
  without_connection(session);
  wait_for_client(session, std::chrono::seconds(session.management()->resume_seconds()));
  shard_.flush_sent();
  log::info("session {} lost its connection and may be resumed", session.jid().text());
  returned(std::move(untaken));
  start_tail();
  shard_.drain();
}

void User::without_connection(UserSession& session) {
  session.link_ = std::make_shared<NoConnection>(shard_, session.management()->token(), session.link_.get());
  session.detached_ = true;
}

void User::wait_for_client(UserSession& session, Milliseconds patience) {
  const std::uint64_t token = session.management()->token();
  session.expiry_ = shard_.loop().run_after(patience, [&shard = shard_, token] {
    if (const UserSession* late = shard.managed(token))
      log::info("session {} was not resumed in time", late->jid().text());
    shard.end_detached(token);
  });
}

UserSession* User::resumable(std::string_view id) {
  const auto found = std::ranges::find_if(sessions_, [&](const auto& one) {
    return one->management() != nullptr && one->management()->resumable() && one->management()->id() == id;
  });
  if (found == sessions_.end()) return nullptr;
  UserSession* session = found->get();
  if (!session->detached()) session->link().replaced();
  return session;
}

void User::resumed(UserSession& session, std::shared_ptr<Link> link) {
  shard_.loop().cancel(std::exchange(session.expiry_, 0));
  session.link_ = std::move(link);
  session.detached_ = false;
  session.catching_up_ = true;
  log::info("session {} is resumed", session.jid().text());
}

// --- Shard ---

void Shard::manage(UserSession& session) { managed_.emplace(session.management()->token(), &session); }

UserSession* Shard::managed(std::uint64_t token) const {
  const auto found = managed_.find(token);
  return found == managed_.end() ? nullptr : found->second;
}

void Shard::end_detached(std::uint64_t token) {
  UserSession* session = managed(token);
  if (session != nullptr && session->detached()) session->user().closed(*session, {});
}

void Shard::safe(const Jid& sender, const Counted& counted, bool recorded) {
  Shard& home = core_.home(sender.bare());
  if (&home != this) {
    crossing(home).safe.push_back({counted, recorded});
  } else if (UserSession* session = managed(counted.session)) {
    session->safe(counted, recorded);
  }
}

}  // namespace starling::server
