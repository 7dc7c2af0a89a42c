#pragma once
// What an extension is and what it may touch. A module is one object per shard, so its members need no lock.
// attach() is the only place that registers; everything it registers is called on the shard's thread. Modules
// know this header, storage/store.h, config.h and payloads, and never each other.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/loop.h"
#include "base/task.h"
#include "server/config.h"
#include "server/envelope.h"
#include "stanza/stanza.h"
#include "storage/store.h"
#include "stream/machine.h"

namespace starling::server {

class Accounts;

// A document that a module implements: from it come docs/specs.md, the DOAP file and, with the features,
// disco and caps.
struct Specification {
  std::string_view name;     // "XEP-0199"
  std::string_view version;  // "2.0.1"
};
struct ModuleInfo {
  std::string_view name;     // "ping"
  std::string_view summary;  // one line
  std::vector<Specification> specifications;
  std::vector<std::string_view> host_features;     // disco#info of the domain
  std::vector<std::string_view> account_features;  // disco#info of a bare JID
};

// A bound resource, as modules see it. Lives on its account's shard; do not keep it across a co_await: keep
// its jid().
class Session {
 public:
  virtual ~Session() = default;
  [[nodiscard]] virtual const Jid& jid() const = 0;  // full
  [[nodiscard]] virtual bool available() const = 0;
  [[nodiscard]] virtual int priority() const = 0;
  [[nodiscard]] virtual bool interested() const = 0;  // has asked for the roster (RFC 6121 2.2)
  [[nodiscard]] virtual const StanzaPtr& presence()
      const = 0;  // the last broadcast one; null before the first
  [[nodiscard]] virtual SteadyTime last_activity() const = 0;
  virtual void deliver(const Envelope& envelope) = 0;
  virtual void deliver_text(std::string_view xml) = 0;  // a stanza of the server's own, written as it is
  // What a module notes of the session under a name of its own (a literal). It outlives connections and the
  // server as far as the session does.
  [[nodiscard]] virtual bool option(std::string_view name) const = 0;
  virtual void set_option(std::string_view name, bool on) = 0;
  virtual void end(const StreamError& error) = 0;  // closes the stream
};

inline constexpr std::string_view kSettingKind = "setting";

// A user's account, on its home shard. Do not keep it across a co_await: ask Context::loaded() again.
class Account {
 public:
  virtual ~Account() = default;
  [[nodiscard]] virtual const Jid& jid() const = 0;  // bare
  [[nodiscard]] virtual std::vector<Session*> sessions() const = 0;
  [[nodiscard]] virtual Session* session(std::string_view resource) const = 0;
  // The contact (any JID of theirs) gets this account's presence: subscription `from` or `both`, or the
  // account itself.
  [[nodiscard]] virtual bool trusts(const Jid& contact) const = 0;
  [[nodiscard]] virtual bool in_roster(const Jid& contact) const = 0;
  // What a module keeps of the account, loaded with it: the value of kind kSettingKind, or empty. Whoever
  // writes it to the store says so here.
  [[nodiscard]] virtual std::string_view setting(std::string_view name) const = 0;
  virtual void setting_changed(std::string_view name, std::string value) = 0;
  [[nodiscard]] virtual const storage::Account& record() const = 0;  // without its keys
};

// An IQ for the host or an account. The payload lives as long as `stanza`.
struct IqRequest {
  StanzaPtr stanza;
  const xml::Element* payload;
  Account* account = nullptr;  // for Target::account; valid until the first co_await
  Session* session =
      nullptr;  // the sender, if it is a session of that account (or, for Target::host, of this shard)
  [[nodiscard]] bool is_set() const { return stanza->type() == Type::set; }
  [[nodiscard]] Jid owner() const {
    return stanza->to().empty() ? stanza->from().to_bare() : stanza->to().to_bare();
  }
  // The owner itself asks.
  [[nodiscard]] bool by_owner() const {
    return stanza->to().empty() || stanza->from().same_bare(stanza->to());
  }
};
// The payload of the result (well-formed, its default namespace jabber:client outside; may be empty), or the
// error.
using IqReply = std::expected<std::string, StanzaError>;
using IqHandler = std::function<IqReply(const IqRequest&)>;  // answers at once
using SlowIqHandler =
    std::function<Task<IqReply>(IqRequest)>;  // may wait; holds back the sender's stream alone

enum class Target { host, account };
enum class Access { anyone, owner };  // owner: others get `forbidden` from an account

// A stanza on its way, for the phases.
struct Passage {
  const Envelope& envelope;
  Account& account;  // whose phase this is: the sender's (outward) or the recipient's (inward)
  bool outward;
};

// A message that was sent by a session, or delivered to sessions.
struct Copying {
  const Envelope& envelope;
  Account& account;  // the sender's (outward) or the recipient's (inward)
  bool outward;
  std::span<Session* const> have_it;  // the sender, or who gets it
};

// Asked when a message found no session that takes it.
enum class Keep {
  no,    // the sender is told that nobody took it
  yes,   // it goes to the store
  drop,  // nobody misses it: silence
};

// A message that is stored, in the archives of its recipient or its sender or both.
struct Archived {
  const Envelope& envelope;
  const Jid& recipient;  // bare
  bool for_recipient, for_sender;
};

// What happens to sessions, in the order in which it happens.
struct SessionEvents {
  std::function<void(Account&, Session&)> bound;
  std::function<void(Account&, Session&)> available;  // each presence without a type, initial or update
  std::function<void(Account&, Session&)> unavailable;
  std::function<void(Account&, Session&)> closed;
};

// A connection before login, for features that work there (in-band registration).
class Guest {
 public:
  virtual ~Guest() = default;
  [[nodiscard]] virtual stream::View view() const = 0;
  [[nodiscard]] virtual const std::string& address() const = 0;  // of the peer, without port
  [[nodiscard]] virtual std::string network() const = 0;         // what limits count as one address
  virtual void send(std::string_view xml) = 0;
};
using GuestHandler = std::function<Task<void>(std::shared_ptr<Guest>, xml::Document)>;

// What a shard gives its modules. Outlives them.
class Context {
 public:
  virtual ~Context() = default;
  [[nodiscard]] virtual const Config& config() const = 0;  // the current one; ask again after a reload
  [[nodiscard]] virtual storage::Store& store() = 0;
  [[nodiscard]] virtual Loop& loop() = 0;
  [[nodiscard]] virtual Accounts& accounts() = 0;
  [[nodiscard]] virtual SteadyTime started_at() const = 0;
  [[nodiscard]] virtual bool serves(std::string_view domain) const = 0;
  [[nodiscard]] virtual std::span<const ModuleInfo> modules() const = 0;

