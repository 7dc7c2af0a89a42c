#include "server/users/subscription.h"

namespace starling::server {

Transition outbound(Type type, Subscription now) {
  Transition result{.next = now};
  Subscription& next = result.next;
  switch (type) {
    case Type::subscribe:  // A.2.1: always routed, so that a request that was lost can be repeated
      if (!now.to) next.pending_out = true;
      result.pass = true;
      break;
    case Type::unsubscribe:  // A.2.2
      next.to = next.pending_out = false;
      result.pass = true;
      break;
    case Type::subscribed:  // A.2.3
      if (now.pending_in) {
        next.from = true;
        next.pending_in = next.approved = false;
        result.pass = true;
      } else if (!now.from) {
        next.approved = true;  // 3.4.2: nobody asked yet
      }
      break;
    case Type::unsubscribed:  // A.2.4
      result.pass = now.pending_in || now.from;
      next.pending_in = next.from = next.approved = false;
      break;
    default:
      break;
  }
  return result;
}

Transition inbound(Type type, Subscription now) {
  Transition result{.next = now};
  Subscription& next = result.next;
  switch (type) {
    case Type::subscribe:  // A.3.1
      if (now.from) {
        result.reply = true;
      } else if (now.approved) {  // 3.4.2
        next.from = true;
        next.approved = next.pending_in = false;
        result.reply = true;
      } else if (!now.pending_in) {
        next.pending_in = true;
        result.pass = true;
      }
      break;
    case Type::unsubscribe:  // A.3.2
      result.pass = now.pending_in || now.from;
      next.pending_in = next.from = false;
      break;
    case Type::subscribed:  // A.3.3
      if (now.pending_out) {
        next.to = true;
        next.pending_out = false;
        result.pass = true;
      }
      break;
    case Type::unsubscribed:  // A.3.4
      result.pass = now.pending_out || now.to;
      next.pending_out = next.to = false;
      break;
    default:
      break;
  }
  return result;
}

}  // namespace starling::server
