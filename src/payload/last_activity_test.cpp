#include "payload/last_activity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

Result<LastActivity> parse(std::string_view text) { return parse_last_activity(document(text).root()); }

// XEP-0012, example 5
constexpr std::string_view kExample = "<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>";

TEST(LastActivity, the_examples_are_read_and_written) {
  const auto last = parse(kExample);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->ago, std::chrono::seconds(903));
  EXPECT_EQ(last->status, "Heading Home");
  EXPECT_EQ(written(*last), kExample);
  constexpr std::string_view kIdle = "<query xmlns='jabber:iq:last' seconds='0'/>";
  EXPECT_EQ(written(parse(kIdle).value()), kIdle);
}

TEST(LastActivity, what_is_refused) {
  for (const std::string_view text :
       {"<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:last' seconds=''/>",
        "<query xmlns='jabber:iq:last' seconds='-1'/>", "<query xmlns='jabber:iq:last' seconds='1.5'/>",
        "<query xmlns='jabber:iq:last' seconds='9223372036854775808'/>",
        "<query xmlns='jabber:iq:version' seconds='1'/>"})
    EXPECT_FALSE(parse(text)) << text;
}

}  // namespace
}  // namespace starling::payload
