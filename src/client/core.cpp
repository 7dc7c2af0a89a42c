#include "client/core.h"

#include "base/crypto.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::client {
namespace {

constexpr unsigned kMostRedirects = 3;
constexpr std::size_t kMostOnline = 5000;        // anybody may send presence
constexpr Milliseconds kGoodConnection{60'000};  // one that has lasted so long was

std::unexpected<RequestError> gone() {
  return std::unexpected(RequestError{RequestError::Kind::disconnected, {}, "the connection is over"});
}

std::string seconds(Milliseconds time) { return fmt::format("{}", static_cast<double>(time.count()) / 1000); }

std::string_view plural(std::uint64_t count) { return count == 1 ? "" : "s"; }

// The server ended the stream, or we did, for what one of us had sent: sent again, it would be ended again.
bool is_for_content(StreamCondition condition) {
  switch (condition) {
    case StreamCondition::bad_format:
    case StreamCondition::bad_namespace_prefix:
    case StreamCondition::improper_addressing:
    case StreamCondition::invalid_from:
    case StreamCondition::invalid_namespace:
    case StreamCondition::invalid_xml:
    case StreamCondition::not_well_formed:
    case StreamCondition::policy_violation:
    case StreamCondition::restricted_xml:
    case StreamCondition::unsupported_encoding:
    case StreamCondition::unsupported_stanza_type:
      return true;
    default:
      return false;
  }
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
      management_(options_.reconnect, options_.unacknowledged_bytes),
      jid_(options_.jid),
      online_(kMostOnline),
      requests_(*this),
      id_prefix_(crypto::random_id(60)) {
  settings_.role = stream::Role::initiating;
  settings_.jid = options_.jid;
  settings_.tls = options_.tls;
  settings_.plain_without_tls = options_.plain_without_tls;
  settings_.mechanisms = options_.mechanisms;
  settings_.lang = options_.lang;
  settings_.limits.element_bytes = options_.stanza_bytes;
  settings_.limits_before_login = {.element_bytes = 65536, .depth = 50, .attributes = 100, .children = 1000};
  if (options_.stream_management) manage_streams();
  if (options_.trace) settings_.tap = [this](std::string_view xml) { trace(Trace::receive, xml); };
}

void Core::manage_streams() {
  settings_.features.push_back({.name = "sm",
                                .advertise = {},
                                .claims =
                                    [this](const stream::View&, const xml::Element& element) {
                                      return element.ns() == ns::sm && management_.listens();
                                    },
                                .resume =
                                    [this](const xml::Element& features, std::string& output) {
                                      const auto nonza = management_.resume(features);
                                      output += nonza;
                                      return !nonza.empty();
                                    }});
}

Core::~Core() {
  crypto::wipe(settings_.password);
  crypto::wipe(options_.password);
}

// --- attempts ---

void Core::connect() {
  if (running_ || thrown_) return;
  running_ = true;
  close_asked_ = false;
  outcome_ = {};
  backoff_.reset();
  management_.start_afresh();
  post([attempt = ++attempt_](Core& self) {
    if (attempt == self.attempt_) self.begin_attempt();
  });
}

Result<void> Core::prepare() {
  if (options_.jid.empty()) return fail(Errc::invalid, "there is no address to log in with");
  if (!options_.password.empty() && settings_.password.empty()) {
    auto prepared = prepare_password(options_.password);
    if (!prepared) return std::unexpected(prepared.error());
    settings_.password = *std::move(prepared);
  }
  if (auto tls = tls_for(options_.direct_tls); !tls) return std::unexpected(tls.error());
  return {};
}

// Made when it is needed, since reading the system's certificates takes its time.
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
  if (close_asked_) return end_attempt({});
  if (auto ready = prepare(); !ready)
    return end_attempt({Ended::Why::could_not_connect, ready.error().message}, true);
  last_failure_.reset();
  redirects_ = 0;
  attempt_timer_ = run_after(options_.connect_timeout, [this] {
    attempt_timer_ = 0;
    Ended late{Ended::Why::timed_out,
               fmt::format("no session within {} s{}", seconds(options_.connect_timeout),
                           connection_ ? ": the server is silent" : ": nothing could be connected to")};
    if (last_failure_ && !connection_) late.text += fmt::format(" ({})", last_failure_->text);
    last_failure_ = late;
    if (connection_) return connection_->end(late.why, late.text);
    end_attempt(std::move(late));
  });
  at_location_ = !std::exchange(location_tried_, true) && !management_.location().empty();
  make_attempt(at_location_ ? management_.location() : options_.connect);
}

void Core::make_attempt(std::string host) {
  auto dialer = make_dialer_(std::move(host));
  if (!dialer && std::exchange(at_location_, false)) return make_attempt(options_.connect);
  if (!dialer) return end_attempt({Ended::Why::could_not_connect, dialer.error().message});
  dialer_ = *std::move(dialer);
  dial();
}

void Core::dial() { dialling_.emplace(start(dial_next())); }

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
    if (attempt == self.attempt_) self.dialled(std::move(*shared));
  });
}

