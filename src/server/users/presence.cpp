// Exchanging presence information: RFC 6121 section 4, the account's side of it.
#include <charconv>

#include "server/shard.h"
#include "server/users/user.h"
#include "xml/namespaces.h"

namespace starling::server {
namespace {

constexpr std::size_t kMaxDirected = 1000;  // addresses that one session sent presence directly

// RFC 6121 4.7.2.3: an integer from -128 to 127, 0 when absent.
std::optional<int> read_priority(const Stanza& presence) {
  const xml::Element* element = presence.child("priority", ns::client);
  if (element == nullptr) return 0;
  std::string_view text = element->text();
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  int value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < -128 || value > 127)
    return std::nullopt;
  return value;
}

bool valid_show(const Stanza& presence) {  // RFC 6121 4.7.2.1
  const xml::Element* show = presence.child("show", ns::client);
  if (show == nullptr) return true;
  const std::string_view value = show->text();
  return value == "away" || value == "chat" || value == "dnd" || value == "xa";
}

StanzaPtr from_server(Type type, const Jid& from, const Jid& to) {
  return std::make_shared<const Stanza>(Stanza::make(Kind::presence, type, from, to, {}, {}));
}

}  // namespace

void User::broadcast_presence(UserSession& session, StanzaPtr presence) {
  if (presence->type() == Type::unavailable) {
    const bool was_available = session.available();
    session.presence_ = presence;
    remember(session);
    went_unavailable(session, presence, was_available);
    if (!was_available) return;
    for (const SessionEvents& events : shard_.session_events())
      if (events.unavailable) events.unavailable(*this, session);
    return;
  }
  const auto priority = read_priority(*presence);
  if (!priority || !valid_show(*presence)) {
    const std::string_view what = priority ? "<show/> must be one of away, chat, dnd, xa"
                                           : "<priority/> must be an integer from -128 to 127";
    shard_.bounce({.stanza = presence, .to = jid_}, {Condition::bad_request, std::string(what)});
    return;
  }
  const bool initial = !session.available();
  session.presence_ = presence;
  session.priority_ = static_cast<std::int8_t>(*priority);
  remember(session);

  to_subscribers(presence);   // 4.2.2, 4.4.2
  to_own_sessions(presence);  // itself included
  if (initial) {
    // 4.2.3: what the other resources said, and what contacts say when they are probed (4.3).
    for (const auto& other : sessions_)
      if (other.get() != &session && other->available())
        session.send({{.stanza = other->presence_, .to = session.jid()}, nullptr});
    catch_up(session);
    pending_requests_to(session);
  }
  for (const SessionEvents& events : shard_.session_events())
    if (events.available) events.available(*this, session);
  if (session.takes_messages()) start_tail();
}

void User::catch_up(UserSession& session) {
  for (const auto& [contact, item] : roster_.items())
    if (item.subscription.to)
      shard_.route({.stanza = from_server(Type::probe, session.jid(), item.contact), .to = item.contact});
}

void User::directed_presence(UserSession& session, StanzaPtr presence) {
  const Jid& to = presence->to();
  const auto known = std::ranges::find(session.directed_, to);
  if (presence->type() == Type::unavailable) {
    if (known != session.directed_.end()) session.directed_.erase(known);
  } else if (presence->type() == Type::available && known == session.directed_.end() &&
             (!session.available() || !trusts(to))) {
    // 4.6.3: they must hear of the end as well. Bounded, as everything that a client makes the server
    // remember.
    if (session.directed_.size() >= kMaxDirected) {
      shard_.bounce({.stanza = presence, .to = to},
                    {Condition::resource_constraint, "Too many addresses were sent presence directly"});
      return;
    }
    session.directed_.push_back(to);
    remember(session);
  }
  shard_.route({.stanza = presence, .to = to});
}

void User::went_unavailable(UserSession& session, const StanzaPtr& presence, bool was_available) {
  // 4.6.3: who was sent presence directly hears of its end, also from a session that told nobody else.
  for (const Jid& target : std::exchange(session.directed_, {}))
    shard_.route({.stanza = presence, .to = target});
  if (!was_available) return;
  to_subscribers(presence);  // 4.5.2
  for (const auto& other : sessions_)
    if (other->available() || other.get() == &session)
      other->send({{.stanza = presence, .to = other->jid()}, nullptr});
}

void User::to_subscribers(const StanzaPtr& presence) {
  for (const auto& [contact, item] : roster_.items())
    if (item.subscription.from) shard_.route({.stanza = presence, .to = item.contact});
}

void User::to_own_sessions(const StanzaPtr& presence) {
  for (const auto& session : sessions_)
    if (session->available()) session->send({{.stanza = presence, .to = session->jid()}, nullptr});
}

void User::to_available(const Envelope& envelope) {
  for (const auto& session : sessions_)
    if (session->available()) session->send({envelope, nullptr});
}

void User::receive_presence(Envelope envelope) {
  switch (envelope.stanza->type()) {
    case Type::subscribe:
    case Type::subscribed:
    case Type::unsubscribe:
    case Type::unsubscribed:
      receive_subscription(envelope);
      return;
    case Type::probe:
      receive_probe(envelope);
      return;
    case Type::available:
    case Type::unavailable:
    case Type::error:
      break;
    default:
      return;
  }
  if (envelope.to.is_bare()) {  // 8.5.2.1.2
    to_available(
        envelope);  // an error too: it answers a subscription stanza, which is from the account (3.1.2)
  } else if (UserSession* session = find(envelope.to.resource())) {  // 8.5.3.1
    session->send({std::move(envelope), nullptr});
  }
}

void User::receive_probe(const Envelope& envelope) {
  const Jid& asker = envelope.stanza->from();
  // 4.3.2: strangers, and those who ask after an account that does not exist, learn the same.
  if (!exists() || !trusts(asker)) {
    shard_.route({.stanza = from_server(Type::unsubscribed, envelope.to.to_bare(), asker.to_bare()),
                  .to = asker.to_bare()});
    return;
  }
  for (const auto& session : sessions_) {
    if (!session->available() || (envelope.to.is_full() && session->jid() != envelope.to)) continue;
    shard_.route({.stanza = session->presence_, .to = asker});
  }
}

void User::send_current_presence(const Jid& contact) {
  for (const auto& session : sessions_)
    if (session->available()) shard_.route({.stanza = session->presence_, .to = contact});
}

}  // namespace starling::server
