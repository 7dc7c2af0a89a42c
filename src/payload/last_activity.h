#pragma once
// Since when an entity is idle, offline or up (XEP-0012 section 2). Plain data; any thread.
#include <chrono>
#include <string>

#include "base/error.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

struct LastActivity {
  std::chrono::seconds ago{0};  // never negative
  std::string status;           // with what words a user left (section 3); may be empty
  bool operator==(const LastActivity&) const = default;
};

// Of a result's <query xmlns='jabber:iq:last'/>. The error is `invalid`: another element, or one without a
// number of seconds.
Result<LastActivity> parse_last_activity(const xml::Element& query);

// Writes the whole element.
void write(xml::Writer& writer, const LastActivity& last);

}  // namespace starling::payload
