#include "payload/iot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

TEST(Iot, types_have_the_names_of_the_documents) {
  for (const auto* name : {"boolean", "color", "date", "dateTime", "double", "duration", "enum", "int",
                           "long", "numeric", "string", "time", "timeSpan"}) {
    const auto type = parse_iot_type(name);
    ASSERT_TRUE(type) << name;
    EXPECT_EQ(to_string(*type), name);
  }
  for (const auto* name : {"", "Numeric", "float", "datetime", "value"})
    EXPECT_FALSE(parse_iot_type(name)) << name;
}

TEST(Iot, values_are_checked_by_their_type) {
  const struct {
    IotType type;
    std::vector<std::string> good, bad;
  } table[] = {
      {IotType::boolean, {"true", "0"}, {"", "on", "True"}},
      {IotType::color, {"3399FF", "3399ff80"}, {"", "3399F", "#3399FF", "3399FG", "3399FF8", "red"}},
      {IotType::date, {"2013-05-01"}, {"", "01.05.2013", "2013-05-01T00:00:00"}},
      {IotType::date_time, {"2013-04-02T08:00:00", "2013-04-02T08:00:00Z"}, {"", "2013-04-02", "08:00:00"}},
      {IotType::double_, {"8.192", "-1e3", "INF"}, {"", "8,192", "8.192 V"}},
      {IotType::duration, {"PT3M30S"}, {"", "PT", "3:30"}},
      {IotType::enum_, {"", "on"}, {}},
      {IotType::int_, {"50000", "-1"}, {"", "2147483648", "1.5"}},
      {IotType::long_, {"500000000000000"}, {"", "9223372036854775808", "1.5"}},
      {IotType::numeric, {"23.4", "10.00"}, {"", "23.4 C"}},
      {IotType::string, {"", "Temperature: 21.4 \u00b0C"}, {}},
      {IotType::time, {"08:00:00"}, {"", "8:00"}},
      {IotType::time_span, {"PT3H"}, {"", "3h"}},
  };
  for (const auto& [type, good, bad] : table) {
    for (const auto& text : good)
      EXPECT_TRUE((IotValue{type, text}.valid())) << to_string(type) << ' ' << text;
    for (const auto& text : bad)
      EXPECT_FALSE((IotValue{type, text}.valid())) << to_string(type) << ' ' << text;
  }
}

TEST(Iot, values_are_read_as_their_own_type_only) {
  EXPECT_EQ((IotValue{IotType::boolean, "true"}.boolean()), true);
  EXPECT_EQ((IotValue{IotType::string, "true"}.boolean()), std::nullopt);
  EXPECT_EQ((IotValue{IotType::int_, "5"}.integer()), 5);
  EXPECT_EQ((IotValue{IotType::int_, "2147483648"}.integer()), std::nullopt);
  EXPECT_EQ((IotValue{IotType::long_, "2147483648"}.integer()), 2147483648);
  EXPECT_EQ((IotValue{IotType::numeric, "5"}.integer()), std::nullopt);
  EXPECT_EQ((IotValue{IotType::numeric, "23.40"}.number()), 23.4);
  EXPECT_EQ((IotValue{IotType::double_, "23.4"}.number()), 23.4);
  EXPECT_EQ((IotValue{IotType::int_, "-5"}.number()), -5.0);
  EXPECT_EQ((IotValue{IotType::boolean, "1"}.number()), std::nullopt);
  EXPECT_EQ((IotValue{IotType::string, "5"}.number()), std::nullopt);
}

TEST(Iot, a_node_has_an_id) {
  EXPECT_FALSE(parse_iot_node(document("<node sourceId='s'/>").root()));
  const auto node =
      parse_iot_node(document("<node nodeId='n' sourceId='s' cacheType='c' other='x'/>").root());
  ASSERT_TRUE(node);
  EXPECT_EQ(*node, (IotNode{"n", "s", "c"}));
}

}  // namespace
}  // namespace starling::payload
