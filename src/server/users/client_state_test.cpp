// XEP-0352 on the whole server in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/test_host.h"

namespace starling {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr std::string_view kInactive = "<inactive xmlns='urn:xmpp:csi:0'/>";
constexpr std::string_view kActive = "<active xmlns='urn:xmpp:csi:0'/>";

class ClientStateTest : public ::testing::Test {
 protected:
  ClientStateTest() {
    romeo.send("<presence/>");
    juliet.send("<presence/>");
    romeo.take();
    juliet.take();
  }
  void status(std::string_view text) {
    romeo.send(fmt::format("<presence to='juliet@localhost/phone'><status>{}</status></presence>", text));
  }
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  TestClient& juliet = host.login("juliet@localhost/phone");
};

TEST_F(ClientStateTest, TheLatestPresenceWaitsUntilTheClientIsActive) {
  juliet.send(kInactive);
  status("one");
  status("two");
  romeo.send(
      "<message to='juliet@localhost/phone' type='chat'><composing "
      "xmlns='http://jabber.org/protocol/chatstates'/></message>");
  status("three");
  EXPECT_THAT(juliet.stanzas(), IsEmpty());
  juliet.send(kActive);
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("composing"), HasSubstr("three")));
  status("four");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("four")));
}

TEST_F(ClientStateTest, WhatCannotWaitComesAfterWhatDid) {
  juliet.send(kInactive);
  status("one");
  romeo.send("<message to='juliet@localhost/phone' type='chat'><body>Hi</body></message>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("one"), HasSubstr("Hi")));
  status("two");
  juliet.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("two"), StartsWith("<iq")));
  status("three");
  romeo.send("<presence to='juliet@localhost' type='subscribe'/>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("three"), HasSubstr("subscribe")));
  status("four");
  juliet.send("<presence><show>away</show></presence>");  // her own comes at once
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("four"), HasSubstr("away")));
}

TEST_F(ClientStateTest, WhatWaitsIsBounded) {
  juliet.send(kInactive);
  for (int i = 0; i < 201; ++i)
    romeo.send(
        "<message to='juliet@localhost/phone' type='chat'><active "
        "xmlns='http://jabber.org/protocol/chatstates'/></message>");
  EXPECT_THAT(juliet.stanzas(), SizeIs(201));
}

TEST_F(ClientStateTest, PipelinedItIsDoneBeforeWhatFollows) {  // 5.1
  juliet.send(kInactive);
  status("one");
  juliet.send(fmt::format("{}<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>{}",
                          kActive, kInactive));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("one"), StartsWith("<iq")));
}

TEST_F(ClientStateTest, AResumedSessionIsActive) {  // 5.2
  juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  const std::string enabled = juliet.take();
  const auto at = enabled.find(" id='", enabled.find("<enabled")) + 5;
  const std::string id = enabled.substr(at, enabled.find('\'', at) - at);
  juliet.send(kInactive);
  status("one");
  juliet.disconnect();
  host.settle();
  status("two");
  TestClient& again = host.connect();
  again.open();
  again.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABqdWxpZXQ=</auth>");
  again.open();
  EXPECT_THAT(again.take(), HasSubstr("<csi xmlns='urn:xmpp:csi:0'/>"));
  again.send(fmt::format("<resume xmlns='urn:xmpp:sm:3' previd='{}' h='0'/>", id));
  EXPECT_THAT(again.stanzas(),
              ElementsAre(StartsWith("<resumed"), HasSubstr("one"), HasSubstr("two"), StartsWith("<r ")));
}

}  // namespace
}  // namespace starling
