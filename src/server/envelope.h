#pragma once
// What travels from the sender's account to the recipient's, within a shard or across: a value, so that it
// could go to another machine just as well.
#include <cstdint>

#include "stanza/stanza.h"

namespace starling::server {

struct Envelope {
  StanzaPtr stanza;
  Jid to;                   // where this copy goes: the stanza's own `to`, or one recipient of a broadcast
  std::uint64_t trace = 0;  // the same for all copies of one stanza; in debug log lines
  std::uint64_t tail_id =
      0;  // not 0: read from the recipient's undelivered tail, and stays there until it was taken
  std::int64_t stamp_ms = 0;  // not 0: when the server first took it; delivered with a XEP-0203 delay
};

}  // namespace starling::server
