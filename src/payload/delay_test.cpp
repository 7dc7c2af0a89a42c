#include "payload/delay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

using namespace std::chrono_literals;

Result<Delay> parse(std::string_view text) { return parse_delay(document(text).root()); }

TEST(Delay, the_examples_are_read) {
  const auto offline = parse(
      "<delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2002-09-10T23:08:25Z'>Offline "
      "Storage</delay>");
  ASSERT_TRUE(offline);
  EXPECT_EQ(offline->from, "capulet.com");
  EXPECT_EQ(offline->stamp, std::chrono::sys_days(2002y / 9 / 10) + 23h + 8min + 25s);
  EXPECT_EQ(offline->reason, "Offline Storage");
  EXPECT_EQ(parse("<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:41:07Z'/>").value().from, "");
}

TEST(Delay, is_written_in_milliseconds) {
  constexpr std::string_view kText =
      "<delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2026-11-20T10:15:00.123Z'>Offline</delay>";
  EXPECT_EQ(written(parse(kText).value()), kText);
}

TEST(Delay, what_is_refused) {
  for (const std::string_view text :
       {"<delay xmlns='urn:xmpp:delay'/>", "<delay xmlns='urn:xmpp:delay' stamp='yesterday'/>",
        "<delay xmlns='urn:xmpp:delay' stamp='20020910T23:08:25'/>",
        "<x xmlns='jabber:x:delay' stamp='2002-09-10T23:08:25Z'/>"})
    EXPECT_FALSE(parse(text)) << text;
}

}  // namespace
}  // namespace starling::payload
