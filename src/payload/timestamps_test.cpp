#include "payload/timestamps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::payload {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::sys_days;
using namespace std::chrono_literals;

constexpr auto kMoon = sys_days(1969y / 7 / 21) + 2h + 56min + 15s;

TEST(Timestamps, the_examples_of_xep_0082) {
  EXPECT_EQ(parse_timestamp("1969-07-21T02:56:15Z").value(), kMoon);
  EXPECT_EQ(parse_timestamp("1969-07-20T21:56:15-05:00").value(), kMoon);
  EXPECT_TRUE(is_date("1776-07-04"));
  EXPECT_TRUE(is_time("16:00:00"));
}

TEST(Timestamps, fractions_and_zones) {
  const struct {
    std::string_view text;
    nanoseconds after;
  } table[] = {
      {"1969-07-21T02:56:15.5Z", 500ms},
      {"1969-07-21T02:56:15.123456789Z", 123456789ns},
      {"1969-07-21T02:56:15.123456789999999999999999999Z", 123456789ns},
      {"1969-07-21T02:56:15+00:00", 0ns},
      {"1969-07-21T02:56:15-00:00", 0ns},
      {"1969-07-21T08:26:15+05:30", 0ns},
      {"1969-07-21T16:56:15+14:00", 0ns},
      {"1969-07-20T12:56:15-14:00", 0ns},
      {"1969-07-21T24:00:00Z", 21h + 3min + 45s},
  };
  for (const auto& [text, after] : table) EXPECT_EQ(parse_timestamp(text).value(), kMoon + after) << text;
}

TEST(Timestamps, a_time_without_zone_is_of_the_one_that_is_given) {
  EXPECT_EQ(parse_timestamp("1969-07-20T21:56:15", hours(-5)).value(), kMoon);
  EXPECT_EQ(parse_timestamp("1969-07-21T02:56:15", minutes(0)).value(), kMoon);
  EXPECT_EQ(parse_timestamp("1969-07-21T02:56:15Z", hours(-5)).value(), kMoon);
  EXPECT_FALSE(parse_timestamp("1969-07-21T02:56:15"));  // XEP-0082 3.2: the zone is mandatory
}

TEST(Timestamps, what_is_none) {
  for (const auto* text : {"",
                           " ",
                           "Z",
                           "2023-04-04",
                           "2023-04-04T",
                           "2023-04-17T10:17Z",
                           "2023-04-04T17:02:17.Z",
                           "2023-04-04T17:02:17 Z",
                           "2023-04-04 17:02:17Z",
                           "2023-04-04T17:02:17z",
                           "2023-04-04t17:02:17Z",
                           "20230404T17:02:17Z",
                           "23-04-04T17:02:17Z",
                           "12023-04-04T17:02:17Z",
                           "-2023-04-04T17:02:17Z",
                           "2023-13-04T17:02:17Z",
                           "2023-00-04T17:02:17Z",
                           "2023-02-29T17:02:17Z",
                           "2023-04-31T17:02:17Z",
                           "2023-04-00T17:02:17Z",
                           "2023-04-04T24:00:01Z",
                           "2023-04-04T24:00:00.001Z",
                           "2023-04-04T25:00:00Z",
                           "2023-04-04T17:60:17Z",
                           "2023-04-04T17:02:60Z",
                           "2023-04-04T17:02:17+15:00",
                           "2023-04-04T17:02:17+14:01",
                           "2023-04-04T17:02:17+05:60",
                           "2023-04-04T17:02:17+5:00",
                           "2023-04-04T17:02:17+0500",
                           "2023-04-04T17:02:17+-5:00",
                           "2023-04-04T17:02:17ZZ",
                           "2023-04-04T17:02:17Z\n",
                           "0000-01-01T00:00:00Z",
                           "1677-12-31T23:59:59Z",
                           "2262-01-01T00:00:00Z",
                           "9999-12-31T23:59:59Z"})
    EXPECT_FALSE(parse_timestamp(text)) << text;
}

