// How much a roster holds: limits.roster_items, and what strangers can add to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/test_host.h"

namespace starling {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class FullRosterTest : public ::testing::Test {
 protected:
  static server::Config small() {
    server::Config config = TestHost::default_config();
    config.limits.roster_items = 2;
    return config;
  }
  static std::string set(std::string_view contact, std::string_view more = "") {
    return fmt::format(
        "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='{}'{}/></query></iq>", contact,
        more);
  }
  static auto refused() { return AllOf(HasSubstr("type='error'"), HasSubstr("<resource-constraint")); }

  TestHost host{small()};
  TestClient& juliet = host.login("juliet@localhost/balcony");
};

TEST_F(FullRosterTest, TakesNoNewItem) {  // RFC 6121 2.3.3
  juliet.send(set("romeo@localhost"));
  juliet.send(set("nurse@localhost"));
  juliet.take();
  juliet.send(set("paris@localhost"));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(refused()));
  juliet.send(set("nurse@localhost", " name='Nurse'"));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("type='result'"))) << "a change is no new item";
  juliet.send(set("romeo@localhost", " subscription='remove'"));
  juliet.send(set("paris@localhost"));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("type='result'"), HasSubstr("type='result'")));
}

TEST_F(FullRosterTest, TakesNoNewSubscription) {
  juliet.send(set("romeo@localhost"));
  juliet.send(set("nurse@localhost"));
  TestClient& paris = host.login("paris@localhost/tomb");
  paris.send("<presence/>");
  paris.take();
  juliet.take();
  for (const char* type : {"subscribe", "subscribed"}) {  // the latter is a pre-approval here (3.4)
    juliet.send(fmt::format("<presence to='paris@localhost' type='{}' id='p'/>", type));
    EXPECT_THAT(juliet.stanzas(), ElementsAre(AllOf(HasSubstr("from='paris@localhost'"), refused()))) << type;
    EXPECT_THAT(paris.stanzas(), IsEmpty()) << type;
  }
  juliet.send("<presence to='romeo@localhost' type='subscribe'/>");
  EXPECT_THAT(juliet.stanzas(), Not(ElementsAre(refused())));
}

TEST_F(FullRosterTest, ARequestIsShownAndWaitsButIsNotGranted) {
  juliet.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>");
  juliet.send(set("romeo@localhost"));
  juliet.send(set("nurse@localhost"));
  juliet.take();
  TestClient& paris = host.login("paris@localhost/tomb");
  paris.send("<presence to='juliet@localhost' type='subscribe'/>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("type='subscribe'")));
  juliet.send("<presence to='paris@localhost' type='subscribed' id='p'/>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(refused()));
  juliet.send(set("romeo@localhost", " subscription='remove'"));
  juliet.take();
  juliet.send("<presence to='paris@localhost' type='subscribed'/>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("subscription='from'")));
}

TEST(RequestsTest, ThoseOfStrangersAreKeptUpToANumber) {
  constexpr int kKept = 1000;
  TestHost host;
  host.add_account("juliet@localhost");
  host.loop().in_turn([&] {
    for (int i = 0; i < kKept + 5; ++i)
      host.core()
          .home("juliet@localhost")
          .route(Stanza::make(Kind::presence, Type::subscribe,
                              Jid::parse(fmt::format("u{}@localhost", i)).value(),
                              Jid::parse("juliet@localhost").value(), {}, {}));
  });
  host.settle();
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  EXPECT_THAT(juliet.stanzas(), SizeIs(1 + kKept));
  juliet.send("<presence to='u0@localhost' type='unsubscribed'/>");  // an answer makes room
  TestClient& late = host.login("late@localhost/x");
  late.send("<presence to='juliet@localhost' type='subscribe'/>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("from='late@localhost'")));
}

}  // namespace
}  // namespace starling
