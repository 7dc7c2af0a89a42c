#include "client/ext/caps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/ext/ping.h"
#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Jid jid(std::string_view text) { return Jid::parse(text).value(); }

// XEP-0115 5.2, and the same with its SHA-256.
constexpr std::string_view kExodus =
    "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' name='Exodus 0.9.1' "
    "type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/><feature "
    "var='http://jabber.org/protocol/muc'/></query>";
constexpr std::string_view kSha1 = "QgayPKawpkPSDYmwT/WM94uAlu0=";
constexpr std::string_view kOther =
    "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/></query>";

struct CapsTest : testing::Test {
  CapsTest() { bench.log_in(); }

  void announce(std::string_view who, std::string_view attributes) {
    bench.server_sends(fmt::format(
        "<presence from='{}'><c xmlns='http://jabber.org/protocol/caps' {}/></presence>", who, attributes));
  }
  void announce_exodus(std::string_view who) {
    announce(who, fmt::format("hash='sha-1' node='http://exodus' ver='{}'", kSha1));
  }
  // Asks for several at once.
  void ask(std::initializer_list<std::string_view> all) {
    bench.in_turn([&] {
      for (const auto who : all)
        caps.info_of(jid(who)).then([this, who](const auto& info) {
          answers.push_back(fmt::format(
              "{}: {}", who, info ? std::to_string(info->features.size()) : info.error().message()));
        });
    });
  }
  [[nodiscard]] const std::vector<std::string>& sent() const { return bench.servers.back()->stanzas; }
  std::string own_ver() {
    bench.in_turn([&] { bench.client->send(Presence{}); });
    const auto from = sent().back().find("ver='") + 5;
    return sent().back().substr(from, sent().back().find('\'', from) - from);
  }

  Bench bench{Options{.reconnect = true}};
  Caps& caps = bench.client->use<Caps>();
  std::vector<std::string> answers;
};

TEST_F(CapsTest, OurPresenceHasThem) {  // R73
  const auto ver = own_ver();
  EXPECT_EQ(sent().back(), fmt::format("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                                       "node='https://starling.im/client' ver='{}'/></presence>",
                                       ver));
  EXPECT_EQ(ver, payload::caps_hash(bench.client->use<Disco>().own()));
  bench.client->use<Ping>();
  EXPECT_NE(own_ver(), ver);
  bench.in_turn([&] { bench.client->send(Presence{.type = Type::unavailable}); });
  EXPECT_EQ(sent().back(), "<presence type='unavailable'/>");
}

TEST_F(CapsTest, WhoeverAsksForOurHashIsTold) {
  const auto ask_for = [&](std::string_view node) {
    bench.server_sends(
        fmt::format("<iq type='get' id='7' from='bob@example.org/a'><query "
                    "xmlns='http://jabber.org/protocol/disco#info' node='{}'/></iq>",
                    node));
    return sent().back();
  };
  const auto node = fmt::format("https://starling.im/client#{}", own_ver());
  EXPECT_THAT(ask_for(node),
              HasSubstr(fmt::format("node='{}'><identity category='client' type='bot'/><feature "
                                    "var='http://jabber.org/protocol/caps'/>",
                                    node)));
  EXPECT_THAT(ask_for("https://starling.im/client#x"), HasSubstr("item-not-found"));
  EXPECT_THAT(ask_for(node + "x"), HasSubstr("item-not-found"));
}

TEST_F(CapsTest, OneAnswerIsForAllWithThatHash) {
  announce_exodus("bob@example.org/a");
  announce_exodus("carol@example.org/b");
  EXPECT_EQ(caps.known(jid("bob@example.org/a")), nullptr);
  ask({"bob@example.org/a", "carol@example.org/b"});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_THAT(sent()[0], HasSubstr(fmt::format("<iq to='bob@example.org/a' type='get'")));
  EXPECT_THAT(sent()[0], HasSubstr(fmt::format("node='http://exodus#{}'", kSha1)));
  bench.answer(kExodus);
  EXPECT_THAT(answers, ElementsAre("bob@example.org/a: 4", "carol@example.org/b: 4"));
  announce_exodus("dave@example.org/c");
  ask({"dave@example.org/c"});
  EXPECT_EQ(sent().size(), 1u);
  EXPECT_EQ(answers.back(), "dave@example.org/c: 4");
  ASSERT_NE(caps.known(jid("dave@example.org/c")), nullptr);
  EXPECT_EQ(caps.known(jid("erin@example.org/d")), nullptr);
}

TEST_F(CapsTest, ALieIsForItsTellerAlone) {  // XEP-0115 5.4 step 3.9, 9.2
  announce_exodus("mallory@example.org/m");
  announce_exodus("bob@example.org/a");
  announce_exodus("carol@example.org/b");
  ask({"mallory@example.org/m", "bob@example.org/a", "mallory@example.org/m", "carol@example.org/b"});
  bench.answer(kOther);
  EXPECT_THAT(answers, ElementsAre("mallory@example.org/m: 0", "mallory@example.org/m: 0"));
  EXPECT_EQ(caps.known(jid("bob@example.org/a")), nullptr);
  ASSERT_EQ(sent().size(), 2u);
  EXPECT_THAT(sent()[1], HasSubstr("to='bob@example.org/a'"));
  answers.clear();
  bench.answer("", "error");
  EXPECT_THAT(answers, ElementsAre("bob@example.org/a: undefined-condition"));
  ASSERT_EQ(sent().size(), 3u);
  bench.answer(kExodus);
  EXPECT_EQ(answers.back(), "carol@example.org/b: 4");
  // Now the truth is known, and it is what mallory announces as well.
  EXPECT_EQ(caps.known(jid("mallory@example.org/m"))->features.size(), 4u);
}

