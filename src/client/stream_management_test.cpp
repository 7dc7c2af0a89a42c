#include "client/stream_management.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/running.h"
#include "client/testing.h"

namespace starling::client {
namespace {

using testing::HasSubstr;
using Heard = StreamManagement::Heard;

Jid jid(std::string_view text) { return Jid::parse(text).value(); }
xml::Document element(std::string_view text) { return xml::parse_fragment(text, ns::client).value(); }
constexpr std::string_view kOffer = "<sm xmlns='urn:xmpp:sm:3'/>";

// --- the counters, without a client ---

class Counters : public testing::Test {
 protected:
  Heard hear(std::string_view xml) { return management.hear(element(xml).root()); }
  Heard acknowledge(std::uint32_t h) { return hear(fmt::format("<a xmlns='urn:xmpp:sm:3' h='{}'/>", h)); }
  void enable() {
    ASSERT_NE(management.enable(offer.root()), "");
    ASSERT_EQ(hear("<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>"), Heard::acknowledged);
  }
  void send(std::size_t count = 1) {
    for (std::size_t i = 0; i < count; ++i) management.keep({"<message/>", Kind::message, {}});
  }

  const xml::Document offer = element(fmt::format("<features>{}</features>", kOffer));
  StreamManagement management{true, 1'000'000};
};

TEST_F(Counters, AreNotThereWithoutAnOffer) {
  EXPECT_EQ(management.enable(element("<features><sm xmlns='urn:xmpp:sm:2'/></features>").root()), "");
  send();
  EXPECT_FALSE(management.counts());
  EXPECT_TRUE(management.kept().empty());
}

TEST_F(Counters, StartWithTheRequest) {
  EXPECT_EQ(management.enable(offer.root()), "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  send();
  management.handled();  // of before <enabled/>: the server has not counted it
  EXPECT_FALSE(management.take_request());
  hear("<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='1'/>");
  EXPECT_TRUE(management.take_request());
  EXPECT_FALSE(management.take_request()) << "one at a time";
  management.handled();
  EXPECT_EQ(management.acknowledgement(), "<a xmlns='urn:xmpp:sm:3' h='1'/>");
  EXPECT_EQ(acknowledge(1), Heard::acknowledged);
  EXPECT_TRUE(management.kept().empty());
}

TEST_F(Counters, AcknowledgeModulo2To32) {
  constexpr auto kMost = std::numeric_limits<std::uint32_t>::max();
  struct Case {
    std::uint32_t before;
    std::size_t sent;
    std::uint32_t h;
    Heard heard;
    std::size_t left;
  };
  for (const auto& [before, sent, h, heard, left] : std::initializer_list<Case>{
           {0, 3, 0, Heard::acknowledged, 3},
           {0, 3, 2, Heard::acknowledged, 1},
           {0, 3, 3, Heard::acknowledged, 0},
           {0, 3, 4, Heard::broken, 3},
           {0, 0, 1, Heard::broken, 0},
           {0, 3, kMost, Heard::broken, 3},
           {5, 3, 4, Heard::broken, 3},  // backwards
           {kMost - 1, 3, kMost - 1, Heard::acknowledged, 3},
           {kMost - 1, 3, kMost, Heard::acknowledged, 2},
           {kMost - 1, 3, 0, Heard::acknowledged, 1},
           {kMost - 1, 3, 1, Heard::acknowledged, 0},
           {kMost - 1, 3, 2, Heard::broken, 3},
           {kMost, 1, 0, Heard::acknowledged, 0},
       }) {
    SCOPED_TRACE(fmt::format("{} of {} after {}", h, sent, before));
    management = StreamManagement(true, 1'000'000);
    enable();
    management.set_counts(before, 0);
    send(sent);
    EXPECT_EQ(acknowledge(h), heard);
    EXPECT_EQ(management.kept().size(), left);
  }
  management = StreamManagement(true, 1'000'000);
  enable();
  management.set_counts(0, kMost);
  management.handled();
  EXPECT_EQ(management.acknowledgement(), "<a xmlns='urn:xmpp:sm:3' h='0'/>");
}

TEST_F(Counters, TellWhatWasAcknowledgedAndNotSent) {
  enable();
  management.set_counts(std::numeric_limits<std::uint32_t>::max(), 0);
  send(2);
  EXPECT_EQ(acknowledge(2), Heard::broken);
  EXPECT_EQ(management.fault().condition, StreamCondition::undefined_condition);
  EXPECT_EQ(management.fault().application,
            "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' send-count='1'/>");
  EXPECT_EQ(management.enable(offer.root()), "") << "a server that cannot count is not asked again";
  management.start_afresh();
  EXPECT_NE(management.enable(offer.root()), "");
}

TEST_F(Counters, TakeNoNonsense) {
  for (const auto* nonza :
       {"<a xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h=''/>", "<a xmlns='urn:xmpp:sm:3' h='-1'/>",
        "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>", "<a xmlns='urn:xmpp:sm:3' h='1 '/>"}) {
    management = StreamManagement(true, 1'000'000);
    enable();
    send();
    EXPECT_EQ(hear(nonza), Heard::broken) << nonza;
  }
  management = StreamManagement(true, 1'000'000);
  enable();
  for (const auto* nonza :
       {"<enabled xmlns='urn:xmpp:sm:3'/>", "<failed xmlns='urn:xmpp:sm:3'/>",
        "<resumed xmlns='urn:xmpp:sm:3' h='0' previd='s1'/>", "<sm xmlns='urn:xmpp:sm:3'/>"})
    EXPECT_EQ(hear(nonza), Heard::nothing) << nonza;
  EXPECT_TRUE(management.is_on());
}

TEST_F(Counters, GoOnInAResumedSession) {
  enable();
  send(3);
  acknowledge(1);
  management.handled();
  ASSERT_TRUE(management.detach());
  send();  // while there is no connection
  EXPECT_EQ(management.resume(element("<features/>").root()), "");
  EXPECT_EQ(management.resume(offer.root()), "<resume xmlns='urn:xmpp:sm:3' h='1' previd='s1'/>");
  EXPECT_EQ(hear("<resumed xmlns='urn:xmpp:sm:3' h='2' previd='s1'/>"), Heard::resumed);
  EXPECT_EQ(management.kept().size(), 2u);
  EXPECT_TRUE(management.take_request());
  EXPECT_EQ(acknowledge(4), Heard::acknowledged);
  EXPECT_TRUE(management.kept().empty());
}

TEST_F(Counters, AreRefusedAResumption) {
  struct Case {
    std::string_view answer;
    Heard heard;
    std::size_t left;
  };
  for (const auto& [answer, heard, left] : std::initializer_list<Case>{
           {"<failed xmlns='urn:xmpp:sm:3'/>", Heard::not_resumed, 3},
           {"<failed xmlns='urn:xmpp:sm:3' h='2'><item-not-found "
            "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
            Heard::not_resumed, 1},
           {"<failed xmlns='urn:xmpp:sm:3' h='3'/>", Heard::broken, 3},  // the third was never sent
           {"<resumed xmlns='urn:xmpp:sm:3' h='3' previd='s1'/>", Heard::broken, 3},
           {"<resumed xmlns='urn:xmpp:sm:3' h='2' previd='s2'/>", Heard::broken, 3},
           {"<resumed xmlns='urn:xmpp:sm:3' previd='s1'/>", Heard::broken, 3},
       }) {
    SCOPED_TRACE(answer);
    management = StreamManagement(true, 1'000'000);
    enable();
    send(2);
    ASSERT_TRUE(management.detach());
    send();
    management.resume(offer.root());
    EXPECT_EQ(hear(answer), heard);
    EXPECT_EQ(management.kept().size(), left);
    EXPECT_FALSE(management.detach());
  }
}

TEST_F(Counters, AreNotResumedUnlessTheServerSaysSo) {
  for (const auto* enabled : {"<enabled xmlns='urn:xmpp:sm:3'/>", "<enabled xmlns='urn:xmpp:sm:3' id='s1'/>",
                              "<enabled xmlns='urn:xmpp:sm:3' resume='true'/>",
                              "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='false'/>"}) {
    management = StreamManagement(true, 1'000'000);
    management.enable(offer.root());
    hear(enabled);
    EXPECT_FALSE(management.detach()) << enabled;
  }
}

TEST(Resent, IsWhatAnotherSessionUnderstands) {
  const WallTime sent{std::chrono::seconds(1'000'000'000)};
  const auto resent = [&](Kind kind, std::string_view xml) {
    return resent_elsewhere({std::string(xml), kind, sent}, jid("alice@example.org/old"));
  };
  EXPECT_EQ(resent(Kind::message,
                   "<message to='bob@example.org' id='1' from='alice@example.org/old'>"
                   "<body>a</body></message>"),
            "<message to='bob@example.org' id='1'><body>a</body><delay xmlns='urn:xmpp:delay' "
            "from='alice@example.org/old' stamp='2001-09-09T01:46:40.000Z'/></message>");
  EXPECT_THAT(resent(Kind::message, "<message to='bob@example.org'/>").value_or(""), HasSubstr("<delay "));
  const std::string late =
      "<message to='bob@example.org'><delay xmlns='urn:xmpp:delay' stamp='2000-01-01T00:00:00Z'/></message>";
  EXPECT_EQ(resent(Kind::message, late), late) << "it knows better";
  EXPECT_EQ(resent(Kind::presence, "<presence to='bob@example.org' type='subscribe'/>"),
            "<presence to='bob@example.org' type='subscribe'/>");
  EXPECT_EQ(resent(Kind::presence, "<presence/>"), std::nullopt);
  EXPECT_EQ(resent(Kind::iq, "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"), std::nullopt);
  EXPECT_EQ(resent(Kind::message, "<message to='@@'/>"), std::nullopt);
  EXPECT_EQ(resent(Kind::message, "<message"), std::nullopt);
}

}  // namespace
}  // namespace starling::client
