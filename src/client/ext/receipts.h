#pragma once
// Message Delivery Receipts (XEP-0184): asks for them, and returns them to those who may know that we are
// there (section 8), as Roster::sees_us() has it. A receipt says that some client of
// theirs has the message, and no receipt says nothing (4). Whether a client returns any is known from its
// features (6).
#include <functional>
#include <string>
#include <string_view>

#include "client/ext/roster.h"

namespace starling::client {

class Receipts final : public Extension {
 public:
  // For Message::extra, of any type but groupchat (5.3).
  static constexpr std::string_view kRequest = "<request xmlns='urn:xmpp:receipts'/>";

  explicit Receipts(Client& client);
  [[nodiscard]] Info info() const override;

  // A receipt has come for the message with that id. It counts only from whom that message was sent to.
  Signal<const Jid&, const std::string&> received{"receipt_received"};

  // Who gets receipts of us, in place of the rule above.
  using Allow = std::function<bool(const Jid& sender)>;
  void allow(Allow allow) { allow_ = std::move(allow); }

 private:
  void arrived(const Stanza& message);

  Client& client_;
  Allow allow_;
};

}  // namespace starling::client
