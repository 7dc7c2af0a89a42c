// XEP-0198 on the whole server in memory: what is acknowledged and when, and sessions that outlive their
// connection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto.h"
#include "support/test_host.h"

namespace starling {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr std::string_view kEnable = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
constexpr std::string_view kAsk = "<r xmlns='urn:xmpp:sm:3'/>";

std::string ack(std::uint32_t h) { return fmt::format("<a xmlns='urn:xmpp:sm:3' h='{}'/>", h); }
std::string resume(std::string_view id, std::uint32_t h) {
  return fmt::format("<resume xmlns='urn:xmpp:sm:3' previd='{}' h='{}'/>", id, h);
}
std::string message(std::string_view to, std::string_view body) {
  return fmt::format("<message to='{}' type='chat'><body>{}</body></message>", to, body);
}
auto has_body(std::string_view body) { return HasSubstr(fmt::format("<body>{}</body>", body)); }

std::string attribute(std::string_view xml, std::string_view name) {
  const std::string start = fmt::format(" {}='", name);
  const auto from = xml.find(start);
  if (from == std::string_view::npos) return {};
  const auto value = xml.substr(from + start.size());
  return std::string(value.substr(0, value.find('\'')));
}

// Over shards that are one or several, with messages that are archived or not.
struct Variant {
  std::size_t shards;
  server::Archiving archiving;
};

class StreamManagementTest : public ::testing::TestWithParam<Variant> {
 protected:
  // The id of the session, for resuming it.
  static std::string enable(TestClient& client, std::string_view how = kEnable) {
    client.take();
    client.send(how);
    const auto got = client.stanzas();
    EXPECT_THAT(got, Contains(StartsWith("<enabled")));
    return got.empty() ? std::string() : attribute(got.front(), "id");
  }
  // What the client was sent beside <r/> and <a/>.
  static std::vector<std::string> stanzas(TestClient& client) {
    auto all = client.stanzas();
    std::erase_if(all,
                  [](const std::string& one) { return one.starts_with("<r ") || one.starts_with("<a "); });
    return all;
  }
  // A connection that has logged in and bound nothing.
  TestClient& authenticated(std::string_view user) {
    TestClient& client = host.connect();
    client.open();
    const std::string data = std::string(1, '\0').append(user).append(1, '\0').append(user);
    client.send(fmt::format("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
                            crypto::base64_encode(data)));
    client.open();
    EXPECT_THAT(client.take(), HasSubstr("<sm xmlns='urn:xmpp:sm:3'/>"));
    return client;
  }
  TestClient& available(std::string_view jid) {
    TestClient& client = host.login(jid);
    client.send("<presence/>");
    client.take();
    return client;
  }

