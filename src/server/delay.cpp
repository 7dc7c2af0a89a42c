#include "server/delay.h"

#include <ctime>

#include "xml/namespaces.h"
#include "xml/writer.h"

namespace starling::server {

std::string timestamp(std::int64_t stamp_ms) {
  const std::time_t seconds = stamp_ms / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, stamp_ms % 1000);
}

std::string delay(std::int64_t stamp_ms, std::string_view from) {
  std::string out;
  xml::Writer writer(out);
  writer.open("delay", ns::delay).attribute("from", from).attribute("stamp", timestamp(stamp_ms)).close();
  return out;
}

}  // namespace starling::server