void Core::dialled(Result<Dialled> result) {
  if (close_asked_) return end_attempt({});
  if (!result && std::exchange(at_location_, false)) return make_attempt(options_.connect);
  if (!result) {
    const bool later = result.error().code == Errc::limit;
    return end_attempt(last_failure_ ? *std::move(last_failure_)
                                     : Ended{later ? Ended::Why::timed_out : Ended::Why::could_not_connect,
                                             std::move(result.error().message)});
  }
  authenticated_ = false;
  auto tls = tls_for(result->direct_tls);
  if (!tls) return end_attempt({Ended::Why::could_not_connect, std::move(tls.error().message)}, true);
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
  const bool resumed = management_.is_on();
  if (state_ == State::closing) {
    if (resumed) put_kept();
    return close_stream();
  }
  loop_.cancel(std::exchange(attempt_timer_, 0));
  dialer_.reset();
  ever_online_ = true;
  location_tried_ = false;
  pinged_at_.reset();
  online_at_ = kept_alive_at_ = loop_.now();
  features_ = std::move(ready.features);
  if (resumed) {
    trace(Trace::info, fmt::format("Session resumed: {}", jid_.text()));
    enter(State::online);
    put_kept();
    arm_tick();
    guarded([&] { raise(events.session_resumed); });
  } else {
    start_session(ready.jid);
  }
}

// What the server had not acknowledged in the session before goes out first (XEP-0198 section 4).
void Core::start_session(const Jid& self) {
  end_session();
  if (close_asked_) return;  // by a handler, there
  auto unacknowledged = management_.take_kept();
  const Jid before = std::exchange(jid_, self);
  has_session_ = true;
  presence_sent_ = false;
  trace(Trace::info, fmt::format("JID set to: {}", jid_.text()));
  enter(State::online);
  if (options_.stream_management && authenticated_) put_nonza(management_.enable(features_.root()));
  for (auto& stanza : unacknowledged) {
    auto xml = resent_elsewhere(stanza, before);
    if (!xml) {
      disappoint(stanza.waiting);
      continue;
    }
    stanza.xml = *std::move(xml);
    auto waiting =
        management_.counts() ? std::vector<StreamManagement::Waiting>() : std::move(stanza.waiting);
    write_now(std::move(stanza));
    for (auto& each : waiting) confirm(std::move(each));
  }
  arm_tick();
  guarded([&] { raise(events.session_start); });
}

// For good. What the server has not acknowledged stays, for the next session.
void Core::end_session() {
  management_.forget_session();
  if (!std::exchange(has_session_, false)) return;
  online_.clear();
  requests_.fail_all(gone().error());
  for (std::size_t i = 0, count = session_over_.size(); i < count; ++i) guarded([&] { session_over_[i](); });
}

// There will be no session to resend it in.
void Core::give_up_kept() {
  for (const auto& stanza : management_.take_kept()) {
    if (auto document = xml::parse_fragment(stanza.xml, ns::client); document && stanza.kind == Kind::message)
      if (const auto message = Stanza::from(*std::move(document)))
        guarded([&] { raise(events.undelivered, *message); });
    disappoint(stanza.waiting);
  }
}

void Core::disappoint(const std::vector<StreamManagement::Waiting>& all) {
  for (const auto& waiting : all) guarded([&] { waiting(gone()); });
}

void Core::drop_attempt() {
  ++attempt_;
  for (auto* timer : {&attempt_timer_, &wait_timer_, &close_timer_, &tick_timer_})
    loop_.cancel(std::exchange(*timer, 0));
  dialling_.reset();
  dialer_.reset();
}

void Core::over(Ended ended) {
  const auto connection = std::move(connection_);  // it is on the stack
  loop_.cancel(std::exchange(close_timer_, 0));
  loop_.cancel(std::exchange(tick_timer_, 0));
  const bool early = !authenticated_ && !close_asked_ && dialer_ != nullptr;
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
  end_attempt(std::move(ended));
}

void Core::end_attempt(Ended ended, bool for_good) {
  drop_attempt();
  trace(Trace::event, events.disconnected.name());  // its handlers come last
  enter(State::disconnected);
  at_location_ = false;
  if (const auto since = std::exchange(online_at_, std::nullopt);
      since && loop_.now() - *since >= std::min(kGoodConnection, options_.longest_wait))
    backoff_.reset();
  if (ended.why != Ended::Why::closed) trace(Trace::warning, ended.text);

  const auto comes_back = [&] { return options_.reconnect && !for_good && !is_final(ended); };
  const bool blamed = ended.condition && is_for_content(*ended.condition);
  const bool resumable = has_session_ && management_.detach() && comes_back() && !blamed;
  if (!resumable) end_session();
  if (blamed) give_up_kept();
  const bool goes_on = comes_back();  // a handler may have closed us
  if (!goes_on) finish(ended);
  guarded([&] { events.disconnected.emit(ended); });
  if (!goes_on) return;
  if (comes_back()) {
    wait();
  } else {
    finish(std::move(ended));
  }
}

