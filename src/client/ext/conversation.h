#pragma once
// To which address the next message of a chat goes (RFC 6121 5.1, XEP-0296): the contact's bare one, until he
// answers from one of his resources; then to that one, until his presence changes. The thread that he speaks
// in is kept (XEP-0201).
#include <string>
#include <string_view>

#include "client/bounded_map.h"
#include "client/client.h"

namespace starling::client {

class Conversations final : public Extension {
 public:
  explicit Conversations(Client& client);
  [[nodiscard]] Info info() const override;

  // The next message of the chat with that contact, to be sent (and added to before).
  [[nodiscard]] Message message_to(const Jid& contact, std::string body) const;

 private:
  struct Chat {
    Jid locked;  // full; empty while unlocked
    std::string thread;
  };
  void arrived(const Stanza& message);
  void unlock(const Stanza& presence);

  BoundedMap<Chat> chats_;  // by bare address
};

}  // namespace starling::client
