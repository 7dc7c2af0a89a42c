#include "client/stream_management.h"

#include <charconv>

#include "payload/delay.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::client {
namespace {

// Of xs:unsignedInt.
std::optional<std::uint32_t> count_of(const xml::Element& nonza) {
  const auto text = nonza.attribute("h").value_or(std::string_view());
  std::uint32_t count = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (bad != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count;
}

bool offered(const xml::Element& features) { return features.child("sm", ns::sm) != nullptr; }

std::size_t bytes_of(const StreamManagement::Kept& kept) { return sizeof kept + kept.xml.size(); }

bool is_subscription(Type type) {
  return type == Type::subscribe || type == Type::subscribed || type == Type::unsubscribe ||
         type == Type::unsubscribed;
}

}  // namespace

// --- a stream ---

std::string StreamManagement::enable(const xml::Element& features) {
  std::string nonza;
  if (!trusted_ || !offered(features)) return nonza;
  state_ = State::enabling;
  acknowledged_h_ = 0;
  under_way_ = 0;
  requested_ = false;
  xml::Writer writer(nonza);
  writer.open("enable", ns::sm).attribute_if("resume", wants_to_resume_ ? "true" : "").close();
  return nonza;
}

std::string StreamManagement::resume(const xml::Element& features) {
  std::string nonza;
  if (state_ != State::detached || !offered(features)) return nonza;
  state_ = State::resuming;
  xml::Writer(nonza)
      .open("resume", ns::sm)
      .attribute("h", std::to_string(handled_))
      .attribute("previd", id_)
      .close();
  return nonza;
}

StreamManagement::Heard StreamManagement::hear(const xml::Element& nonza) {
  const auto name = nonza.name();
  if (state_ == State::on && name == "r") return Heard::request;
  if (state_ == State::on && name == "a") {
    requested_ = false;
    return acknowledge(nonza, Heard::acknowledged);
  }
  if (state_ == State::enabling && name == "enabled") return enabled(nonza);
  if (state_ == State::enabling && name == "failed") {
    forget_session();
    return Heard::refused;
  }
  if (state_ == State::resuming && name == "resumed") return resumed(nonza);
  if (state_ == State::resuming && name == "failed") return not_resumed(nonza);
  return Heard::nothing;  // out of place, and harmless
}

StreamManagement::Heard StreamManagement::enabled(const xml::Element& answer) {
  state_ = State::on;
  handled_ = 0;
  told_ = false;
  const auto resume = answer.attribute("resume");
  if (wants_to_resume_ && (resume == "true" || resume == "1")) {
    id_ = answer.attribute("id").value_or("");
    location_ = answer.attribute("location").value_or("");
  }
  return Heard::acknowledged;  // of nothing yet: what was sent meanwhile is to be asked for
}

StreamManagement::Heard StreamManagement::resumed(const xml::Element& answer) {
  if (answer.attribute("previd") != id_)
    return break_off({StreamCondition::undefined_condition, "that is not the session to be resumed", {}});
  state_ = State::on;
  requested_ = told_ = false;
  const auto heard = acknowledge(answer, Heard::resumed);
  if (heard == Heard::resumed) under_way_ = kept_.size();  // they go out now
  return heard;
}

StreamManagement::Heard StreamManagement::not_resumed(const xml::Element& answer) {
  const auto heard = answer.attribute("h") ? acknowledge(answer, Heard::not_resumed) : Heard::not_resumed;
  forget_session();
  return heard;
}

// Section 4: `h` counts modulo 2^32, from where it was.
StreamManagement::Heard StreamManagement::acknowledge(const xml::Element& from, Heard then) {
  const auto h = count_of(from);
  if (!h) return break_off({StreamCondition::undefined_condition, "an acknowledgement has a number", {}});
  const std::uint32_t more = *h - acknowledged_h_;
  if (more > under_way_) {
    const auto sent = acknowledged_h_ + static_cast<std::uint32_t>(under_way_);
    StreamError fault{StreamCondition::undefined_condition,
                      fmt::format("{} stanzas were acknowledged, and {} were sent", *h, sent),
                      {}};
    xml::Writer(fault.application)
        .open("handled-count-too-high", ns::sm)
        .attribute("h", std::to_string(*h))
        .attribute("send-count", std::to_string(sent))
        .close();
    return break_off(std::move(fault));
  }
  acknowledged_h_ = *h;
  under_way_ -= more;
  for (std::uint32_t i = 0; i < more; ++i) {
    Kept& stanza = kept_.front();
    kept_bytes_ -= bytes_of(stanza);
    std::ranges::move(stanza.waiting, std::back_inserter(acknowledged_));
    kept_.pop_front();
  }
  return then;
}

// What a server says that cannot count is worth nothing: no further session is managed with it.
StreamManagement::Heard StreamManagement::break_off(StreamError fault) {
  fault_ = std::move(fault);
  trusted_ = false;
  forget_session();
  return Heard::broken;
}

bool StreamManagement::detach() {
  const bool resumable = trusted_ && !id_.empty();
  if (!resumable) {
    forget_session();
  } else {
    state_ = State::detached;
  }
  return resumable;
}

void StreamManagement::forget_session() {
  state_ = State::off;
  id_.clear();
  location_.clear();
  under_way_ = 0;
}

void StreamManagement::start_afresh() {
  forget_session();
  trusted_ = true;
}

// --- what comes ---

std::string StreamManagement::acknowledgement() {
  std::string nonza;
  told_ = true;
  xml::Writer(nonza).open("a", ns::sm).attribute("h", std::to_string(handled_)).close();
  return nonza;
}

// --- what goes ---

void StreamManagement::keep(Kept stanza) {
  if (state_ == State::off) return;
  told_ = false;
  kept_bytes_ += bytes_of(stanza);
  kept_.push_back(std::move(stanza));
  if (state_ == State::enabling || state_ == State::on) ++under_way_;
}

bool StreamManagement::has_room_for(const Kept& stanza) const {
  return state_ == State::off || kept_bytes_ + bytes_of(stanza) <= most_bytes_;
}

std::deque<StreamManagement::Kept> StreamManagement::take_kept() {
  kept_bytes_ = 0;
  under_way_ = 0;
  return std::exchange(kept_, {});
}

bool StreamManagement::take_request() {
  if (!is_on() || requested_ || kept_.empty()) return false;
  told_ = false;
  return requested_ = true;
}

void StreamManagement::await_acknowledgement(Waiting waiting) {
  const auto last = std::ranges::find(kept_.rbegin(), kept_.rend(), Kind::message, &Kept::kind);
  if (last == kept_.rend()) return waiting({});
  last->waiting.push_back(std::move(waiting));
}

bool StreamManagement::keeps_messages() const {
  return std::ranges::find(kept_, Kind::message, &Kept::kind) != kept_.end();
}

std::optional<std::string> resent_elsewhere(const StreamManagement::Kept& kept, const Jid& self) {
  if (kept.kind == Kind::iq) return std::nullopt;
  auto document = xml::parse_fragment(kept.xml, ns::client);
  if (!document) return std::nullopt;
  auto stanza = Stanza::from(*std::move(document));
  if (!stanza) return std::nullopt;
  stanza->set_from({});  // our address may be another one now; the server knows it
  std::string out;
  if (stanza->kind() == Kind::presence && is_subscription(stanza->type())) out = kept.xml;
  if (stanza->kind() == Kind::message) {
    std::string delay;
    xml::Writer writer(delay, ns::client);
    if (stanza->child("delay", ns::delay) == nullptr)
      payload::write(writer, payload::Delay{.from = self.text(), .stamp = kept.sent, .reason = {}});
    stanza->write(out, stanza->to(), delay);
  }
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

}  // namespace starling::client
