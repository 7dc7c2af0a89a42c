#pragma once
// Dates and times on the wire: the profiles of XEP-0082, which are XML Schema's types of the same names.
// Years before 0001 and after 9999 are not read (XEP-0082 section 5), and no time that the wall clock cannot
// hold (years 1678 to 2261). Plain functions; any thread.
#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/loop.h"

namespace starling::payload {

// DateTime (3.2): "1969-07-21T02:56:15Z", "1969-07-20T21:56:15.5-05:00". Digits beyond nanoseconds are left
// out. The error is `invalid`.
Result<WallTime> parse_timestamp(std::string_view text);
// The same, but a time without zone, which XML Schema allows, is of the zone that is `east` of UTC.
Result<WallTime> parse_timestamp(std::string_view text, std::chrono::minutes east);

// In UTC, with so many digits (0 to 9) after the second, further ones cut: "2026-11-20T10:15:00.123Z".
std::string timestamp(WallTime time, unsigned digits = 3);

// A time zone, as XEP-0202 has it by itself: "Z", "+02:00", "-05:00", no more than 14 hours.
Result<std::chrono::minutes> parse_zone(std::string_view text);
std::string zone(std::chrono::minutes east);

// Whether `text` is a value of the type. All may have a zone.
bool is_date(std::string_view text);       // "1776-07-04"
bool is_date_time(std::string_view text);  // as above
bool is_time(std::string_view text);       // "16:00:00"
bool is_duration(std::string_view text);   // "-P1Y2M3DT4H5M6.7S", "PT3M30S": no zone here

}  // namespace starling::payload
