#pragma once
// A bound resource: what the server knows of one client that has logged in. It belongs to its User and speaks
// to its connection through Link, so that neither knows the other's insides.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/module.h"

namespace starling::server {

class User;

// Several sessions may get the same message; it is lost only if none of them takes it.
struct Delivery {
  unsigned pending = 0;  // copies that were neither taken nor returned
  bool taken = false;
};

// A message on its way to one session.
struct Outgoing {
  Envelope envelope;
  std::shared_ptr<Delivery> delivery;  // null for the only copy
};

// The connection's side of a session. On the account's shard.
class Link {
 public:
  virtual ~Link() = default;
  // Queues the stanza. When a message's last byte was taken by the kernel, User::taken() is called; what was
  // not taken when the connection ends comes back through User::closed().
  virtual void send(Outgoing outgoing) = 0;
  virtual void send_text(std::string_view xml) = 0;  // a reply or push, written as it is
  virtual void end(const StreamError& error) = 0;
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  virtual void when_drained(
      Job job) = 0;  // runs once, when everything queued was taken or the connection has ended

  // Holds back what the client sends until as many calls of release() as of hold().
  virtual void hold() = 0;
  virtual void release() = 0;

  // For lists of sessions.
  struct Facts {
    std::string address, tls, mechanism;
    WallTime since;
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
  void deliver(const Envelope& envelope) override { link_->send({envelope, nullptr}); }
  void end(const StreamError& error) override { link_->end(error); }

  // Would get a message sent to the bare JID, priorities aside.
  [[nodiscard]] bool takes_messages() const { return available() && priority_ >= 0; }
  [[nodiscard]] User& user() const { return user_; }
  [[nodiscard]] Link& link() const { return *link_; }
  [[nodiscard]] const std::shared_ptr<Link>& shared_link() const { return link_; }

 private:
  friend class User;
  User& user_;
  Jid jid_;
  std::shared_ptr<Link> link_;
  StanzaPtr presence_;
  std::vector<Jid>
      directed_;  // whom it sent presence directly and who would not hear of its end otherwise (RFC 6121 4.6)
  std::int8_t priority_ = 0;
  bool interested_ = false;
};

}  // namespace starling::server
