#include "client/ext/vcard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing.h"

namespace starling::client {
namespace {

using testing::HasSubstr;

struct VCardTest : testing::Test {
  VCardTest() { bench.log_in(); }
  [[nodiscard]] auto get(std::string_view of = {}) {
    return [this, of] { return vcards.get(of.empty() ? Jid() : Jid::parse(of).value()); };
  }
  Bench bench;
  VCards& vcards = bench.client->use<VCards>();
};

constexpr std::string_view kCard =
    "<vCard xmlns='vcard-temp'><FN>Bob</FN><N><GIVEN>Bob</GIVEN></N><X-SHOE>43</X-SHOE></vCard>";

TEST_F(VCardTest, OfOthersAndOurOwn) {  // R71
  const auto bob = bench.outcome(get("bob@example.org"), kCard);
  ASSERT_TRUE(bob);
  EXPECT_EQ(bob->fn, "Bob");
  EXPECT_EQ(bob->n.given, "Bob");
  EXPECT_THAT(bench.servers.back()->stanzas.back(), HasSubstr("<iq to='bob@example.org' type='get' id='"));
  EXPECT_TRUE(bench.outcome(get(), kCard));
  EXPECT_THAT(bench.servers.back()->stanzas.back(), HasSubstr("<iq type='get' id='"));
  EXPECT_THAT(bench.servers.back()->stanzas.back(), HasSubstr("><vCard xmlns='vcard-temp'/></iq>"));
}

TEST_F(VCardTest, WhatIsUnknownSurvivesAChange) {
  auto card = bench.outcome(get(), kCard);
  ASSERT_TRUE(card);
  card->fn = "Bob & Sons";
  EXPECT_TRUE(bench.outcome([&] { return vcards.set(*card); }));
  const auto& sent = bench.servers.back()->stanzas.back();
  EXPECT_THAT(sent, HasSubstr("<iq type='set' id='"));
  EXPECT_THAT(sent, HasSubstr("<FN>Bob &amp; Sons</FN>"));
  EXPECT_THAT(sent, HasSubstr("<X-SHOE>43</X-SHOE>"));
  EXPECT_EQ(bench.failure([&] { return vcards.set({}); }, "", "error"), RequestError::Kind::refused);
}

TEST_F(VCardTest, NoneIsAnEmptyOne) {
  const auto none = bench.outcome(
      get("bob@example.org"),
      "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", "error");
  ASSERT_TRUE(none);
  EXPECT_EQ(*none, payload::VCard());
  EXPECT_EQ(
      bench.failure(
          get("bob@example.org"),
          "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
          "error"),
      RequestError::Kind::refused);
}

TEST_F(VCardTest, WhatIsNoVCardIsMalformed) {
  for (const std::string_view nonsense :
       {"", "<vCard xmlns='other'/>", "<query xmlns='vcard-temp'/>", "<FN xmlns='vcard-temp'>Bob</FN>"})
    EXPECT_EQ(bench.failure(get("bob@example.org"), nonsense), RequestError::Kind::malformed) << nonsense;
}

}  // namespace
}  // namespace starling::client
