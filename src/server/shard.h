#pragma once
// One core's share of the server: its accounts, its connections, its own copy of every module, and the
// router. Shares nothing with other shards but what crosses as Envelopes. Everything here is for the shard's
// own thread unless it says so.
#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "server/archive_ids.h"
#include "server/journal.h"
#include "server/module.h"
#include "server/throttle.h"
#include "server/users/user.h"

namespace starling::server {

class Connection;
class Core;

// The configuration and what follows from it, replaced as a whole by a reload.
struct Setup {
  Config config;
  stream::Settings stream;  // of client streams
};

// By bare JID; looked up by a view of one.
struct BareHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view bare) const { return std::hash<std::string_view>()(bare); }
};
using UserTable = std::unordered_map<std::string, std::unique_ptr<User>, BareHash, std::equal_to<>>;

// Stanzas that sessions sent and their bytes, by Kind.
struct Traffic {
  std::array<std::uint64_t, 3> stanzas{}, bytes{};
};

class Shard final : public Context, private Registry {
 public:
  Shard(Core& core, std::size_t index, Loop& loop, Config config, const ModuleFactory& modules);
  ~Shard() override;
  void start(std::size_t shards);  // once all of them exist

  // --- Context ---
  [[nodiscard]] const Config& config() const override { return setup_->config; }
  [[nodiscard]] storage::Store& store() override;
  [[nodiscard]] Loop& loop() override { return loop_; }
  [[nodiscard]] Accounts& accounts() override;
  [[nodiscard]] SteadyTime started_at() const override;
  [[nodiscard]] bool serves(std::string_view domain) const override;
  [[nodiscard]] std::span<const ModuleInfo> modules() const override { return module_infos_; }
  void route(Stanza stanza) override;
  Task<std::expected<StanzaPtr, StanzaError>> ask(Jid to, std::string payload,
                                                  Milliseconds patience) override;
  Task<bool> all_stored() override;
  [[nodiscard]] std::string archive_name(std::uint64_t id) override { return archive_ids().seal(id); }
  [[nodiscard]] std::optional<std::uint64_t> archive_id(std::string_view name) override {
    return archive_ids().open(name);
  }
  [[nodiscard]] Account* loaded(const Jid& bare) override;
  Task<Result<void>> remove_account(Jid bare) override;
  void end_sessions(const Jid& bare, const Jid& except, const StreamError& why) override;

  // --- routing (router.cpp) ---
  // Puts a stanza into the outbox. Whoever handles an event from outside calls drain() when it has ended, so
  // that no phase runs inside another.
  void route(Envelope envelope) { outbox_.push_back(std::move(envelope)); }
  void drain();
  // Sends `error` back to the sender, unless the stanza is itself an error or nothing that may be answered
  // (RFC 6120 8.3.1).
  void bounce(const Envelope& envelope, const StanzaError& error);
  // What a session sent: stamped and on its way outward. The stanza's `from` is checked by the connection.
  void from_session(UserSession& session, Stanza stanza, Counted counted = {});
  // A session's stanza was delivered, kept or refused: its sender may be told. `recorded`: the store has
  // counted it.
  void safe(const Jid& sender, const Counted& counted, bool recorded);
  // A request that the server answers itself, or a result for it. `user` is null for Target::account without
  // an account.
  void handle_iq(const StanzaPtr& stanza, Target target, User* user);

  // --- phases ---
  [[nodiscard]] std::expected<void, StanzaError> screen(const Passage& passage) const;
  void copy(const Copying& copying) const {
    for (const auto& phase : copies_) phase(copying);
  }
  [[nodiscard]] Keep absent(const Account& account, const Stanza& message) const;
  [[nodiscard]] bool archives(const Account& account, const Stanza& message, bool outward) const {
    return std::ranges::any_of(archives_,
                               [&](const auto& phase) { return phase(account, message, outward); });
  }
  void archived(const Archived& archived) const {
    for (const auto& handler : archived_) handler(archived);
  }
  [[nodiscard]] const std::vector<SessionEvents>& session_events() const { return session_events_; }
  [[nodiscard]] const GuestHandler& guest_handler(std::size_t feature) const {
    return guest_handlers_[feature];
  }

  // --- what must be on disk, and the sessions that are told (XEP-0198; users/resumption.cpp) ---
  [[nodiscard]] Journal& journal() { return journal_; }
  // The store has stood still for so long that no more can wait for it.
  [[nodiscard]] bool journal_full() const;
  [[nodiscard]] storage::MessageIds::Taker& message_ids() { return message_ids_; }
  // Named messages that are in the journal, and not in the store yet.
  [[nodiscard]] std::set<Fingerprint>& on_their_way() { return on_their_way_; }
  void manage(UserSession& session);
  void unmanage(const Management& management) { managed_.erase(management.token()); }
  [[nodiscard]] UserSession* managed(std::uint64_t token) const;
  // The store has to know how much a session was sent: with the next batch, or with one in a moment.
  void note_sent(std::uint64_t session, bool soon);
  void flush_sent();
  void end_detached(std::uint64_t token);  // no effect if it is gone or has a connection

  // --- accounts and connections ---
  User& user(const Jid& bare);   // begins to load it if need be
  void forget(const Jid& bare);  // unloads it, if it is idle
  [[nodiscard]] const UserTable& users() const { return users_; }
  void adopt(std::shared_ptr<Connection> connection);  // its loop is this shard's from now on
  void release(const std::shared_ptr<Connection>& connection);
  [[nodiscard]] const std::unordered_set<std::shared_ptr<Connection>>& connections() const {
    return connections_;
  }
  void end_connections(const StreamError& why);  // also those that come later
  [[nodiscard]] const std::optional<StreamError>& stopping() const { return stopping_; }
  void drop_connections();  // without another word
  // Nothing is under way that a stop would cut off: no connection, no write.
  [[nodiscard]] bool quiet() const;

