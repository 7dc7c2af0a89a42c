#pragma once
// A user's account while somebody deals with it: its sessions, roster and undelivered tail. An actor: it
// lives on its home shard, is loaded on first use and unloaded when idle, and what arrives while it loads
// waits in order.
//
// user.cpp: loading and sessions - messages.cpp, delivery.cpp: delivery by RFC 6121 8.5 and the tail -
// presence.cpp: RFC 6121 4 - subscriptions.cpp: RFC 6121 3 - roster_iq.cpp: RFC 6121 2.
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/users/roster.h"
#include "server/users/session.h"

namespace starling::server {

class Shard;

class User final : public Account {
 public:
  User(Shard& shard, Jid bare);
  ~User() override;

  // Account, for modules.
  [[nodiscard]] const Jid& jid() const override { return jid_; }
  [[nodiscard]] std::vector<Session*> sessions() const override;
  [[nodiscard]] Session* session(std::string_view resource) const override { return find(resource); }
  [[nodiscard]] bool trusts(const Jid& contact) const override;
  [[nodiscard]] bool in_roster(const Jid& contact) const override;
  [[nodiscard]] std::string_view setting(std::string_view name) const override;
  void setting_changed(std::string_view name, std::string value) override;
  [[nodiscard]] const storage::Account& record() const override { return *record_; }

  [[nodiscard]] Shard& shard() const { return shard_; }
  void load();
  [[nodiscard]] bool loaded() const { return state_ == State::loaded; }
  [[nodiscard]] bool exists() const { return record_.has_value() && !retiring_; }
  // Nothing that would be lost or repeated if it were unloaded now.
  [[nodiscard]] bool idle() const;
  // The same, but for sessions that the store remembers.
  [[nodiscard]] bool may_stop() const;
  [[nodiscard]] SteadyTime last_used() const { return last_used_; }
  // Runs now if loaded, else when it is; the argument says whether loading worked.
  void when_loaded(std::move_only_function<void(User&, bool)> job);

  // --- sessions ---
  // Full JID, or what the client gets instead (RFC 6120 7.7.2). An older session of that resource ends with
  // `conflict`.
  std::expected<UserSession*, StanzaError> bind(std::shared_ptr<Link> link, const std::string& resource);
  // The connection ended; `untaken` are the messages that its client did not get, in order.
  void closed(UserSession& session, std::vector<Outgoing> untaken);
  // The same for a session that may be resumed (XEP-0198 5): it goes on without a connection, for a while.
  // `untaken` are those of before it counted.
  void detached(UserSession& session, std::vector<Outgoing> untaken);
  // The session of that id, if it may be resumed. Its connection, if it has one still, is replaced.
  [[nodiscard]] UserSession* resumable(std::string_view id);
  void resumed(UserSession& session, std::shared_ptr<Link> link);
  void start_tail();  // hands the undelivered tail to whoever takes it, if that is not under way
  // After a restart: asks contacts for presence, whose last the session may have missed.
  void catch_up(UserSession& session);
  void taken(Outgoing& outgoing);          // the client has it for good
  void bound_queue(UserSession& session);  // which was sent something that it counts
  // What the store has to know of a session that may be resumed, so that this works after a restart.
  void remember(UserSession& session);
  void end_sessions(const Jid& except, const StreamError& why);
  [[nodiscard]] UserSession* find(std::string_view resource) const;
  [[nodiscard]] const std::vector<std::unique_ptr<UserSession>>& all_sessions() const { return sessions_; }

  // --- inward: what others sent to this account (bare or full JID) ---
  void receive(Envelope envelope);

  // --- outward: what a session of this account sent ---
  void broadcast_presence(UserSession& session, StanzaPtr presence);  // without `to` (RFC 6121 4.2, 4.4, 4.5)
  void directed_presence(UserSession& session, StanzaPtr presence);   // RFC 6121 4.6
  void subscription_out(UserSession& session, const Stanza& stanza);  // RFC 6121 3, the user's side

  // --- roster IQs (roster_iq.cpp) ---
  // Writes its own answer: a result, and with a known version the pushes that bring the client up to date
  // (2.6.3).
  void roster_get(UserSession& session, const Stanza& request);
  Task<std::expected<std::string, StanzaError>> roster_set(StanzaPtr request);

  // The account is being deleted: from here on it is as if there was none, and it stays loaded until keep().
  void retire() { retiring_ = true; }
  void keep() { retiring_ = false; }
  // It is deleted: ends its sessions and subscriptions.
  void cancel_everything(const StreamError& why);

