#include "client/ext/conversation.h"

#include <gtest/gtest.h>

#include "client/testing.h"

namespace starling::client {
namespace {

struct ConversationTest : testing::Test {
  ConversationTest() { bench.log_in(); }
  // Where the next message goes, and in which thread.
  [[nodiscard]] std::string next() const {
    const auto message = conversations.message_to(Jid::parse("bob@example.org").value(), "Hi");
    EXPECT_EQ(message.type, Type::chat);
    EXPECT_EQ(message.body, "Hi");
    return message.thread.empty() ? message.to.text() : message.to.text() + " in " + message.thread;
  }
  void message(std::string_view from, std::string_view content = "<body>Hi</body>",
               std::string_view type = "chat") {
    bench.server_sends(fmt::format("<message from='{}' type='{}'>{}</message>", from, type, content));
  }
  Bench bench{Options{.reconnect = true}};
  Conversations& conversations = bench.client->use<Conversations>();
};

TEST_F(ConversationTest, IsLockedByAnAnswer) {  // R47
  EXPECT_EQ(next(), "bob@example.org");
  message("bob@example.org/a");
  EXPECT_EQ(next(), "bob@example.org/a");
  message("bob@example.org/b");
  EXPECT_EQ(next(), "bob@example.org/b");
  message("bob@example.org");
  EXPECT_EQ(next(), "bob@example.org");
}

TEST_F(ConversationTest, IsUnlockedByAnyPresence) {
  for (const std::string_view presence :
       {"<presence from='bob@example.org/a'/>", "<presence from='bob@example.org/z' type='unavailable'/>",
        "<presence from='bob@example.org/b'><show>away</show></presence>"}) {
    message("bob@example.org/a");
    bench.server_sends("<presence from='carol@example.org/a'/>");
    bench.server_sends("<presence from='bob@example.org' type='subscribe'/>");
    EXPECT_EQ(next(), "bob@example.org/a");
    bench.server_sends(presence);
    EXPECT_EQ(next(), "bob@example.org") << presence;
  }
}

TEST_F(ConversationTest, IsUnlockedByTheEndOfTheChat) {
  message("bob@example.org/a", "<body>Bye</body><thread>t1</thread>");
  message("bob@example.org/a", "<gone xmlns='http://jabber.org/protocol/chatstates'/><thread>t1</thread>");
  EXPECT_EQ(next(), "bob@example.org");
}

TEST_F(ConversationTest, IsUnlockedByAnErrorFromThere) {
  message("bob@example.org/a", "<body>Hi</body><thread>t1</thread>");
  message("bob@example.org/b", "", "error");
  EXPECT_EQ(next(), "bob@example.org/a in t1");
  message("bob@example.org/a", "", "error");
  EXPECT_EQ(next(), "bob@example.org in t1");
}

TEST_F(ConversationTest, IsUnlockedByTheEndOfTheSession) {
  message("bob@example.org/a");
  bench.in_turn([&] { bench.servers.back()->drop(); });
  bench.loop.advance(Milliseconds{1500});
  EXPECT_EQ(next(), "bob@example.org");
}

TEST_F(ConversationTest, KeepsTheThread) {  // R46
  message("bob@example.org/a", "<body>Hi</body><thread>t1</thread>");
  EXPECT_EQ(next(), "bob@example.org/a in t1");
  message("bob@example.org/a");
  EXPECT_EQ(next(), "bob@example.org/a in t1");
  bench.server_sends("<presence from='bob@example.org/a'/>");
  EXPECT_EQ(next(), "bob@example.org in t1");
  message("bob@example.org/a", fmt::format("<thread>{}</thread>", std::string(2000, 't')));
  EXPECT_EQ(next(), "bob@example.org/a in t1");
}

TEST_F(ConversationTest, OnlyAChatLocks) {
  for (const std::string_view type : {"normal", "headline", "groupchat", "error"})
    message("bob@example.org/a", "<body>Hi</body><thread>t1</thread>", type);
  bench.server_sends("<message type='chat'><body>Hi</body></message>");
  EXPECT_EQ(next(), "bob@example.org");
}

}  // namespace
}  // namespace starling::client