  [[nodiscard]] Core& core() { return core_; }
  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] const std::shared_ptr<const Setup>& setup() const { return setup_; }
  void reconfigure(Config config);
  [[nodiscard]] Throttle& throttle() { return throttle_; }
  [[nodiscard]] std::span<char> scratch() {
    return scratch_;
  }  // for one read; its content is used before the next
  [[nodiscard]] std::string take_buffer();  // an empty string, perhaps with capacity
  void give_buffer(std::string buffer);
  [[nodiscard]] std::string next_id();  // for requests of the server's own
  [[nodiscard]] std::int64_t wall_ms() const;
  [[nodiscard]] const Traffic& traffic() const { return traffic_; }
  [[nodiscard]] std::uint64_t stanzas() const { return trace_; }  // that sessions of this shard sent

 private:
  // Registry, while modules attach.
  Context& context() override { return *this; }
  void on_iq(Type type, Target target, Access access, std::string_view ns, std::string_view name,
             IqHandler handler) override;
  void on_slow_iq(Type type, Target target, Access access, std::string_view ns, std::string_view name,
                  SlowIqHandler handler) override;
  void screen(std::function<std::expected<void, StanzaError>(const Passage&)> phase) override {
    screens_.push_back(std::move(phase));
  }
  void copy(std::function<void(const Copying&)> phase) override { copies_.push_back(std::move(phase)); }
  void absent(std::function<Keep(const Account&, const Stanza&)> phase) override {
    absents_.push_back(std::move(phase));
  }
  void archive(std::function<bool(const Account&, const Stanza&, bool)> phase) override {
    archives_.push_back(std::move(phase));
  }
  void on_archived(std::function<void(const Archived&)> handler) override {
    archived_.push_back(std::move(handler));
  }
  void on_session(SessionEvents events) override { session_events_.push_back(std::move(events)); }
  void stream_feature(stream::Feature feature, GuestHandler handler) override;

  struct IqEntry {
    Access access;
    IqHandler now;
    SlowIqHandler slow;
    std::function<void(const IqRequest&)> own;  // writes its answer itself
  };
  using IqTable = std::unordered_map<std::string, IqEntry>;
  static std::string iq_key(Type type, Target target, std::string_view ns, std::string_view name);
  void add_iq(std::string key, IqEntry entry);
  void register_roster();
  void register_nonzas();
  std::shared_ptr<const Setup> make_setup(Config config) const;

  void deliver(Envelope envelope);  // one stanza of the outbox
  void to_host(const Envelope& envelope);
  // What goes to another shard at the end of this turn.
  struct Safe {
    Counted counted;
    bool recorded;
  };
  struct Crossing {
    std::vector<Envelope> stanzas;
    std::vector<Safe> safe;
  };
  Crossing& crossing(Shard& home);
  void arrived(Crossing& crossing);
  void reply(const Stanza& request, const IqReply& answer);
  Task<void> run_slow(const SlowIqHandler& handler, IqRequest request, std::shared_ptr<Link> link);
  void take_answer(const StanzaPtr& stanza);
  void tick();
  ArchiveIds& archive_ids();
  Task<void> report_stored(Completion<bool>::Resolver resolve);

  Core& core_;
  std::size_t index_;
  Loop& loop_;
  std::vector<stream::Feature> features_;
  std::vector<GuestHandler> guest_handlers_;
  std::shared_ptr<const Setup> setup_;  // connections keep the one that they began under
  std::vector<ModuleInfo> module_infos_;
  std::vector<std::unique_ptr<Module>> modules_;
  IqTable iqs_;
  std::vector<std::function<std::expected<void, StanzaError>(const Passage&)>> screens_;
  std::vector<std::function<void(const Copying&)>> copies_;
  std::vector<std::function<Keep(const Account&, const Stanza&)>> absents_;
  std::vector<std::function<bool(const Account&, const Stanza&, bool)>> archives_;
  std::vector<std::function<void(const Archived&)>> archived_;
  std::vector<SessionEvents> session_events_;

  UserTable users_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::vector<Envelope> outbox_;
  bool draining_ = false;
  std::vector<Crossing> crossings_;  // by shard; handed over once a turn

  storage::MessageIds::Taker message_ids_;
  std::set<Fingerprint> on_their_way_;
  std::optional<ArchiveIds> archive_ids_;
  Journal journal_;
  std::unordered_map<std::uint64_t, UserSession*> managed_;
  class SentCounts;
  std::shared_ptr<SentCounts> sent_counts_;
  std::unordered_set<std::uint64_t> sent_later_;
  Loop::TimerId sent_counts_due_ = 0;

  struct Asked {
    Completion<std::expected<StanzaPtr, StanzaError>>::Resolver resolve;
    Jid to;
    Loop::TimerId timer;
  };
  std::unordered_map<std::string, Asked> asked_;

  Throttle throttle_;
  std::vector<char> scratch_;
  std::vector<std::string> buffers_;
  Traffic traffic_;
  std::uint64_t trace_ = 0;
  std::string id_prefix_;
  std::uint64_t id_counter_ = 0;
  std::optional<StreamError> stopping_;
  unsigned slow_ = 0;  // slow IQs under way
  Loop::TimerId tick_ = 0;
};

}  // namespace starling::server
