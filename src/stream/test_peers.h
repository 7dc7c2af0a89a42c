#pragma once
// For the tests of this room: a server's owner with accounts, which answers what its machine asks and notes
// what happened, a client's owner likewise, and a pump between the two.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "stream/machine.h"

namespace starling::stream {

inline constexpr std::string_view kHeader =
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' "
    "to='example.org' version='1.0' xml:lang='en'>";

inline std::string header(std::string_view attributes) {
  return fmt::format(
      "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' {}>", attributes);
}
inline std::string auth(std::string_view mechanism, std::string_view data) {
  return fmt::format("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{}'>{}</auth>", mechanism,
                     crypto::base64_encode(data));
}
inline std::string plain(std::string_view user, std::string_view password, std::string_view authzid = {}) {
  return auth("PLAIN", std::string(authzid) + '\0' + std::string(user) + '\0' + std::string(password));
}
inline std::string bind(std::string_view resource, std::string_view id = "b1") {
  return fmt::format("<iq type='set' id='{}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{}</bind></iq>",
                     id, resource.empty() ? "" : fmt::format("<resource>{}</resource>", resource));
}
inline constexpr std::string_view kStartTlsElement = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

inline Settings server_settings() {
  Settings settings;
  settings.serves = [](std::string_view domain) {
    return domain == "example.org" || domain == "other.example";
  };
  return settings;
}
inline Settings client_settings(std::string_view jid = "alice@example.org/balcony",
                                std::string_view password = "secret") {
  Settings settings;
  settings.role = Role::initiating;
  settings.jid = Jid::parse(jid).value_or(Jid());
  settings.password = password;
  return settings;
}

struct Account {
  std::string password;
  bool disabled = false;
};

inline std::string describe(const Event& event) {
  struct {
    std::string operator()(const NeedInput&) const { return "need-input"; }
    std::string operator()(const Waiting&) const { return "waiting"; }
    std::string operator()(const StartTls&) const { return "start-tls"; }
    std::string operator()(const LookUpKeys& e) const { return "look-up-keys " + e.account.text(); }
    std::string operator()(const CheckPassword& e) const { return "check-password " + e.account.text(); }
    std::string operator()(const Authenticated& e) const {
      return fmt::format("authenticated {} {}", e.account.text(), e.mechanism);
    }
    std::string operator()(const AuthFailed& e) const {
      return fmt::format("auth-failed {} {} {}", e.account, e.mechanism, sasl::to_string(e.condition));
    }
    std::string operator()(const BindRequest& e) const { return "bind " + e.resource; }
    std::string operator()(const Ready& e) const { return "ready " + e.jid.text(); }
    std::string operator()(const Received& e) const {
      return fmt::format("received {}", e.document.root().bytes());
    }
    std::string operator()(const Claimed& e) const {
      return fmt::format("claimed {} {}", e.feature, e.document.root().bytes());
    }
    std::string operator()(const Closed&) const { return "closed"; }
    std::string operator()(const Failed& e) const {
      return fmt::format("failed{} {}", e.by_peer ? " by-peer" : "", to_string(e.error.condition));
    }
  } text;
  return std::visit(text, event);
}

// An owner of a machine: feeds it, answers at once what it can, and notes every event but NeedInput.
class Peer {
 public:
  explicit Peer(const Settings& settings) : machine(settings) {}
  Peer(Peer&&) = default;
  virtual ~Peer() = default;

  // Feeds `bytes` and returns what the machine wrote.
  std::string feed(std::string_view bytes) {
    input_ += bytes;
    run();
    return take();
  }
  std::string take() { return std::exchange(machine.output(), {}); }
  void run() {
    for (;;) {
      std::string_view rest = input_;
      Event event = machine.next(rest);
      input_.erase(0, input_.size() - rest.size());
      if (std::holds_alternative<NeedInput>(event)) return;
      if (std::holds_alternative<Waiting>(event)) {
        waiting = true;
        return;
      }
      waiting = false;
      events.push_back(describe(event));
      if (const auto* failed = std::get_if<Failed>(&event)) error = failed->error;
      if (const auto* failed = std::get_if<AuthFailed>(&event)) auth_text = failed->text;
      answer(event);
    }
  }
  void finish_tls(std::string_view injected = {}) {
    starts_tls = false;
    machine.tls_established(bindings, injected);
  }
  [[nodiscard]] bool saw(std::string_view event) const {
    return std::ranges::find(events, event) != events.end();
  }
  [[nodiscard]] std::string last() const { return events.empty() ? "" : events.back(); }
  [[nodiscard]] std::size_t unread() const { return input_.size(); }