  static server::Config config() {
    server::Config config = TestHost::default_config();
    config.archive.by_default = GetParam().archiving;
    return config;
  }
  TestHost host{config(), GetParam().shards};
  TestClient& romeo = available("romeo@localhost/orchard");
};
INSTANTIATE_TEST_SUITE_P(
    Shards, StreamManagementTest,
    ::testing::Values(Variant{1, server::Archiving::never}, Variant{3, server::Archiving::never},
                      Variant{1, server::Archiving::always}, Variant{3, server::Archiving::always}),
    [](const auto& one) {
      return fmt::format("{}_{}", one.param.shards == 1 ? "one" : "several",
                         one.param.archiving == server::Archiving::always ? "archived" : "not_archived");
    });

TEST_P(StreamManagementTest, CountsWhatWasHandled) {  // 4
  enable(romeo);
  romeo.send(kAsk);
  EXPECT_THAT(romeo.stanzas(), ElementsAre(ack(0)));
  romeo.send("<presence/>");
  romeo.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
  romeo.send(message("romeo@localhost/nowhere", "to nobody"));
  romeo.send("<iq type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");  // without an id: refused
  romeo.take();
  romeo.send(kAsk);
  EXPECT_THAT(romeo.stanzas(), Contains(ack(4)));
}

// What a session gave back is not in the tail before it is written, and what comes meanwhile is behind it.
TEST_P(StreamManagementTest, NothingOvertakesWhatWaitsForTheDisk) {
  TestClient& juliet = available("juliet@localhost/balcony");
  enable(juliet);
  host.faults().fail_write(1);
  romeo.send(message("juliet@localhost", "first"));
  EXPECT_THAT(stanzas(juliet), ElementsAre(has_body("first")));
  juliet.send("</stream:stream>");  // and she has not acknowledged it
  TestClient& garden = available("juliet@localhost/garden");
  romeo.send(message("juliet@localhost", "second"));
  auto got = stanzas(garden);
  host.advance(seconds(2));
  for (auto& more : stanzas(garden)) got.push_back(std::move(more));
  EXPECT_THAT(got, ElementsAre(has_body("first"), has_body("second")));
}

TEST_P(StreamManagementTest, AcknowledgesAMessageOnlyWhenItIsSafe) {
  enable(romeo);
  TestClient& mercutio = available("mercutio@localhost/square");
  enable(mercutio);
  host.faults().fail_all(true);
  romeo.send(message("mercutio@localhost/square", "first"));
  romeo.send(kAsk);
  EXPECT_THAT(stanzas(mercutio), ElementsAre(has_body("first")));  // delivery does not wait for the disk
  EXPECT_THAT(romeo.stanzas(), IsEmpty());                         // the acknowledgement does
  romeo.send("<presence/>");
  romeo.take();
  host.advance(seconds(6));
  EXPECT_THAT(romeo.stanzas(), Contains(ack(0)));  // nor is it withheld for ever: it says what is true
  romeo.send(kAsk);
  host.faults().fail_all(false);
  host.advance(seconds(2));
  EXPECT_THAT(romeo.stanzas(), Contains(ack(2)));
}

TEST_P(StreamManagementTest, WhatFailsToBeStoredIsHandledWhenItsSenderKnows) {
  host.add_account("juliet@localhost");
  enable(romeo, "<enable xmlns='urn:xmpp:sm:3'/>");
  host.faults().fail_all(true);
  romeo.send(message("juliet@localhost", "lost"));
  romeo.send(kAsk);
  EXPECT_THAT(romeo.stanzas(), AllOf(Contains(HasSubstr("internal-server-error")), Contains(ack(1))));
}

TEST_P(StreamManagementTest, OrderIsEnforced) {  // 3, 6
  TestClient& early = host.connect();
  early.open();
  early.take();
  early.send(kEnable);
  EXPECT_THAT(early.take(),
              AllOf(HasSubstr("<failed xmlns='urn:xmpp:sm:3'>"), HasSubstr("unexpected-request")));
  TestClient& unbound = authenticated("romeo");
  unbound.send(kEnable);
  EXPECT_THAT(unbound.take(), HasSubstr("unexpected-request"));
  romeo.send(kAsk);
  EXPECT_THAT(romeo.take(), HasSubstr("unexpected-request"));
  enable(romeo);
  romeo.send(kEnable);
  EXPECT_THAT(romeo.take(), HasSubstr("unexpected-request"));
  romeo.send(resume("x", 0));
  EXPECT_THAT(romeo.take(), HasSubstr("unexpected-request"));
}

TEST_P(StreamManagementTest, RefusesMoreThanWasSent) {  // 6
  enable(romeo);
  romeo.send(ack(7));
  EXPECT_THAT(romeo.take(),
              AllOf(HasSubstr("undefined-condition"),
                    HasSubstr("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='7' send-count='0'/>")));
  EXPECT_TRUE(romeo.closed());
}

TEST_P(StreamManagementTest, AsksWhenItHasSentSomething) {
  TestClient& juliet = available("juliet@localhost/balcony");
  enable(juliet);
  romeo.send(message("juliet@localhost", "one"));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(has_body("one"), kAsk));
  romeo.send(message("juliet@localhost", "two"));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(has_body("two")));  // one question at a time
  juliet.send(ack(1));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(kAsk));
  juliet.send(ack(2));
  EXPECT_THAT(juliet.stanzas(), IsEmpty());
}