bool Core::is_final(const Ended& ended) const {
  if (close_asked_ || ended.why == Ended::Why::closed || ended.why == Ended::Why::not_authorized) return true;
  // The newer session has our resource: coming back would only take it away again, for ever.
  if (ended.condition == StreamCondition::conflict) return true;
  // A server that was fine may have a bad day; one that never was will not mend by asking it again.
  return !ever_online_ && (ended.why == Ended::Why::untrusted || ended.condition.has_value());
}

void Core::wait() {
  const auto delay = backoff_.next(random_);
  trace(Trace::info, fmt::format("Waiting {} seconds before connecting.", seconds(delay)));
  wait_timer_ = run_after(delay, [this] {
    wait_timer_ = 0;
    begin_attempt();
  });
}

void Core::finish(Ended ended) {
  end_session();
  give_up_kept();
  outcome_ = std::move(ended);
  running_ = false;
  const auto total = [](const Traffic& traffic) {
    const auto& [messages, presences, iqs] = traffic.stanzas;
    return fmt::format("{} message{}, {} presence{}, {} iq{} ({} bytes)", messages, plural(messages),
                       presences, plural(presences), iqs, plural(iqs), traffic.bytes);
  };
  trace(Trace::info, fmt::format("Sent {}; received {}", total(sent_), total(received_)));
}

void Core::close() {
  if (!running_ || close_asked_) return;
  close_asked_ = true;
  if (!connection_) {  // dialling or waiting
    return post([attempt = attempt_](Core& self) {
      if (attempt == self.attempt_ && self.running_ && !self.connection_) self.end_attempt({});
    });
  }
  if (state_ == State::online) guarded([&] { raise(events.session_end); });
  if (!connection_) return;
  enter(State::closing);
  loop_.cancel(std::exchange(tick_timer_, 0));
  loop_.cancel(std::exchange(attempt_timer_, 0));
  trace(Trace::info, "Waiting for </stream:stream> from server");
  close_timer_ = run_after(options_.close_timeout, [this] {
    close_timer_ = 0;
    if (connection_) connection_->end(Ended::Why::closed, "the server did not close its side");
  });
  // In a turn of its own, so that over() never comes from inside of the caller's handler.
  post([](Core& self) { self.close_stream(); });
}

// Once the server has acknowledged what was sent: afterwards it says no more of it.
void Core::close_stream() {
  if (!connection_ || state_ != State::closing || (management_.listens() && management_.keeps_messages()))
    return;
  if (management_.owes_acknowledgement()) put_nonza(management_.acknowledgement());
  connection_->close();
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

void Core::post(std::move_only_function<void(Core&)> job) {
  loop_.post([weak = weak_from_this(), job = std::move(job)]() mutable {
    if (const auto self = weak.lock()) self->guarded([&] { job(*self); });
  });
}

Loop::TimerId Core::run_after(Milliseconds delay, Job job) {
  return loop_.run_after(delay, [weak = weak_from_this(), job = std::move(job)]() mutable {
    if (const auto self = weak.lock()) self->guarded(job);
  });
}

// --- keeping it alive ---

void Core::arm_tick() {
  const auto now = loop_.now();
  auto next = SteadyTime::max();
  if (options_.keepalive.count() > 0) next = std::min(next, space_due());
  if (pinged_at_) {
    next = std::min(next, *pinged_at_ + options_.ping_timeout);
  } else if (options_.ping_after.count() > 0) {
    next = std::min(next, connection_->last_input() + options_.ping_after);
  }
  if (next == SteadyTime::max()) return;
  tick_timer_ = run_after(std::chrono::ceil<Milliseconds>(std::max(next - now, SteadyTime::duration{1})),
                          [this] { tick(); });
}

SteadyTime Core::space_due() const {
  return std::max(connection_->last_output(), kept_alive_at_) + options_.keepalive;
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
    ping();
  } else if (options_.keepalive.count() > 0 && now >= space_due()) {
    kept_alive_at_ = now;
    if (connection_->queued_bytes() == 0) put_space();
  }
  arm_tick();
}

void Core::put_space() {
  trace(Trace::debug, "Scheduled event: Whitespace Keepalive");
  trace(Trace::send_immediate, " ");
  connection_->send(" ");
  sent_.bytes += 1;
}

}  // namespace starling::client
