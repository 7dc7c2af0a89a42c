#include "client/ext/last_activity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing.h"

namespace starling::client {
namespace {

using testing::HasSubstr;

struct LastActivityTest : testing::Test {
  LastActivityTest() {
    bench.log_in();
    bench.server_sends(
        "<iq type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='bob@example.org' "
        "subscription='from'/></query></iq>");
  }
  [[nodiscard]] auto ask() {
    return [this] { return last.of(Jid::parse("bob@example.org").value()); };
  }
  std::string answer_to(std::string_view from) {
    bench.server_sends(
        fmt::format("<iq type='get' id='7' from='{}'><query xmlns='jabber:iq:last'/></iq>", from));
    return bench.servers.back()->stanzas.back();
  }
  Bench bench;
  LastActivity& last = bench.client->use<LastActivity>();
};

TEST_F(LastActivityTest, OfSomebody) {  // R75
  const auto got = bench.outcome(ask(), "<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->ago, std::chrono::seconds(903));
  EXPECT_EQ(got->status, "Heading Home");
  EXPECT_THAT(bench.servers.back()->stanzas.back(), HasSubstr("<query xmlns='jabber:iq:last'/>"));
}

TEST_F(LastActivityTest, WhatIsNoneIsMalformed) {
  for (const std::string_view nonsense :
       {"", "<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:last' seconds='-1'/>",
        "<query xmlns='jabber:iq:last' seconds='soon'/>", "<query xmlns='other' seconds='1'/>",
        "<query xmlns='jabber:iq:last' seconds='99999999999999999999'/>"})
    EXPECT_EQ(bench.failure(ask(), nonsense), RequestError::Kind::malformed) << nonsense;
  EXPECT_EQ(bench.failure(ask(), "", "error"), RequestError::Kind::refused);
}

TEST_F(LastActivityTest, OfUs) {
  bench.loop.advance(Milliseconds{42'900});
  EXPECT_EQ(
      answer_to("bob@example.org/a"),
      "<iq to='bob@example.org/a' type='result' id='7'><query xmlns='jabber:iq:last' seconds='42'/></iq>");
  bench.in_turn([&] { last.acted(); });
  bench.loop.advance(Milliseconds{1'000});
  EXPECT_THAT(answer_to("alice@example.org/phone"), HasSubstr("seconds='1'"));
}

TEST_F(LastActivityTest, IsNotForEverybody) {  // XEP-0012 4, 8
  EXPECT_THAT(answer_to("mallory@example.org/m"), HasSubstr("service-unavailable"));
  last.tell(false);
  EXPECT_THAT(answer_to("bob@example.org/a"), HasSubstr("service-unavailable"));
}

}  // namespace
}  // namespace starling::client