TEST_P(StreamManagementTest, ASessionIsResumedAndNothingIsLostOrRepeated) {  // 5
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  romeo.send(message("juliet@localhost", "one"));
  romeo.send(message("juliet@localhost", "two"));
  romeo.send(message("juliet@localhost/balcony", "three"));
  juliet.send(message("romeo@localhost", "answer"));
  juliet.take();
  juliet.disconnect();
  host.settle();
  romeo.take();
  romeo.send(message("juliet@localhost", "four"));
  romeo.send("<presence to='juliet@localhost/balcony'/>");
  EXPECT_THAT(romeo.stanzas(), IsEmpty());  // no false bounce, no unavailable presence

  TestClient& again = authenticated("juliet");
  again.send(resume(id, 1));
  EXPECT_THAT(again.stanzas(),
              ElementsAre(AllOf(StartsWith("<resumed"), HasSubstr("h='1'"), HasSubstr(id)), has_body("two"),
                          has_body("three"), has_body("four"), HasSubstr("<presence"), kAsk));
  romeo.send(message("juliet@localhost/balcony", "five"));
  EXPECT_THAT(again.stanzas(), ElementsAre(has_body("five")));
  again.send(ack(6));
  again.send(message("romeo@localhost", "second"));
  again.send(kAsk);
  EXPECT_THAT(again.stanzas(), ElementsAre(ack(2)));
  EXPECT_THAT(romeo.stanzas(), ElementsAre(has_body("second")));
  // All of it was taken: nothing waits for the next session.
  again.send("</stream:stream>");
  TestClient& next = host.login("juliet@localhost/garden");
  next.send("<presence/>");
  EXPECT_THAT(next.stanzas(), Not(Contains(HasSubstr("<message"))));
}

TEST_P(StreamManagementTest, AnOpenConnectionIsReplaced) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  romeo.send(message("juliet@localhost", "one"));
  juliet.take();
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 0));
  EXPECT_THAT(juliet.take(), HasSubstr("<conflict"));
  EXPECT_TRUE(juliet.closed());
  EXPECT_THAT(again.stanzas(), ElementsAre(StartsWith("<resumed"), has_body("one"), kAsk));
}

TEST_P(StreamManagementTest, NobodyResumesTheSessionOfAnother) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  juliet.disconnect();
  host.settle();
  TestClient& thief = authenticated("romeo");
  thief.send(resume(id, 0));
  EXPECT_THAT(thief.take(), AllOf(HasSubstr("<failed"), HasSubstr("item-not-found")));
  // And may still bind.
  thief.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  EXPECT_THAT(thief.take(), HasSubstr("romeo@localhost/"));
}

TEST_P(StreamManagementTest, WhatATimedOutSessionDidNotAcknowledgeComesOnceInOrderToTheNext) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  for (int i = 0; i < 5; ++i) romeo.send(message("juliet@localhost", fmt::format("no {}", i)));
  juliet.take();
  juliet.send(ack(2));
  juliet.disconnect();
  host.settle();
  romeo.send(message("juliet@localhost", "no 5"));
  host.advance(seconds(601));
  EXPECT_THAT(romeo.stanzas(), Not(Contains(StartsWith("<message"))));
  TestClient& late = authenticated("juliet");
  late.send(resume(id, 3));
  EXPECT_THAT(late.take(), HasSubstr("item-not-found"));
  TestClient& next = host.login("juliet@localhost/garden");
  next.send("<presence/>");
  std::vector<std::string> got = next.stanzas();
  std::erase_if(got, [](const std::string& one) { return !one.starts_with("<message"); });
  EXPECT_THAT(got, ElementsAre(has_body("no 2"), has_body("no 3"), has_body("no 4"), has_body("no 5")));
  EXPECT_THAT(got, ::testing::Each(HasSubstr("urn:xmpp:delay")));
}

TEST_P(StreamManagementTest, AClosedStreamEndsItsSessionAtOnce) {  // 7
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  romeo.send(message("juliet@localhost", "one"));
  juliet.send("</stream:stream>");
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 0));
  EXPECT_THAT(again.take(), HasSubstr("item-not-found"));
  TestClient& next = host.login("juliet@localhost/garden");
  next.send("<presence/>");
  EXPECT_THAT(next.stanzas(), Contains(has_body("one")));
}

