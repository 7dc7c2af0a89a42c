#pragma once
// XMPP Ping (XEP-0199): asks whether somebody is there, and answers when asked.
#include "client/client.h"

namespace starling::client {

class Ping final : public Extension {
 public:
  explicit Ping(Client& client);
  [[nodiscard]] Info info() const override;

  // The time that the answer took. Any answer will do: an entity that does not know pings is there all the
  // same (XEP-0199 4.2), but one that is not there is an error.
  Request<Milliseconds> ping(const Jid& to, Milliseconds timeout = Milliseconds{0});

 private:
  Client& client_;
};

}  // namespace starling::client
