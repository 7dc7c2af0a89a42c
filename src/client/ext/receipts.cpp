#include "client/ext/receipts.h"

#include "xml/namespaces.h"

namespace starling::client {

Receipts::Receipts(Client& client)
    : client_(client),
      allow_([&roster = client.use<Roster>()](const Jid& sender) { return roster.sees_us(sender); }) {
  client.on.message([this](const Stanza& message) { arrived(message); });
}

Extension::Info Receipts::info() const {
  return {"XEP-0184",
          "Message Delivery Receipts",
          {ns::receipts},
          "1.4.0",
          "asks for receipts of messages, and returns them"};
}

void Receipts::arrived(const Stanza& message) {
  if (message.type() == Type::error) return;
  if (const auto* receipt = message.child("received", ns::receipts)) {  // never answered: no loops (5.4)
    const std::string id(receipt->attribute("id").value_or(""));
    if (!id.empty()) client_.raise(received, message.from(), id);
    return;
  }
  // In a room everybody would answer everybody.
  if (message.child("request", ns::receipts) == nullptr || message.type() == Type::groupchat) return;
  if (message.id().empty() || !message.from().is_full() || !allow_(message.from())) return;
  std::string receipt;
  xml::Writer(receipt, ns::client).open("received", ns::receipts).attribute("id", message.id()).close();
  client_.send(
      Message{.to = message.from(), .body = {}, .type = message.type(), .extra = std::move(receipt)});
}

}  // namespace starling::client
