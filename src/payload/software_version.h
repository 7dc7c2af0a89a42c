#pragma once
// Which software an entity runs (XEP-0092 section 2). Plain data; any thread.
#include <string>

#include "base/error.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

struct SoftwareVersion {
  std::string name, version;
  std::string os;  // may be empty
  bool operator==(const SoftwareVersion&) const = default;
};

// Of a result's <query xmlns='jabber:iq:version'/>. The error is `invalid`: another element, or one without
// name or version. Either may be empty.
Result<SoftwareVersion> parse_software_version(const xml::Element& query);

// Writes the whole element.
void write(xml::Writer& writer, const SoftwareVersion& version);

}  // namespace starling::payload
