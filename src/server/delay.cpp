#include "server/delay.h"

#include "payload/delay.h"

namespace starling::server {

std::string delay(std::int64_t stamp_ms, std::string_view from) {
  std::string out;
  xml::Writer writer(out);
  write(writer,
        payload::Delay{.from = std::string(from), .stamp = WallTime(Milliseconds(stamp_ms)), .reason = {}});
  return out;
}

}  // namespace starling::server