  // Sends a stanza on its way, as if from its `from`, which must be ours. Never from inside a phase: it is
  // queued there.
  virtual void route(Stanza stanza) = 0;
  // Ends when what was sent and received by now is stored, on any shard; false at once if the store does not
  // work at the moment.
  virtual Task<bool> all_stored() = 0;
  // What clients see of a message's id in an archive (XEP-0313 3), and the id of what one shows.
  [[nodiscard]] virtual std::string archive_name(std::uint64_t id) = 0;
  [[nodiscard]] virtual std::optional<std::uint64_t> archive_id(std::string_view name) = 0;
  // Asks `to` (a session on this shard) in the name of its domain; the result's payload or the error, or
  // remote-server-timeout after `patience`.
  virtual Task<std::expected<StanzaPtr, StanzaError>> ask(Jid to, std::string payload,
                                                          Milliseconds patience) = 0;
  [[nodiscard]] virtual Account* loaded(const Jid& bare) = 0;  // nullptr if it is not loaded on this shard
  // Ends every session and subscription of an account, then deletes it with all its data.
  virtual Task<Result<void>> remove_account(Jid bare) = 0;
  // Ends the account's sessions but `except` (full JID, may be empty).
  virtual void end_sessions(const Jid& bare, const Jid& except, const StreamError& why) = 0;
};

class Registry {
 public:
  virtual ~Registry() = default;
  [[nodiscard]] virtual Context& context() = 0;
  // One handler for each (type, target, namespace, name); a second registration stops the start.
  virtual void on_iq(Type type, Target target, Access access, std::string_view ns, std::string_view name,
                     IqHandler handler) = 0;
  virtual void on_slow_iq(Type type, Target target, Access access, std::string_view ns, std::string_view name,
                          SlowIqHandler handler) = 0;

  // Phases, in the order of modules/all.cpp.
  virtual void screen(std::function<std::expected<void, StanzaError>(const Passage&)> phase) = 0;
  // May deliver copies to other sessions of the account.
  virtual void copy(std::function<void(const Copying&)> phase) = 0;
  virtual void absent(std::function<Keep(const Account&, const Stanza&)> phase) = 0;
  // Whether an account's archive keeps a message that it sends (`outward`) or is sent; any module's yes
  // counts.
  virtual void archive(std::function<bool(const Account&, const Stanza&, bool outward)> phase) = 0;
  // On the recipient's shard.
  virtual void on_archived(std::function<void(const Archived&)> handler) = 0;
  virtual void on_session(SessionEvents events) = 0;

  // `advertise` and `claims` are called on the shard of the connection, as is `handler` (may be empty), which
  // gets what was claimed; the stream waits until it has ended.
  virtual void stream_feature(stream::Feature feature, GuestHandler handler = {}) = 0;
};

class Module {
 public:
  virtual ~Module() = default;
  [[nodiscard]] virtual ModuleInfo info() const = 0;
  virtual void attach(Registry& registry) = 0;
};

// Makes one object of each module: modules/all.cpp, the list.
using ModuleFactory = std::function<std::vector<std::unique_ptr<Module>>(const Config&)>;

}  // namespace starling::server
