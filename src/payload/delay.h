#pragma once
// That a stanza was delivered late (XEP-0203 section 2). Plain data; any thread.
#include <string>

#include "base/error.h"
#include "base/loop.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

struct Delay {
  std::string from;    // who delayed it, not looked into; may be empty
  WallTime stamp;      // when it was sent; written in milliseconds
  std::string reason;  // for a person; may be empty
  bool operator==(const Delay&) const = default;
};

// Of <delay xmlns='urn:xmpp:delay'/>. The error is `invalid`: another element, or one without a time.
Result<Delay> parse_delay(const xml::Element& delay);

// Writes the whole element.
void write(xml::Writer& writer, const Delay& delay);

}  // namespace starling::payload
