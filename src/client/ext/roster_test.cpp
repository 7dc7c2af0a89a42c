#include "client/ext/roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using Subscription = RosterItem::Subscription;

Jid jid(std::string_view text) { return Jid::parse(text).value(); }

constexpr std::string_view kTwo =
    "<query xmlns='jabber:iq:roster' ver='v7'>"
    "<item jid='bob@example.org' name='Bob' "
    "subscription='both'><group>Friends</group><group>Work</group></item>"
    "<item jid='carol@example.net' ask='subscribe' approved='true'/></query>";

struct RosterTest : testing::Test {
  explicit RosterTest(bool versions = false) : bench({.reconnect = true}) {
    if (versions)
      bench.on_server = [](FakeServer& server) {
        server.advertise("<ver xmlns='urn:xmpp:features:rosterver'/>");
        server.advertise("<sub xmlns='urn:xmpp:features:pre-approval'/>");
      };
    roster.updated([this](const auto& changed) {
      updates.emplace_back();
      for (const auto& contact : changed) updates.back() += contact.text() + ' ';
    });
    bench.log_in();
  }
  Outcome<void> get(std::string_view answer, std::string_view type = "result") {
    return bench.outcome([&] { return roster.get(); }, answer, type);
  }
  std::string push(std::string_view content, std::string_view from = "") {
    bench.server_sends(
        fmt::format("<iq type='set' id='p'{}><query xmlns='jabber:iq:roster' ver='v8'>{}</query></iq>",
                    from.empty() ? "" : fmt::format(" from='{}'", from), content));
    return sent();
  }
  const std::string& sent() { return bench.servers.back()->stanzas.back(); }

  Bench bench;
  Roster& roster = bench.client->use<Roster>();
  std::vector<std::string> updates;
};
struct VersionedRoster : RosterTest {
  VersionedRoster() : RosterTest(true) {}
};

TEST_F(RosterTest, IsFetched) {  // R58
  ASSERT_TRUE(get(kTwo));
  EXPECT_THAT(sent(), HasSubstr("<query xmlns='jabber:iq:roster'/>"));
  EXPECT_EQ(roster.items().size(), 2u);
  EXPECT_EQ(
      *roster.find(jid("bob@example.org/phone")),
      (RosterItem{jid("bob@example.org"), "Bob", {"Friends", "Work"}, Subscription::both, false, false}));
  EXPECT_EQ(*roster.find(jid("carol@example.net")),
            (RosterItem{jid("carol@example.net"), "", {}, Subscription::none, true, true}));
  EXPECT_EQ(roster.find(jid("dave@example.org")), nullptr);
  EXPECT_THAT(updates, ElementsAre("bob@example.org carol@example.net "));
  EXPECT_TRUE(bench.saw("roster_update"));
}

TEST_F(RosterTest, SaysWhoMayKnowThatWeAreThere) {
  ASSERT_TRUE(
      get("<query xmlns='jabber:iq:roster'><item jid='a@x.y' subscription='from'/>"
          "<item jid='b@x.y' subscription='both'/><item jid='c@x.y' subscription='to'/><item "
          "jid='d@x.y'/></query>"));
  for (const std::string_view who : {"a@x.y", "a@x.y/r", "b@x.y/r", "alice@example.org/phone"})
    EXPECT_TRUE(roster.sees_us(jid(who))) << who;
  for (const std::string_view who : {"c@x.y", "d@x.y/r", "e@x.y", "example.org", "x.y"})
    EXPECT_FALSE(roster.sees_us(jid(who))) << who;
}

TEST_F(RosterTest, IsReplacedByAnotherAnswer) {
  ASSERT_TRUE(get(kTwo));
  ASSERT_TRUE(get("<query xmlns='jabber:iq:roster'><item jid='dave@example.org'/></query>"));
  EXPECT_EQ(roster.items().size(), 1u);
  EXPECT_EQ(updates.back(), "bob@example.org carol@example.net dave@example.org ");
  ASSERT_TRUE(get("<query xmlns='jabber:iq:roster'/>"));
  EXPECT_TRUE(roster.items().empty());
}

TEST_F(RosterTest, SkipsWhatMakesNoSense) {
  ASSERT_TRUE(get(
      "<query xmlns='jabber:iq:roster'><item/><item jid='@'/><item xmlns='other' jid='x@example.org'/>"
      "<item jid='bob@example.org' subscription='friend' ask='maybe' approved='no'><group xmlns='o'>G</group>"
      "</item><item jid='eve@example.org' subscription='remove'/></query>"));
  EXPECT_EQ(roster.items().size(), 2u);
  EXPECT_EQ(*roster.find(jid("bob@example.org")), (RosterItem{.jid = jid("bob@example.org")}));
  EXPECT_EQ(*roster.find(jid("eve@example.org")), (RosterItem{.jid = jid("eve@example.org")}));
}

TEST_F(RosterTest, WhatIsNoRosterIsMalformed) {
  ASSERT_TRUE(get(kTwo));
  for (const std::string_view nonsense :
       {"", "<query xmlns='jabber:iq:last'/>", "<x xmlns='jabber:iq:roster'/>"})
    EXPECT_EQ(get(nonsense).error().kind, RequestError::Kind::malformed) << nonsense;
  EXPECT_EQ(get("", "error").error().kind, RequestError::Kind::refused);
  EXPECT_EQ(roster.items().size(), 2u);
  EXPECT_EQ(updates.size(), 1u);
}

