// Delivery by RFC 6121 8.5 and the undelivered tail, on the whole server in memory.
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
using ::testing::SizeIs;

std::string message(std::string_view to, std::string_view type, std::string_view body = "Hi") {
  return fmt::format("<message to='{}' id='m1'{}><body>{}</body></message>", to,
                     type == "normal" ? "" : fmt::format(" type='{}'", type), body);
}
std::string with_priority(int priority) {
  return fmt::format("<presence><priority>{}</priority></presence>", priority);
}

class MessagesTest : public ::testing::Test {
 protected:
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
};

// What the sender gets back, by type, when `to` takes nothing.
struct NobodyRow {
  std::string_view type;
  bool answered;
};
constexpr NobodyRow kNobody[] = {
    {"normal", true}, {"chat", true}, {"groupchat", true}, {"headline", false}, {"error", false}};

TEST_F(MessagesTest, ToAnAccountThatDoesNotExist) {  // 8.5.1
  for (const NobodyRow& row : kNobody) {
    if (row.type == "headline") continue;  // answered too: it is no secret that nobody is there
    romeo.send(message("nobody@localhost", row.type));
    const auto got = romeo.stanzas();
    if (row.answered)
      EXPECT_THAT(got, ElementsAre(AllOf(HasSubstr("type='error'"), HasSubstr("service-unavailable"))))
          << row.type;
    else
      EXPECT_THAT(got, IsEmpty()) << row.type;
  }
}

TEST_F(MessagesTest, ToTheBareJidOfOneWhoIsAwayWithoutOfflineStorage) {  // 8.5.2.2.1, R55
  server::Config config = TestHost::default_config();
  config.offline.enabled = false;
  config.archive.by_default = server::Archiving::never;
  TestHost bare(config);
  bare.add_account("juliet@localhost");
  TestClient& sender = bare.login("romeo@localhost/orchard");
  for (const NobodyRow& row : kNobody) {
    sender.send(message("juliet@localhost", row.type));
    const auto got = sender.stanzas();
    if (row.answered)
      EXPECT_THAT(got, ElementsAre(AllOf(HasSubstr("type='error'"), HasSubstr("type='cancel'"),
                                         HasSubstr("service-unavailable"))))
          << row.type;
    else
      EXPECT_THAT(got, IsEmpty()) << row.type;
  }
}

TEST_F(MessagesTest, ToTheBareJidTheHighestPriorityGetsItAndEqualsShare) {  // 8.5.2.1.1, R48
  TestClient& balcony = host.login("juliet@localhost/balcony");
  TestClient& chamber = host.login("juliet@localhost/chamber");
  TestClient& silent = host.login("juliet@localhost/silent");
  balcony.send(with_priority(5));
  chamber.send(with_priority(1));
  silent.send(with_priority(-1));
  for (auto* client : {&balcony, &chamber, &silent}) client->take();
  for (const std::string_view type : {"normal", "chat"}) {
    romeo.send(message("juliet@localhost", type));
    EXPECT_THAT(balcony.stanzas(), SizeIs(1)) << type;
    EXPECT_THAT(chamber.stanzas(), IsEmpty()) << type;
    EXPECT_THAT(silent.stanzas(), IsEmpty()) << type;
  }
  romeo.send(message("juliet@localhost", "headline"));
  EXPECT_THAT(balcony.stanzas(), SizeIs(1));
  EXPECT_THAT(chamber.stanzas(), SizeIs(1));
  EXPECT_THAT(silent.stanzas(), IsEmpty());
  chamber.send(with_priority(5));
  for (auto* client : {&balcony, &chamber, &silent}) client->take();
  romeo.send(message("juliet@localhost", "chat"));
  EXPECT_THAT(balcony.stanzas(), SizeIs(1));
  EXPECT_THAT(chamber.stanzas(), SizeIs(1));
  romeo.take();
  romeo.send(message("juliet@localhost", "groupchat"));
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("service-unavailable")));
  EXPECT_THAT(balcony.stanzas(), IsEmpty());
}

