#pragma once
#include <algorithm>

#include "stanza/stanza.h"
#include "xml/namespaces.h"

namespace starling {

// A chat state and nothing else that anybody would read (XEP-0085 5.5; a thread and hints may stand with it).
inline bool is_only_chat_state(const Stanza& message) {
  return message.element().child_in(ns::chat_states) != nullptr &&
         std::ranges::all_of(message.element().children(), [](const xml::Element& child) {
           return child.ns() == ns::chat_states || child.ns() == ns::hints || child.is("thread", ns::client);
         });
}

// Something that is worth reading later: chat states, hints and the thread they belong to are not.
inline bool has_content(const Stanza& message) {
  return std::ranges::any_of(message.element().children(), [](const xml::Element& child) {
    return child.ns() != ns::chat_states && child.ns() != ns::hints && child.name() != "thread";
  });
}

}  // namespace starling
