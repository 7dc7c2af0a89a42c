#pragma once
// What a program sends, as plain data, and the few things it reads most often of what it gets.
#include <string>
#include <string_view>

#include "stanza/stanza.h"

namespace starling::client {

struct Message {
  Jid to{};
  std::string body{};
  Type type = Type::chat;
  std::string subject{}, thread{}, lang{};  // left out when empty
  std::string extra{};                      // further content: well-formed, in the namespace jabber:client
  std::string id{};                         // made up when empty
};

struct Presence {
  Type type = Type::available;
  Jid to{};            // empty: to everybody who may see it
  std::string show{};  // "away", "chat", "dnd", "xa" (RFC 6121 4.7.2.1), or empty
  std::string status{};
  int priority = 0;  // -128 to 127
  std::string extra{};
};

// Of a message; empty when it has none.
std::string_view body_of(const Stanza& message);
std::string_view thread_of(const Stanza& message);

// To the full address it came from, of the same type and thread (RFC 6121 5.2.5).
Message reply_to(const Stanza& message, std::string body);

// "show" of an available presence: "available" when it has none; "unavailable" for that type.
std::string_view show_of(const Stanza& presence);
std::string_view status_of(const Stanza& presence);
int priority_of(const Stanza& presence);  // 0 for what is no number

// What an error stanza says; undefined-condition when it says nothing.
StanzaError error_of(const Stanza& stanza);

}  // namespace starling::client
