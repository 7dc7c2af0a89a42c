#pragma once
// Delayed delivery (XEP-0203).
#include <cstdint>
#include <string>
#include <string_view>

namespace starling::server {

// <delay/> for a stanza that `from` took at `stamp_ms` (milliseconds since 1970).
std::string delay(std::int64_t stamp_ms, std::string_view from);

}  // namespace starling::server
