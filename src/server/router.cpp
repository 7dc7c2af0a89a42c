// The one place that decides where a stanza goes (RFC 6120 10, RFC 6121 8), and the table of requests that
// the server answers itself.
#include "base/log.h"
#include "server/core.h"
#include "server/shard.h"
#include "server/stanza_id.h"
#include "xml/namespaces.h"

namespace starling::server {

void Shard::from_session(UserSession& session, Stanza stanza, Counted counted) {
  ++trace_;
  const auto kind = static_cast<std::size_t>(stanza.kind());
  ++traffic_.stanzas[kind];
  traffic_.bytes[kind] += stanza.element().bytes().size();
  User& user = session.user();
  // RFC 6121 3.1.2: subscriptions are the account's business, everything else the session's.
  const bool subscription = stanza.kind() == Kind::presence && stanza.type() != Type::available &&
                            stanza.type() != Type::unavailable && stanza.type() != Type::probe &&
                            stanza.type() != Type::error;
  stanza.set_from(subscription ? user.jid() : session.jid());
  const bool addressed = !stanza.to().empty();
  Fingerprint print{};
  if (stanza.kind() == Kind::message && has_ids(stanza)) {
    if (auto cleaned = without_stanza_id(stanza, user.jid())) stanza = *std::move(cleaned);
    print = fingerprint(stanza);
  }
  // RFC 6120 10.3: without an address, a message or IQ is for the user's own account.
  if (!addressed && stanza.kind() == Kind::message) stanza.set_to(user.jid());
  const auto shared = std::make_shared<const Stanza>(std::move(stanza));
  Envelope envelope{
      .stanza = shared, .to = shared->to(), .trace = trace_, .fingerprint = print, .counted = counted};
  if (log::enabled(log::Level::debug))
    log::debug("stanza trace={}.{} kind={} type={} from={} to={}", index_, trace_, to_string(shared->kind()),
               to_string(shared->type()), shared->from().text(), shared->to().text());

  if (auto passed = screen({envelope, user, true}); !passed) {
    bounce(envelope, passed.error());
    if (counted) safe(shared->from(), counted, false);
  } else if (shared->kind() == Kind::iq && !addressed) {
    handle_iq(shared, Target::account, &user);
  } else if (shared->kind() == Kind::presence && !addressed) {
    if (shared->type() == Type::available || shared->type() == Type::unavailable)
      user.broadcast_presence(session, shared);
    else
      bounce(envelope, {Condition::bad_request, "Presence of this type needs an address"});
  } else if (subscription) {
    user.subscription_out(session, *shared);
  } else if (shared->kind() == Kind::presence) {
    user.directed_presence(session, shared);
  } else {
    const bool again = print != Fingerprint{} && store().repeats(as_text(print), wall_ms());
    if (shared->kind() == Kind::message && user.all_sessions().size() > 1 && !again) {
      Session* const sender = &session;
      copy({envelope, user, true, {&sender, 1}});
    }
    if (shared->kind() == Kind::message)
      envelope.for_sender = !envelope.to.same_bare(user.jid()) && archives(user, *shared, true);
    route(std::move(envelope));
  }
  drain();
}

void Shard::drain() {
  if (draining_) return;
  draining_ = true;
  for (std::size_t i = 0; i < outbox_.size(); ++i) {  // it may grow meanwhile
    try {
      deliver(std::move(outbox_[i]));
    } catch (const std::exception& problem) {  // the environment's fault; the others go on
      log::error("a stanza was lost: {}", problem.what());
    }
  }
  outbox_.clear();
  draining_ = false;
}

void Shard::deliver(Envelope envelope) {
  const Jid& to = envelope.to;
  if (serves(to.domain()) && !to.local().empty()) {
    if (Shard& home = core_.home(to.bare()); &home != this)
      crossing(home).stanzas.push_back(std::move(envelope));
    else
      user(to).receive(std::move(envelope));
    return;
  }
  if (to.local().empty() && serves(to.domain()))
    to_host(envelope);
  else
    bounce(envelope, {Condition::remote_server_not_found, "This server does not talk to other servers"});
  if (envelope.counted) safe(envelope.stanza->from(), envelope.counted, false);
}

void Shard::to_host(const Envelope& envelope) {
  switch (envelope.stanza->kind()) {
    case Kind::iq:
      if (envelope.to.is_full())
        bounce(envelope, {Condition::service_unavailable});
      else
        handle_iq(envelope.stanza, Target::host, nullptr);
      break;
    case Kind::message:
      bounce(envelope, {Condition::service_unavailable, "Nobody reads messages to this domain"});
      break;
    case Kind::presence:
      break;  // RFC 6121 8.2: nothing here subscribes to anybody
  }
}

Shard::Crossing& Shard::crossing(Shard& home) {
  Crossing& crossing = crossings_[home.index()];
  if (crossing.stanzas.empty() && crossing.safe.empty())
    loop_.at_turn_end([this, &home] {
      home.loop().post([&home, crossing = std::exchange(crossings_[home.index()], {})]() mutable {
        home.arrived(crossing);
      });
    });
  return crossing;
}

void Shard::arrived(Crossing& crossing) {
  for (Envelope& one : crossing.stanzas) route(std::move(one));
  drain();  // where one that fails costs no other
  for (const Safe& one : crossing.safe)
    if (UserSession* session = managed(one.counted.session)) session->safe(one.counted, one.recorded);
}

void Shard::bounce(const Envelope& envelope, const StanzaError& error) {
  const Stanza& stanza = *envelope.stanza;
  const Type type = stanza.type();
  if (type == Type::error || type == Type::result || type == Type::probe || type == Type::unavailable) return;
  if (stanza.from().empty()) return;
  Stanza answer = Stanza::error_reply(stanza, error);
  if (answer.from().empty()) answer.set_from(envelope.to);
  const Jid to = answer.to();
  route({.stanza = std::make_shared<const Stanza>(std::move(answer)), .to = to, .trace = envelope.trace});
}

// --- requests to the server ---

std::string Shard::iq_key(Type type, Target target, std::string_view ns, std::string_view name) {
  std::string key;
  key.reserve(ns.size() + name.size() + 3);
  key += type == Type::set ? 's' : 'g';
  key += target == Target::host ? 'h' : 'a';
  return key.append(ns).append(1, ' ').append(name);
}

void Shard::add_iq(std::string key, IqEntry entry) {
  const auto [at, inserted] = iqs_.emplace(std::move(key), std::move(entry));
  if (!inserted) throw std::logic_error("two modules answer the same request: " + at->first);
}

void Shard::on_iq(Type type, Target target, Access access, std::string_view ns, std::string_view name,
                  IqHandler handler) {
  add_iq(iq_key(type, target, ns, name), {access, std::move(handler), {}, {}});
}

void Shard::on_slow_iq(Type type, Target target, Access access, std::string_view ns, std::string_view name,
                       SlowIqHandler handler) {
  add_iq(iq_key(type, target, ns, name), {access, {}, std::move(handler), {}});
}

void Shard::handle_iq(const StanzaPtr& stanza, Target target, User* user) {
  if (!stanza->is_request()) {
    take_answer(stanza);
    return;
  }
  const xml::Element* payload = stanza->payload();
  if (payload == nullptr || payload->next_sibling() != nullptr) {  // RFC 6120 8.2.3
    reply(*stanza, std::unexpected(
                       StanzaError{Condition::bad_request, "A request carries exactly one payload element"}));
    return;
  }
  const auto found = iqs_.find(iq_key(stanza->type(), target, payload->ns(), payload->name()));
  if (found == iqs_.end() || (target == Target::account && user == nullptr)) {
    reply(*stanza, std::unexpected(StanzaError{Condition::service_unavailable}));
    return;
  }
  IqRequest request{.stanza = stanza, .payload = payload, .account = user};
  Account* asker = stanza->from().is_full() ? loaded(stanza->from()) : nullptr;
  UserSession* session =
      asker != nullptr ? static_cast<User*>(asker)->find(stanza->from().resource()) : nullptr;
  request.session = session;
  if (found->second.access == Access::owner && !request.by_owner()) {
    reply(*stanza, std::unexpected(StanzaError{target == Target::account ? Condition::forbidden
                                                                         : Condition::service_unavailable}));
    return;
  }
  if (found->second.now) {
    reply(*stanza, found->second.now(request));
  } else if (found->second.own) {
    found->second.own(request);
  } else {
    spawn(run_slow(found->second.slow, std::move(request),
                   session != nullptr ? session->shared_link() : nullptr));
  }
}

Task<void> Shard::run_slow(const SlowIqHandler& handler, IqRequest request, std::shared_ptr<Link> link) {
  const StanzaPtr stanza = request.stanza;
  if (link) link->hold();  // a wait holds back this stream alone
  ++slow_;
  IqReply answer = std::unexpected(StanzaError{Condition::internal_server_error});
  try {
    answer = co_await handler(std::move(request));
  } catch (const std::exception& problem) {
    log::error("request {} of {}: {}", stanza->id(), stanza->from().text(), problem.what());
  }
  --slow_;
  reply(*stanza, answer);
  drain();
  if (link) link->release();
}

void Shard::reply(const Stanza& request, const IqReply& answer) {
  // A session of this shard gets it as text; nothing is built that would be taken apart at once.
  Account* asker = request.from().is_full() ? loaded(request.from()) : nullptr;
  UserSession* session =
      asker != nullptr ? static_cast<User*>(asker)->find(request.from().resource()) : nullptr;
  if (!answer) {
    Stanza error = Stanza::error_reply(request, answer.error());
    const Jid to = error.to();
    route({.stanza = std::make_shared<const Stanza>(std::move(error)), .to = to});
  } else if (session != nullptr) {
    std::string text = take_buffer();
    xml::Writer writer(text, ns::client);
    writer.open("iq").attribute("type", "result").attribute("id", request.id());
    writer.attribute_if("from", request.to().text()).attribute("to", request.from().text());
    writer.raw(*answer).close();
    session->send_text(text);
    give_buffer(std::move(text));
  } else {
    const Jid from = request.to().empty() ? request.from().to_bare() : request.to();
    route({.stanza = std::make_shared<const Stanza>(
               Stanza::make(Kind::iq, Type::result, from, request.from(), request.id(), *answer)),
           .to = request.from()});
  }
}

// --- requests of the server's own ---

Task<std::expected<StanzaPtr, StanzaError>> Shard::ask(Jid to, std::string payload, Milliseconds patience) {
  const std::string id = next_id();
  Completion<std::expected<StanzaPtr, StanzaError>> answer;
  const auto timer = loop_.run_after(patience, [this, id] {
    if (auto asked = asked_.extract(id))
      asked.mapped().resolve.here(std::unexpected(StanzaError{Condition::remote_server_timeout}));
  });
  asked_.emplace(id, Asked{answer.resolver(), to, timer});
  const Jid from = *Jid::make({}, to.domain());
  route(Stanza::make(Kind::iq, Type::get, from, to, id, payload));
  co_return co_await answer;
}

void Shard::take_answer(const StanzaPtr& stanza) {
  const auto found = asked_.find(std::string(stanza->id()));
  if (found == asked_.end() || found->second.to != stanza->from()) return;  // nobody asked this one
  const auto asked = asked_.extract(found);
  loop_.cancel(asked.mapped().timer);
  if (stanza->type() == Type::result)
    asked.mapped().resolve.here(stanza);
  else
    asked.mapped().resolve.here(std::unexpected(StanzaError{Condition::service_unavailable}));
}

}  // namespace starling::server