TEST_P(StreamManagementTest, AMessageTakenByOneOfSeveralIsNotKept) {
  TestClient& balcony = available("juliet@localhost/balcony");
  TestClient& chamber = available("juliet@localhost/chamber");
  enable(balcony);
  romeo.send(message("juliet@localhost", "one"));
  EXPECT_THAT(stanzas(balcony), ElementsAre(has_body("one")));
  EXPECT_THAT(chamber.stanzas(), ElementsAre(has_body("one")));  // it has taken it
  balcony.send("</stream:stream>");
  host.settle();
  TestClient& next = available("juliet@localhost/garden");
  EXPECT_THAT(next.stanzas(), IsEmpty());
  EXPECT_THAT(chamber.stanzas(), Not(Contains(has_body("one"))));
}

TEST_P(StreamManagementTest, AnotherSessionGetsWhatOneDidNotAcknowledge) {
  TestClient& balcony = available("juliet@localhost/balcony");
  enable(balcony);
  romeo.send(message("juliet@localhost", "one"));
  TestClient& chamber = available("juliet@localhost/chamber");
  EXPECT_THAT(chamber.stanzas(), IsEmpty());
  balcony.take();
  balcony.send("</stream:stream>");
  EXPECT_THAT(chamber.stanzas(), Contains(has_body("one")));
}

TEST_P(StreamManagementTest, AFullQueueCostsTheConnectionAndThenTheSession) {
  server::Config config = StreamManagementTest::config();
  config.limits.unacknowledged_stanzas = 10;
  TestHost small(config, GetParam().shards);
  TestClient& sender = small.login("romeo@localhost/orchard");
  TestClient& juliet = small.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  enable(juliet);
  for (int i = 0; i < 11; ++i) sender.send(message("juliet@localhost", fmt::format("no {}", i)));
  EXPECT_TRUE(juliet.closed());
  EXPECT_THAT(sender.stanzas(), IsEmpty());
  for (int i = 11; i < 40; ++i) sender.send(message("juliet@localhost", fmt::format("no {}", i)));
  EXPECT_THAT(sender.stanzas(), IsEmpty());
  TestClient& next = small.login("juliet@localhost/garden");
  next.send("<presence/>");
  std::vector<std::string> got = next.stanzas();
  std::erase_if(got, [](const std::string& one) { return !one.starts_with("<message"); });
  ASSERT_THAT(got, SizeIs(40));
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_THAT(got[i], has_body(fmt::format("no {}", i)));
}

TEST_P(StreamManagementTest, ASilentClientLosesItsConnectionAndMayResume) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  romeo.send(message("juliet@localhost", "one"));
  host.advance(seconds(70));
  EXPECT_THAT(juliet.take(), HasSubstr("connection-timeout"));
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 0));
  EXPECT_THAT(again.stanzas(), ElementsAre(StartsWith("<resumed"), has_body("one"), kAsk));
}

TEST_P(StreamManagementTest, OfflineMessagesStayUntilTheyAreAcknowledged) {
  host.add_account("juliet@localhost");
  for (int i = 0; i < 3; ++i) romeo.send(message("juliet@localhost", fmt::format("no {}", i)));
  TestClient& juliet = host.login("juliet@localhost/balcony");
  enable(juliet);
  juliet.send("<presence/>");
  EXPECT_THAT(stanzas(juliet), SizeIs(4));
  juliet.send(ack(2));  // its presence and the first
  juliet.disconnect();
  host.advance(seconds(601));
  TestClient& next = host.login("juliet@localhost/garden");
  next.send("<presence/>");
  EXPECT_THAT(next.stanzas(), AllOf(Not(Contains(has_body("no 0"))), Contains(has_body("no 1")),
                                    Contains(has_body("no 2")), SizeIs(3)));
}

