#pragma once
// vCards as XEP-0054 has them: ours and those of others. What the server keeps is replaced as a whole, and
// payload::VCard keeps what it does not know, so reading, changing and writing loses nothing.
#include "client/client.h"
#include "payload/vcard.h"

namespace starling::client {

class VCards final : public Extension {
 public:
  explicit VCards(Client& client) : client_(client) {}
  [[nodiscard]] Info info() const override;

  // Of an account or a room's occupant; without an address, our own (3.1). Of who has none, an empty one.
  Request<payload::VCard> get(const Jid& of = {});
  Request<void> set(const payload::VCard& vcard);  // our own (3.2)

 private:
  Client& client_;
};

}  // namespace starling::client
