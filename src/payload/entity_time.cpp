#include "payload/entity_time.h"

#include "payload/timestamps.h"
#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {

Result<EntityTime> parse_entity_time(const xml::Element& time) {
  if (!time.is("time", ns::time)) return fail(Errc::invalid, "this is no entity time");
  const auto utc = parse_timestamp(child_text(time, "utc"));
  if (!utc) return std::unexpected(utc.error());
  const auto east = parse_zone(child_text(time, "tzo"));
  if (!east) return std::unexpected(east.error());
  return EntityTime{.utc = *utc, .east = *east};
}

void write(xml::Writer& writer, const EntityTime& time) {
  writer.open("time", ns::time).leaf("tzo", zone(time.east)).leaf("utc", timestamp(time.utc, 0)).close();
}

}  // namespace starling::payload