TEST_P(StreamManagementTest, ARequestIsAnsweredHoweverOftenItIsRepeated) {  // 4
  enable(romeo);
  TestClient& juliet = available("juliet@localhost/balcony");
  enable(juliet);
  host.faults().fail_all(true);
  std::vector<std::string> got;
  for (int i = 0; i < 4; ++i) {
    romeo.send(message("juliet@localhost/balcony", "x"));
    romeo.send(kAsk);
    host.advance(seconds(3));
    for (std::string& one : romeo.stanzas()) got.push_back(std::move(one));
  }
  EXPECT_THAT(got, Contains(ack(0)));
  host.faults().fail_all(false);
  host.advance(seconds(2));
  EXPECT_THAT(romeo.stanzas(), Contains(ack(4)));
}

TEST_P(StreamManagementTest, ARequestUnderWayWhenTheLinkBreaksIsHandled) {
  const std::string id = enable(romeo);
  romeo.send_raw(
      "<iq type='set' id='p'><query xmlns='jabber:iq:private'><x xmlns='urn:x'>y</x></query></iq>");
  romeo.disconnect();
  host.settle();
  TestClient& again = authenticated("romeo");
  again.send(resume(id, 0));
  EXPECT_THAT(again.stanzas(), AllOf(Contains(AllOf(StartsWith("<resumed"), HasSubstr("h='1'"))),
                                     Contains(HasSubstr("type='result'"))));
}

TEST_P(StreamManagementTest, TheRestOfTheTailComesAfterAResumption) {
  host.add_account("juliet@localhost");
  for (int i = 0; i < 300; ++i)
    romeo.send(message("juliet@localhost", fmt::format("no {} {}", i, std::string(1000, 'x'))));
  MemoryPairOptions narrow;
  narrow.capacity = 20000;
  TestClient& juliet = host.login("juliet@localhost/balcony", narrow);
  const std::string id = enable(juliet);
  juliet.pause(true);
  juliet.send("<presence/>");
  juliet.disconnect();
  host.settle();
  for (int i = 300; i < 303; ++i)  // they do not overtake the rest of it
    romeo.send(message("juliet@localhost", fmt::format("no {} x", i)));
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 0));
  std::vector<std::string> got = stanzas(again);
  std::erase_if(got, [](const std::string& one) { return !one.starts_with("<message"); });
  ASSERT_THAT(got, SizeIs(303));
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_THAT(got[i], HasSubstr(fmt::format("<body>no {} ", i)));
}

TEST_P(StreamManagementTest, TheTailWaitsForAcknowledgements) {
  server::Config config = StreamManagementTest::config();
  config.limits.unacknowledged_stanzas = 20;
  TestHost small(config, GetParam().shards);
  TestClient& sender = small.login("romeo@localhost/orchard");
  small.add_account("juliet@localhost");
  for (int i = 0; i < 100; ++i) sender.send(message("juliet@localhost", fmt::format("no {}", i)));
  TestClient& juliet = small.login("juliet@localhost/balcony");
  enable(juliet);
  juliet.send("<presence/>");
  std::uint32_t received = 0;
  std::size_t messages = 0;
  for (int round = 0; round < 100 && messages < 100; ++round) {
    const auto got = stanzas(juliet);
    received += static_cast<std::uint32_t>(got.size());
    messages += static_cast<std::size_t>(
        std::ranges::count_if(got, [](const std::string& one) { return one.starts_with("<message"); }));
    EXPECT_LE(got.size(), 12U);
    juliet.send(ack(received));
  }
  EXPECT_EQ(messages, 100U);
  EXPECT_FALSE(juliet.closed());
}

TEST_P(StreamManagementTest, WhatIsAcknowledgedWhileTheTailIsHandedOverIsNotHandedOver) {
  host.add_account("juliet@localhost");
  for (int i = 0; i < 90; ++i)
    romeo.send(message("juliet@localhost", fmt::format("no {} {}", i, std::string(1000, 'x'))));
  TestClient& first = host.login("juliet@localhost/first");
  first.send("<presence><priority>-1</priority></presence>");
  enable(first);
  romeo.send(message("juliet@localhost/first", "hers"));
  EXPECT_THAT(stanzas(first), ElementsAre(has_body("hers")));
  MemoryPairOptions narrow;
  narrow.capacity = 1000;
  TestClient& second = host.login("juliet@localhost/second", narrow);
  second.pause(true);
  second.send("<presence/>");
  first.send(ack(2));  // the presence of the second as well
  first.take();
  second.pause(false);
  host.settle();
  const auto got = second.stanzas();
  EXPECT_THAT(got, Not(Contains(has_body("hers"))));
  EXPECT_THAT(got, Contains(HasSubstr("<body>no 89 ")));
  second.send("</stream:stream>");
  first.send("</stream:stream>");
  romeo.take();
  romeo.send(message("juliet@localhost", "later"));  // and the tail is not taken for a full one
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
}

