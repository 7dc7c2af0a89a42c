#include "client/ext/receipts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

struct ReceiptsTest : testing::Test {
  ReceiptsTest() {
    bench.log_in();
    bench.server_sends(
        "<iq type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='bob@example.org' "
        "subscription='from'/></query></iq>");
    bench.server_sends(
        "<iq type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='carol@example.org' "
        "subscription='to'/></query></iq>");
    bench.servers.back()->stanzas.clear();
    receipts.received(
        [this](const Jid& from, const std::string& id) { got.push_back(from.text() + ' ' + id); });
  }
  void message(std::string_view attributes, std::string_view more = Receipts::kRequest) {
    bench.server_sends(fmt::format("<message {}><body>Hi</body>{}</message>", attributes, more));
  }
  [[nodiscard]] const std::vector<std::string>& sent() const { return bench.servers.back()->stanzas; }

  Bench bench;
  Receipts& receipts = bench.client->use<Receipts>();
  std::vector<std::string> got;
};

TEST_F(ReceiptsTest, AreReturnedWhereTheyAreAskedFor) {  // R51
  message("from='bob@example.org/a' id='m&lt;1' type='chat'");
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_THAT(sent()[0], MatchesRegex("<message to='bob@example.org/a' type='chat' id='.+'>"
                                      "<received xmlns='urn:xmpp:receipts' id='m&lt;1'/></message>"));
  message("from='bob@example.org/a' id='m2'");
  EXPECT_THAT(sent().back(), MatchesRegex("<message to='bob@example.org/a' id='.+'>.*id='m2'/></message>"));
  message("from='alice@example.org/phone' id='m3' type='chat'");
  EXPECT_THAT(sent().back(), HasSubstr("to='alice@example.org/phone'"));
}

TEST_F(ReceiptsTest, AndNowhereElse) {
  message("from='bob@example.org/a' id='m1' type='chat'", "");
  message("from='bob@example.org/a' id='m1' type='chat'", "<request xmlns='other'/>");
  message("from='bob@example.org/a' type='chat'");
  message("from='bob@example.org' id='m1' type='chat'");
  message("from='bob@example.org/a' id='m1' type='groupchat'");
  message("from='bob@example.org/a' id='m1' type='error'");
  message("from='bob@example.org/a' id='m1'",
          "<request xmlns='urn:xmpp:receipts'/><received xmlns='urn:xmpp:receipts' id='m0'/>");
  message("id='m1' type='chat'");
  // A receipt would tell them that we are there.
  message("from='carol@example.org/a' id='m1' type='chat'");
  message("from='mallory@example.org/a' id='m1' type='chat'");
  EXPECT_THAT(sent(), ElementsAre());
}

TEST_F(ReceiptsTest, AProgramMayDecideOtherwise) {
  receipts.allow([](const Jid& sender) { return sender.local() == "mallory"; });
  message("from='bob@example.org/a' id='m1' type='chat'");
  EXPECT_EQ(sent().size(), 0u);
  message("from='mallory@example.org/a' id='m1' type='chat'");
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(ReceiptsTest, AreTold) {
  bench.server_sends(
      "<message from='bob@example.org/a' type='chat'><received xmlns='urn:xmpp:receipts' "
      "id='m7'/></message>");
  bench.server_sends(
      "<message from='bob@example.org/b'><received xmlns='urn:xmpp:receipts' id='m8'/></message>");
  EXPECT_THAT(got, ElementsAre("bob@example.org/a m7", "bob@example.org/b m8"));
  EXPECT_TRUE(bench.saw("receipt_received"));
  bench.server_sends("<message from='bob@example.org/a'><received xmlns='urn:xmpp:receipts'/></message>");
  bench.server_sends("<message from='bob@example.org/a'><received xmlns='other' id='m9'/></message>");
  bench.server_sends(
      "<message from='bob@example.org/a' type='error'><received xmlns='urn:xmpp:receipts' "
      "id='m9'/></message>");
  EXPECT_EQ(got.size(), 2u);
  EXPECT_EQ(sent().size(), 0u);
}

}  // namespace
}  // namespace starling::client
