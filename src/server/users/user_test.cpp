// What happens to a whole account: passwords, removal, unloading.
#include "server/users/user.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/test_host.h"

namespace starling {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(UserTest, ANewPasswordSurvivesTheEndOfTheSessionsItEnds) {
  TestHost host;
  TestClient& juliet = host.login("juliet@localhost/balcony");
  const Jid jid = Jid::parse("juliet@localhost").value();
  const auto before = host.loop().get([&] { return host.accounts().show(jid); });
  ASSERT_TRUE(host.loop().get([&] { return host.accounts().set_password(jid, "new"); }));
  host.loop().in_turn([&] {
    host.core()
        .home("juliet@localhost")
        .end_sessions(jid, {}, {StreamCondition::not_authorized, "new password"});
  });
  host.settle();
  EXPECT_TRUE(juliet.closed());
  const auto after = host.loop().get([&] { return host.accounts().show(jid); });
  ASSERT_TRUE(before && after);
  EXPECT_NE(after->sha1.stored_key, before->sha1.stored_key);
  EXPECT_NE(after->last_seen, 0);
}

TEST(UserTest, RemovingAnAccountEndsSessionsAndSubscriptionsAndItMayBeMadeAgain) {
  TestHost host(TestHost::default_config(), 3);
  TestClient& romeo = host.login("romeo@localhost/orchard");
  TestClient& juliet = host.login("juliet@localhost/balcony");
  for (auto* client : {&romeo, &juliet})
    client->send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>");
  romeo.send("<presence to='juliet@localhost' type='subscribe'/>");
  juliet.send(
      "<presence to='romeo@localhost' type='subscribed'/><presence to='romeo@localhost' type='subscribe'/>");
  romeo.send("<presence to='juliet@localhost' type='subscribed'/>");
  romeo.take();
  const Jid jid = Jid::parse("juliet@localhost").value();
  ASSERT_TRUE(host.loop().get([&] { return host.core().home("juliet@localhost").remove_account(jid); }));
  host.settle();
  EXPECT_TRUE(juliet.closed());
  EXPECT_THAT(juliet.take(), HasSubstr("not-authorized"));
  const auto seen = romeo.stanzas();
  EXPECT_THAT(seen, Contains(AllOf(HasSubstr("<presence"), HasSubstr("type='unsubscribed'"))));
  EXPECT_THAT(seen, Contains(HasSubstr("subscription='none'")));
  romeo.send("<message to='juliet@localhost' type='chat' id='m'><body>Hi</body></message>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("service-unavailable")));
  TestClient& again = host.login("juliet@localhost/balcony");  // with nothing of the old one
  again.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
  EXPECT_THAT(again.stanzas(), ElementsAre(HasSubstr("<query xmlns='jabber:iq:roster'/>")));
}

TEST(UserTest, IdleAccountsAreUnloadedAndComeBackWhole) {
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  romeo.send(
      "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost' "
      "name='Juliet'><group>Capulets</group></item></query></iq>");
  romeo.send("</stream:stream>");
  host.advance(std::chrono::seconds(90));
  EXPECT_TRUE(host.core().shard(0).users().empty());
  TestClient& again = host.login("romeo@localhost/orchard");
  again.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
  EXPECT_THAT(again.stanzas(),
              ElementsAre(AllOf(HasSubstr("name='Juliet'"), HasSubstr("<group>Capulets</group>"))));
}

TEST(UserTest, AFailedRosterWriteIsAnsweredWithAnErrorAndServiceReturns) {
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  host.faults().fail_write(1);
  const std::string set =
      "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query></iq>";
  romeo.send(set);
  EXPECT_THAT(romeo.stanzas(),
              ElementsAre(AllOf(HasSubstr("type='error'"), HasSubstr("internal-server-error"))));
  romeo.send(set);
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("type='result'")));
}

TEST(UserTest, RequestsToAccountsThatDoNotExistLeaveNoMemory) {
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  for (int i = 0; i < 200; ++i)
    romeo.send(
        fmt::format("<message to='ghost{}@localhost' type='chat' id='m'><body>Hi</body></message>", i));
  EXPECT_THAT(romeo.stanzas(), SizeIs(200));
  EXPECT_EQ(host.core().shard(0).users().size(), 1U);
}

TEST(UserTest, WhoeverGotPresenceDirectlyHearsOfTheEnd) {  // R67, RFC 6121 4.6.3
  TestHost host;
  TestClient& juliet = host.login("juliet@localhost/balcony");
  TestClient& romeo = host.login("romeo@localhost/orchard");
  romeo.send("<presence to='juliet@localhost/balcony'/>");  // and nothing to anybody else
  EXPECT_THAT(juliet.stanzas(), SizeIs(1));
  romeo.disconnect();
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("type='unavailable'")));
}

TEST(UserTest, AnErrorForASubscriptionReachesTheUser) {  // RFC 6121 3.1.2
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  romeo.send("<presence/>");
  romeo.take();
  romeo.send("<presence to='juliet@elsewhere.example' type='subscribe' id='s'/>");
  EXPECT_THAT(romeo.stanzas(), Contains(AllOf(HasSubstr("<presence"), HasSubstr("type='error'"),
                                              HasSubstr("remote-server-not-found"))));
}

TEST(UserTest, ARemovedAccountThatWasAwayLeavesNothingBehind) {
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  TestClient& juliet = host.login("juliet@localhost/balcony");
  romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>");
  romeo.send("<presence to='juliet@localhost' type='subscribe'/>");
  juliet.send(
      "<presence/><presence to='romeo@localhost' type='subscribed'/><presence to='romeo@localhost' "
      "type='subscribe'/>");
  romeo.send("<presence to='juliet@localhost' type='subscribed'/>");
  juliet.send("</stream:stream>");
  host.advance(std::chrono::seconds(90));
  romeo.take();
  const Jid jid = Jid::parse("juliet@localhost").value();
  ASSERT_TRUE(host.loop().get([&] { return host.core().home("juliet@localhost").remove_account(jid); }));
  host.settle();
  EXPECT_THAT(romeo.stanzas(), Contains(HasSubstr("type='unsubscribed'")));
  romeo.send("<message to='juliet@localhost' type='chat' id='m'><body>Hi</body></message>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("service-unavailable")));
  TestClient& again = host.login("juliet@localhost/balcony");
  again.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>");
  const auto got = again.stanzas();
  EXPECT_THAT(got, SizeIs(2));
  EXPECT_THAT(got, Contains(HasSubstr("<query xmlns='jabber:iq:roster'/>")));
}

TEST(UserTest, BindingToAnAccountThatWasRemovedMeanwhileEndsTheStream) {
  TestHost host;
  host.add_account("romeo@localhost");
  TestClient& slow = host.connect();
  slow.open();
  slow.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHJvbWVv</auth>");
  slow.open();
  ASSERT_TRUE(host.loop().get([&] {
    return host.core().home("romeo@localhost").remove_account(Jid::parse("romeo@localhost").value());
  }));
  slow.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  EXPECT_THAT(slow.take(), HasSubstr("not-authorized"));
  EXPECT_TRUE(slow.closed());
}

}  // namespace
}  // namespace starling