TEST_P(StreamManagementTest, WhatGatheredMayBeAcknowledgedAfterAResumption) {
  server::Config config = StreamManagementTest::config();
  config.limits.unacknowledged_stanzas = 10;
  TestHost small(config, GetParam().shards);
  TestClient& sender = small.login("romeo@localhost/orchard");
  TestClient& juliet = small.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  const std::string id = enable(juliet);
  juliet.disconnect();
  small.settle();
  for (int i = 0; i < 15; ++i) sender.send(message("juliet@localhost", fmt::format("no {}", i)));
  TestClient& again = small.connect();
  again.open();
  again.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABqdWxpZXQ=</auth>");
  again.open();
  again.send(resume(id, 0));
  sender.send(message("juliet@localhost", "no 15"));
  EXPECT_FALSE(again.closed());
  again.send(ack(16));
  EXPECT_THAT(again.stanzas(), Contains(has_body("no 15")));
}

TEST_P(StreamManagementTest, ADeletedAccountLeavesNoMessages) {
  TestClient& juliet = available("juliet@localhost/balcony");
  enable(juliet);
  enable(romeo);
  romeo.send_raw(message("juliet@localhost", "one"));
  std::optional<Result<void>> removed;
  host.loop().in_turn([&] {
    server::Shard& home = host.core().home("juliet@localhost");
    spawn(home.remove_account(Jid::parse("juliet@localhost").value()),
          [&](Result<void> result) { removed = std::move(result); });
  });
  romeo.send_raw(message("juliet@localhost", "two"));
  host.settle();
  ASSERT_TRUE(removed && *removed);
  const auto size = host.loop().get([&] { return host.store().undelivered_size("juliet@localhost"); });
  ASSERT_TRUE(size);
  EXPECT_EQ(size->messages, 0U);
}

// --- after a restart ---

TEST_P(StreamManagementTest, ASessionIsResumedAfterARestart) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  juliet.send("<presence><show>away</show><priority>3</priority></presence>");
  juliet.take();
  romeo.send(message("juliet@localhost", "one"));
  romeo.send(message("juliet@localhost", "two"));
  juliet.send(message("romeo@localhost", "answer"));
  juliet.send(kAsk);
  EXPECT_THAT(juliet.stanzas(), Contains(ack(2)));  // her presence and the message
  host.restart();

  TestClient& again = authenticated("juliet");
  again.send(resume(id, 2));  // her presence and "one"
  EXPECT_THAT(again.stanzas(),
              ElementsAre(AllOf(StartsWith("<resumed"), HasSubstr("h='2'")), has_body("two"), kAsk));
  TestClient& back = available("romeo@localhost/orchard");
  EXPECT_THAT(back.stanzas(), IsEmpty());
  // She is where she was, and takes messages.
  back.send(message("juliet@localhost", "three"));
  EXPECT_THAT(again.stanzas(), ElementsAre(has_body("three")));
  again.send(ack(4));
  again.send(message("romeo@localhost", "second"));
  again.send(kAsk);
  EXPECT_THAT(again.stanzas(), Contains(ack(3)));
  EXPECT_THAT(back.stanzas(), ElementsAre(has_body("second")));
  again.send("</stream:stream>");
  TestClient& next = available("juliet@localhost/garden");
  EXPECT_THAT(next.stanzas(), IsEmpty());
}

