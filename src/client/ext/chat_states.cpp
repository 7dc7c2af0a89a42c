#include "client/ext/chat_states.h"

#include "xml/namespaces.h"

namespace starling::client {
namespace {

constexpr std::size_t kMostPeers = 1000;

std::optional<ChatState> parse_state(const xml::Element* element) {
  if (element == nullptr) return std::nullopt;
  for (const auto state :
       {ChatState::active, ChatState::composing, ChatState::paused, ChatState::inactive, ChatState::gone})
    if (to_string(state) == element->name()) return state;
  return std::nullopt;
}

std::string written(ChatState state) {
  std::string out;
  xml::Writer(out, ns::client).empty_element(to_string(state), ns::chat_states);
  return out;
}

}  // namespace

std::string_view to_string(ChatState state) {
  switch (state) {
    case ChatState::active:
      return "active";
    case ChatState::composing:
      return "composing";
    case ChatState::paused:
      return "paused";
    case ChatState::inactive:
      return "inactive";
    case ChatState::gone:
      return "gone";
  }
  return {};
}

ChatStates::ChatStates(Client& client) : client_(client), caps_(client.use<Caps>()), peers_(kMostPeers) {
  client.on.message([this](const Stanza& message) { arrived(message); });
  client.on_session_over([this] { peers_.clear(); });
}

Extension::Info ChatStates::info() const {
  return {"XEP-0085",
          "Chat State Notifications",
          {ns::chat_states},
          "2.1",
          "tells whether we listen, write or have left, and hears it of others"};
}

ChatStates::Peer& ChatStates::peer(const Jid& jid) {
  if (auto* known = peers_.find(jid.bare())) return *known;
  return peers_.put(jid.bare(), {});
}

std::optional<bool> ChatStates::takes_states(const Peer& peer, const Jid& jid) const {
  if (peer.takes_states) return peer.takes_states;
  if (const auto* info = caps_.known(jid)) return info->has_feature(ns::chat_states);
  return std::nullopt;
}

void ChatStates::arrived(const Stanza& message) {
  const bool groupchat = message.type() == Type::groupchat;
  if ((message.type() != Type::chat && !groupchat) || message.from().empty()) return;
  const auto got = parse_state(message.element().child_in(ns::chat_states));
  if (!groupchat && (got || !body_of(message).empty())) peer(message.from()).takes_states = got.has_value();
  // What was delayed is no longer so, and in a room people come and go by presence (5.5).
  if (!got || message.child("delay", ns::delay) != nullptr || (groupchat && got == ChatState::gone)) return;
  client_.raise(changed, message, *got);
}

std::string ChatStates::active_for(const Jid& to) {
  if (!enabled_ || takes_states(peer(to), to) == false) return {};
  peer(to).last = ChatState::active;
  return written(ChatState::active);
}

bool ChatStates::send_state(const Jid& to, ChatState state, std::string thread, Type type) {
  auto& known = peer(to);
  const bool allowed =
      type == Type::groupchat ? state != ChatState::gone : takes_states(known, to).value_or(false);
  if (!enabled_ || !allowed || known.last == state) return false;
  const auto id = client_.send(
      Message{.to = to, .body = {}, .type = type, .thread = std::move(thread), .extra = written(state)});
  if (id.empty()) return false;
  known.last = state;
  return true;
}

}  // namespace starling::client
