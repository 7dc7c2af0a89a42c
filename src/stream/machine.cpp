#include "stream/machine.h"

#include "stream/core.h"

namespace starling::stream {
namespace {

StreamCondition condition_of(xml::ParseFault fault) {
  switch (fault) {
    case xml::ParseFault::not_well_formed:
      return StreamCondition::not_well_formed;
    case xml::ParseFault::restricted_xml:
      return StreamCondition::restricted_xml;
    case xml::ParseFault::unsupported_encoding:
      return StreamCondition::unsupported_encoding;
    case xml::ParseFault::bad_format:
      return StreamCondition::bad_format;
    case xml::ParseFault::bad_namespace_prefix:
      return StreamCondition::bad_namespace_prefix;
    case xml::ParseFault::policy_violation:
    case xml::ParseFault::too_big:
      return StreamCondition::policy_violation;
  }
  return StreamCondition::undefined_condition;
}

StreamError read_stream_error(const xml::Element& element) {
  StreamError error;
  for (const auto& child : element.children()) {
    if (child.ns() != ns::streams) continue;
    if (child.name() == "text") {
      error.text = child.text();
    } else if (const auto condition = parse_stream_condition(child.name())) {
      error.condition = *condition;
      if (condition == StreamCondition::see_other_host && error.text.empty()) error.text = child.text();
    }
  }
  return error;
}

}  // namespace

std::optional<std::string> decode_sasl(std::string_view text) {
  auto data = crypto::base64_decode(text);
  if (data && crypto::base64_encode(*data) != text) return std::nullopt;
  return data;
}

bool speaks_xmpp_1(std::string_view version) {
  const auto dot = version.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == version.size()) return false;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto major = version.substr(0, dot);
  if (!std::ranges::all_of(major, is_digit) || !std::ranges::all_of(version.substr(dot + 1), is_digit))
    return false;
  return major.find_first_not_of('0') != std::string_view::npos;  // leading zeros are ignored
}

std::size_t heap_bytes(const std::string& text) {
  static const std::size_t in_place = std::string().capacity();
  return text.capacity() > in_place ? text.capacity() + 1 : 0;
}

// --- Core ---

Event Core::next(std::string_view& input) {
  for (;;) {
    if (!pending_.empty()) {
      Event event = std::move(pending_.front());
      pending_.erase(pending_.begin());
      if (pending_.empty()) std::vector<Event>().swap(pending_);  // an idle stream holds no buffer for events
      return event;
    }
    if (over_) {
      input = {};
      return NeedInput{};
    }
    if (wait_ != Wait::nothing) return Waiting{};

    auto parsed = parser_.next(input);
    if (settings_.tap) show(parsed);
    if (auto* document = std::get_if<xml::Document>(&parsed)) {
      if (auto event = on_document(std::move(*document), !input.empty())) return std::move(*event);
    } else if (std::holds_alternative<xml::NeedMore>(parsed)) {
      return NeedInput{};
    } else if (auto* header = std::get_if<xml::StreamHeader>(&parsed)) {
      lang_ = std::move(header->lang);
      if (!output_closed_) on_header(*header);
    } else if (std::holds_alternative<xml::StreamClosed>(parsed)) {
      return on_closed();
    } else {
      auto& error = std::get<xml::ParseError>(parsed);
      fail_with_event(
          {condition_of(error.fault), std::move(error.message),
           error.fault == xml::ParseFault::too_big ? "<stanza-too-big xmlns='urn:xmpp:errors'/>" : ""});
    }
  }
}

void Core::show(const xml::ParseEvent& parsed) const {
  if (const auto* document = std::get_if<xml::Document>(&parsed)) {
    settings_.tap(document->root().bytes());
  } else if (const auto* header = std::get_if<xml::StreamHeader>(&parsed)) {
    std::string text = "<stream:stream";
    for (const auto& [name, value] : {std::pair<std::string_view, const std::string&>("from", header->from),
                                      {"to", header->to},
                                      {"id", header->id},
                                      {"version", header->version},
                                      {"xml:lang", header->lang}}) {
      if (value.empty()) continue;
      text.append(" ").append(name).append("='");
      xml::escape_attribute(text, value);
      text += '\'';
    }
    settings_.tap(text + '>');
  } else if (std::holds_alternative<xml::StreamClosed>(parsed)) {
    settings_.tap("</stream:stream>");
  }
}

std::optional<Event> Core::on_document(xml::Document document, bool more) {
  const auto& element = document.root();
  if (element.is("error", ns::stream)) {
    Failed failed{read_stream_error(element), true};
    close();
    over_ = true;
    return failed;
  }
  if (bound_ && is_stanza(element) && !(element.name() == "iq" && negotiates(element)))
    return Received{std::move(document)};
  if (output_closed_) return std::nullopt;  // only stanzas still count (RFC 6120 4.4 rule 2)
  return on_element(std::move(document), more);
}

Event Core::on_closed() {
  close();
  over_ = true;
  return Closed{};
}

bool Core::is_stanza(const xml::Element& element) const {
  const auto name = element.name();
  return (name == "message" || name == "presence" || name == "iq") && element.ns() == settings_.content_ns &&
         element.prefix().empty();
}

std::optional<std::size_t> Core::claiming_feature(const xml::Element& element) const {
  const View now = view();
  for (std::size_t i = 0; i < settings_.features.size(); ++i)
    if (settings_.features[i].claims && settings_.features[i].claims(now, element)) return i;
  return std::nullopt;
}