TEST_P(StreamManagementTest, SeveralSessionsThatAcknowledgedTheSameMessageAreResumedAfterARestart) {
  TestClient& balcony = available("juliet@localhost/balcony");
  TestClient& garden = available("juliet@localhost/garden");
  const std::string first = enable(balcony), second = enable(garden);
  romeo.send(message("juliet@localhost", "one"));
  for (TestClient* client : {&balcony, &garden}) {
    EXPECT_THAT(client->stanzas(), Contains(has_body("one")));
    client->send(ack(1));
  }
  host.advance(seconds(1));
  host.restart();
  for (const auto& id : {first, second}) {
    TestClient& again = authenticated("juliet");
    again.send(resume(id, 1));
    EXPECT_THAT(again.stanzas(), Contains(StartsWith("<resumed")));
  }
}

TEST_P(StreamManagementTest, TwoRestartsInARow) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  romeo.send(message("juliet@localhost", "one"));
  romeo.send(message("juliet@localhost", "two"));
  host.restart();
  host.restart();
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 1));
  EXPECT_THAT(again.stanzas(), ElementsAre(StartsWith("<resumed"), has_body("two"), kAsk));
  host.restart();
  TestClient& third = authenticated("juliet");
  third.send(resume(id, 1));
  EXPECT_THAT(third.stanzas(), ElementsAre(StartsWith("<resumed"), has_body("two"), kAsk));
  host.restart();
  TestClient& fourth = authenticated("juliet");
  fourth.send(resume(id, 2));
  EXPECT_THAT(fourth.stanzas(), ElementsAre(StartsWith("<resumed")));
}

TEST_P(StreamManagementTest, ASessionThatMissesWhatNobodyCanMakeAgainIsNotResumed) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  juliet.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
  romeo.send(message("juliet@localhost", "one"));
  host.restart();
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 0));
  EXPECT_THAT(again.take(), AllOf(HasSubstr("<failed"), HasSubstr("item-not-found")));
  again.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  again.take();
  again.send("<presence/>");
  EXPECT_THAT(again.stanzas(), Contains(has_body("one")));
}

TEST_P(StreamManagementTest, ASessionThatHasWhatTheStoreDoesNotKnowIsNotResumed) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  host.faults().fail_all(true);
  romeo.send(message("juliet@localhost", "unwritten"));
  EXPECT_THAT(stanzas(juliet), ElementsAre(has_body("unwritten")));
  host.restart();
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 1));
  EXPECT_THAT(again.take(), HasSubstr("item-not-found"));
}

TEST_P(StreamManagementTest, WhatCameSinceTheRestartIsNotTakenForWhatCameBefore) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  host.faults().fail_all(true);
  romeo.send(message("juliet@localhost", "unwritten"));
  EXPECT_THAT(stanzas(juliet), ElementsAre(has_body("unwritten")));
  host.restart();
  TestClient& back = available("romeo@localhost/orchard");
  back.send(message("juliet@localhost", "new"));
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 1));  // that was the unwritten one
  EXPECT_THAT(again.take(), HasSubstr("item-not-found"));
  again.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  again.take();
  again.send("<presence/>");
  EXPECT_THAT(again.stanzas(), Contains(has_body("new")));
}

TEST_P(StreamManagementTest, AfterARestartASessionTimesOutAsWell) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  romeo.send(message("juliet@localhost", "one"));
  host.restart();
  TestClient& back = available("romeo@localhost/orchard");
  back.send(message("juliet@localhost", "two"));
  host.advance(seconds(601));
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 0));
  EXPECT_THAT(again.take(), HasSubstr("item-not-found"));
  TestClient& next = host.login("juliet@localhost/garden");
  next.send("<presence/>");
  EXPECT_THAT(next.stanzas(), AllOf(Contains(has_body("one")), Contains(has_body("two")), SizeIs(3)));
}

TEST_P(StreamManagementTest, PresenceThatWasMissedIsAskedForAfterARestart) {
  TestClient& juliet = available("juliet@localhost/balcony");
  juliet.send("<presence type='subscribe' to='romeo@localhost'/>");
  romeo.send("<presence type='subscribed' to='juliet@localhost'/>");
  host.settle();
  const std::string id = enable(juliet);
  romeo.send("<presence><status>here</status></presence>");
  host.advance(seconds(1));  // the count of what she was sent is written
  host.restart();
  TestClient& back = host.login("romeo@localhost/orchard");
  back.send("<presence><status>back</status></presence>");
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 1));
  EXPECT_THAT(stanzas(again), ElementsAre(StartsWith("<resumed"), HasSubstr("back"), HasSubstr("back")));
}

