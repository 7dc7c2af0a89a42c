#include "client/stanzas.h"

#include <charconv>

#include "xml/namespaces.h"

namespace starling::client {
namespace {

std::string_view text_of_child(const Stanza& stanza, std::string_view name) {
  const auto* child = stanza.child(name, stanza.element().ns());
  return child != nullptr ? child->text() : std::string_view();
}

ErrorType parse_error_type(std::string_view name, Condition condition) {
  for (const auto type :
       {ErrorType::auth, ErrorType::cancel, ErrorType::continue_, ErrorType::modify, ErrorType::wait})
    if (to_string(type) == name) return type;
  return default_type(condition);
}

}  // namespace

std::string_view body_of(const Stanza& message) { return text_of_child(message, "body"); }
std::string_view thread_of(const Stanza& message) { return text_of_child(message, "thread"); }

Message reply_to(const Stanza& message, std::string body) {
  return {.to = message.from(),
          .body = std::move(body),
          .type = message.type(),
          .thread = std::string(thread_of(message)),
          .lang = std::string(message.lang())};
}

std::string_view show_of(const Stanza& presence) {
  if (presence.type() == Type::unavailable) return "unavailable";
  const auto show = text_of_child(presence, "show");
  return show.empty() ? "available" : show;
}
std::string_view status_of(const Stanza& presence) { return text_of_child(presence, "status"); }

int priority_of(const Stanza& presence) {
  const auto text = text_of_child(presence, "priority");
  int priority = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), priority);
  return bad == std::errc() && end == text.data() + text.size() ? priority : 0;
}

StanzaError error_of(const Stanza& stanza) {
  StanzaError error;
  const auto* element = stanza.child("error", stanza.element().ns());
  if (element == nullptr) return error;
  for (const auto& child : element->children()) {
    if (child.ns() != ns::stanzas) {
      if (error.application.empty()) error.application = child.bytes();
    } else if (child.name() == "text") {
      error.text = child.text();
    } else if (const auto condition = parse_condition(child.name())) {
      error.condition = *condition;
    }
  }
  error.type = parse_error_type(element->attribute("type").value_or(""), error.condition);
  return error;
}

}  // namespace starling::client
