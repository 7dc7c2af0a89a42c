#include "payload/delay.h"

#include "payload/timestamps.h"
#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {

Result<Delay> parse_delay(const xml::Element& delay) {
  if (!delay.is("delay", ns::delay)) return fail(Errc::invalid, "this is no delay");
  const auto stamp = parse_timestamp(attribute(delay, "stamp"));
  if (!stamp) return std::unexpected(stamp.error());
  return Delay{.from = attribute(delay, "from"), .stamp = *stamp, .reason = std::string(delay.text())};
}

void write(xml::Writer& writer, const Delay& delay) {
  writer.open("delay", ns::delay)
      .attribute_if("from", delay.from)
      .attribute("stamp", timestamp(delay.stamp))
      .text(delay.reason)
      .close();
}

}  // namespace starling::payload
