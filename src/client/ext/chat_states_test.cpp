#include "client/ext/chat_states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

Jid jid(std::string_view text) { return Jid::parse(text).value(); }

constexpr std::string_view kActive = "<active xmlns='http://jabber.org/protocol/chatstates'/>";

struct ChatStatesTest : testing::Test {
  ChatStatesTest() {
    bench.log_in();
    states.changed([this](const Stanza& message, ChatState state) {
      got.push_back(message.from().text() + ' ' + std::string(to_string(state)));
    });
  }
  void message(std::string_view content, std::string_view type = "chat",
               std::string_view from = "bob@example.org/a") {
    bench.server_sends(fmt::format("<message from='{}' type='{}'>{}</message>", from, type, content));
  }
  void message(ChatState state) {
    message(fmt::format("<{} xmlns='http://jabber.org/protocol/chatstates'/>", to_string(state)));
  }
  bool send(ChatState state, Type type = Type::chat) {
    bool done = false;
    bench.in_turn([&] { done = states.send_state(bob, state, "t1", type); });
    return done;
  }
  [[nodiscard]] const std::vector<std::string>& sent() const { return bench.servers.back()->stanzas; }

  Bench bench;
  ChatStates& states = bench.client->use<ChatStates>();
  const Jid bob = jid("bob@example.org/a");
  std::vector<std::string> got;
};

TEST_F(ChatStatesTest, AllAreTold) {  // R50
  for (const auto state :
       {ChatState::active, ChatState::composing, ChatState::paused, ChatState::inactive, ChatState::gone})
    message(state);
  EXPECT_THAT(
      got, ElementsAre("bob@example.org/a active", "bob@example.org/a composing", "bob@example.org/a paused",
                       "bob@example.org/a inactive", "bob@example.org/a gone"));
  EXPECT_TRUE(bench.saw("chat_state"));
}

TEST_F(ChatStatesTest, WhatIsNoStateIsNot) {
  message("<dancing xmlns='http://jabber.org/protocol/chatstates'/>");
  message("<active xmlns='other'/>");
  message(kActive, "error");
  message(kActive, "headline");
  message(std::string(kActive) + "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>");
  message("<gone xmlns='http://jabber.org/protocol/chatstates'/>", "groupchat", "room@chat.example.org/bob");
  EXPECT_THAT(got, ElementsAre());
  message("<composing xmlns='http://jabber.org/protocol/chatstates'/>", "groupchat",
          "room@chat.example.org/bob");
  EXPECT_EQ(got.size(), 1u);
}

TEST_F(ChatStatesTest, AllAreSentToWhoeverSendsThem) {
  EXPECT_FALSE(send(ChatState::composing));  // before it is known
  EXPECT_EQ(states.active_for(bob), kActive);
  message(ChatState::active);
  EXPECT_TRUE(send(ChatState::composing));
  EXPECT_THAT(sent().back(),
              MatchesRegex("<message to='bob@example.org/a' type='chat' id='.+'><thread>t1</thread>"
                           "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"));
  EXPECT_TRUE(send(ChatState::paused));
  EXPECT_TRUE(send(ChatState::inactive));
  EXPECT_TRUE(send(ChatState::gone));
  EXPECT_EQ(sent().size(), 4u);
}

TEST_F(ChatStatesTest, NoneTwiceInARow) {  // 5.3
  message(ChatState::active);
  EXPECT_TRUE(send(ChatState::composing));
  EXPECT_FALSE(send(ChatState::composing));
  EXPECT_EQ(states.active_for(bob), kActive);  // a message
  EXPECT_EQ(states.active_for(bob), kActive);
  EXPECT_FALSE(send(ChatState::active));
  EXPECT_TRUE(send(ChatState::composing));
}

TEST_F(ChatStatesTest, NoneToWhoAnswersWithout) {  // 5.1 rule 2
  message("<body>Hi</body>");
  EXPECT_EQ(states.active_for(bob), "");
  EXPECT_FALSE(send(ChatState::composing));
  message(fmt::format("<body>Hi</body>{}", kActive));
  EXPECT_EQ(states.active_for(bob), kActive);
  message("<received xmlns='urn:xmpp:receipts' id='1'/>");  // says nothing either way
  EXPECT_TRUE(send(ChatState::composing));
}

TEST_F(ChatStatesTest, FeaturesDecideBeforeAnythingWasSaid) {
  const auto announce = [&](std::string_view who, std::string_view features) {
    bench.server_sends(
        fmt::format("<presence from='{0}'><c xmlns='http://jabber.org/protocol/caps' hash='x' node='n' "
                    "ver='{0}'/></presence>",
                    who));
    EXPECT_TRUE(bench.outcome(
        [&] { return bench.client->use<Caps>().info_of(jid(who)); },
        fmt::format("<query xmlns='http://jabber.org/protocol/disco#info'>{}</query>", features)));
  };
  announce("bob@example.org/a", "<feature var='http://jabber.org/protocol/chatstates'/>");
  EXPECT_TRUE(send(ChatState::composing));
  announce("carol@example.org/b", "");
  EXPECT_EQ(states.active_for(jid("carol@example.org/b")), "");
}

TEST_F(ChatStatesTest, RoomsGetAllButGone) {  // 5.5
  EXPECT_TRUE(send(ChatState::composing, Type::groupchat));
  EXPECT_FALSE(send(ChatState::composing, Type::groupchat));
  EXPECT_FALSE(send(ChatState::gone, Type::groupchat));
  message("<body>Hi</body>", "groupchat");
  EXPECT_TRUE(send(ChatState::paused, Type::groupchat));
}

TEST_F(ChatStatesTest, CanBeSwitchedOff) {
  message(ChatState::active);
  states.enable(false);
  EXPECT_EQ(states.active_for(bob), "");
  EXPECT_FALSE(send(ChatState::composing));
  EXPECT_FALSE(send(ChatState::composing, Type::groupchat));
  EXPECT_EQ(sent().size(), 0u);
}

TEST(ChatStatesWithoutSession, AreNotSent) {
  Bench bench;
  auto& states = bench.client->use<ChatStates>();
  EXPECT_FALSE(states.send_state(jid("room@chat.example.org"), ChatState::active, {}, Type::groupchat));
}

}  // namespace
}  // namespace starling::client
