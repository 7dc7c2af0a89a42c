#include "payload/values.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::payload {
namespace {

TEST(Values, booleans) {
  for (const auto* text : {"true", "1", " true\n"}) EXPECT_EQ(parse_boolean(text), true) << text;
  for (const auto* text : {"false", "0", "\t0 "}) EXPECT_EQ(parse_boolean(text), false) << text;
  for (const auto* text : {"", " ", "True", "TRUE", "yes", "2", "00", "true false"})
    EXPECT_EQ(parse_boolean(text), std::nullopt) << text;
}

TEST(Values, integers) {
  EXPECT_EQ(parse_int("42"), 42);
  EXPECT_EQ(parse_int(" -7 "), -7);
  EXPECT_EQ(parse_int("+7"), 7);
  EXPECT_EQ(parse_int("007"), 7);
  EXPECT_EQ(parse_int("2147483647"), 2147483647);
  EXPECT_EQ(parse_int("-2147483648"), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(parse_long("2147483648"), 2147483648);
  EXPECT_EQ(parse_long("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  for (const auto* text : {"", "-", "+", "+-1", "-+1", "1.0", "1e3", "0x10", "1 2", "2147483648", "eins"})
    EXPECT_EQ(parse_int(text), std::nullopt) << text;
  EXPECT_EQ(parse_long("9223372036854775808"), std::nullopt);
}

TEST(Values, doubles) {
  EXPECT_EQ(parse_double("23.4"), 23.4);
  EXPECT_EQ(parse_double(" +1 "), 1.0);
  EXPECT_EQ(parse_double("-.5"), -0.5);
  EXPECT_EQ(parse_double("5."), 5.0);
  EXPECT_EQ(parse_double("-1E4"), -10000.0);
  EXPECT_EQ(parse_double("1267.43233e-12"), 1267.43233e-12);
  EXPECT_EQ(parse_double("INF"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(parse_double("-INF"), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(parse_double("NaN").value()));
  for (const auto* text : {"", "-", ".", "+", "+-1", "1,5", "inf", "-inf", "nan", "nan(1)", "infinity",
                           "0x1p3", "1e", "1e999", "1 2", "26 C"})
    EXPECT_EQ(parse_double(text), std::nullopt) << text;
}

}  // namespace
}  // namespace starling::payload
