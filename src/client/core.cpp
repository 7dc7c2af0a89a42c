#include "client/core.h"

#include "base/crypto.h"
#include "client/masking.h"
#include "xml/namespaces.h"

namespace starling::client {
namespace {

constexpr unsigned kMostRedirects = 3;

std::string seconds(Milliseconds time) { return fmt::format("{}", static_cast<double>(time.count()) / 1000); }

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

std::string_view to_string(State state) {
  switch (state) {
    case State::disconnected:
      return "disconnected";
    case State::connected:
      return "connected";
    case State::online:
      return "online";
    case State::closing:
      return "closing";
  }
  return {};
}

Core::Core(Loop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      random_(std::random_device{}()),
      backoff_(options_.first_wait, options_.longest_wait),
      jid_(options_.jid),
      requests_(loop),
      id_prefix_(crypto::random_id(60)) {
  settings_.role = stream::Role::initiating;
  settings_.jid = options_.jid;
  settings_.tls = options_.tls;
  settings_.plain_without_tls = options_.plain_without_tls;
  settings_.mechanisms = options_.mechanisms;
  settings_.lang = options_.lang;
  settings_.limits.element_bytes = options_.stanza_bytes;
  settings_.limits_before_login = {.element_bytes = 65536, .depth = 50, .attributes = 100, .children = 1000};
  if (options_.trace) settings_.tap = [this](std::string_view xml) { trace(Trace::receive, xml); };
}

Core::~Core() {
  crypto::wipe(settings_.password);
  crypto::wipe(options_.password);
}

// --- attempts ---

void Core::connect() {
  if (running_) return;
  running_ = true;
  close_asked_ = false;
  outcome_ = {};
  thrown_ = nullptr;
  redirects_ = 0;
  backoff_.reset();
  post([](Core& self) { self.begin_attempt(); });
}

Result<void> Core::prepare() {
  if (options_.jid.empty()) return fail(Errc::invalid, "there is no address to log in with");
  if (!options_.password.empty() && settings_.password.empty()) {
    auto prepared = prepare_password(options_.password);
    if (!prepared) return std::unexpected(prepared.error());
    settings_.password = *std::move(prepared);
  }
  return {};
}

// Made when the first connection needs it, since reading the system's certificates takes its time.
Result<std::shared_ptr<net::TlsContext>> Core::tls_for(bool direct) {
  if (options_.tls == stream::TlsPolicy::off) return nullptr;
  auto& context = direct ? direct_tls_ : tls_;
  if (!context) {
    auto made =
        net::TlsContext::make_client(options_.ca_file, options_.insecure,
                                     direct ? net::TlsContext::Use::direct : net::TlsContext::Use::starttls);
    if (!made) return std::unexpected(made.error());
    context = *std::move(made);
  }
  return context;
}

void Core::begin_attempt() {
  if (close_asked_) return finish({});
  if (auto ready = prepare(); !ready) return finish({Ended::Why::could_not_connect, ready.error().message});
  last_failure_.reset();
  attempt_timer_ = loop_.run_after(options_.connect_timeout, [this] {
    attempt_timer_ = 0;
    Ended late{Ended::Why::timed_out,
               fmt::format("no session within {} s{}", seconds(options_.connect_timeout),
                           connection_ ? ": the server is silent" : ": nothing could be connected to")};
    if (last_failure_ && !connection_) late.text += fmt::format(" ({})", last_failure_->text);
    last_failure_ = late;
    if (connection_) return connection_->end(late.why, late.text);
    attempt_over(std::move(late));
  });
  make_attempt(options_.connect);
}

void Core::make_attempt(std::string host) {
  auto dialer = make_dialer_(std::move(host));
  if (!dialer) return attempt_over({Ended::Why::could_not_connect, dialer.error().message});
  dialer_ = *std::move(dialer);
  dial();
}

void Core::dial() {
  is_dialling_ = true;
  dialling_.emplace(start(dial_next()));
}

Task<void> Core::dial_next() {
  Result<Dialled> result = fail(Errc::unavailable, "nothing was tried");
  try {
    result = co_await dialer_->next();
  } catch (const std::exception& problem) {
    result = fail(Errc::io, problem.what());
  }
  // In a turn of its own: what follows may destroy this coroutine.
  auto shared = std::make_shared<Result<Dialled>>(std::move(result));
  post([shared, attempt = attempt_](Core& self) {
    if (attempt == self.attempt_ && self.is_dialling_) self.dialled(std::move(*shared));
  });
}

void Core::dialled(Result<Dialled> result) {
  is_dialling_ = false;
  if (!result) {
    const bool later = result.error().code == Errc::limit;
    return attempt_over(last_failure_ ? *std::move(last_failure_)
                                      : Ended{later ? Ended::Why::timed_out : Ended::Why::could_not_connect,
                                              std::move(result.error().message)});
  }
  authenticated_ = false;
  auto tls = tls_for(result->direct_tls);
  if (!tls) return finish({Ended::Why::could_not_connect, std::move(tls.error().message)});
  const auto connection = connection_ =
      std::make_shared<Connection>(loop_, *std::move(result), *this, settings_, *std::move(tls));
  guarded([&] {
    trace(Trace::event, events.connected.name());
    enter(State::connected);
    events.connected.emit();
  });
  if (connection_ == connection) connection->start();
}

void Core::authenticated(std::string_view mechanism) {
  authenticated_ = true;
  trace(Trace::info, fmt::format("Logged in by {}", mechanism));
  for (const auto& row : settings_.mechanisms)
    if (row.name == mechanism && !row.needs_encryption) settings_.no_plaintext = true;
}

void Core::ready(stream::Ready ready) {
  loop_.cancel(std::exchange(attempt_timer_, 0));
  dialer_.reset();
  jid_ = ready.jid;
  features_ = std::move(ready.features);
  was_online_ = ever_online_ = true;
  presence_sent_ = false;
  pinged_at_.reset();
  backoff_.reset();
  trace(Trace::info, fmt::format("JID set to: {}", jid_.text()));
  enter(State::online);
  arm_tick();
  guarded([&] { raise(events.session_start); });
}

void Core::drop_attempt() {
  ++attempt_;
  for (auto* timer : {&attempt_timer_, &wait_timer_, &close_timer_, &tick_timer_})
    loop_.cancel(std::exchange(*timer, 0));
  dialling_.reset();
  is_dialling_ = false;
  dialer_.reset();
}

void Core::over(Ended ended) {
  const auto connection = std::move(connection_);  // it is on the stack
  loop_.cancel(std::exchange(close_timer_, 0));
  loop_.cancel(std::exchange(tick_timer_, 0));
  const bool early = !authenticated_ && !was_online_ && !close_asked_ && dialer_ != nullptr;
  if (early && !ended.other_host.empty() && redirects_ < kMostRedirects) {
    ++redirects_;
    trace(Trace::info, fmt::format("The server sends us to {}", ended.other_host));
    enter(State::disconnected);
    return post([host = ended.other_host, attempt = attempt_](Core& self) {
      if (attempt == self.attempt_) self.make_attempt(host);
    });
  }
  // The next place may be better (RFC 6120 3.2.1, XEP-0368 3); a login that was refused is refused there too.
  if (early && attempt_timer_ != 0 &&
      (ended.why == Ended::Why::could_not_connect || ended.why == Ended::Why::untrusted ||
       ended.why == Ended::Why::lost)) {
    trace(Trace::warning, ended.text);
    last_failure_ = std::move(ended);
    enter(State::disconnected);
    return post([attempt = attempt_](Core& self) {
      if (attempt == self.attempt_) self.dial();
    });
  }
  attempt_over(std::move(ended));
}

void Core::attempt_over(Ended ended) {
  drop_attempt();
  const bool final = is_final(ended);
  const bool had_connection = state_ != State::disconnected;
  was_online_ = false;
  online_.clear();
  if (ended.why != Ended::Why::closed) trace(Trace::warning, ended.text);
  guarded([&] {
    requests_.fail_all({RequestError::Kind::disconnected, {}, "the connection is over"});
    trace(Trace::event, events.disconnected.name());
    if (had_connection) enter(State::disconnected);
    events.disconnected.emit(ended);
  });
  if (!running_ || connection_) return;
  if (final || close_asked_ || !options_.reconnect) return finish(std::move(ended));
  wait(ended);
}

bool Core::is_final(const Ended& ended) const {
  if (close_asked_ || ended.why == Ended::Why::closed || ended.why == Ended::Why::not_authorized) return true;
  // The newer session has our resource: coming back would only take it away again, for ever.
  if (ended.condition == StreamCondition::conflict) return true;
  // A server that was fine may have a bad day; one that never was will not mend by asking it again.
  return !ever_online_ && (ended.why == Ended::Why::untrusted || ended.condition.has_value());
}

void Core::wait(const Ended&) {
  const auto delay = backoff_.next(random_);
  trace(Trace::info, fmt::format("Waiting {} seconds before connecting.", seconds(delay)));
  wait_timer_ = loop_.run_after(delay, [this] {
    wait_timer_ = 0;
    begin_attempt();
  });
}

void Core::finish(Ended ended) {
  drop_attempt();
  outcome_ = std::move(ended);
  running_ = false;
  const auto total = [](const Traffic& traffic) {
    return fmt::format("{} messages, {} presences, {} iqs ({} bytes)", traffic.stanzas[0], traffic.stanzas[1],
                       traffic.stanzas[2], traffic.bytes);
  };
  trace(Trace::info, fmt::format("Sent {}; received {}", total(sent_), total(received_)));
}

void Core::close() {
  if (!running_ || close_asked_) return;
  close_asked_ = true;
  if (!connection_) {  // dialling or waiting
    return post([](Core& self) {
      if (self.running_ && !self.connection_) self.attempt_over({});
    });
  }
  if (state_ == State::online) guarded([&] { raise(events.session_end); });
  if (!connection_) return;
  enter(State::closing);
  loop_.cancel(std::exchange(tick_timer_, 0));
  loop_.cancel(std::exchange(attempt_timer_, 0));
  trace(Trace::info, "Waiting for </stream:stream> from server");
  close_timer_ = loop_.run_after(options_.close_timeout, [this] {
    close_timer_ = 0;
    if (connection_) connection_->end(Ended::Why::closed, "the server did not close its side");
  });
  // In a turn of its own, so that over() never comes from inside of the caller's handler.
  post([](Core& self) {
    if (self.connection_ && self.state_ == State::closing) self.connection_->close();
  });
}

void Core::shut_down() {
  drop_attempt();
  if (const auto connection = std::move(connection_)) connection->abandon();
  running_ = false;
}

Ended Core::take_outcome() {
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  return outcome_;
}

void Core::enter(State state) {
  if (state == state_) return;
  trace(Trace::state, fmt::format("TRANSITION {} -> {}", to_string(state_), to_string(state)));
  state_ = state;
}

template <class Call>
void Core::guarded(Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (...) {
    if (!thrown_) thrown_ = std::current_exception();
    close();
  }
}

void Core::post(std::move_only_function<void(Core&)> job) {
  loop_.post([weak = weak_from_this(), job = std::move(job)]() mutable {
    if (const auto self = weak.lock()) job(*self);
  });
}

// --- keeping it alive ---

void Core::arm_tick() {
  const auto now = loop_.now();
  auto next = SteadyTime::max();
  if (options_.keepalive.count() > 0) next = std::min(next, connection_->last_output() + options_.keepalive);
  if (pinged_at_) {
    next = std::min(next, *pinged_at_ + options_.ping_timeout);
  } else if (options_.ping_after.count() > 0) {
    next = std::min(next, connection_->last_input() + options_.ping_after);
  }
  if (next == SteadyTime::max()) return;
  tick_timer_ = loop_.run_after(
      std::chrono::ceil<Milliseconds>(std::max(next - now, SteadyTime::duration{1})), [this] { tick(); });
}

void Core::tick() {
  tick_timer_ = 0;
  if (state_ != State::online) return;
  const auto now = loop_.now();
  if (pinged_at_ && connection_->last_input() >= *pinged_at_) pinged_at_.reset();
  if (pinged_at_ && now >= *pinged_at_ + options_.ping_timeout)
    return connection_->end(
        Ended::Why::lost,
        fmt::format("the server has been silent for {} s and does not answer",
                    seconds(std::chrono::floor<Milliseconds>(now - connection_->last_input()))));
  if (!pinged_at_ && options_.ping_after.count() > 0 &&
      now >= connection_->last_input() + options_.ping_after) {
    pinged_at_ = now;
    std::string iq = "<iq";
    write_attributes(iq, jid_.to_domain(), "get", next_id());
    iq += "><ping xmlns='urn:xmpp:ping'/></iq>";  // whatever comes back is life
    write(Kind::iq, iq);
  } else if (options_.keepalive.count() > 0 && now >= connection_->last_output() + options_.keepalive) {
    trace(Trace::debug, "Scheduled event: Whitespace Keepalive");
    trace(Trace::send_immediate, " ");
    connection_->send(" ");
    sent_.bytes += 1;
  }
  arm_tick();
}

// --- out ---

std::string Core::next_id() { return fmt::format("{}-{}", id_prefix_, ++ids_); }

bool Core::write(Kind kind, std::string_view stanza) {
  if (state_ != State::online || !connection_) return false;
  trace(Trace::send, stanza);
  connection_->send(stanza);
  ++sent_.stanzas[std::to_underlying(kind)];
  sent_.bytes += stanza.size();
  return true;
}

bool Core::send_xml(std::string_view stanza) {
  const auto kind = stanza.starts_with("<iq")  ? Kind::iq
                    : stanza.starts_with("<p") ? Kind::presence
                                               : Kind::message;
  return write(kind, stanza);
}

std::string Core::send(const Message& message) {
  if (state_ != State::online) return {};
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
  if (state_ != State::online) return false;
  std::string out = "<presence";
  write_attributes(out, presence.to, to_string(presence.type), {});
  out += '>';
  xml::Writer writer(out, ns::client);
  if (!presence.show.empty()) writer.leaf("show", presence.show);
  if (!presence.status.empty()) writer.leaf("status", presence.status);
  if (presence.priority != 0) writer.leaf("priority", std::to_string(presence.priority));
  if (presence.type == Type::available)
    for (auto& write_more : own_presence_) write_more(writer);
  out += presence.extra;
  if (out.ends_with('>') && out.find('>') == out.size() - 1) {
    out.back() = '/';
    out += '>';
  } else {
    out += "</presence>";
  }
  const bool first = presence.type == Type::available && presence.to.empty() && !presence_sent_;
  if (first) {
    presence_sent_ = true;
    guarded([&] { raise(events.sent_presence); });
  }
  return write(Kind::presence, out);
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
    request.resolver()(std::unexpected(
        RequestError{RequestError::Kind::disconnected, {}, "there is no session with the server"}));
  }
  return request;
}

// --- in ---

void Core::received(xml::Document document) {
  const auto& element = document.root();
  received_.bytes += element.bytes().size();
  if (const auto kind = kind_of(element)) ++received_.stanzas[std::to_underlying(*kind)];
  auto parsed = Stanza::from(std::move(document));
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

void Core::handle_presence(const Stanza& presence) {
  raise(events.presence, presence);
  const std::string& from = presence.from().text();
  if (presence.type() == Type::available) {
    Known now{std::string(show_of(presence)), std::string(status_of(presence))};
    const auto known = online_.find(from);
    const bool is_new = known == online_.end();
    const bool changed = is_new || known->second != now;
    online_.insert_or_assign(from, std::move(now));
    raise(events.presence_available, presence);
    if (is_new) raise(events.got_online, presence);
    if (changed) raise(events.changed_status, presence);
  } else if (presence.type() == Type::unavailable) {
    const bool was_there = online_.erase(from) > 0;
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
  request_handlers_.insert_or_assign(handler_key(type, name, ns), std::move(handler));
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
    found->second(*iq, respond);
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
