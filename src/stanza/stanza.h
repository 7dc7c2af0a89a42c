#pragma once
// Message, presence and IQ (RFC 6120 section 8): a thin, typed view over a parsed element, with both
// addresses parsed once. A Stanza does not change after it was made; it may be shared between threads (it is
// handed over, never written).
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "jid/jid.h"
#include "stanza/error.h"
#include "xml/element.h"

namespace starling {

enum class Kind : std::uint8_t { message, presence, iq };
// All types of the three kinds; `available` is presence without a type, `normal` a message without one.
enum class Type : std::uint8_t {
  normal,
  chat,
  groupchat,
  headline,  // message (RFC 6121 5.2.2)
  available,
  unavailable,
  subscribe,
  subscribed,
  unsubscribe,
  unsubscribed,
  probe,  // presence (RFC 6121 4.7.1)
  get,
  set,
  result,  // iq (RFC 6120 8.2.3)
  error,
};
std::string_view to_string(Kind kind);
std::string_view to_string(
    Type type);  // empty for normal and available, which are written without the attribute
// Which stanza a top-level element is; nothing for any other element and any other namespace.
std::optional<Kind> kind_of(const xml::Element& element);

class Stanza {
 public:
  // From a top-level element of a stream. The error is what the sender must get: jid_malformed for an
  // address, bad_request for an unknown type of an IQ or presence, an IQ without id, a request without
  // exactly one payload (RFC 6120 8.2.3), and what is no stanza at all. An unknown message type is normal
  // (RFC 6121 5.2.2). After an error `document` is as it was.
  static std::expected<Stanza, StanzaError> from(xml::Document&& document);

  // Built by us. `inner` is well-formed content whose default namespace is jabber:client (else
  // std::logic_error).
  static Stanza make(Kind kind, Type type, const Jid& from, const Jid& to, std::string_view id,
                     std::string_view inner, std::string_view lang = {});
  // The error reply to `cause` (RFC 6120 8.3.1): addresses swapped, same id, without the original content.
  // Never call it for an error.
  static Stanza error_reply(const Stanza& cause, const StanzaError& error);
  // The same for an element that from() refused, between addresses that are known to be good; it must be of
  // some kind.
  static Stanza error_reply(const xml::Element& cause, const Jid& from, const Jid& to,
                            const StanzaError& error);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] Type type() const { return type_; }
  [[nodiscard]] const Jid& from() const { return from_; }
  [[nodiscard]] const Jid& to() const { return to_; }
  [[nodiscard]] std::string_view id() const { return id_; }
  [[nodiscard]] std::string_view lang() const { return lang_; }
  [[nodiscard]] const xml::Element& element() const { return document_.root(); }
  [[nodiscard]] const xml::Element* child(std::string_view name, std::string_view ns) const {
    return element().child(name, ns);
  }
  // The single payload of an IQ (RFC 6120 8.2.3), or nullptr.
  [[nodiscard]] const xml::Element* payload() const { return element().first_child(); }
  [[nodiscard]] bool is(Kind kind, Type type) const { return kind_ == kind && type_ == type; }
  [[nodiscard]] bool is_request() const {
    return kind_ == Kind::iq && (type_ == Type::get || type_ == Type::set);
  }

  // Before it is shared: what the sender's server decides.
  void set_from(Jid from) { from_ = std::move(from); }
  void set_to(Jid to) { to_ = std::move(to); }
  // The stream's language, for a stanza that has none of its own (RFC 6120 8.1.5).
  void set_default_lang(std::string_view lang) {
    if (lang_.empty()) lang_ = lang;
  }

  // What stands between the tags, ready to be sent under any stanza start tag.
  [[nodiscard]] std::string_view inner() const { return inner_; }

  // Writes the whole stanza for a stream whose default namespace is jabber:client. `added` is well-formed
  // content put after the sender's own. A copy to another address writes a new start tag and the same inner
  // bytes. Attributes of the start tag that RFC 6120 does not know are kept, unless they have a prefix.
  void write(std::string& out, const Jid& to, std::string_view added = {}) const;
  void write(std::string& out) const { write(out, to_); }

  [[nodiscard]] std::size_t memory_bytes() const;  // about what it holds, for bounded queues

 private:
  Stanza() = default;
  void adopt(xml::Document&& document);

  xml::Document document_;
  std::unique_ptr<const std::string>
      rewritten_;  // the content serialised again, when the original depends on its surroundings
  std::string_view id_, inner_;  // in document_ or rewritten_
  std::string lang_;
  Jid from_, to_;
  Kind kind_ = Kind::message;
  Type type_ = Type::normal;
};

using StanzaPtr = std::shared_ptr<const Stanza>;

}  // namespace starling