TEST_F(MessagesTest, NegativePriorityIsLikeBeingAway) {  // 8.5.2.1.1
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send(with_priority(-5));
  juliet.take();
  romeo.send(message("juliet@localhost", "chat", "later"));
  EXPECT_THAT(juliet.stanzas(), IsEmpty());
  juliet.send(with_priority(0));
  EXPECT_THAT(juliet.stanzas(), Contains(AllOf(HasSubstr("later"), HasSubstr("urn:xmpp:delay"))));
}

TEST_F(MessagesTest, ToAFullJid) {  // 8.5.3
  TestClient& balcony = host.login("juliet@localhost/balcony");
  TestClient& chamber = host.login("juliet@localhost/chamber");
  balcony.send(with_priority(-1));
  chamber.send(with_priority(0));
  balcony.take();
  chamber.take();
  for (const std::string_view type :
       {"normal", "chat", "groupchat", "headline", "error"}) {  // 8.5.3.1: always to that one
    romeo.send(message("juliet@localhost/balcony", type));
    EXPECT_THAT(balcony.stanzas(), SizeIs(1)) << type;
    EXPECT_THAT(chamber.stanzas(), IsEmpty()) << type;
  }
  romeo.take();
  romeo.send(message("juliet@localhost/gone", "chat"));  // 8.5.3.2.1: as if to the bare JID
  EXPECT_THAT(chamber.stanzas(), SizeIs(1));
  romeo.send(message("juliet@localhost/gone", "normal"));
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("service-unavailable")));
  romeo.send(message("juliet@localhost/gone", "error"));
  romeo.send(message("juliet@localhost/gone", "headline"));
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
  EXPECT_THAT(chamber.stanzas(), IsEmpty());
}

TEST_F(MessagesTest, OfflineMessagesComeOnceInOrderWithTheirTime) {  // R56
  host.add_account("juliet@localhost");
  for (int i = 0; i < 250; ++i) romeo.send(message("juliet@localhost", "chat", fmt::format("no {} ", i)));
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  const auto got = juliet.stanzas();
  ASSERT_THAT(got, SizeIs(251));
  for (int i = 0; i < 250; ++i) {
    EXPECT_THAT(
        got[static_cast<std::size_t>(i) + 1],
        AllOf(HasSubstr(fmt::format("no {} ", i)), HasSubstr("urn:xmpp:delay"), HasSubstr("2026-01-01T")));
  }
  juliet.send("</stream:stream>");
  TestClient& again = host.login("juliet@localhost/balcony");
  again.send("<presence/>");
  EXPECT_THAT(again.stanzas(), SizeIs(1));  // its own presence alone
}

TEST_F(MessagesTest, AFullStoreBouncesToTheSender) {  // R56
  server::Config config = TestHost::default_config();
  config.limits.offline_messages = 3;
  config.archive.by_default = server::Archiving::never;
  TestHost small(config);
  small.add_account("juliet@localhost");
  TestClient& sender = small.login("romeo@localhost/orchard");
  for (int i = 0; i < 3; ++i) sender.send(message("juliet@localhost", "chat"));
  EXPECT_THAT(sender.stanzas(), IsEmpty());
  sender.send(message("juliet@localhost", "chat", "one too many"));
  EXPECT_THAT(sender.stanzas(),
              ElementsAre(AllOf(HasSubstr("type='error'"), HasSubstr("service-unavailable"))));
}

TEST_F(MessagesTest, AMessageThatCannotBeStoredComesBack) {
  host.add_account("juliet@localhost");
  host.faults().fail_write(1);
  romeo.send(message("juliet@localhost", "chat"));
  EXPECT_THAT(romeo.stanzas(),
              ElementsAre(AllOf(HasSubstr("type='error'"), HasSubstr("internal-server-error"),
                                HasSubstr("type='wait'"))));
  romeo.send(message("juliet@localhost", "chat", "second"));  // service returns by itself
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  const auto got = juliet.stanzas();
  ASSERT_THAT(got, SizeIs(2));
  EXPECT_THAT(got[1], HasSubstr("second"));
}