TEST(Timestamps, are_written_in_utc) {
  const WallTime time = sys_days(2026y / 11 / 20) + 10h + 15min + 0s + 123456789ns;
  EXPECT_EQ(timestamp(time), "2026-11-20T10:15:00.123Z");
  EXPECT_EQ(timestamp(time, 0), "2026-11-20T10:15:00Z");
  EXPECT_EQ(timestamp(time, 9), "2026-11-20T10:15:00.123456789Z");
  EXPECT_EQ(timestamp(kMoon), "1969-07-21T02:56:15.000Z");
  EXPECT_EQ(timestamp(WallTime(-1ms)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(timestamp(WallTime(-1ms), 0), "1969-12-31T23:59:59Z");
  EXPECT_EQ(parse_timestamp(timestamp(time, 9)).value(), time);
}

TEST(Timestamps, the_range_is_that_of_whole_years_in_utc) {
  for (const auto* text : {"1678-01-01T00:00:00.000Z", "2261-12-31T23:59:59.999Z"})
    EXPECT_EQ(timestamp(parse_timestamp(text).value()), text);
  EXPECT_EQ(timestamp(parse_timestamp("1677-12-31T23:00:00-01:00").value()), "1678-01-01T00:00:00.000Z");
  for (const auto* text : {"1677-12-31T23:59:59.999Z", "1678-01-01T00:00:00+00:01", "2262-01-01T00:00:00Z",
                           "2261-12-31T24:00:00Z", "2261-12-31T23:59:59-00:01"})
    EXPECT_FALSE(parse_timestamp(text)) << text;
}

TEST(Timestamps, zones) {
  EXPECT_EQ(parse_zone("Z").value(), 0min);
  EXPECT_EQ(parse_zone("-06:00").value(), -6h);
  EXPECT_EQ(parse_zone("+05:45").value(), 5h + 45min);
  for (const auto* text : {"", "06:00", "+6:00", "+06", "UTC", "+06:00 ", "Z+06:00"})
    EXPECT_FALSE(parse_zone(text)) << text;
  EXPECT_EQ(zone(0min), "+00:00");
  EXPECT_EQ(zone(-6h), "-06:00");
  EXPECT_EQ(zone(5h + 45min), "+05:45");
  EXPECT_EQ(zone(-30min), "-00:30");
}

TEST(Timestamps, dates_and_times_of_day) {
  for (const auto* text : {"2013-05-01", "2013-05-01Z", "2013-05-01+02:00", "2024-02-29"})
    EXPECT_TRUE(is_date(text)) << text;
  for (const auto* text : {"", "2013-5-1", "20130501", "2023-02-29", "2013-05-01T", "2013-05-01T00:00:00"})
    EXPECT_FALSE(is_date(text)) << text;
  for (const auto* text : {"08:00:00", "08:00:00.25", "08:00:00Z", "08:00:00-03:00", "24:00:00"})
    EXPECT_TRUE(is_time(text)) << text;
  for (const auto* text : {"", "8:00:00", "08:00", "24:00:01", "08:00:00.", "T08:00:00", "08:00:00 "})
    EXPECT_FALSE(is_time(text)) << text;
  for (const auto* text : {"2013-04-02T08:00:00", "2013-04-02T08:00:00Z", "9999-12-31T23:59:59+01:00"})
    EXPECT_TRUE(is_date_time(text)) << text;
  for (const auto* text : {"", "2013-04-02", "08:00:00", "2023-04-17T10:17"})
    EXPECT_FALSE(is_date_time(text)) << text;
}

TEST(Timestamps, durations) {
  for (const auto* text : {"PT3M30S", "P1Y2M3DT10H30M", "-P120D", "P1347Y", "P1347M", "P1Y2MT2H", "P0Y1347M",
                           "PT0.5S", "P1YT1S", "PT99999999999999999999H", "P1M", "PT1M"})
    EXPECT_TRUE(is_duration(text)) << text;
  for (const auto* text :
       {"",      "P",    "-P",    "PT",     "P1YT",  "P-1347M", "P1Y2MT",   "P1",    "P1T5M",
        "P1S",   "PT1D", "P1M1Y", "PT1S1M", "P1Y1Y", "P1.5D",   "PT1.5M",   "PT.5S", "PT1.S",
        "PT1.5", "1Y",   "P1Y ",  "P1 Y",   "+P1Y",  "p1y",     "PT3M30S3S"})
    EXPECT_FALSE(is_duration(text)) << text;
}

}  // namespace
}  // namespace starling::payload