void Core::refuse(const xml::Element& element) {
  const bool content = element.ns() == ns::client || element.ns() == ns::server;
  if (content && element.ns() != settings_.content_ns) {  // RFC 6120 4.8.3
    fail_with_event({StreamCondition::invalid_namespace,
                     "this stream's content namespace is " + settings_.content_ns,
                     {}});
  } else if (content && !element.prefix().empty()) {  // 4.8.5
    fail_with_event(
        {StreamCondition::bad_namespace_prefix, "elements of the content namespace have no prefix", {}});
  } else if (is_stanza(element) && !bound_) {  // 4.9.3.12, 7.1
    fail_with_event({StreamCondition::not_authorized,
                     authenticated_ ? "a resource must be bound before stanzas are sent"
                                    : "log in before sending stanzas",
                     {}});
  } else {
    fail_with_event({StreamCondition::unsupported_stanza_type, {}, {}});
  }
}

bool Core::names_fit(const xml::StreamHeader& header, StreamError& error) const {
  if (header.ns != ns::stream) {
    error = {StreamCondition::invalid_namespace, fmt::format("the stream's namespace is {}", ns::stream), {}};
  } else if (header.name != "stream") {
    error = {StreamCondition::bad_format, "a stream starts with <stream:stream>", {}};
  } else if (header.prefix != "stream") {  // the only one accepted, as 4.8.5 allows
    error = {StreamCondition::bad_namespace_prefix, "the prefix of the stream's namespace is 'stream'", {}};
  } else if (header.content_ns != settings_.content_ns) {
    error = {
        StreamCondition::invalid_namespace, "this stream's content namespace is " + settings_.content_ns, {}};
  } else if (!speaks_xmpp_1(header.version)) {
    error = {StreamCondition::unsupported_version, "this is XMPP 1.0", {}};
  } else {
    return true;
  }
  return false;
}

void Core::open_header() {
  output_ += "<?xml version='1.0'?><stream:stream xmlns='";
  xml::escape_attribute(output_, settings_.content_ns);
  output_ += "' xmlns:stream='";
  output_ += ns::stream;
  output_ += '\'';
  header_sent_ = true;
}

void Core::restart() {
  parser_.reset();
  header_sent_ = false;
  id_.clear();
  lang_.clear();
}

bool Core::answered(Wait what) {
  if (wait_ != what) return false;
  wait_ = Wait::nothing;
  return !output_closed_;
}

void Core::close() {
  if (output_closed_) return;
  output_closed_ = true;
  if (wait_ == Wait::tls) {  // between <proceed/> and the end of the handshake nothing may be written (RFC
                             // 6120 5.4.3.1)
    over_ = true;
    return;
  }
  if (!header_sent_) write_header();
  output_ += "</stream:stream>";
}

void Core::fail(const StreamError& error) {
  over_ = true;
  if (!output_closed_ && wait_ != Wait::tls) {
    if (!header_sent_) write_header();
    write_stream_error(output_, error);
  }
  close();
}

void Core::fail_with_event(StreamError error) {
  fail(error);
  queue(Failed{std::move(error), false});
}

View Core::view() const {
  return {.domain = domain(),
          .encrypted = encrypted_,
          .authenticated = authenticated_,
          .bound = bound_,
          .account = authenticated_ ? &jid_ : nullptr};
}

std::size_t Core::memory_bytes() const {
  return sizeof(Machine) + parser_.memory_bytes() + heap_bytes(output_) + heap_bytes(id_) +
         heap_bytes(lang_) + heap_bytes(jid_.text()) + pending_.capacity() * sizeof(Event);
}

// --- Machine ---

Machine::Machine(const Settings& settings)
    : core_(settings.role == Role::receiving ? make_receiving(settings) : make_initiating(settings)) {}
Machine::Machine(Machine&&) noexcept = default;
Machine& Machine::operator=(Machine&&) noexcept = default;
Machine::~Machine() = default;

void Machine::start() { core_->start(); }
Event Machine::next(std::string_view& input) { return core_->next(input); }
std::string& Machine::output() { return core_->output(); }
void Machine::tls_established(sasl::Bindings bindings, std::string_view injected) {
  core_->tls_established(std::move(bindings), injected);
}
void Machine::give_keys(const sasl::ScramKeys& keys, bool exists, bool disabled) {
  core_->give_keys(keys, exists, disabled);
}
void Machine::give_check(bool right, bool disabled) { core_->give_check(right, disabled); }
void Machine::give_up_auth(sasl::Failure condition, std::string text) {
  core_->give_up_auth(condition, std::move(text));
}
void Machine::bound(const Jid& full) { core_->bound(full); }
void Machine::bind() { core_->bind(); }
void Machine::refuse_bind(const StanzaError& error) { core_->refuse_bind(error); }
void Machine::assume_tls(sasl::Bindings bindings) { core_->assume_tls(std::move(bindings)); }
void Machine::close() { core_->close(); }
void Machine::fail(const StreamError& error) {
  core_->forget_events();
  core_->fail(error);
}
bool Machine::output_closed() const { return core_->output_closed(); }
View Machine::view() const { return core_->view(); }
const Jid& Machine::jid() const { return core_->jid(); }
const std::string& Machine::stream_id() const { return core_->id(); }
std::string_view Machine::lang() const { return core_->lang(); }
std::size_t Machine::memory_bytes() const { return core_->memory_bytes(); }

}  // namespace starling::stream
