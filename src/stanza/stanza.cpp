#include "stanza/stanza.h"

#include <array>
#include <limits>
#include <stdexcept>
#include <utility>

#include "xml/namespaces.h"
#include "xml/parser.h"
#include "xml/writer.h"

namespace starling {
namespace {

constexpr std::array kKinds = std::to_array<std::string_view>({"message", "presence", "iq"});
// In the order of Type.
constexpr std::array kTypes = std::to_array<std::string_view>(
    {"normal", "chat", "groupchat", "headline", "available", "unavailable", "subscribe", "subscribed",
     "unsubscribe", "unsubscribed", "probe", "get", "set", "result", "error"});
static_assert(kTypes.size() == std::to_underlying(Type::error) + 1);

struct Range {
  Type first, last;
};
constexpr std::array kTypesOfKind = std::to_array<Range>(
    {{Type::normal, Type::headline}, {Type::unavailable, Type::probe}, {Type::get, Type::result}});

// `written` is the attribute, or nothing when there is none.
std::optional<Type> parse_type(Kind kind, std::optional<std::string_view> written) {
  if (written == "error") return Type::error;
  if (!written && kind == Kind::presence) return Type::available;
  const Range range = kTypesOfKind[std::to_underlying(kind)];
  for (auto type = std::to_underlying(range.first); type <= std::to_underlying(range.last); ++type) {
    if (written == kTypes[type]) return static_cast<Type>(type);
  }
  if (kind == Kind::message) return Type::normal;
  return std::nullopt;
}

void write_attribute(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += ' ';
  out += name;
  out += "='";
  xml::escape_attribute(out, value);
  out += '\'';
}

struct StartTag {
  Kind kind;
  Type type;
  std::string_view from, to, id, lang;
};

void write_start(std::string& out, const StartTag& tag) {
  out += '<';
  out += to_string(tag.kind);
  write_attribute(out, "from", tag.from);
  write_attribute(out, "to", tag.to);
  write_attribute(out, "id", tag.id);
  write_attribute(out, "type", to_string(tag.type));
  write_attribute(out, "xml:lang", tag.lang);
}

void write_rest(std::string& out, Kind kind, std::string_view inner, std::string_view added) {
  if (inner.empty() && added.empty()) {
    out += "/>";
    return;
  }
  out += '>';
  out += inner;
  out += added;
  out += "</";
  out += to_string(kind);
  out += '>';
}

bool is_common(std::string_view attribute) {
  return attribute == "from" || attribute == "to" || attribute == "id" || attribute == "type";
}

std::unexpected<StanzaError> refuse(Condition condition, std::string text) {
  return std::unexpected(StanzaError{.condition = condition, .text = std::move(text)});
}

// Nothing, or the error for an address that is none. An attribute that is not there leaves `jid` empty.
std::optional<StanzaError> read_address(const xml::Element& element, std::string_view name, Jid& jid) {
  const std::optional<std::string_view> written = element.attribute(name);
  if (!written) return std::nullopt;
  Result<Jid> parsed = Jid::parse(*written);
  if (!parsed)
    return StanzaError{.condition = Condition::jid_malformed, .text = std::move(parsed.error().message)};
  jid = std::move(*parsed);
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Kind kind) { return kKinds[std::to_underlying(kind)]; }

std::string_view to_string(Type type) {
  if (type == Type::normal || type == Type::available) return {};
  return kTypes[std::to_underlying(type)];
}

std::optional<Kind> kind_of(const xml::Element& element) {
  if (element.ns() != ns::client && element.ns() != ns::server) return std::nullopt;
  for (Kind kind : {Kind::message, Kind::presence, Kind::iq}) {
    if (element.name() == to_string(kind)) return kind;
  }
  return std::nullopt;
}

std::expected<Stanza, StanzaError> Stanza::from(xml::Document&& document) {
  const xml::Element& root = document.root();
  const std::optional<Kind> kind = kind_of(root);
  if (!kind) return refuse(Condition::bad_request, "neither message nor presence nor iq");
  const std::optional<Type> type = parse_type(*kind, root.attribute("type"));
  if (!type) return refuse(Condition::bad_request, "unknown type");
  if (*kind == Kind::iq) {
    if (!root.attribute("id")) return refuse(Condition::bad_request, "an iq needs an id");
    const xml::Element* payload = root.first_child();
    const bool one = payload != nullptr && payload->next_sibling() == nullptr;
    if ((*type == Type::get || *type == Type::set) && !one)
      return refuse(Condition::bad_request, "a request has exactly one payload");
  }
  Stanza stanza;
  stanza.kind_ = *kind;
  stanza.type_ = *type;
  if (auto error = read_address(root, "from", stanza.from_)) return std::unexpected(std::move(*error));
  if (auto error = read_address(root, "to", stanza.to_)) return std::unexpected(std::move(*error));
  stanza.adopt(std::move(document));
  return stanza;
}

void Stanza::adopt(xml::Document&& document) {
  document_ = std::move(document);
  const xml::Element& root = document_.root();
  id_ = root.attribute("id").value_or(std::string_view());
  lang_ = root.lang();
  if (document_.self_contained()) {
    inner_ = root.inner_bytes();
    return;
  }
  // What is in the stanza's own namespace is content of whichever stream it will be written to.
  std::string content;
  content.reserve(root.inner_bytes().size() * 2);
  xml::Writer(content, root.ns()).copy_content(root);
  content.shrink_to_fit();
  rewritten_ = std::make_unique<const std::string>(std::move(content));
  inner_ = *rewritten_;
}

Stanza Stanza::make(Kind kind, Type type, const Jid& from, const Jid& to, std::string_view id,
                    std::string_view inner, std::string_view lang) {
  std::string text;
  text.reserve(from.text().size() + to.text().size() + id.size() + inner.size() + lang.size() + 96);
  write_start(text, {kind, type, from.text(), to.text(), id, lang});
  write_rest(text, kind, inner, {});
  Result<xml::Document> document = xml::parse_fragment(text, ns::client, xml::kNoLimits);
  if (!document) throw std::logic_error("a stanza of ours: " + document.error().message);
  Stanza stanza;
  stanza.kind_ = kind;
  stanza.type_ = type;
  stanza.from_ = from;
  stanza.to_ = to;
  stanza.adopt(std::move(*document));
  return stanza;
}

Stanza Stanza::error_reply(const Stanza& cause, const StanzaError& error) {
  return error_reply(cause.element(), cause.to(), cause.from(), error);
}

Stanza Stanza::error_reply(const xml::Element& cause, const Jid& from, const Jid& to,
                           const StanzaError& error) {
  const std::optional<Kind> kind = kind_of(cause);
  if (!kind) throw std::logic_error("an error reply to what is no stanza");
  std::string inner;
  xml::Writer writer(inner, ns::client);
  write_error(writer, error);
  return make(*kind, Type::error, from, to, cause.attribute("id").value_or(std::string_view()), inner);
}

void Stanza::write(std::string& out, const Jid& to, std::string_view added) const {
  write_start(out, {kind_, type_, from_.text(), to.text(), id_, lang_});
  for (const xml::Attribute* at = element().first_attribute(); at != nullptr; at = at->next) {
    if (at->ns.empty() && !is_common(at->name)) write_attribute(out, at->name, at->value);
  }
  write_rest(out, kind_, inner_, added);
}

std::size_t Stanza::memory_bytes() const {
  return sizeof(*this) + document_.memory_bytes() +
         (rewritten_ ? sizeof(std::string) + rewritten_->capacity() : 0) + from_.text().capacity() +
         to_.text().capacity();
}

}  // namespace starling
