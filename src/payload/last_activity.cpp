#include "payload/last_activity.h"

#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {

Result<LastActivity> parse_last_activity(const xml::Element& query) {
  if (!query.is("query", ns::last)) return fail(Errc::invalid, "this is no last activity");
  const auto seconds = parse_long(attribute(query, "seconds"));
  if (!seconds || *seconds < 0) return fail(Errc::invalid, "a last activity has no number of seconds");
  return LastActivity{.ago = std::chrono::seconds(*seconds), .status = std::string(query.text())};
}

void write(xml::Writer& writer, const LastActivity& last) {
  writer.open("query", ns::last)
      .attribute("seconds", std::to_string(last.ago.count()))
      .text(last.status)
      .close();
}

}  // namespace starling::payload