  Machine machine;
  std::vector<std::string> events;
  StreamError error;
  std::string auth_text;
  sasl::Bindings bindings{"exported keying material of 32 b", "the hash of a certificate"};
  bool waiting = false;
  bool answers = true;      // false: the test answers itself
  bool starts_tls = false;  // the machine asked for the handshake

 protected:
  virtual void answer(Event& event) {
    if (std::holds_alternative<StartTls>(event)) starts_tls = true;
  }

 private:
  std::string input_;
};

class ServerPeer : public Peer {
 public:
  explicit ServerPeer(const Settings& settings) : Peer(settings) {}

  std::map<std::string, Account, std::less<>> accounts = {{"alice@example.org", {"secret"}},
                                                          {"bob@example.org", {"sesame"}}};

  // A server behind direct TLS.
  static ServerPeer encrypted(const Settings& settings) {
    ServerPeer peer(settings);
    peer.machine.assume_tls(peer.bindings);
    return peer;
  }
  // Logged in as alice by PLAIN under TLS, header and features of the last stream taken.
  static ServerPeer logged_in(const Settings& settings) {
    auto peer = encrypted(settings);
    peer.feed(kHeader);
    peer.feed(plain("alice", "secret"));
    peer.feed(kHeader);
    return peer;
  }
  static ServerPeer bound(const Settings& settings) {
    auto peer = logged_in(settings);
    peer.feed(bind("balcony"));
    return peer;
  }

 protected:
  void answer(Event& event) override {
    Peer::answer(event);
    if (!answers) return;
    if (const auto* request = std::get_if<LookUpKeys>(&event)) {
      const auto found = accounts.find(request->account.text());
      if (found == accounts.end()) {
        machine.give_keys(sasl::decoy_keys(request->hash, "server secret", request->account.text()), false,
                          false);
      } else {
        const auto key = std::pair(request->hash, found->second.password);
        auto [keys, added] = keys_.try_emplace(key);
        if (added)
          keys->second = sasl::derive_keys(request->hash, found->second.password, "0123456789abcdef");
        machine.give_keys(keys->second, true, found->second.disabled);
      }
    } else if (const auto* check = std::get_if<CheckPassword>(&event)) {
      const auto found = accounts.find(check->account.text());
      const bool exists = found != accounts.end();
      machine.give_check(exists && found->second.password == check->password,
                         exists && found->second.disabled);
    } else if (const auto* request_bind = std::get_if<BindRequest>(&event)) {
      auto full =
          machine.jid().with_resource(request_bind->resource.empty() ? "made-up" : request_bind->resource);
      if (full) {
        machine.bound(*full);
      } else {
        machine.refuse_bind({Condition::bad_request, full.error().message, {}, {}});
      }
    }
  }

 private:
  static inline std::map<std::pair<crypto::Hash, std::string>, sasl::ScramKeys> keys_;
};

// Carries bytes between the two in pieces of `piece` bytes until neither has anything to say.
inline void pump(Peer& client, Peer& server, std::size_t piece = std::string::npos) {
  const auto carry = [&](Peer& from, Peer& to) {
    const std::string bytes = from.take();
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const auto now = rest.substr(0, piece);
      rest.remove_prefix(now.size());
      const std::string before = to.take();
      std::string written = before + to.feed(now);
      to.machine.output() = std::move(written);
    }
    return !bytes.empty();
  };
  client.run();
  for (bool moved = true; moved;) {
    moved = carry(client, server);
    moved = carry(server, client) || moved;
    if (client.starts_tls && server.starts_tls) {
      server.finish_tls();
      client.finish_tls();
      moved = true;
    }
  }
}

}  // namespace starling::stream
