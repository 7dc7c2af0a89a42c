#include "payload/entity_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

using namespace std::chrono_literals;

// XEP-0202, example 2
constexpr std::string_view kExample =
    "<time xmlns='urn:xmpp:time'><tzo>-06:00</tzo><utc>2006-12-19T17:58:35Z</utc></time>";

TEST(EntityTime, the_example_is_read_and_written) {
  const auto time = parse_entity_time(document(kExample).root());
  ASSERT_TRUE(time);
  EXPECT_EQ(time->utc, std::chrono::sys_days(2006y / 12 / 19) + 17h + 58min + 35s);
  EXPECT_EQ(time->east, -6h);
  EXPECT_EQ(written(*time), kExample);
}

TEST(EntityTime, what_is_refused) {
  for (const std::string_view text : {
           "<time xmlns='urn:xmpp:time'/>",
           "<query xmlns='urn:xmpp:time'><tzo>-06:00</tzo><utc>2006-12-19T17:58:35Z</utc></query>",
           "<time xmlns='urn:xmpp:time'><utc>2006-12-19T17:58:35Z</utc></time>",
           "<time xmlns='urn:xmpp:time'><tzo>-06:00</tzo></time>",
           "<time xmlns='urn:xmpp:time'><tzo>CST</tzo><utc>2006-12-19T17:58:35Z</utc></time>",
           "<time xmlns='urn:xmpp:time'><tzo>-06:00</tzo><utc>20061219T17:58:35</utc></time>",
       }) {
    const auto time = parse_entity_time(document(text).root());
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().code, Errc::invalid);
  }
}

}  // namespace
}  // namespace starling::payload
