#pragma once
// The presence subscription states of RFC 6121 appendix A, as two pure functions over one small value. "None
// + Pending In" and its like are the combinations of the four flags.
#include "stanza/stanza.h"

namespace starling::server {

struct Subscription {
  bool to = false;           // the user gets the contact's presence
  bool from = false;         // the contact gets the user's presence
  bool pending_out = false;  // the user asked and was not answered: ask='subscribe'
  bool pending_in = false;   // the contact asked and was not answered
  bool approved = false;     // pre-approval (RFC 6121 3.4)
  bool operator==(const Subscription&) const = default;

  [[nodiscard]] bool none() const { return !to && !from; }
};

struct Transition {
  Subscription next;
  bool pass = false;  // outbound: route it to the contact; inbound: deliver it to the user
  bool reply =
      false;  // inbound subscribe: answer `subscribed` in the user's name (A.3.1 note 2, or a pre-approval)
};

// `type` is subscribe, subscribed, unsubscribe or unsubscribed.
Transition outbound(Type type, Subscription now);  // RFC 6121 A.2: the user sends it
Transition inbound(Type type, Subscription now);   // RFC 6121 A.3: the contact sent it

}  // namespace starling::server
