#include "client/ext/conversation.h"

#include "xml/namespaces.h"

namespace starling::client {
namespace {

constexpr std::size_t kMostChats = 1000;
constexpr std::size_t kLongestThread = 1024;  // bytes

}  // namespace

Conversations::Conversations(Client& client) : chats_(kMostChats) {
  client.on.message([this](const Stanza& message) { arrived(message); });
  client.on.presence_available([this](const Stanza& presence) { unlock(presence); });
  client.on.presence_unavailable([this](const Stanza& presence) { unlock(presence); });
  client.on_session_over([this] { chats_.clear(); });  // whatever changes now, we do not see
}

Extension::Info Conversations::info() const {
  return {"XEP-0296",
          "Best Practices for Resource Locking",
          {},
          "0.2",
          "keeps to the resource that answers, until its presence changes"};
}

Message Conversations::message_to(const Jid& contact, std::string body) const {
  const auto* chat = chats_.find(contact.bare());
  return {.to = chat != nullptr && !chat->locked.empty() ? chat->locked : contact.to_bare(),
          .body = std::move(body),
          .thread = chat != nullptr ? chat->thread : std::string()};
}

void Conversations::arrived(const Stanza& message) {
  auto* chat = chats_.find(message.from().bare());
  if (message.type() == Type::error) {  // what we sent there did not arrive
    if (chat != nullptr && chat->locked == message.from()) chat->locked = {};
    return;
  }
  if (message.type() != Type::chat || message.from().empty()) return;
  if (chat == nullptr) chat = &chats_.put(message.from().bare(), {});
  if (message.child("gone", ns::chat_states) != nullptr) {  // 2.4; the thread is over too (XEP-0085 5.7)
    *chat = {};
    return;
  }
  chat->locked = message.from().is_full() ? message.from() : Jid();
  const auto thread = thread_of(message);
  if (!thread.empty() && thread.size() <= kLongestThread) chat->thread = thread;
}

void Conversations::unlock(const Stanza& presence) {
  if (auto* chat = chats_.find(presence.from().bare())) chat->locked = {};
}

}  // namespace starling::client