TEST_F(MessagesTest, WhatAClientDidNotReadGoesBackToTheStore) {
  TestClient& juliet = host.login("juliet@localhost/balcony", {.capacity = 2000});
  juliet.send("<presence/>");
  juliet.take();
  juliet.pause(true);
  for (int i = 0; i < 30; ++i)
    romeo.send(message("juliet@localhost", "chat", fmt::format("{:03} {}", i, std::string(200, 'x'))));
  juliet.disconnect();
  TestClient& again = host.login("juliet@localhost/chamber");
  again.send("<presence/>");
  const auto got = again.stanzas();
  // Some 2000 bytes were taken by the memory stream (as by a kernel's buffer); all others come, in order,
  // none twice.
  ASSERT_GT(got.size(), 15U);
  for (std::size_t i = 1; i < got.size(); ++i)
    EXPECT_THAT(got[i], HasSubstr(fmt::format("<body>{:03} ", 30 - (got.size() - 1) + i - 1)));
}

TEST_F(MessagesTest, AMessageGivenToTwoSessionsIsNotRepeatedWhenOneOfThemDies) {
  TestClient& slow = host.login("juliet@localhost/slow", {.capacity = 300});
  TestClient& quick = host.login("juliet@localhost/quick");
  slow.send("<presence/>");
  quick.send("<presence/>");
  slow.take();
  quick.take();
  slow.pause(true);
  for (int i = 0; i < 10; ++i) romeo.send(message("juliet@localhost", "chat", fmt::format("no {}", i)));
  EXPECT_THAT(quick.stanzas(), SizeIs(10));
  slow.disconnect();
  EXPECT_THAT(quick.stanzas(), ElementsAre(HasSubstr("unavailable")));
}

TEST_F(MessagesTest, ASessionThatDoesNotReadIsClosedWhenItsQueueIsFull) {
  server::Config config = TestHost::default_config();
  config.limits.queue_bytes = 5000;
  TestHost small(config);
  TestClient& sender = small.login("romeo@localhost/orchard");
  TestClient& juliet = small.login("juliet@localhost/balcony", {.capacity = 1000});
  juliet.send("<presence/>");
  juliet.take();
  juliet.pause(true);
  for (int i = 0; i < 40; ++i)
    sender.send(message("juliet@localhost", "chat", fmt::format("{:03} {}", i, std::string(200, 'x'))));
  EXPECT_FALSE(juliet.closed());  // a burst is no crime
  small.advance(std::chrono::seconds(7));
  sender.send(message("juliet@localhost", "chat", "the last"));
  EXPECT_THAT(sender.stanzas(), IsEmpty());
  TestClient& again = small.login("juliet@localhost/chamber");
  again.send("<presence/>");
  const auto got = again.stanzas();
  ASSERT_GT(got.size(), 30U);
  EXPECT_THAT(got.back(), HasSubstr("the last"));
}

TEST_F(MessagesTest, AClientThatDiesWhileItsTailComesLosesNothing) {
  host.add_account("juliet@localhost");
  for (int i = 0; i < 400; ++i)
    romeo.send(message("juliet@localhost", "chat", fmt::format("{:03} {}", i, std::string(500, 'x'))));
  TestClient& juliet = host.login("juliet@localhost/balcony", {.capacity = 3000});
  juliet.take();
  juliet.pause(true);
  juliet.send("<presence/>");
  TestClient& chamber = host.login("juliet@localhost/chamber");
  chamber.send("<presence/>");
  romeo.send(message("juliet@localhost", "chat", "new"));
  juliet.disconnect();
  std::vector<std::string> got;
  for (const std::string& one : chamber.stanzas())
    if (one.starts_with("<message")) got.push_back(one);
  ASSERT_GT(got.size(), 390U);  // what the first one's buffer took is not repeated
  for (std::size_t i = 0; i + 1 < got.size(); ++i)
    EXPECT_THAT(got[i], HasSubstr(fmt::format("<body>{:03} ", 401 - got.size() + i)));
  EXPECT_THAT(got.back(), HasSubstr("new"));
}

