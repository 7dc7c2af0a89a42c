// The stanzas of a Core, out and in; its connections are in core.cpp.
#include "client/core.h"
#include "client/masking.h"
#include "xml/namespaces.h"

namespace starling::client {
namespace {

void write_attributes(std::string& out, const Jid& to, std::string_view type, std::string_view id,
                      std::string_view lang = {}) {
  const auto attribute = [&out](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out.append(" ").append(name).append("='");
    xml::escape_attribute(out, value);
    out += '\'';
  };
  attribute("to", to.text());
  attribute("type", type);
  attribute("id", id);
  attribute("xml:lang", lang);
}

std::string handler_key(Type type, std::string_view name, std::string_view ns) {
  return fmt::format("{} {{{}}}{}", to_string(type), ns, name);
}

}  // namespace

// --- out ---

std::string Core::next_id() { return fmt::format("{}-{}", id_prefix_, ++ids_); }

bool Core::write(Kind kind, std::string_view stanza) {
  return write(StreamManagement::Kept{std::string(stanza), kind, loop_.wall()});
}

bool Core::write(StreamManagement::Kept stanza) {
  if (!takes_stanzas() || !management_.has_room_for(stanza)) return false;
  write_now(std::move(stanza));
  return true;
}

void Core::write_now(StreamManagement::Kept stanza) {
  if (is_online()) put(stanza);
  management_.keep(std::move(stanza));
}

// Of the server, whatever it costs: anything that comes back is life.
void Core::ping() {
  std::string iq = "<iq";
  write_attributes(iq, jid_.to_domain(), "get", next_id());
  iq += "><ping xmlns='urn:xmpp:ping'/></iq>";
  write_now({std::move(iq), Kind::iq, loop_.wall()});
}

void Core::put(const StreamManagement::Kept& stanza) {
  request_acknowledgement();
  trace(Trace::send, stanza.xml);
  connection_->send(stanza.xml);
  ++sent_.stanzas[std::to_underlying(stanza.kind)];
  sent_.bytes += stanza.xml.size();
}

void Core::put_kept() {
  const std::size_t count = management_.kept().size();
  for (std::size_t i = 0; i < count; ++i) put(management_.kept()[i]);
}

void Core::put_nonza(std::string_view nonza) {
  if (nonza.empty() || connection_->is_closing()) return;  // RFC 6120 4.4: nothing after the closing tag
  trace(Trace::send, nonza);
  connection_->send(nonza);
  sent_.bytes += nonza.size();
}

// At the end of the turn, for all that it sends; before what writes it to the socket.
void Core::request_acknowledgement() {
  if (!management_.is_on() || std::exchange(request_due_, true)) return;
  loop_.at_turn_end([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->request_due_ = false;
    if (self->connection_ && self->management_.take_request())
      self->put_nonza(fmt::format("<r xmlns='{}'/>", ns::sm));
  });
}

Request<void> Core::acknowledged() {
  Request<void> request;
  if (management_.counts() || management_.keeps_messages()) {
    management_.await_acknowledgement(request.resolver());
  } else {
    confirm(request.resolver());
  }
  return request;
}

// Without stream management: the server has what came before a request that it answers (RFC 6120 10.1).
void Core::confirm(StreamManagement::Waiting waiting) {
  request(Type::get, {}, "<ping xmlns='urn:xmpp:ping'/>", {})
      .then([waiting = std::move(waiting)](Outcome<StanzaPtr> answer) {
        if (answer || answer.error().kind == RequestError::Kind::refused) return waiting({});
        waiting(std::unexpected(std::move(answer.error())));
      });
}

void Core::tell_acknowledged() {
  for (const auto& waiting : management_.take_acknowledged()) guarded([&] { waiting({}); });
}

bool Core::send_xml(std::string_view stanza) {
  const auto kind = stanza.starts_with("<iq")  ? Kind::iq
                    : stanza.starts_with("<p") ? Kind::presence
                                               : Kind::message;
  return write(kind, stanza);
}

std::string Core::send(const Message& message) {
  auto id = message.id.empty() ? next_id() : message.id;
  std::string out = "<message";
  write_attributes(out, message.to, to_string(message.type), id, message.lang);
  out += '>';
  xml::Writer writer(out, ns::client);
  if (!message.subject.empty()) writer.leaf("subject", message.subject);
  if (!message.body.empty()) writer.leaf("body", message.body);
  if (!message.thread.empty()) writer.leaf("thread", message.thread);
  out.append(message.extra).append("</message>");
  return write(Kind::message, out) ? id : std::string();
}

bool Core::send(const Presence& presence) {
  if (!takes_stanzas()) return false;
  std::string out = "<presence";
  write_attributes(out, presence.to, to_string(presence.type), {});
  out += '>';
  xml::Writer writer(out, ns::client);
  if (!presence.show.empty()) writer.leaf("show", presence.show);
  if (!presence.status.empty()) writer.leaf("status", presence.status);
  if (presence.priority != 0) writer.leaf("priority", std::to_string(presence.priority));
  if (presence.type == Type::available)
    for (std::size_t i = 0, count = own_presence_.size(); i < count; ++i) own_presence_[i](writer);
  out += presence.extra;
  if (out.ends_with('>') && out.find('>') == out.size() - 1) {
    out.back() = '/';
    out += '>';
  } else {
    out += "</presence>";
  }
  // In the log the event stands in front of the stanza; its handlers run after it.
  const bool is_broadcast = presence.type == Type::available && presence.to.empty();
  const bool first = is_broadcast && takes_stanzas() && !std::exchange(presence_sent_, true);
  if (first) trace(Trace::event, events.sent_presence.name());
  if (!write(Kind::presence, out)) return false;
  if (first) guarded([&] { events.sent_presence.emit(); });
  return true;
}

Request<StanzaPtr> Core::request(Type type, const Jid& to, std::string_view payload, Milliseconds timeout) {
  Request<StanzaPtr> request;
  auto id = next_id();
  std::string out = "<iq";
  write_attributes(out, to, to_string(type), id);
  out.append(">").append(payload).append("</iq>");
  if (write(Kind::iq, out)) {
    requests_.add(std::move(id), to, timeout.count() > 0 ? timeout : options_.request_timeout,
                  request.resolver());
  } else {
    request.resolver()(
        std::unexpected(RequestError{RequestError::Kind::disconnected,
                                     {},
                                     takes_stanzas() ? "the server does not acknowledge what it was sent"
                                                     : "there is no session with the server"}));
  }
  return request;
}

// --- in ---

void Core::received(xml::Document document) {
  const auto& element = document.root();
  received_.bytes += element.bytes().size();
  if (const auto kind = kind_of(element)) ++received_.stanzas[std::to_underlying(*kind)];
  auto parsed = Stanza::from(std::move(document));
  management_.handled();  // whatever comes of it, the stream's end included
  if (!parsed) {
    // A request that is none has a right to an answer too (RFC 6120 8.2.3); the rest is nothing to us.
    const auto type = element.attribute("type");
    const auto from = Jid::parse(element.attribute("from").value_or(""));
    if (element.name() == "iq" && element.attribute("id") && (type == "get" || type == "set") && from) {
      std::string out;
      Stanza::error_reply(element, {}, *from, parsed.error()).write(out);
      write(Kind::iq, out);
    }
    return;
  }
  const auto stanza = std::make_shared<const Stanza>(*std::move(parsed));
  guarded([&] {
    switch (stanza->kind()) {
      case Kind::message:
        raise(events.message, *stanza);
        break;
      case Kind::presence:
        handle_presence(*stanza);
        break;
      case Kind::iq:
        if (stanza->is_request()) {
          handle_request(stanza);
        } else {
          requests_.take(stanza, jid_);
        }
        break;
    }
  });
}

void Core::claimed(xml::Document nonza) {
  const auto heard = management_.hear(nonza.root());
  tell_acknowledged();
  if (!connection_) return;
  switch (heard) {
    case StreamManagement::Heard::nothing:
      break;
    case StreamManagement::Heard::request:
      put_nonza(management_.acknowledgement());
      break;
    case StreamManagement::Heard::acknowledged:
      request_acknowledgement();
      break;
    case StreamManagement::Heard::refused:
      for (auto& stanza : management_.take_kept())
        for (auto& waiting : stanza.waiting) confirm(std::move(waiting));
      break;
    case StreamManagement::Heard::resumed:
      connection_->resumed(jid_);
      break;
    case StreamManagement::Heard::not_resumed:
      end_session();
      if (connection_ && state_ != State::closing) connection_->bind();
      break;
    case StreamManagement::Heard::broken:
      connection_->fail(management_.fault());
      break;
  }
  close_stream();
}

void Core::handle_presence(const Stanza& presence) {
  raise(events.presence, presence);
  const std::string& from = presence.from().text();
  if (presence.type() == Type::available) {
    const auto now = std::hash<std::string>()(fmt::format("{} {}", show_of(presence), status_of(presence)));
    const auto* known = online_.find(from);
    const bool is_new = known == nullptr;
    const bool changed = is_new || *known != now;
    online_.put(from, now);
    raise(events.presence_available, presence);
    if (is_new) raise(events.got_online, presence);
    if (changed) raise(events.changed_status, presence);
  } else if (presence.type() == Type::unavailable) {
    const bool was_there = online_.find(from) != nullptr;
    online_.erase(from);
    raise(events.presence_unavailable, presence);
    if (was_there) raise(events.got_offline, presence);
  } else if (presence.type() != Type::error) {
    raise(events.subscription, presence);
  }
}

struct Responder::State {
  std::string id;
  Jid to;
  bool answered = false;
  std::function<void(std::string_view)> send;

