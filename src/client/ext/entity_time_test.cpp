#include "client/ext/entity_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing.h"
#include "payload/timestamps.h"

namespace starling::client {
namespace {

using testing::HasSubstr;

struct EntityTimeTest : testing::Test {
  EntityTimeTest() { bench.log_in(); }
  [[nodiscard]] auto ask() {
    return [this] { return time.of(Jid::parse("bob@example.org/a").value()); };
  }
  std::string answer() {
    bench.server_sends("<iq type='get' id='7' from='bob@example.org/a'><time xmlns='urn:xmpp:time'/></iq>");
    return bench.servers.back()->stanzas.back();
  }
  Bench bench;
  EntityTime& time = bench.client->use<EntityTime>();
};

TEST_F(EntityTimeTest, OfSomebody) {
  const auto got = bench.outcome(
      ask(), "<time xmlns='urn:xmpp:time'><tzo>-06:00</tzo><utc>2006-12-19T17:58:35Z</utc></time>");
  ASSERT_TRUE(got);
  EXPECT_EQ(payload::timestamp(got->utc, 0), "2006-12-19T17:58:35Z");
  EXPECT_EQ(got->east, std::chrono::hours(-6));
  EXPECT_THAT(bench.servers.back()->stanzas.back(), HasSubstr("<time xmlns='urn:xmpp:time'/>"));
}

TEST_F(EntityTimeTest, WhatIsNoneIsMalformed) {
  for (const std::string_view nonsense :
       {"", "<time xmlns='urn:xmpp:time'/>",
        "<time xmlns='urn:xmpp:time'><tzo>Z</tzo><utc>yesterday</utc></time>",
        "<time xmlns='urn:xmpp:time'><tzo>CET</tzo><utc>2006-12-19T17:58:35Z</utc></time>",
        "<time xmlns='urn:xmpp:time'><utc>2006-12-19T17:58:35Z</utc></time>",
        "<query xmlns='urn:xmpp:time'/>"})
    EXPECT_EQ(bench.failure(ask(), nonsense), RequestError::Kind::malformed) << nonsense;
  EXPECT_EQ(bench.failure(ask(), "", "error"), RequestError::Kind::refused);
}

TEST_F(EntityTimeTest, OfUs) {
  const auto now = payload::timestamp(bench.loop.wall(), 0);
  EXPECT_EQ(answer(), fmt::format("<iq to='bob@example.org/a' type='result' id='7'><time "
                                  "xmlns='urn:xmpp:time'><tzo>{}</tzo><utc>{}</utc></time></iq>",
                                  payload::zone({}), now));
  time.set_zone(std::chrono::hours(2));
  EXPECT_THAT(answer(), HasSubstr("<tzo>+02:00</tzo>"));
}

}  // namespace
}  // namespace starling::client
