// Managing presence subscriptions: RFC 6121 section 3. What may happen when is decided in subscription.cpp
// alone; here is who hears of it. The roster in memory changes at once and so do pushes; the store follows in
// one batch per change.
#include "server/shard.h"
#include "server/users/user.h"
#include "xml/namespaces.h"

namespace starling::server {
namespace {

// What strangers can make the server remember.
constexpr std::size_t kMaxRequests = 1000;      // unanswered, of one account
constexpr std::size_t kMaxRequestBytes = 4096;  // of one; a longer one is kept without its content

StanzaPtr about(const Stanza& cause, const Jid& from, const Jid& to) {
  return std::make_shared<const Stanza>(
      Stanza::make(Kind::presence, cause.type(), from, to, cause.id(), cause.inner(), cause.lang()));
}

}  // namespace

RosterItem User::item_for(const Jid& contact) const {
  const RosterItem* known = roster_.find(contact.bare());
  return known != nullptr ? *known : RosterItem{.contact = contact.to_bare()};
}

void User::push(const RosterItem& item) {
  const std::string payload = Roster::push(item);
  for (const auto& session : sessions_)  // 2.1.6: to every interested resource
    if (session->interested_) push(*session, payload);
}

void User::push(UserSession& session, std::string_view payload) {
  std::string text;
  xml::Writer writer(text, ns::client);
  writer.open("iq")
      .attribute("type", "set")
      .attribute("id", shard_.next_id())
      .attribute("to", session.jid().text());
  writer.raw(payload).close();
  session.send_text(text);
}

void User::apply(RosterItem item) {
  const std::string key = item.contact.text();
  const Subscription& state = item.subscription;
  if (state.to || state.from || state.pending_out || state.approved) item.listed = true;
  storage::Batch batch;
  RosterItem seen = item;
  if (roster_.put(jid_.text(), std::move(item), batch)) {
    if (const RosterItem* now = roster_.find(key)) seen = *now;
    push(seen);
  }
  save(std::move(batch));
}

void User::subscription_out(UserSession& session, const Stanza& stanza) {
  const Jid contact = stanza.to().to_bare();  // 3.1.2
  if (contact == jid_ || !exists()) return;   // one's own presence needs no subscription
  RosterItem item = item_for(contact);
  const Transition change = outbound(stanza.type(), item.subscription);
  const bool had_from = item.subscription.from;
  const Subscription& next = change.next;
  const bool lists = next.to || next.from || next.pending_out || next.approved;
  if (lists && !item.listed && roster_.listed_count() >= shard_.config().limits.roster_items) {
    shard_.bounce({.stanza = std::make_shared<const Stanza>(
                       Stanza::make(Kind::presence, stanza.type(), session.jid(), contact, stanza.id(), {})),
                   .to = contact},
                  {Condition::resource_constraint, "The roster is full"});
    return;
  }
  const StanzaPtr sent = about(stanza, jid_, contact);
  if (change.next != item.subscription) {
    item.subscription = change.next;
    if (!change.next.pending_in) item.request.clear();
    apply(std::move(item));
  }
  if (!change.pass) return;
  // 3.2.2: a contact who loses the subscription sees everybody leave.
  if (had_from && !change.next.from)
    for (const auto& one : sessions_)
      if (one->available())
        shard_.route({.stanza = std::make_shared<const Stanza>(
                          Stanza::make(Kind::presence, Type::unavailable, one->jid(), contact, {}, {})),
                      .to = contact});
  shard_.route({.stanza = sent, .to = contact});
  if (stanza.type() == Type::subscribed) send_current_presence(contact);  // 3.1.5
}

void User::receive_subscription(const Envelope& envelope) {
  const Stanza& stanza = *envelope.stanza;
  const Jid contact = stanza.from().to_bare();
  if (!exists()) return;  // 8.5.1: in silence
  RosterItem item = item_for(contact);
  const Subscription before = item.subscription;
  const Transition change = inbound(stanza.type(), before);
  if (change.next.pending_in && !before.pending_in && roster_.pending_count() >= kMaxRequests)
    return;  // a flood
  const StanzaPtr seen = about(stanza, contact, jid_);
  if (change.next != before) {
    item.subscription = change.next;
    const bool keep = change.next.pending_in && stanza.inner().size() <= kMaxRequestBytes;
    item.request = keep ? std::string(stanza.inner()) : std::string();
  }

  if (change.pass) {
    const Envelope copy{.stanza = seen, .to = jid_};
    if (stanza.type() == Type::subscribe) {
      to_available(copy);  // 3.1.3: and to those who come later, until it is answered
    } else {
      for (const auto& session : sessions_)  // 3.1.6, 3.2.3, 3.3.3: to interested resources, before the push
        if (session->interested_) session->send({copy, nullptr});
    }
  }
  if (change.next != before) apply(std::move(item));
  if (change.reply) reply_for_user(Type::subscribed, contact);
  if (change.next.from && !before.from) send_current_presence(contact);
  // 3.3.3: the contact does not want to see us any more.
  if (before.from && !change.next.from)
    for (const auto& one : sessions_)
      if (one->available())
        shard_.route({.stanza = std::make_shared<const Stanza>(
                          Stanza::make(Kind::presence, Type::unavailable, one->jid(), contact, {}, {})),
                      .to = contact});
}

void User::reply_for_user(Type type, const Jid& contact) {
  shard_.route(
      {.stanza = std::make_shared<const Stanza>(Stanza::make(Kind::presence, type, jid_, contact, {}, {})),
       .to = contact});
}

// 3.1.3: a request is shown to every resource that becomes available, until it is answered.
void User::pending_requests_to(UserSession& session) {
  for (const auto& [contact, item] : roster_.items()) {
    if (!item.subscription.pending_in) continue;
    const auto request = std::make_shared<const Stanza>(
        Stanza::make(Kind::presence, Type::subscribe, item.contact, jid_, {}, item.request));
    session.send({{.stanza = request, .to = jid_}, nullptr});
  }
}

void User::cancel_everything(const StreamError& why) {
  end_sessions({}, why);
  for (const auto& [key, item] : roster_.items()) {
    const Subscription& now = item.subscription;
    if (now.from || now.pending_in) reply_for_user(Type::unsubscribed, item.contact);
    if (now.to || now.pending_out) reply_for_user(Type::unsubscribe, item.contact);
  }
  record_.reset();  // from now on nobody lives here
  roster_ = {};
}

}  // namespace starling::server
