#include "client/ext/disco.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/ext/ping.h"
#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Jid jid(std::string_view text) { return Jid::parse(text).value(); }

constexpr std::string_view kInfo =
    "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc' name='G'/>"
    "<feature var='jabber:iq:time'/></query>";

struct DiscoTest : testing::Test {
  DiscoTest() { bench.log_in(); }
  [[nodiscard]] auto info(std::string_view of, std::string_view node = {}) {
    return [this, of, node] { return disco.info(jid(of), node); };
  }
  [[nodiscard]] auto items(std::string_view of, std::string_view node = {}) {
    return [this, of, node] { return disco.items(jid(of), node); };
  }
  std::string answer_to(std::string_view query, std::string_view ns = ns::disco_info) {
    bench.server_sends(
        fmt::format("<iq type='get' id='7' from='bob@example.org/a' to='alice@example.org/balcony'>"
                    "<query xmlns='{}'{}/></iq>",
                    ns, query));
    return bench.servers.back()->stanzas.back();
  }
  std::size_t asked() { return bench.servers.back()->stanzas.size(); }

  Bench bench;
  Disco& disco = bench.client->use<Disco>();
};

TEST_F(DiscoTest, AsksWhatSomebodyIsAndCanDo) {
  std::vector<std::string> raised;
  disco.disco_info([&](const Jid& of, const payload::DiscoInfo&) { raised.push_back(of.text()); });
  const auto got = bench.outcome(info("bob@example.org/a"), kInfo);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->identities, (std::vector<payload::DiscoInfo::Identity>{{"client", "pc", "", "G"}}));
  EXPECT_TRUE(got->has_feature("jabber:iq:time"));
  EXPECT_THAT(raised, ElementsAre("bob@example.org/a"));
  EXPECT_TRUE(bench.saw("disco_info"));
}

TEST_F(DiscoTest, TheSecondAnswerIsFromTheCache) {  // R72
  const auto got = bench.outcome(info("bob@example.org/a"), kInfo);
  EXPECT_EQ(bench.logged("Caching disco info result from <bob@example.org/a>."), 1u);
  std::optional<payload::DiscoInfo> again;
  bench.in_turn([&] { disco.info(jid("bob@example.org/a")).then([&](auto answer) { again = *answer; }); });
  EXPECT_EQ(again, *got);
  EXPECT_EQ(asked(), 1u);
  EXPECT_EQ(bench.logged("Disco info of <bob@example.org/a> from the cache."), 1u);
}

TEST_F(DiscoTest, TheCacheForgets) {
  const auto count = [&](std::string_view of) {
    EXPECT_TRUE(bench.outcome(info(of), kInfo));
    return asked();
  };
  EXPECT_EQ(count("bob@example.org/a"), 1u);
  bench.server_sends("<presence from='bob@example.org/b' type='unavailable'/>");
  EXPECT_EQ(count("bob@example.org/a"), 1u);
  bench.server_sends("<presence from='bob@example.org/a' type='unavailable'/>");
  EXPECT_EQ(count("bob@example.org/a"), 2u);
  disco.forget(jid("bob@example.org/a"));
  EXPECT_EQ(count("bob@example.org/a"), 3u);
  EXPECT_EQ(count("example.org"), 4u);
  EXPECT_EQ(count("example.org"), 4u);
  // What a room or an account can do changes without a word.
  EXPECT_EQ(count("room@chat.example.org"), 5u);
  EXPECT_EQ(count("room@chat.example.org"), 6u);
}

TEST_F(DiscoTest, TheCacheEndsWithTheSession) {
  Bench again({.reconnect = true});
  again.log_in();
  auto& disco_again = again.client->use<Disco>();
  const auto ask = [&] { return disco_again.info(jid("bob@example.org/a")); };
  EXPECT_TRUE(again.outcome(ask, kInfo));
  again.in_turn([&] { again.servers.back()->drop(); });
  again.loop.advance(Milliseconds{1500});
  EXPECT_TRUE(again.outcome(ask, kInfo));
  EXPECT_EQ(again.servers.back()->stanzas.size(), 1u);
}

TEST_F(DiscoTest, TheCacheIsBounded) {
  std::string large(kInfo.substr(0, kInfo.size() - 8));
  for (int i = 0; i < 2000; ++i) large += fmt::format("<feature var='f{}'/>", i);
  large += "</query>";
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(bench.outcome(info("bob@example.org/a"), large));
  EXPECT_EQ(asked(), 2u);
}

TEST_F(DiscoTest, OtherNodesAreAskedEachTime) {
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(bench.outcome(info("bob@example.org/a", "n'1"), kInfo));
  EXPECT_EQ(asked(), 2u);
  EXPECT_THAT(bench.servers.back()->stanzas[1],
              HasSubstr("<query xmlns='http://jabber.org/protocol/disco#info' node='n&apos;1'/>"));
}

