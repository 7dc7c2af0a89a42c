#pragma once
// A bound resource: what the server knows of one client that has logged in. It belongs to its User and speaks
// to its connection through Link, so that neither knows the other's insides.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/module.h"
#include "server/users/client_state.h"
#include "server/users/delivery.h"
#include "server/users/management.h"

namespace starling::server {

class User;

// The connection's side of a session. On the account's shard.
class Link {
 public:
  virtual ~Link() = default;
  // Queues the stanza. Unless the session counts what it was sent (Management), User::taken() is called when
  // a message's last byte was taken by the kernel, and what was not taken when the connection ends comes back
  // through User::closed().
  virtual void send(Outgoing outgoing) = 0;
  virtual void send_text(std::string_view xml) = 0;  // a reply or push, written as it is
  virtual void end(const StreamError& error) = 0;
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  virtual void when_drained(
      Job job) = 0;  // runs once, when everything queued was taken or the connection has ended

  // Holds back what the client sends until as many calls of release() as of hold().
  virtual void hold() = 0;
  virtual void release() = 0;

  // Stanzas of the client became safe: an acknowledgement may be due (XEP-0198).
  virtual void settled() = 0;
  // The session is resumed on another connection: ends the stream with `conflict`, and the session goes on.
  virtual void replaced() = 0;
  // More stanzas wait for the client's acknowledgement than may.
  virtual void full() = 0;

  // For lists of sessions.
  struct Facts {
    std::string address, tls, mechanism;
    std::optional<WallTime> since;  // nothing for a session of before a restart
  };
  [[nodiscard]] virtual Facts facts() const = 0;
  [[nodiscard]] virtual SteadyTime last_input() const = 0;
  [[nodiscard]] virtual std::size_t memory_bytes() const = 0;
};

class UserSession final : public Session {
 public:
  UserSession(User& user, Jid full, std::shared_ptr<Link> link)
      : user_(user), jid_(std::move(full)), link_(std::move(link)) {}

  [[nodiscard]] const Jid& jid() const override { return jid_; }
  [[nodiscard]] bool available() const override {
    return presence_ != nullptr && presence_->type() == Type::available;
  }
  [[nodiscard]] int priority() const override { return priority_; }
  [[nodiscard]] bool interested() const override { return interested_; }
  [[nodiscard]] const StanzaPtr& presence() const override { return presence_; }
  [[nodiscard]] SteadyTime last_activity() const override { return link_->last_input(); }
  void deliver(const Envelope& envelope) override { send({envelope, nullptr}); }
  void deliver_text(std::string_view xml) override { send_text(xml); }
  [[nodiscard]] bool option(std::string_view name) const override;
  void set_option(std::string_view name, bool on) override;
  void end(const StreamError& error) override { link_->end(error); }

  // Would get a message sent to the bare JID, priorities aside.
  [[nodiscard]] bool takes_messages() const { return available() && priority_ >= 0; }
  [[nodiscard]] User& user() const { return user_; }

  // Everything that the client is sent and that is a stanza goes through these two.
  void send(Outgoing outgoing);
  void send_text(std::string_view xml);  // a reply or push, written as it is
  // The same for what nobody misses when the server ends before the client has it.
  void send_idle_text(std::string_view xml);

  // XEP-0352. Sessions begin active, and are active again when they are resumed.
  void set_active(bool active);

  // --- stream management (XEP-0198; resumption.cpp) ---
  [[nodiscard]] Management* management() const { return management_.get(); }  // null: not asked for
  void manage(std::unique_ptr<Management> management) { management_ = std::move(management); }
  // The connection is gone, and the session waits for its client.
  [[nodiscard]] bool detached() const { return detached_; }
  // A stanza of the client's is safe; `recorded`: and counted in the store.
  void safe(const Counted& counted, bool recorded);
  // Has the store count what is handled by now; recorded() follows.
  void record();
  void recorded(std::uint32_t number);
  // The client has acknowledged something. What waits for that runs once, when it does or cannot any more.
  void acknowledged();
  void when_acknowledged(Job job) { when_acknowledged_ = std::move(job); }
  // Runs once, in a turn of its own, when all that came from the client may be acknowledged.
  void when_settled(Job job);

  [[nodiscard]] Link& link() const { return *link_; }
  [[nodiscard]] const std::shared_ptr<Link>& shared_link() const { return link_; }

 private:
  friend class User;
  friend class Remembered;
  User& user_;
  Jid jid_;
  std::shared_ptr<Link> link_;
  StanzaPtr presence_;
  std::unique_ptr<Waiting> waiting_;  // while the client is inactive
  std::vector<std::string> options_;  // that are on
  std::vector<Jid>
      directed_;  // whom it sent presence directly and who would not hear of its end otherwise (RFC 6121 4.6)
  void hand_over();  // what waits for the client to be active
  void send_now(Outgoing outgoing);
  void settle();
  void send_counted(std::string_view xml, bool lossy);
  void note_sent(const Outgoing& outgoing);
  [[nodiscard]] bool settled() const;
  std::unique_ptr<Management> management_;
  Job when_settled_, when_acknowledged_;
  Loop::TimerId expiry_ = 0;  // while it is detached
  std::int8_t priority_ = 0;
  bool interested_ = false;
  bool detached_ = false;
  bool catching_up_ = false;  // it was resumed, and its client has not acknowledged anything yet
  bool remembering_ = false;  // what the store knows of it is about to be written
  bool recording_ = false;    // record() is under way
  bool full_ = false;         // its queue is, and something is about to be done
};

}  // namespace starling::server