TEST_F(CapsTest, WhatIsIllFormedProvesNothing) {
  // Without what comes twice it would be what the hash says.
  std::string twice(kExodus);
  twice.insert(twice.find("<feature"), "<feature var='http://jabber.org/protocol/muc'/>");
  announce_exodus("mallory@example.org/m");
  announce_exodus("bob@example.org/a");
  ask({"mallory@example.org/m"});
  bench.answer(twice);
  EXPECT_THAT(answers, ElementsAre("mallory@example.org/m: 4"));
  EXPECT_EQ(caps.known(jid("bob@example.org/a")), nullptr);
}

TEST_F(CapsTest, AnUnknownHashIsForOneAlone) {
  announce("bob@example.org/a", "hash='md7' node='n' ver='v'");
  announce("carol@example.org/b", "hash='md7' node='n' ver='v'");
  ask({"bob@example.org/a"});
  EXPECT_THAT(sent().back(), HasSubstr("node='n#v'"));
  bench.answer(kExodus);
  EXPECT_EQ(caps.known(jid("bob@example.org/a"))->features.size(), 4u);
  EXPECT_EQ(caps.known(jid("carol@example.org/b")), nullptr);
}

TEST_F(CapsTest, KnowsOtherHashes) {
  payload::DiscoInfo info{{{"client", "pc", "", ""}}, {}, {}};
  announce(
      "bob@example.org/a",
      fmt::format("hash='sha-256' node='n' ver='{}'",
                  crypto::base64_encode(crypto::digest(crypto::Hash::sha256, payload::caps_string(info)))));
  ask({"bob@example.org/a"});
  bench.answer(kOther);
  const auto* known = caps.known(jid("bob@example.org/a"));
  ASSERT_NE(known, nullptr);
  bench.server_sends("<presence from='bob@example.org/a' type='unavailable'/>");
  EXPECT_EQ(caps.known(jid("bob@example.org/a")), nullptr);
}

TEST_F(CapsTest, WithoutAHashThePlainQuestion) {
  announce("bob@example.org/a", "node='n' ver='0.9'");
  announce("carol@example.org/b", fmt::format("hash='sha-1' node='{}' ver='v'", std::string(2000, 'n')));
  ask({"bob@example.org/a", "carol@example.org/b"});
  ASSERT_EQ(sent().size(), 2u);
  for (const auto& iq : sent()) EXPECT_THAT(iq, testing::Not(HasSubstr("node=")));
}

TEST_F(CapsTest, NewCapabilitiesAreAskedAgain) {
  announce_exodus("bob@example.org/a");
  ask({"bob@example.org/a"});
  bench.answer(kExodus);
  bench.server_sends("<presence from='bob@example.org/a'><show>away</show></presence>");  // 8.4
  EXPECT_NE(caps.known(jid("bob@example.org/a")), nullptr);
  announce("bob@example.org/a", "hash='sha-1' node='n' ver='new'");
  EXPECT_EQ(caps.known(jid("bob@example.org/a")), nullptr);
}

TEST_F(CapsTest, WhatIsNoAnswerIsMalformed) {
  announce_exodus("bob@example.org/a");
  for (const std::string_view nonsense : {"", "<query xmlns='jabber:iq:roster'/>"})
    EXPECT_EQ(bench.failure([&] { return caps.info_of(jid("bob@example.org/a")); }, nonsense),
              RequestError::Kind::malformed);
}

TEST_F(CapsTest, AllWhoWaitHearOfTheEndOfTheSession) {
  announce_exodus("bob@example.org/a");
  announce_exodus("carol@example.org/b");
  ask({"bob@example.org/a", "carol@example.org/b"});
  bench.in_turn([&] { bench.servers.back()->drop(); });
  EXPECT_THAT(answers, ElementsAre("bob@example.org/a: the connection is over",
                                   "carol@example.org/b: the connection is over"));
  EXPECT_EQ(caps.known(jid("bob@example.org/a")), nullptr);
}

TEST(ServerCaps, AreAStreamFeature) {
  const std::string c =
      fmt::format("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{}'/>", kSha1);
  Bench bench;
  auto& caps = bench.client->use<Caps>();
  bench.on_server = [&](FakeServer& server) { server.advertise(c); };
  bench.log_in();
  EXPECT_TRUE(bench.outcome([&] { return caps.info_of(jid("example.org")); }, kExodus));
  EXPECT_THAT(bench.servers.back()->stanzas.back(), HasSubstr(fmt::format("node='n#{}'", kSha1)));
  EXPECT_NE(caps.known(jid("example.org")), nullptr);
}

}  // namespace
}  // namespace starling::client