TEST_F(RosterTest, APushChangesIt) {  // R60
  ASSERT_TRUE(get(kTwo));
  EXPECT_EQ(push("<item jid='bob@example.org' name='Robert' subscription='to'/>"),
            "<iq type='result' id='p'/>");
  EXPECT_EQ(*roster.find(jid("bob@example.org")),
            (RosterItem{jid("bob@example.org"), "Robert", {}, Subscription::to, false, false}));
  EXPECT_EQ(push("<item jid='dave@example.org'/>", "alice@example.org"),
            "<iq to='alice@example.org' type='result' id='p'/>");
  EXPECT_EQ(roster.items().size(), 3u);
  push("<item jid='carol@example.net' subscription='remove'/>");
  EXPECT_EQ(roster.items().size(), 2u);
  EXPECT_THAT(updates, ElementsAre("bob@example.org carol@example.net ", "bob@example.org ",
                                   "dave@example.org ", "carol@example.net "));
}

TEST_F(RosterTest, NobodyElseMayPush) {  // RFC 6121 2.1.6
  ASSERT_TRUE(get(kTwo));
  for (const std::string_view from : {"mallory@example.org", "bob@example.org/a", "example.org",
                                      "alice@example.org/balcony", "alice@example.net"}) {
    EXPECT_THAT(push("<item jid='mallory@example.org' subscription='both'/>", from),
                HasSubstr("service-unavailable"))
        << from;
    EXPECT_EQ(roster.items().size(), 2u) << from;
  }
  EXPECT_EQ(updates.size(), 1u);
}

TEST_F(RosterTest, APushThatIsNoneChangesNothing) {
  ASSERT_TRUE(get(kTwo));
  for (const std::string_view items :
       {"", "<item/>", "<item jid='@'/>", "<item jid='a@b.c'/><item jid='d@b.c'/>", "<other jid='a@b.c'/>",
        "<item xmlns='other' jid='a@b.c'/>"})
    EXPECT_THAT(push(items), HasSubstr("bad-request")) << items;
  EXPECT_EQ(roster.items().size(), 2u);
  EXPECT_EQ(updates.size(), 1u);
}

TEST_F(RosterTest, ItemsAreSetAndRemoved) {
  EXPECT_TRUE(bench.outcome([&] {
    return roster.set({.jid = jid("bob@example.org"),
                       .name = "B & B",
                       .groups = {"<1>", "2"},
                       .subscription = Subscription::both,
                       .ask = true});
  }));
  EXPECT_THAT(sent(),
              HasSubstr("<query xmlns='jabber:iq:roster'><item jid='bob@example.org' name='B &amp; B'>"
                        "<group>&lt;1&gt;</group><group>2</group></item></query>"));
  EXPECT_TRUE(roster.items().empty());  // until it is pushed
  EXPECT_TRUE(bench.outcome([&] { return roster.remove(jid("bob@example.org")); }));
  EXPECT_THAT(sent(), HasSubstr("<item jid='bob@example.org' subscription='remove'/>"));
  EXPECT_EQ(bench.failure([&] { return roster.remove(jid("bob@example.org")); }, "", "error"),
            RequestError::Kind::refused);
}

TEST_F(RosterTest, Subscriptions) {
  bench.in_turn([&] {
    EXPECT_TRUE(roster.subscribe(jid("bob@example.org/phone"), "It's me"));
    EXPECT_TRUE(roster.unsubscribe(jid("bob@example.org")));
    EXPECT_TRUE(roster.approve(jid("bob@example.org")));
    EXPECT_TRUE(roster.deny(jid("bob@example.org")));
    EXPECT_FALSE(roster.pre_approve(jid("bob@example.org")));  // unknown to this server
  });
  EXPECT_THAT(bench.servers.back()->stanzas,
              ElementsAre(MatchesRegex("<presence to='bob@example.org' type='subscribe' id='.+'>"
                                       "<status>It's me</status></presence>"),
                          MatchesRegex("<presence to='bob@example.org' type='unsubscribe' id='.+'/>"),
                          MatchesRegex("<presence to='bob@example.org' type='subscribed' id='.+'/>"),
                          MatchesRegex("<presence to='bob@example.org' type='unsubscribed' id='.+'/>")));
}

TEST(RosterWithoutSession, Fails) {
  Bench bench;
  auto& roster = bench.client->use<Roster>();
  bench.in_turn([&] {
    EXPECT_FALSE(roster.subscribe(jid("bob@example.org")));
    EXPECT_FALSE(roster.pre_approve(jid("bob@example.org")));
  });
  EXPECT_EQ(bench.outcome([&] { return roster.get(); }).error().kind, RequestError::Kind::disconnected);
}

TEST_F(VersionedRoster, OnlyChangesAreSentAgain) {  // R59
  ASSERT_TRUE(get(kTwo));
  EXPECT_THAT(sent(), HasSubstr("<query xmlns='jabber:iq:roster' ver=''/>"));
  push("<item jid='bob@example.org' subscription='to'/>");
  bench.in_turn([&] { bench.servers.back()->drop(); });
  bench.loop.advance(Milliseconds{1500});
  ASSERT_TRUE(get(""));
  EXPECT_THAT(sent(), HasSubstr("<query xmlns='jabber:iq:roster' ver='v8'/>"));
  EXPECT_EQ(roster.find(jid("bob@example.org"))->subscription, Subscription::to);
  EXPECT_EQ(updates.back(), "bob@example.org carol@example.net ");
  EXPECT_EQ(get("<query xmlns='jabber:iq:last'/>").error().kind, RequestError::Kind::malformed);
}

TEST_F(VersionedRoster, PreApproves) {  // R68
  bench.in_turn([&] { EXPECT_TRUE(roster.pre_approve(jid("bob@example.org"))); });
  EXPECT_THAT(sent(), HasSubstr("type='subscribed'"));
}

}  // namespace
}  // namespace starling::client
