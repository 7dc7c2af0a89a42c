#pragma once
// What travels from the sender's account to the recipient's, within a shard or across: a value, so that it
// could go to another machine just as well.
#include <array>
#include <cstdint>

#include "stanza/stanza.h"

namespace starling::server {

// A stanza of a session that counts them (XEP-0198): its number, and the number of the message before it. All
// between the two needs nothing of the store.
struct Counted {
  std::uint64_t session = 0;  // 0: nobody counts it
  std::uint32_t number = 0, after = 0;
  bool recorded = false;  // the store counts it as well, so that the session may be resumed after a restart
  explicit operator bool() const { return session != 0; }
};

// Of a message that its client named (<origin-id/>): its sender, that name and all its bytes, hashed. Zeros:
// none.
using Fingerprint = std::array<std::uint8_t, 16>;

struct Envelope {
  StanzaPtr stanza;
  Jid to;                   // where this copy goes: the stanza's own `to`, or one recipient of a broadcast
  std::uint64_t trace = 0;  // the same for all copies of one stanza; in debug log lines
  std::uint64_t tail_id =
      0;  // not 0: read from the recipient's undelivered tail, and stays there until it was taken
  std::int64_t stamp_ms = 0;  // not 0: when the server first took it; delivered with a XEP-0203 delay
  // Of messages: not 0, its id in the recipient's archive, which has it or will ...
  std::uint64_t archive_id = 0;
  bool for_sender = false;  // ... the sender's archive is to keep it too
  Fingerprint fingerprint{};
  Counted counted;  // of messages: Shard::safe() is due when it was delivered, kept or refused
};

}  // namespace starling::server
