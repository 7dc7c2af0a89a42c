#pragma once
// Delayed delivery (XEP-0203).
#include <cstdint>
#include <string>
#include <string_view>

namespace starling::server {

// <delay/> for a stanza that `from` took at `stamp_ms` (milliseconds since 1970).
std::string delay(std::int64_t stamp_ms, std::string_view from);
// "2026-11-20T10:15:00.123Z" (XEP-0082).
std::string timestamp(std::int64_t stamp_ms);

}  // namespace starling::server
