#include "server/users/session.h"

#include "server/shard.h"
#include "server/users/user.h"
#include "stanza/chat_state.h"

namespace starling::server {

void UserSession::set_active(bool active) {
  if (!active) {
    if (!waiting_) waiting_ = std::make_unique<Waiting>();
    return;
  }
  hand_over();
  waiting_.reset();
}

void UserSession::hand_over() {
  if (!waiting_) return;
  for (Outgoing& one : waiting_->take()) send_now(std::move(one));
}

void UserSession::send(Outgoing outgoing) {
  if (waiting_) {
    if (Waiting::may_wait(outgoing, jid_) && waiting_->add(outgoing)) return;
    hand_over();
  }
  send_now(std::move(outgoing));
}

void UserSession::send_now(Outgoing outgoing) {
  if (management_) {
    management_->send({outgoing, {}});
    if (management_->resumable()) note_sent(outgoing);
    user_.bound_queue(*this);
  }
  link_->send(std::move(outgoing));
}

// So that the store knows which stanza it was. Presence is asked for again after a restart; what else does
// not come from the store its client must have.
void UserSession::note_sent(const Outgoing& outgoing) {
  const Envelope& envelope = outgoing.envelope;
  const bool kept = outgoing.delivery && outgoing.delivery->keeps();
  if (kept && outgoing.delivery->only_copy())
    outgoing.delivery->handed_to(management_->token(), management_->sent());
  else if (envelope.tail_id != 0)
    user_.shard().journal().write(
        {storage::MarkSent{user_.jid().text(), envelope.tail_id, management_->token(), management_->sent()}});
  else if (kept)
    management_->share();
  else if (envelope.stanza->kind() != Kind::presence && !is_only_chat_state(*envelope.stanza))
    management_->lose();
  user_.shard().note_sent(management_->token(), envelope.stanza->kind() != Kind::presence);
}

void UserSession::send_text(std::string_view xml) { send_counted(xml, true); }
void UserSession::send_idle_text(std::string_view xml) { send_counted(xml, false); }

void UserSession::send_counted(std::string_view xml, bool lossy) {
  hand_over();
  if (management_) {
    management_->send({{}, std::string(xml)});
    if (management_->resumable()) {
      if (lossy) management_->lose();
      user_.shard().note_sent(management_->token(), lossy);
    }
    user_.bound_queue(*this);
  }
  link_->send_text(xml);
}

void UserSession::acknowledged() {
  catching_up_ = false;
  if (management_ && management_->resumable() && management_->take_shared())
    user_.shard().note_sent(management_->token(), false);
  if (when_acknowledged_) user_.shard().loop().post(std::exchange(when_acknowledged_, {}));
}

bool UserSession::option(std::string_view name) const {
  return std::ranges::find(options_, name) != options_.end();
}

void UserSession::set_option(std::string_view name, bool on) {
  if (option(name) == on) return;
  if (on)
    options_.emplace_back(name);
  else
    std::erase(options_, name);
  user_.remember(*this);
}

}  // namespace starling::server
