#pragma once
// What an entity's clock says (XEP-0202 section 2). Plain data; any thread.
#include <chrono>

#include "base/error.h"
#include "base/loop.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

struct EntityTime {
  WallTime utc;                  // written in whole seconds
  std::chrono::minutes east{0};  // of UTC: the entity's time zone
  bool operator==(const EntityTime&) const = default;
};

// Of a result's <time xmlns='urn:xmpp:time'/>. The error is `invalid`: another element, or one without both
// parts.
Result<EntityTime> parse_entity_time(const xml::Element& time);

// Writes the whole element.
void write(xml::Writer& writer, const EntityTime& time);

}  // namespace starling::payload