TEST_F(MessagesTest, ARequestThatItsReceiverDidNotReadIsAnswered) {  // R53
  TestClient& juliet = host.login("juliet@localhost/balcony", {.capacity = 400});
  juliet.pause(true);
  for (int i = 0; i < 5; ++i)
    romeo.send(fmt::format(
        "<iq type='get' id='i{}' to='juliet@localhost/balcony'><ping xmlns='urn:xmpp:ping'/></iq>", i));
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
  juliet.disconnect();
  EXPECT_THAT(romeo.stanzas(), Contains(AllOf(HasSubstr("id='i4'"), HasSubstr("service-unavailable"))));
}

TEST_F(MessagesTest, AReplacedSessionThatDoesNotReadIsGoneAtOnce) {
  TestClient& watcher = host.login("juliet@localhost/watcher");
  watcher.send("<presence><priority>-1</priority></presence>");
  TestClient& older = host.login("juliet@localhost/phone", {.capacity = 500});
  older.send("<presence/>");
  older.take();
  older.pause(true);
  for (int i = 0; i < 20; ++i)
    romeo.send(message("juliet@localhost", "chat", fmt::format("no {} {}", i, std::string(100, 'x'))));
  watcher.take();
  TestClient& newer = host.login("juliet@localhost/phone");
  newer.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>");
  EXPECT_THAT(newer.stanzas(), Contains(HasSubstr("no 19 ")));
  host.advance(std::chrono::seconds(20));
  const auto seen = watcher.stanzas();
  ASSERT_THAT(seen, SizeIs(2));  // the old one leaves, the new one comes and stays
  EXPECT_THAT(seen[0], HasSubstr("unavailable"));
  EXPECT_THAT(seen[1], Not(HasSubstr("unavailable")));
}

