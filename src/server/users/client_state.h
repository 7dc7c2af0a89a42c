#pragma once
// XEP-0352 Client State Indication: what a client gets later while nobody looks at it. On the account's
// shard.
#include <vector>

#include "server/users/delivery.h"

namespace starling::server {

inline constexpr std::string_view kClientState = "urn:xmpp:csi:0";

// Of one inactive client. What can wait does, and the latest presence of each sender is kept; whoever sends
// something else hands over first what waits, so that nothing is reordered.
class Waiting {
 public:
  // Presence, and messages that are a chat state and nothing else.
  [[nodiscard]] static bool may_wait(const Outgoing& outgoing, const Jid& client);
  // False if no more may wait: hand over what does, and this.
  [[nodiscard]] bool add(Outgoing outgoing);
  [[nodiscard]] std::vector<Outgoing> take() { return std::exchange(all_, {}); }

 private:
  std::vector<Outgoing> all_;
};

}  // namespace starling::server
