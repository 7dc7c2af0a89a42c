#pragma once
// The roster and presence subscriptions (RFC 6121 2 and 3). What is known of the roster stays over
// reconnections, and with a server that knows versions (2.6) only what has changed is sent again.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/client.h"

namespace starling::client {

struct RosterItem {
  enum class Subscription : std::uint8_t { none, to, from, both };  // to: we see their presence
  Jid jid;
  std::string name;
  std::vector<std::string> groups;
  Subscription subscription = Subscription::none;
  bool ask = false;       // we have asked for their presence, and they have not answered
  bool approved = false;  // they may have ours as soon as they ask (3.4)
  bool operator==(const RosterItem&) const = default;
};
std::string_view to_string(RosterItem::Subscription subscription);

class Roster final : public Extension {
 public:
  explicit Roster(Client& client);
  [[nodiscard]] Info info() const override;

  // After session_start and before the first presence (2.2): the server tells of changes from then on.
  Request<void> get();
  [[nodiscard]] const std::map<Jid, RosterItem>& items() const { return items_; }
  [[nodiscard]] const RosterItem* find(const Jid& jid) const;  // the contact's address, full or bare
  // Whether he may know that we are there: ourselves, and who gets our presence. Of nobody before get().
  [[nodiscard]] bool sees_us(const Jid& jid) const;
  // The contacts that may differ from before: all after get() (those that are gone too), one after a push.
  Signal<const std::vector<Jid>&> updated{"roster_update"};

  // Adds or changes name and groups, and nothing else; items() follows when the server pushes it.
  Request<void> set(const RosterItem& item);
  Request<void> remove(const Jid& jid);  // ends both subscriptions as well (2.5)

  // --- subscriptions (3): false when there is no session ---
  bool subscribe(const Jid& jid, std::string_view status = {});  // asks for their presence
  bool unsubscribe(const Jid& jid);                              // no longer wants it
  bool approve(const Jid& jid);                                  // they get ours
  bool deny(const Jid& jid);  // they do not, or no longer; takes back a pre_approve() as well
  // They will get ours when they ask. False as well when the server does not know how to (3.4).
  bool pre_approve(const Jid& jid);

 private:
  void pushed(const Stanza& iq, const Responder& respond);
  Outcome<void> got(const Stanza& answer, bool versioned);
  bool send(Type type, const Jid& to, std::string_view status = {});

  Client& client_;
  std::map<Jid, RosterItem> items_;
  std::string version_;  // of items_; empty: none yet
};

}  // namespace starling::client