TEST_F(MessagesTest, AChatStateForOneWhoIsAwayIsDroppedInSilence) {
  host.add_account("juliet@localhost");
  romeo.send(
      "<message to='juliet@localhost' type='chat' id='c'><composing "
      "xmlns='http://jabber.org/protocol/chatstates'/></message>");
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
  romeo.send(
      "<message to='juliet@localhost' type='chat' id='c'><body>Hi</body><no-store "
      "xmlns='urn:xmpp:hints'/></message>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("service-unavailable")));
}

TEST_F(MessagesTest, MessagesAsLargeAsTheLimitSurviveTheStore) {
  host.add_account("juliet@localhost");
  const std::string head = "<message to='juliet@localhost' type='chat' id='m'><body>",
                    tail = "</body></message>";
  romeo.send(head + std::string(262144 - head.size() - tail.size(), 'x') + tail);
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  EXPECT_GT(juliet.take().size(), 262144U);
}

TEST_F(MessagesTest, NewMessagesDoNotOvertakeTheTail) {
  host.add_account("juliet@localhost");
  for (int i = 0; i < 5; ++i) romeo.send(message("juliet@localhost", "chat", fmt::format("old {}", i)));
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send_raw("<presence/>");
  romeo.send_raw(message("juliet@localhost", "chat", "new"));
  host.settle();
  const auto got = juliet.stanzas();
  ASSERT_THAT(got, SizeIs(7));
  for (int i = 0; i < 5; ++i)
    EXPECT_THAT(got[static_cast<std::size_t>(i) + 1], HasSubstr(fmt::format("old {}", i)));
  EXPECT_THAT(got[6], HasSubstr("new"));
}

TEST_F(MessagesTest, PayloadsPassBitExact) {  // R41, R52
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  juliet.take();
  const std::string inner =
      "<body>a&amp;b &lt;c&gt; \xc3\xa9</body><x xmlns='urn:unknown' a=\"1\"  b='2'><y/><![CDATA[<raw>]]></x>"
      "<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>";
  romeo.send("<message to='juliet@localhost' type='chat' id='m1'>" + inner + "</message>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr(inner)));
}

TEST(CrossShardTest, MessagesPresenceAndIqsReachAccountsOfOtherShards) {
  TestHost host(TestHost::default_config(), 4);
  std::vector<TestClient*> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(&host.login(fmt::format("u{}@localhost/r", i)));
    clients.back()->send("<presence/>");
    clients.back()->take();
  }
  for (std::size_t from = 0; from < clients.size(); ++from)
    for (std::size_t to = 0; to < clients.size(); ++to)
      for (int n = 0; n < 3; ++n)
        clients[from]->send_raw(
            message(fmt::format("u{}@localhost", to), "chat", fmt::format("{}-{}", from, n)));
  host.settle();
  for (TestClient* client : clients) {
    const auto got = client->stanzas();
    EXPECT_THAT(got, SizeIs(36));
    for (std::size_t from = 0; from < clients.size(); ++from) {  // each sender's in their order
      std::vector<std::string> bodies;
      for (const std::string& one : got)
        if (one.find(fmt::format("<body>{}-", from)) != std::string::npos) bodies.push_back(one);
      ASSERT_THAT(bodies, SizeIs(3));
      for (std::size_t n = 0; n < 3; ++n)
        EXPECT_THAT(bodies[n], HasSubstr(fmt::format("<body>{}-{}<", from, n)));
    }
  }
  clients[0]->send("<iq type='get' id='p' to='u7@localhost/r'><ping xmlns='urn:xmpp:ping'/></iq>");
  EXPECT_THAT(clients[7]->stanzas(), ElementsAre(HasSubstr("urn:xmpp:ping")));
  clients[7]->send("<iq type='result' id='p' to='u0@localhost/r'/>");
  EXPECT_THAT(clients[0]->stanzas(), ElementsAre(HasSubstr("type='result'")));
}

// A phase with a defect: what it throws stands for what the environment does (no memory).
class Stumbles final : public server::Module {
 public:
  [[nodiscard]] server::ModuleInfo info() const override {
    return {
        .name = "stumbles", .summary = "", .specifications = {}, .host_features = {}, .account_features = {}};
  }
  void attach(server::Registry& registry) override {
    registry.screen([](const server::Passage& passage) -> std::expected<void, StanzaError> {
      if (!passage.outward && passage.envelope.stanza->element().bytes().contains("stumble"))
        throw std::runtime_error("no memory");
      return {};
    });
  }
};

TEST(CrossShardTest, AStanzaThatFailsCostsNoOther) {
  for (const std::size_t shards : {1U, 4U}) {
    TestHost host(TestHost::default_config(), shards, [](const server::Config&) {
      std::vector<std::unique_ptr<server::Module>> modules;
      modules.push_back(std::make_unique<Stumbles>());
      return modules;
    });
    TestClient& romeo = host.login("romeo@localhost/orchard");
    for (int i = 0; i < 8; ++i) {  // of every shard, loaded already or not yet
      const std::string bare = fmt::format("u{}@localhost", i);
      TestClient* juliet = i % 2 == 0 ? &host.login(bare + "/r") : nullptr;
      if (juliet != nullptr) juliet->send("<presence/>");
      host.add_account(bare);
      for (const char* id : {"one", "stumble", "two"})
        romeo.send_raw(
            fmt::format("<message to='{}' type='chat' id='{}'><body>Hi</body></message>", bare, id));
      host.settle();
      if (juliet != nullptr) {
        EXPECT_THAT(juliet->stanzas(),
                    ElementsAre(HasSubstr("<presence"), HasSubstr("id='one'"), HasSubstr("id='two'")));
      } else {  // nobody keeps them here
        EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("id='one'"), HasSubstr("id='two'")));
      }
    }
  }
}

}  // namespace
}  // namespace starling
