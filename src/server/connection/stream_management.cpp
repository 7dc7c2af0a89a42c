// XEP-0198 Stream Management: acknowledgements both ways, and sessions that are resumed. A client's stanza is
// acknowledged once the server could be killed and still deliver it; what the client was sent is its own once
// it acknowledges it. Known gaps: no `location`; the h of a session that has timed out is not told (5, MAY).

#include <charconv>

#include "base/crypto.h"
#include "base/log.h"
#include "server/connection/connection.h"
#include "server/core.h"
#include "xml/namespaces.h"

namespace starling::server {
namespace {

constexpr std::chrono::seconds kPatience{5};     // then an <a/> is sent that counts what is safe so far
constexpr std::chrono::seconds kAnswerTime{60};  // for a client to answer <r/>
constexpr Milliseconds kSettleTime{5000};        // for what a session sent before it is resumed
constexpr std::size_t kIdBits = 128;

std::optional<std::uint32_t> read_count(const xml::Element& nonza) {
  const std::string_view text = nonza.attribute("h").value_or(std::string_view());
  std::uint32_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

bool is_true(std::optional<std::string_view> value) { return value == "true" || value == "1"; }

}  // namespace

void Connection::managed(const xml::Element& nonza) {
  const std::string_view name = nonza.name();
  if (name == "enable") {
    enable(nonza);
  } else if (name == "resume") {
    resume_session(nonza);
  } else if (session_ == nullptr || session_->management() == nullptr) {
    refuse_management(Condition::unexpected_request);
  } else if (name == "r") {
    last_wanted_ = session_->management()->received();
    if (!wanted_) want();
    acknowledge();
  } else if (name == "a") {
    take_acknowledgement(nonza);
  } else {
    end({StreamCondition::unsupported_stanza_type, {}});
  }
}

void Connection::refuse_management(Condition condition) {
  std::string text;
  xml::Writer writer(text, ns::client);
  writer.open("failed", ns::sm).empty_element(to_string(condition), ns::stanzas).close();
  output() += text;
}

void Connection::enable(const xml::Element& nonza) {
  if (session_ == nullptr || session_->management() != nullptr) {
    refuse_management(Condition::unexpected_request);
    return;
  }
  std::size_t seconds = is_true(nonza.attribute("resume")) ? setup_->config.limits.resume_seconds : 0;
  if (const std::string_view max = nonza.attribute("max").value_or(std::string_view()); !max.empty()) {
    std::size_t preferred = 0;
    const auto [end, problem] = std::from_chars(max.data(), max.data() + max.size(), preferred);
    if (problem == std::errc() && end == max.data() + max.size()) seconds = std::min(seconds, preferred);
  }
  const std::string id = crypto::random_id(kIdBits);
  std::uint64_t token = 0;
  for (const char c : crypto::random_bytes(sizeof token)) token = token << 8 | static_cast<unsigned char>(c);
  token = std::max<std::uint64_t>(token >> 1, 1);  // it is an integer in the store, and never 0
  std::string text;
  xml::Writer writer(text, ns::client);
  writer.open("enabled", ns::sm);
  if (seconds != 0)
    writer.attribute("id", id).attribute("resume", "true").attribute("max", std::to_string(seconds));
  writer.close();
  output() += text;
  session_->manage(std::make_unique<Management>(token, id, seconds));
  shard_->manage(*session_);
  session_->user().remember(*session_);
}

// --- acknowledgements ---

void Connection::want() {
  wanted_ = last_wanted_;
  wanted_since_ = shard_->loop().now();
}

void Connection::acknowledge() {
  if (!wanted_ || session_ == nullptr || phase_ != Phase::open) return;
  const Management& management = *session_->management();
  const bool late = shard_->loop().now() - wanted_since_ >= kPatience;
  if (is_after(*wanted_, management.acknowledgeable()) && !late) {
    if (!is_after(*wanted_, management.handled())) session_->record();
    return;
  }
  const std::uint32_t h = management.acknowledgeable();
  fmt::format_to(std::back_inserter(output()), "<a xmlns='{}' h='{}'/>", ns::sm, h);
  wanted_.reset();
  if (!is_after(last_wanted_, h)) return;
  want();  // it has asked again meanwhile
  acknowledge();
}

void Connection::request_acknowledgement() {
  if (!unasked_ || asked_ || session_ == nullptr || session_->management() == nullptr ||
      phase_ != Phase::open || session_->management()->unacknowledged().empty())
    return;
  unasked_ = false;
  asked_ = true;
  asked_since_ = shard_->loop().now();
  std::string& bytes = output_.bytes();
  if (bytes.empty()) bytes = shard_->take_buffer();
  bytes += "<r xmlns='urn:xmpp:sm:3'/>";
}

void Connection::take_acknowledgement(const xml::Element& nonza) {
  const auto h = read_count(nonza);
  if (!h) {
    end({StreamCondition::bad_format, "<a/> needs a number h"});
    return;
  }
  asked_ = false;
  Management& management = *session_->management();
  User& user = session_->user();
  if (!management.acknowledge(*h, [&](Outgoing& outgoing) { user.taken(outgoing); })) {
    acknowledged_too_much(*h, management.sent());
    return;
  }
  session_->acknowledged();
  if (unasked_) touch_output();  // what was sent meanwhile is asked for as well
}

void Connection::acknowledged_too_much(std::uint32_t h, std::uint32_t sent) {
  end({.condition = StreamCondition::undefined_condition,
       .text = fmt::format("You acknowledged {} stanzas, but only {} were sent", h, sent),
       .application =
           fmt::format("<handled-count-too-high xmlns='{}' h='{}' send-count='{}'/>", ns::sm, h, sent)});
}

void Connection::check_acknowledgements(SteadyTime now) {
  if (session_ == nullptr || session_->management() == nullptr) return;
  acknowledge();
  if (!asked_ || now - asked_since_ < kAnswerTime) return;
  log::info("session {} does not acknowledge what it is sent; closed", session_->jid().text());
  end({StreamCondition::connection_timeout, "No acknowledgement"});
}

void Connection::full() { closed(); }

// --- resumption ---

void Connection::resume_session(const xml::Element& nonza) {
  const auto h = read_count(nonza);
  const auto id = nonza.attribute("previd");
  if (!machine_.view().authenticated || session_ != nullptr || !h || !id) {
    refuse_management(h && id ? Condition::unexpected_request : Condition::bad_request);
    return;
  }
  hold();
  go_home(machine_.jid(),
          [self = shared_from_this(), id = std::string(*id), h = *h] { self->find_session(id, h); });
}

void Connection::find_session(const std::string& id, std::uint32_t h) {
  shard_->user(machine_.jid()).when_loaded([self = shared_from_this(), id, h](User& user, bool ok) {
    if (self->phase_ != Phase::open) return;
    UserSession* session = ok && user.exists() ? user.resumable(id) : nullptr;
    if (session == nullptr) {
      self->refuse_management(Condition::item_not_found);
      self->release();
      return;
    }
    // Its client would send again what is not safe yet, so that is waited for.
    self->resuming_ = session->management()->token();
    session->when_settled([self, token = self->resuming_, h] {
      if (std::exchange(self->resuming_, 0) == token) self->finish_resuming(token, h);
    });
    self->shard_->loop().run_after(kSettleTime, [weak = self->weak_from_this(), token = self->resuming_] {
      const auto self = weak.lock();
      if (!self || self->resuming_ != token || self->phase_ != Phase::open) return;
      self->resuming_ = 0;
      self->refuse_management(Condition::resource_constraint);
      self->release();
    });
  });
}

void Connection::finish_resuming(std::uint64_t token, std::uint32_t h) {
  if (phase_ != Phase::open) return;
  UserSession* session = shard_->managed(token);
  if (session == nullptr || !session->detached()) {  // its time was up, or another connection was faster
    refuse_management(Condition::item_not_found);
    release();
    return;
  }
  Management& management = *session->management();
  User& user = session->user();
  if (!management.acknowledge(h, [&](Outgoing& outgoing) { user.taken(outgoing); })) {
    if (management.restored()) {
      // The client has what the store does not know of, or misses what it cannot make again.
      log::info("session {} is not resumed: what its client has is not what was stored when the server ended",
                session->jid().text());
      user.closed(*session, {});
      refuse_management(Condition::item_not_found);
      release();
    } else {
      acknowledged_too_much(h, management.sent());
    }
    return;
  }
  session_ = session;
  user.resumed(*session, shared_from_this());
  machine_.bound(session->jid());
  std::string text;
  xml::Writer writer(text, ns::client);
  writer.open("resumed", ns::sm)
      .attribute("previd", management.id())
      .attribute("h", std::to_string(management.acknowledgeable()))
      .close();
  output() += text;
  const bool restored = management.restored();
  management.resumed();
  for (const Management::Sent& sent : management.unacknowledged()) {
    if (sent.outgoing.envelope.stanza)
      send(sent.outgoing);
    else if (!sent.text.empty())
      send_text(sent.text);
    else
      stand_in(*session);
  }
  if (restored && session->available()) user.catch_up(*session);
  user.start_tail();
  shard_->drain();
  release();
}

// For a stanza that nobody misses and that the client counts: its own presence as it is, or nothing at all.
void Connection::stand_in(const UserSession& session) {
  if (session.available()) {
    send({{.stanza = session.presence(), .to = session.jid()}, nullptr});
    return;
  }
  std::string text;
  xml::Writer writer(text, ns::client);
  writer.open("message")
      .attribute("from", session.jid().domain())
      .attribute("to", session.jid().text())
      .close();
  send_text(text);
}

void Connection::replaced() {
  UserSession* session = std::exchange(session_, nullptr);
  session->user().detached(*session, output_.take_untaken());
  end({StreamCondition::conflict, "The session was resumed on another connection"});
}

}  // namespace starling::server
