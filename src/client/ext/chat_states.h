#pragma once
// Chat State Notifications (XEP-0085): whether somebody listens, writes, or has left. They are sent to who
// is known to take them, by his features or because he sends some himself, and never the same twice in a row
// (5.1, 5.3). In a room they go to everybody, but for `gone` (5.5).
#include <optional>
#include <string>
#include <string_view>

#include "client/bounded_map.h"
#include "client/ext/caps.h"

namespace starling::client {

enum class ChatState : std::uint8_t { active, composing, paused, inactive, gone };
std::string_view to_string(ChatState state);

class ChatStates final : public Extension {
 public:
  explicit ChatStates(Client& client);
  [[nodiscard]] Info info() const override;

  // Of a message that has come, alone or beside a body. After `gone` a thread is over (5.7).
  Signal<const Stanza&, ChatState> changed{"chat_state"};

  // For Message::extra of a message with content: <active/>, or nothing where that is not wanted.
  std::string active_for(const Jid& to);
  // Sends the state alone. False if the rules forbid it, or there is no session. `type`: chat or groupchat.
  bool send_state(const Jid& to, ChatState state, std::string thread = {}, Type type = Type::chat);

  void enable(bool on) { enabled_ = on; }  // whether we send any: for the user to decide (5.2)

 private:
  struct Peer {
    std::optional<bool> takes_states;  // by what he has sent himself
    std::optional<ChatState> last;     // that we have sent
  };
  Peer& peer(const Jid& jid);
  [[nodiscard]] std::optional<bool> takes_states(const Peer& peer, const Jid& jid) const;
  void arrived(const Stanza& message);

  Client& client_;
  Caps& caps_;
  BoundedMap<Peer> peers_;  // by bare address: a contact or a room
  bool enabled_ = true;
};

}  // namespace starling::client