 private:
  enum class State { loading, loaded, failed };
  Task<void> read();
  void dispatch(Envelope envelope);
  bool dispatch_kind(Envelope envelope);
  bool receive_message(Envelope envelope);
  void receive_presence(Envelope envelope);
  void receive_iq(Envelope envelope);
  void receive_subscription(const Envelope& envelope);
  void receive_probe(const Envelope& envelope);

  // messages.cpp
  // restart.cpp
  friend class Remembered;
  static constexpr std::string_view kSessionKind = "session";
  void forget(const UserSession& session);
  struct Restored;
  Task<void> restore(storage::Entries stored);
  Task<void> restore_untaken(std::vector<Restored>& sessions);
  void without_connection(UserSession& session);
  void wait_for_client(UserSession& session, Milliseconds patience);

  friend class Delivery;
  // These say whether the message's sender hears of it from the journal.
  bool deliver_to_bare(Envelope envelope);
  bool deliver_to(std::span<UserSession* const> sessions, Envelope envelope);
  bool keep_or_bounce(Envelope& envelope);
  bool keep(Delivery& delivery, Envelope& envelope, const Keeping& keeping);
  [[nodiscard]] Keeping to_keep(const Envelope& envelope, bool must_last) const;
  void remove_stanza_id(Envelope& envelope) const;
  [[nodiscard]] bool is_stored(const Envelope& envelope) const;
  bool settle_with_earlier(Envelope envelope);
  void copy(const Envelope& envelope, std::span<UserSession* const> have_it);
  // Some of it is in no session's hands.
  [[nodiscard]] bool tail_waits() const { return tail_.messages > tail_out_.size(); }
  [[nodiscard]] bool queue_half_full(const UserSession& session) const;
  [[nodiscard]] UserSession* most_available() const;  // that takes messages and is connected
  Task<void> flush_tail(Jid session);
  void send_stored(UserSession& session, const storage::ArchivedMessage& message);
  [[nodiscard]] std::optional<Envelope> from_store(const storage::ArchivedMessage& message) const;
  void returned(std::vector<Outgoing> untaken);
  void delivered(std::uint64_t id);
  void mark_delivered();
  void forgotten(std::span<const std::uint64_t> ids);

  // presence.cpp
  void went_unavailable(UserSession& session, const StanzaPtr& presence, bool was_available);
  void to_subscribers(const StanzaPtr& presence);
  void to_own_sessions(const StanzaPtr& presence);
  void to_available(const Envelope& envelope);
  void send_current_presence(const Jid& contact);

  // subscriptions.cpp
  void apply(RosterItem item);  // memory now, pushes now, store in the background
  void push(const RosterItem& item);
  void push(UserSession& session, std::string_view payload);
  void reply_for_user(Type type, const Jid& contact);
  void pending_requests_to(UserSession& session);
  [[nodiscard]] RosterItem item_for(const Jid& contact) const;
  void save(storage::Batch batch);
  Task<void> commit(storage::Batch batch);

  Shard& shard_;
  Jid jid_;
  State state_ = State::loading;
  std::optional<storage::Account> record_;
  Roster roster_;
  storage::Entries settings_;  // of modules
  std::vector<std::unique_ptr<UserSession>> sessions_;
  std::vector<std::move_only_function<void(User&, bool)>> waiting_;
  std::vector<Envelope> inbox_;  // while loading
  SteadyTime last_used_;
  unsigned writes_in_flight_ = 0;

  bool reading_ = true;    // read() is under way
  bool retiring_ = false;  // about to be deleted

  // The undelivered tail (messages.cpp).
  storage::TailSize tail_;  // what the store has, or will have in a moment
  // Ids and sizes of what is in a session's hands, until the store has it marked.
  std::map<std::uint64_t, std::size_t> tail_out_;
  std::set<std::uint64_t> taken_meanwhile_;  // since flush_tail() has read what it hands over
  bool flushing_ = false;                    // the tail is being handed over; what is new is appended to it
  bool tail_returned_ = false;               // ids came back meanwhile: it begins anew
  unsigned kept_ = 0;                        // durable deliveries that are not settled
  std::uint64_t settled_ = 0;                // and those that were, ever
  std::vector<std::uint64_t> delivered_;     // ids to be marked at the end of this turn
};

}  // namespace starling::server