TEST_P(StreamManagementTest, CountsAgreeAfterARestart) {
  TestClient& juliet = host.login("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  juliet.send("<presence/>");  // which comes back as the first stanza
  romeo.send(message("juliet@localhost", "one"));
  host.advance(seconds(1));
  host.restart();
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 0));
  EXPECT_THAT(stanzas(again), ElementsAre(StartsWith("<resumed"), StartsWith("<presence"), has_body("one")));
  again.disconnect();
  host.settle();
  TestClient& third = authenticated("juliet");
  third.send(resume(id, 2));
  EXPECT_THAT(stanzas(third), ElementsAre(StartsWith("<resumed")));
}

TEST_P(StreamManagementTest, WhatSeveralSessionsWereSentIsNotSentTwiceAfterARestart) {
  TestClient& balcony = available("juliet@localhost/balcony");
  TestClient& chamber = available("juliet@localhost/chamber");
  const std::string first = enable(balcony), second = enable(chamber);
  romeo.send(message("juliet@localhost", "one"));
  host.advance(seconds(1));
  host.restart();
  // Nobody can tell who has it: both begin anew.
  for (const std::string& id : {first, second}) {
    TestClient& again = authenticated("juliet");
    again.send(resume(id, 1));
    EXPECT_THAT(again.take(), HasSubstr("item-not-found"));
  }
  TestClient& next = host.login("juliet@localhost/garden");
  next.send("<presence/>");
  EXPECT_THAT(next.stanzas(), Contains(has_body("one")));
}

TEST_P(StreamManagementTest, WhatNobodyMissesIsNoObstacleAfterARestart) {
  TestClient& juliet = available("juliet@localhost/balcony");
  const std::string id = enable(juliet);
  juliet.disconnect();
  host.settle();
  romeo.send(
      "<message to='juliet@localhost/balcony' type='chat'><composing "
      "xmlns='http://jabber.org/protocol/chatstates'/></message>");
  host.advance(seconds(1));
  host.restart();
  TestClient& again = authenticated("juliet");
  again.send(resume(id, 0));
  EXPECT_THAT(again.stanzas(), Contains(StartsWith("<resumed")));
}

// The link is cut at every byte of a dialogue, and what the client sent is handled once.
TEST_P(StreamManagementTest, CutAtEveryPointEveryMessageArrivesOnce) {
  std::string sent;
  for (int i = 1; i <= 3; ++i) {
    sent += message("juliet@localhost/balcony", fmt::format("no {}", i));
    sent += kAsk;
  }
  for (std::size_t cut = 0; cut <= sent.size(); cut += 3) {
    TestHost place(config(), GetParam().shards);
    TestClient& juliet = place.login("juliet@localhost/balcony");
    juliet.send("<presence/>");
    juliet.take();
    TestClient& first = place.login("romeo@localhost/orchard");
    const std::string id = enable(first);
    first.send_raw(std::string_view(sent).substr(0, cut));
    place.settle();
    first.disconnect();
    place.settle();
    TestClient& again = place.connect();
    again.open();
    const std::string data = std::string(1, '\0') + "romeo" + std::string(1, '\0') + "romeo";
    again.send(fmt::format("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
                           crypto::base64_encode(data)));
    again.open();
    again.take();
    again.send(resume(id, 0));
    const auto got = again.stanzas();
    ASSERT_THAT(got, Contains(StartsWith("<resumed"))) << cut;
    const int handled = std::stoi(attribute(got.front(), "h"));
    for (int i = handled + 1; i <= 3; ++i)
      again.send(message("juliet@localhost/balcony", fmt::format("no {}", i)));
    EXPECT_THAT(juliet.stanzas(), ElementsAre(has_body("no 1"), has_body("no 2"), has_body("no 3"))) << cut;
  }
}

}  // namespace
}  // namespace starling