TEST_F(DiscoTest, ListsItems) {
  const auto got = bench.outcome(
      items("example.org", "n"),
      "<query xmlns='http://jabber.org/protocol/disco#items'><item jid='chat.example.org' name='Rooms'/>"
      "<item jid='example.org' node='m'/><item/><item jid='@'/><item xmlns='other' jid='a.b'/></query>");
  ASSERT_TRUE(got);
  EXPECT_EQ(*got,
            (std::vector<DiscoItem>{{jid("chat.example.org"), "", "Rooms"}, {jid("example.org"), "m", ""}}));
}

TEST_F(DiscoTest, WhatIsNoAnswerIsMalformed) {
  for (const std::string_view nonsense :
       {"", "<query xmlns='jabber:iq:roster'/>", "<x xmlns='http://jabber.org/protocol/disco#info'/>"}) {
    EXPECT_EQ(bench.failure(info("bob@example.org/a"), nonsense), RequestError::Kind::malformed) << nonsense;
    EXPECT_EQ(bench.failure(items("bob@example.org/a"), nonsense), RequestError::Kind::malformed) << nonsense;
  }
  EXPECT_EQ(bench.failure(info("bob@example.org/a"),
                          "<query xmlns='http://jabber.org/protocol/disco#info'><identity/></query>"),
            RequestError::Kind::malformed);
  EXPECT_EQ(bench.failure(info("bob@example.org/a"), "", "error"), RequestError::Kind::refused);
}

TEST_F(DiscoTest, ToleratesWhatComesTwice) {
  const auto got = bench.outcome(
      info("bob@example.org/a"),
      "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='f'/><feature var='f'/></query>");
  ASSERT_TRUE(got);
  EXPECT_THAT(got->features, ElementsAre("f"));
}

// --- answering ---

TEST_F(DiscoTest, TellsWhatTheExtensionsCanDo) {
  bench.client->use<Ping>();
  disco.add_feature("a:b");
  disco.add_feature("a:b");
  EXPECT_EQ(
      answer_to(""),
      "<iq to='bob@example.org/a' type='result' id='7'>"
      "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='bot'/>"
      "<feature var='a:b'/><feature var='http://jabber.org/protocol/disco#info'/>"
      "<feature var='http://jabber.org/protocol/disco#items'/><feature var='urn:xmpp:ping'/></query></iq>");
  EXPECT_EQ(bench.logged("No identity found for this entity. Using default client identity."), 1u);
  disco.set_identity("client", "console", "Starling");
  EXPECT_THAT(answer_to(""), HasSubstr("<identity category='client' type='console' name='Starling'/>"));
  EXPECT_EQ(bench.logged("No identity found"), 1u);
  EXPECT_EQ(
      bench.logged("Received disco info query from <bob@example.org/a> to <alice@example.org/balcony>."), 2u);
}

TEST_F(DiscoTest, HasNoItemsOfItsOwn) {
  EXPECT_EQ(answer_to("", ns::disco_items),
            "<iq to='bob@example.org/a' type='result' id='7'>"
            "<query xmlns='http://jabber.org/protocol/disco#items'/></iq>");
}

TEST_F(DiscoTest, KnowsOnlyItsNodes) {
  disco.on_node([](const Jid& asking, std::string_view node) -> std::optional<Disco::Node> {
    if (node != "shop") return std::nullopt;
    return Disco::Node{{{{"hierarchy", "branch", "", ""}}, {"f"}, {}}, {{asking, "books", "Books"}}};
  });
  EXPECT_THAT(answer_to(" node='shop'"),
              HasSubstr("<query xmlns='http://jabber.org/protocol/disco#info' node='shop'>"
                        "<identity category='hierarchy' type='branch'/><feature var='f'/></query>"));
  EXPECT_THAT(answer_to(" node='shop'", ns::disco_items),
              HasSubstr("node='shop'><item jid='bob@example.org/a' node='books' name='Books'/></query>"));
  EXPECT_THAT(answer_to(" node='bank'"), HasSubstr("item-not-found"));
  EXPECT_THAT(answer_to(" node='bank'", ns::disco_items), HasSubstr("item-not-found"));
}

TEST(BoundedMapTest, DropsTheOldest) {
  BoundedMap<int> map(2);
  map.put("a", 1);
  map.put("b", 2);
  map.put("a", 3);
  EXPECT_EQ(*map.find("a"), 3);
  map.put("c", 4);
  EXPECT_EQ(map.find("a"), nullptr);
  EXPECT_EQ(*map.find("b"), 2);
  map.erase("b");
  map.erase("b");
  EXPECT_EQ(map.size(), 1u);
  map.clear();
  EXPECT_EQ(map.find("c"), nullptr);
}

}  // namespace
}  // namespace starling::client
