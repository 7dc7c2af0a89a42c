// XEP-0280 on the whole server in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/test_host.h"

namespace starling {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CarbonsTest : public ::testing::Test {
 protected:
  TestClient& client(std::string_view jid, bool carbons) {
    TestClient& one = host.login(jid);
    if (carbons) one.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
    one.send("<presence/>");
    return one;
  }
  void forget() {
    for (TestClient* one : {&juliet, &garden, &home, &plain}) one->take();
  }
  static server::Config config() {
    server::Config config = TestHost::default_config();
    config.archive.by_default = server::Archiving::never;
    return config;
  }
  TestHost host{config()};
  TestClient& juliet = client("juliet@localhost/balcony", false);
  TestClient& garden = client("romeo@localhost/garden", true);
  TestClient& home = client("romeo@localhost/home", true);
  TestClient& plain = client("romeo@localhost/plain", false);
};

TEST_F(CarbonsTest, AreEnabledAndDisabled) {  // 4, 5
  forget();
  garden.send("<iq type='set' id='d'><disable xmlns='urn:xmpp:carbons:2'/></iq>");
  EXPECT_THAT(garden.stanzas(), ElementsAre(AllOf(HasSubstr("type='result'"), HasSubstr("id='d'"))));
  juliet.send("<message to='romeo@localhost/home' type='chat'><body>x</body></message>");
  EXPECT_THAT(garden.stanzas(), IsEmpty());
  juliet.send("<iq type='set' id='e' to='romeo@localhost'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("type='error'")));
}

TEST_F(CarbonsTest, OfWhatIsReceived) {  // 7
  forget();
  juliet.send(
      "<message to='romeo@localhost/garden' type='chat' id='1'><body>Hi &amp; bye</body><x "
      "xmlns='u'/></message>");
  EXPECT_THAT(garden.stanzas(), ElementsAre(Not(HasSubstr("carbons"))));
  EXPECT_THAT(plain.stanzas(), IsEmpty());
  EXPECT_THAT(
      home.stanzas(),
      ElementsAre(
          "<message from='romeo@localhost' to='romeo@localhost/home' type='chat'>"
          "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
          "<message xmlns='jabber:client' from='juliet@localhost/balcony' to='romeo@localhost/garden' "
          "id='1' type='chat'><body>Hi &amp; bye</body><x xmlns='u'/></message>"
          "</forwarded></received></message>"));
}

TEST_F(CarbonsTest, NotForThoseWhoHaveIt) {  // 7: to the bare JID, and all three share it
  forget();
  juliet.send("<message to='romeo@localhost' type='chat'><body>all</body></message>");
  for (TestClient* one : {&garden, &home, &plain})
    EXPECT_THAT(one->stanzas(), ElementsAre(Not(HasSubstr("carbons"))));
  home.send("<presence><priority>-1</priority></presence>");
  forget();
  juliet.send("<message to='romeo@localhost' type='chat'><body>some</body></message>");
  EXPECT_THAT(garden.stanzas(), ElementsAre(Not(HasSubstr("carbons"))));
  EXPECT_THAT(home.stanzas(), ElementsAre(HasSubstr("<received")));
}

TEST_F(CarbonsTest, OfWhatIsSent) {  // 8
  forget();
  garden.send("<message to='juliet@localhost/balcony' type='chat' id='1'><body>Hi</body></message>");
  EXPECT_THAT(garden.stanzas(), IsEmpty());
  EXPECT_THAT(plain.stanzas(), IsEmpty());
  EXPECT_THAT(
      home.stanzas(),
      ElementsAre(AllOf(HasSubstr("<sent xmlns='urn:xmpp:carbons:2'>"), HasSubstr("from='romeo@localhost' "),
                        HasSubstr("from='romeo@localhost/garden' to='juliet@localhost/balcony'"))));
  plain.send("<message to='juliet@localhost' type='chat'><body>from one without</body></message>");
  EXPECT_THAT(home.stanzas(), ElementsAre(HasSubstr("<sent ")));
}

struct Row {
  std::string_view message;
  bool sent, received;
};
constexpr Row kRows[] = {
    {"<message type='normal'{to}><body>x</body></message>", true, true},
    {"<message{to}><subject>x</subject></message>", false, false},
    {"<message{to}><received xmlns='urn:xmpp:receipts' id='1'/></message>", true, true},
    {"<message{to}><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message>", true, true},
    {"<message type='chat'{to}><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", true,
     true},
    {"<message type='headline'{to}><body>x</body></message>", false, false},
    {"<message type='groupchat'{to}><body>x</body></message>", false, false},
    {"<message type='chat'{to}><body>x</body><private xmlns='urn:xmpp:carbons:2'/></message>", false, false},
    {"<message type='chat'{to}><body>x</body><no-copy xmlns='urn:xmpp:hints'/></message>", false, false},
    {"<message{to}><x xmlns='jabber:x:conference' jid='r@c'/></message>", true, true},
    {"<message{to}><x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x></message>", true,
     true},
    {"<message type='chat'{to}><body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/></message>",
     true, false},
};

TEST_F(CarbonsTest, OfTheseAndNoOthers) {  // 6.1, 9
  for (const Row& row : kRows) {
    const auto to = [&](std::string_view address) {
      std::string text(row.message);
      return text.replace(text.find("{to}"), 4, fmt::format(" to='{}'", address));
    };
    forget();
    garden.send(to("juliet@localhost/balcony"));
    EXPECT_EQ(home.stanzas().size(), row.sent ? 1U : 0U) << row.message;
    forget();
    juliet.send(to("romeo@localhost/garden"));
    EXPECT_EQ(home.stanzas().size(), row.received ? 1U : 0U) << row.message;
  }
}

// 11: what looks like a carbon and comes from somebody else says from whom it is, and is not copied as one.
TEST_F(CarbonsTest, AForgedOneKeepsItsSender) {
  forget();
  juliet.send(
      "<message to='romeo@localhost/garden' type='chat'><received xmlns='urn:xmpp:carbons:2'><forwarded "
      "xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='nurse@localhost/x' "
      "to='romeo@localhost/garden'><body>forged</body></message></forwarded></received></message>");
  EXPECT_THAT(garden.stanzas(), ElementsAre(HasSubstr("<message from='juliet@localhost/balcony'")));
  EXPECT_THAT(home.stanzas(), ElementsAre(AllOf(HasSubstr("<message from='romeo@localhost' "),
                                                HasSubstr("from='juliet@localhost/balcony'"))));
}

TEST_F(CarbonsTest, StayOnOverAResumption) {
  home.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  const std::string enabled = home.take();
  const auto at = enabled.find(" id='", enabled.find("<enabled")) + 5;
  const std::string id = enabled.substr(at, enabled.find('\'', at) - at);
  home.disconnect();
  host.settle();
  host.restart();
  TestClient& sender = client("juliet@localhost/balcony", false);
  TestClient& other = client("romeo@localhost/garden", false);
  TestClient& again = host.connect();
  again.open();
  again.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHJvbWVv</auth>");
  again.open();
  again.send(fmt::format("<resume xmlns='urn:xmpp:sm:3' previd='{}' h='0'/>", id));
  again.take();
  sender.send("<message to='romeo@localhost/garden' type='chat'><body>x</body></message>");
  EXPECT_THAT(other.stanzas(), Contains(HasSubstr("<body>x</body>")));
  EXPECT_THAT(again.stanzas(), Contains(HasSubstr("<received")));
}

}  // namespace
}  // namespace starling