  void answer(std::string_view type, std::string_view content) {
    if (std::exchange(answered, true)) return;
    std::string out = "<iq";
    write_attributes(out, to, type, id);
    if (content.empty()) {
      out += "/>";
    } else {
      out.append(">").append(content).append("</iq>");
    }
    send(out);
  }
  void refuse(const StanzaError& error, std::string_view beside = {}) {
    std::string content(beside);
    xml::Writer writer(content, ns::client);
    write_error(writer, error);
    answer("error", content);
  }
  ~State() {
    if (!answered) refuse({Condition::internal_server_error, {}, {}, {}});
  }
};

void Responder::result(std::string_view payload) const { state_->answer("result", payload); }
void Responder::error(const StanzaError& error, std::string_view beside) const {
  state_->refuse(error, beside);
}

void Core::on_request(Type type, std::string_view name, std::string_view ns, Client::RequestHandler handler) {
  request_handlers_.insert_or_assign(handler_key(type, name, ns),
                                     std::make_shared<Client::RequestHandler>(std::move(handler)));
}

void Core::handle_request(const StanzaPtr& iq) {
  const auto& payload = *iq->payload();
  auto state = std::make_shared<Responder::State>();
  state->id = iq->id();
  state->to = iq->from();
  state->send = [weak = weak_from_this()](std::string_view out) {
    if (const auto core = weak.lock()) core->write(Kind::iq, out);
  };
  const Responder respond(std::move(state));
  const auto found = request_handlers_.find(handler_key(iq->type(), payload.name(), payload.ns()));
  if (found == request_handlers_.end()) {
    respond.error({Condition::service_unavailable, {}, {}, {}});
  } else {
    const auto handler = found->second;
    (*handler)(*iq, respond);
  }
}

void Core::peer_closed() { trace(Trace::info, "End of stream received"); }

void Core::trace(Trace kind, std::string_view line) {
  if (!options_.trace) return;
  if (kind == Trace::send || kind == Trace::receive || kind == Trace::send_immediate) {
    const bool at_once = line == "</stream:stream>" && kind == Trace::send;
    options_.trace(at_once ? Trace::send_immediate : kind, mask_secrets(line));
  } else {
    options_.trace(kind, line);
  }
}

}  // namespace starling::client
