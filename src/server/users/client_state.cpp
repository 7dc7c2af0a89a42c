#include "server/users/client_state.h"

#include <algorithm>

#include "stanza/chat_state.h"

namespace starling::server {
namespace {

constexpr std::size_t kMost = 200;

}  // namespace

bool Waiting::may_wait(const Outgoing& outgoing, const Jid& client) {
  const Stanza& stanza = *outgoing.envelope.stanza;
  if (stanza.kind() == Kind::message)
    return stanza.type() != Type::error && !outgoing.delivery && is_only_chat_state(stanza);
  return stanza.kind() == Kind::presence && stanza.from() != client &&  // its own is an answer
         (stanza.type() == Type::available || stanza.type() == Type::unavailable);
}

bool Waiting::add(Outgoing outgoing) {
  const Stanza& stanza = *outgoing.envelope.stanza;
  if (stanza.kind() == Kind::presence)
    std::erase_if(all_, [&](const Outgoing& one) {
      return one.envelope.stanza->kind() == Kind::presence && one.envelope.stanza->from() == stanza.from();
    });
  if (all_.size() >= kMost) return false;
  all_.push_back(std::move(outgoing));
  return true;
}

}  // namespace starling::server
