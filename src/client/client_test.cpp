#include "client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/running.h"
#include "client/masking.h"
#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Jid jid(std::string_view text) { return Jid::parse(text).value(); }

// --- life ---

TEST(Session, StartsOnceTheResourceIsBound) {
  Bench bench;
  const auto& server = bench.log_in();
  EXPECT_TRUE(server.bound);
  EXPECT_EQ(bench.client->state(), State::online);
  EXPECT_EQ(bench.client->jid().text(), "alice@example.org/balcony");
  EXPECT_THAT(bench.events, ElementsAre("connected", "session_start"));
  EXPECT_EQ(bench.logged("TRANSITION disconnected -> connected"), 1u);
  EXPECT_EQ(bench.logged("TRANSITION connected -> online"), 1u);
}

TEST(Session, EventsComeInTheDocumentedOrder) {  // R165
  Bench bench;
  bench.client->on.session_start([&] {
    bench.client->send(Presence{});
    bench.client->request(Type::get, {}, "<query xmlns='jabber:iq:roster' ver=''/>")
        .then([&](const auto& answer) {
          EXPECT_TRUE(answer.has_value());
          bench.events.emplace_back("roster");
          bench.client->send(Message{.to = jid("bob@example.org"), .body = "Hello, Alice-Bob"});
          bench.client->close();
        });
  });
  auto& server = bench.log_in();
  ASSERT_EQ(server.stanzas.size(), 2u);
  EXPECT_EQ(server.stanzas[0], "<presence/>");
  const auto from = server.stanzas[1].find("id='") + 4;
  const auto id = server.stanzas[1].substr(from, server.stanzas[1].find('\'', from) - from);
  server.keep_open = true;
  bench.server_sends("<presence from='alice@example.org/balcony' to='alice@example.org/balcony'/>");
  bench.server_sends(fmt::format("<iq type='result' id='{}'/>", id));
  EXPECT_EQ(bench.client->state(), State::closing);
  bench.server_sends("<message from='bob@example.org/a' type='chat'><body>Thanks</body></message>");
  bench.server_sends("</stream:stream>");
  EXPECT_THAT(bench.events, ElementsAre("connected", "session_start", "sent_presence", "presence",
                                        "presence_available", "got_online", "changed_status", "roster",
                                        "session_end", "message", "disconnected"));
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::closed);
}

TEST(Session, WaitsForTheServersCloseButNotForEver) {
  Bench bench;
  auto& server = bench.log_in();
  server.keep_open = true;
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_TRUE(server.client_closed);
  EXPECT_FALSE(bench.client->ended());
  EXPECT_EQ(bench.logged("Waiting for </stream:stream> from server"), 1u);
  bench.loop.advance(Milliseconds{5000});
  EXPECT_TRUE(bench.client->ended());
}

TEST(Session, SendsWhatWasQueuedBeforeItCloses) {
  Bench bench;
  auto& server = bench.log_in();
  bench.in_turn([&] {
    for (int i = 0; i < 100; ++i)
      bench.client->send(Message{.to = jid("bob@example.org"), .body = std::to_string(i)});
    bench.client->close();
    EXPECT_EQ(bench.client->send(Message{.to = jid("bob@example.org"), .body = "too late"}), "");
  });
  ASSERT_EQ(server.stanzas.size(), 100u);
  EXPECT_THAT(server.stanzas.back(), HasSubstr("<body>99</body>"));
  EXPECT_TRUE(bench.client->ended());
}

TEST(Session, EndsWithTheServersClose) {
  Bench bench;
  bench.log_in();
  bench.in_turn([&] { bench.servers.back()->close(); });
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::lost);
}

TEST(Session, AStreamErrorIsTold) {
  Bench bench;
  bench.log_in();
  bench.in_turn([&] { bench.servers.back()->fail(StreamCondition::system_shutdown, "Bye"); });
  const auto ended = bench.core->take_outcome();
  EXPECT_EQ(ended.why, Ended::Why::refused);
  EXPECT_EQ(ended.text, "the server ended the stream: system-shutdown (Bye)");
}

TEST(Session, AWrongPasswordIsTold) {
  Bench bench({.password = "wrong"});
  bench.in_turn([&] { bench.client->connect(); });
  const auto ended = bench.core->take_outcome();
  EXPECT_EQ(ended.why, Ended::Why::not_authorized);
  EXPECT_THAT(ended.text, HasSubstr("refused the user name or password"));
  EXPECT_EQ(bench.logged("secret"), 0u);
}

TEST(Session, WithoutTlsThereIsNoLoginWhereItIsRequired) {
  Bench bench;
  bench.first_words = {
      "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
      "id='1' "
      "from='example.org'><stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
      "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"};
  bench.in_turn([&] { bench.client->connect(); });
  const auto ended = bench.core->take_outcome();
  EXPECT_EQ(ended.why, Ended::Why::could_not_connect);
  EXPECT_THAT(ended.text, HasSubstr("no encryption"));
  EXPECT_EQ(bench.servers.back()->bytes.find("<auth"), std::string::npos);
}

TEST(Session, WhatAHandlerThrowsEndsTheClient) {
  Bench bench;
  bench.client->on.message([](const Stanza&) { throw std::runtime_error("no more"); });
  bench.log_in();
  bench.server_sends("<message from='bob@example.org/a'><body>Hi</body></message>");
  EXPECT_TRUE(bench.client->ended());
  EXPECT_THROW(bench.core->take_outcome(), std::runtime_error);
}

TEST(Session, WhatARequestsCallbackThrowsEndsTheClientToo) {
  Bench bench;
  bench.log_in();
  int answers = 0;
  bench.in_turn([&] {
    bench.client->request(Type::get, {}, "<q xmlns='x:y'/>").then([&](const auto&) {
      ++answers;
      throw std::runtime_error("no more");
    });
  });
  bench.answer();
  EXPECT_EQ(answers, 1);
  EXPECT_TRUE(bench.client->ended());
  EXPECT_THROW(bench.core->take_outcome(), std::runtime_error);
}

TEST(Session, WhatIsThrownAtItsEndHidesNothingOfIt) {
  Bench bench({.reconnect = true});
  int told = 0, forgotten = 0, ends = 0;
  for (int i = 0; i < 2; ++i)
    bench.client->on_session_over([&] {
      ++forgotten;
      throw std::runtime_error("later");
    });
  bench.client->on.disconnected([&](const Ended&) {
    ++ends;
    EXPECT_EQ(bench.client->state(), State::disconnected);
  });
  bench.log_in();
  bench.in_turn([&] {
    for (int i = 0; i < 3; ++i)
      bench.client->request(Type::get, {}, "<q xmlns='x:y'/>").then([&](const auto& answer) {
        EXPECT_FALSE(answer.has_value());
        EXPECT_EQ(bench.client->state(), State::disconnected);
        if (++told == 1) throw std::invalid_argument("first");
      });
  });
  bench.in_turn([&] { bench.servers.back()->drop(); });
  EXPECT_EQ(told, 3);
  EXPECT_EQ(forgotten, 2);
  EXPECT_EQ(ends, 1);
  EXPECT_TRUE(bench.client->ended());
  EXPECT_THROW(bench.core->take_outcome(), std::invalid_argument) << "the first of them";
}

TEST(Session, WhatATimersJobThrowsEndsTheClient) {
  Bench bench;
  bench.log_in();
  bench.in_turn([&] {
    bench.client
        ->request(Type::get, jid("bob@example.org/a"), "<ping xmlns='urn:xmpp:ping'/>", Milliseconds{1000})
        .then([](const auto&) { throw std::runtime_error("no more"); });
  });
  bench.loop.advance(Milliseconds{1000});
  EXPECT_TRUE(bench.client->ended());
  EXPECT_THROW(bench.core->take_outcome(), std::runtime_error);

  bench.log_in();
  bench.client->run_after(Milliseconds{1000}, [] { throw std::runtime_error("no more"); });
  bench.loop.advance(Milliseconds{1000});
  EXPECT_TRUE(bench.client->ended());
  EXPECT_THROW(bench.core->take_outcome(), std::runtime_error);
}

TEST(Session, ATimerOfAClientThatIsGoneDoesNothing) {
  Bench bench;
  bool fired = false;
  bench.client->run_after(Milliseconds{1000}, [&] { fired = true; });
  bench.loop.in_turn([&] {
    bench.client.reset();
    bench.core.reset();
  });
  bench.loop.advance(Milliseconds{1000});
  EXPECT_FALSE(fired);
}

// --- requests ---

struct RequestTest : testing::Test {
  void ask(const Jid& to, Milliseconds timeout = Milliseconds{0}) {
    bench.in_turn([&] {
      bench.client->request(Type::get, to, "<ping xmlns='urn:xmpp:ping'/>", timeout).then([&](auto got) {
        ASSERT_FALSE(outcome.has_value());
        outcome = std::move(got);
      });
      EXPECT_FALSE(outcome.has_value());
    });
    const auto& iq = bench.servers.back()->stanzas.back();
    const auto from = iq.find("id='") + 4;
    id = iq.substr(from, iq.find('\'', from) - from);
  }
  void answer(std::string_view from, std::string_view type = "result", std::string_view content = "") {
    bench.server_sends(fmt::format("<iq type='{}' id='{}'{}>{}</iq>", type, id,
                                   from.empty() ? "" : fmt::format(" from='{}'", from), content));
  }
  Bench bench;
  std::optional<Outcome<StanzaPtr>> outcome;
  std::string id;
};

TEST_F(RequestTest, IsAnswered) {
  bench.log_in();
  ask(jid("bob@example.org/a"));
  answer("bob@example.org/a");
  ASSERT_TRUE(outcome && outcome->has_value());
  EXPECT_EQ((**outcome)->id(), id);
}

TEST_F(RequestTest, OnlyByTheOneThatWasAsked) {
  bench.log_in();
  ask(jid("bob@example.org/a"));
  answer("mallory@example.org/a");
  answer("bob@example.org");
  answer("");
  answer("alice@example.org");
  EXPECT_FALSE(outcome.has_value());
  answer("bob@example.org/a", "error",
         "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
         "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Gone</text></error>");
  ASSERT_TRUE(outcome && !outcome->has_value());
  EXPECT_EQ(outcome->error().kind, RequestError::Kind::refused);
  EXPECT_EQ(outcome->error().message(), "item-not-found: Gone");
}

TEST_F(RequestTest, OurServerSpeaksForOurAccount) {
  for (const std::string_view from : {"", "alice@example.org", "alice@example.org/balcony", "example.org"}) {
    outcome.reset();
    if (bench.servers.empty()) bench.log_in();
    ask({});
    answer(from);
    EXPECT_TRUE(outcome.has_value()) << from;
  }
  outcome.reset();
  ask({});
  answer("bob@example.org");
  EXPECT_FALSE(outcome.has_value());
}

TEST_F(RequestTest, TimesOut) {
  bench.log_in();
  ask(jid("bob@example.org/a"), Milliseconds{2'500});
  bench.loop.advance(Milliseconds{2'499});
  EXPECT_FALSE(outcome.has_value());
  bench.loop.advance(Milliseconds{1});
  ASSERT_TRUE(outcome && !outcome->has_value());
  EXPECT_EQ(outcome->error().kind, RequestError::Kind::timed_out);
  EXPECT_EQ(outcome->error().message(), "no answer from bob@example.org/a within 2.5 s");
  answer("bob@example.org/a");  // too late: nobody hears it
}

TEST_F(RequestTest, FailsWithTheConnection) {
  bench.log_in();
  ask(jid("bob@example.org/a"));
  bench.in_turn([&] { bench.servers.back()->drop(); });
  ASSERT_TRUE(outcome && !outcome->has_value());
  EXPECT_EQ(outcome->error().kind, RequestError::Kind::disconnected);
}

TEST_F(RequestTest, FailsWithoutASession) {
  std::optional<Outcome<StanzaPtr>> got;
  bench.in_turn([&] {
    bench.client->request(Type::get, {}, "<ping xmlns='urn:xmpp:ping'/>").then([&](auto answer) {
      got = std::move(answer);
    });
  });
  ASSERT_TRUE(got && !got->has_value());
  EXPECT_EQ(got->error().kind, RequestError::Kind::disconnected);
}

Task<void> ask_twice(Client& client, std::string& log) {
  auto first = co_await client.request(Type::get, Jid(), "<ping xmlns='urn:xmpp:ping'/>");
  log += first ? "yes " : first.error().message() + ' ';
  auto second =
      co_await client.request(Type::get, Jid(), "<ping xmlns='urn:xmpp:ping'/>", Milliseconds{1000});
  log += second ? "yes" : "no";
}

TEST_F(RequestTest, CanBeAwaited) {
  auto& server = bench.log_in();
  std::string log;
  bench.in_turn([&] { spawn(ask_twice(*bench.client, log)); });
  const auto& iq = server.stanzas.back();
  const auto from = iq.find("id='") + 4;
  bench.server_sends(fmt::format("<iq type='result' id='{}'/>", iq.substr(from, iq.find('\'', from) - from)));
  EXPECT_EQ(log, "yes ");
  bench.loop.advance(Milliseconds{1000});
  EXPECT_EQ(log, "yes no");
}

TEST_F(RequestTest, ACoroutineThatIsGoneHearsNothing) {
  bench.log_in();
  std::string log;
  bench.in_turn([&] { const auto running = start(ask_twice(*bench.client, log)); });
  bench.loop.advance(Milliseconds{60'000});
  EXPECT_EQ(log, "");
}

TEST(Inbound, AnUnknownRequestIsRefusedOnce) {  // R52, R53
  Bench bench;
  auto& server = bench.log_in();
  bench.server_sends("<iq type='get' id='7' from='bob@example.org/a'><query xmlns='nobody:knows'/></iq>");
  ASSERT_EQ(server.stanzas.size(), 1u);
  EXPECT_THAT(server.stanzas[0], HasSubstr("to='bob@example.org/a' type='error' id='7'"));
  EXPECT_THAT(server.stanzas[0], HasSubstr("service-unavailable"));
  bench.server_sends("<iq type='set' id='8' from='bob@example.org/a'/>");
  ASSERT_EQ(server.stanzas.size(), 2u);
  EXPECT_THAT(server.stanzas[1], HasSubstr("bad-request"));
  bench.server_sends("<iq type='result' id='9' from='bob@example.org/a'/>");
  bench.server_sends("<iq type='error' id='9' from='bob@example.org/a'/>");
  EXPECT_EQ(server.stanzas.size(), 2u);
}

TEST(Inbound, AHandlerAnswersNowOrLaterButOnce) {
  Bench bench;
  std::optional<Responder> later;
  bench.client->on_request(Type::get, "q", "x:y", [&](const Stanza& iq, Responder respond) {
    if (iq.id() == "now") respond.result("<q xmlns='x:y'/>");
    if (iq.id() == "twice") {
      respond.error({Condition::forbidden, {}, {}, {}});
      respond.result();
    }
    if (iq.id() == "later") later = respond;
  });
  auto& server = bench.log_in();
  const auto ask = [&](std::string_view id) {
    bench.server_sends(
        fmt::format("<iq type='get' id='{}' from='bob@example.org/a'><q xmlns='x:y'/></iq>", id));
  };
  ask("now");
  EXPECT_THAT(server.stanzas.back(), HasSubstr("type='result' id='now'"));
  ask("twice");
  EXPECT_THAT(server.stanzas.back(), HasSubstr("forbidden"));
  EXPECT_EQ(server.stanzas.size(), 2u);
  ask("never");
  EXPECT_THAT(server.stanzas.back(), HasSubstr("internal-server-error"));
  ask("later");
  EXPECT_EQ(server.stanzas.size(), 3u);
  bench.in_turn([&] { later->result(); });
  EXPECT_THAT(server.stanzas.back(), HasSubstr("<iq to='bob@example.org/a' type='result' id='later'/>"));
}

TEST(Inbound, AHandlerMayTakeItsOwnPlace) {
  Bench bench;
  std::string log;
  bench.client->on_request(Type::get, "q", "x:y", [&](const Stanza&, const Responder& respond) {
    const std::string name = "a name that is too long to be kept in a small string";
    for (int i = 0; i < 100; ++i)
      bench.client->on_request(Type::get, "q", "x:y", [&log](const Stanza&, const Responder& later) {
        log += "second ";
        later.result();
      });
    log += name + ' ';
    respond.result();
  });
  auto& server = bench.log_in();
  for (int i = 0; i < 2; ++i)
    bench.server_sends("<iq type='get' id='1' from='bob@example.org/a'><q xmlns='x:y'/></iq>");
  EXPECT_EQ(log, "a name that is too long to be kept in a small string second ");
  EXPECT_EQ(server.stanzas.size(), 2u);
}

// --- presence and messages ---

TEST(PresenceEvents, OursHasGoneOutWhenTheEventSaysSo) {
  Bench bench;
  bench.client->on.session_start([&] { bench.client->send(Presence{}); });
  bench.client->on.sent_presence([&] { bench.client->send(Presence{.show = "away"}); });
  const auto& server = bench.log_in();
  EXPECT_THAT(server.stanzas, ElementsAre("<presence/>", "<presence><show>away</show></presence>"));
}

TEST(PresenceEvents, WhatWritesIntoOursMayBringMore) {
  Bench bench;
  bench.client->on_own_presence([&](xml::Writer& writer) {
    for (int i = 0; i < 100; ++i)
      bench.client->on_own_presence([](xml::Writer& more) { more.open("y", "y:").close(); });
    writer.open("x", "x:").close();
  });
  bench.client->on.session_start([&] { bench.client->send(Presence{}); });
  EXPECT_THAT(bench.log_in().stanzas, ElementsAre("<presence><x xmlns='x:'/></presence>"));
}

// Anybody may send presence: beyond so many, the one that came first is forgotten.
TEST(PresenceEvents, AreOfSoManyResourcesAtMost) {
  Bench bench;
  bench.log_in();
  const auto come = [&](int from, int to) {
    std::string all;
    for (int i = from; i < to; ++i) all += fmt::format("<presence from='bob@example.org/{}'/>", i);
    bench.events.clear();
    bench.server_sends(all);
    return std::ranges::count(bench.events, "got_online");
  };
  EXPECT_EQ(come(0, 5'001), 5'001);
  EXPECT_EQ(come(1, 5'001), 0);
  EXPECT_EQ(come(0, 1), 1);
}

TEST(PresenceEvents, TellWhatIsNew) {
  Bench bench;
  bench.log_in();
  const auto events_of = [&](std::string_view xml) {
    bench.events.clear();
    bench.server_sends(xml);
    return bench.events;
  };
  EXPECT_THAT(events_of("<presence from='bob@example.org/a'/>"),
              ElementsAre("presence", "presence_available", "got_online", "changed_status"));
  EXPECT_THAT(events_of("<presence from='bob@example.org/a'><priority>3</priority></presence>"),
              ElementsAre("presence", "presence_available"));
  EXPECT_THAT(events_of("<presence from='bob@example.org/a'><show>away</show></presence>"),
              ElementsAre("presence", "presence_available", "changed_status"));
  EXPECT_THAT(events_of("<presence from='bob@example.org/a' type='unavailable'/>"),
              ElementsAre("presence", "presence_unavailable", "got_offline"));
  EXPECT_THAT(events_of("<presence from='bob@example.org/a' type='unavailable'/>"),
              ElementsAre("presence", "presence_unavailable"));
  EXPECT_THAT(events_of("<presence from='bob@example.org' type='subscribe'/>"),
              ElementsAre("presence", "presence_subscription"));
}

TEST(MessageData, IsWrittenAndRead) {
  Bench bench;
  auto& server = bench.log_in();
  bench.in_turn([&] {
    bench.client->send(Message{.to = jid("bob@example.org"),
                               .body = "1 < 2 & 3",
                               .subject = "Sums",
                               .thread = "t1",
                               .extra = "<x xmlns='y:z'/>",
                               .id = "m'1"});
    bench.client->send(Presence{.show = "away", .status = "Tea & cake", .priority = -3});
  });
  EXPECT_EQ(server.stanzas[0],
            "<message to='bob@example.org' type='chat' id='m&apos;1'><subject>Sums</subject><body>1 &lt; 2 "
            "&amp; 3</body>"
            "<thread>t1</thread><x xmlns='y:z'/></message>");
  EXPECT_EQ(server.stanzas[1],
            "<presence><show>away</show><status>Tea &amp; cake</status><priority>-3</priority></presence>");

  std::optional<Message> reply;
  bench.client->on.message([&](const Stanza& message) {
    EXPECT_EQ(body_of(message), "Hi");
    reply = reply_to(message, "Ho");
  });
  bench.server_sends(
      "<message from='bob@example.org/a' type='chat'><body>Hi</body><thread>t7</thread></message>");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->to.text(), "bob@example.org/a");
  EXPECT_EQ(reply->thread, "t7");
  EXPECT_EQ(reply->type, Type::chat);
}

// --- closing from inside of everything (R169) ---

class ClosingFrom : public testing::TestWithParam<std::string_view> {};

TEST_P(ClosingFrom, IsSafe) {
  const auto where = GetParam();
  Bench bench({.reconnect = true, .keepalive = Milliseconds{1000}, .ping_after = Milliseconds{0}});
  bool closed = false;
  const auto close_if = [&](std::string_view here) {
    if (here != where || closed) return;
    closed = true;
    bench.client->close();
  };
  auto& on = bench.client->on;
  on.connected([&] { close_if("connected"); });
  on.session_start([&] {
    close_if("session_start");
    bench.client->send(Presence{});
    bench.client->request(Type::get, {}, "<ping xmlns='urn:xmpp:ping'/>").then([&](const auto&) {
      close_if("request");
    });
    bench.client
        ->request(Type::get, jid("nobody@example.org/x"), "<ping xmlns='urn:xmpp:ping'/>", Milliseconds{50})
        .then([&](const auto&) { close_if("timeout"); });
  });
  on.sent_presence([&] { close_if("sent_presence"); });
  on.presence([&](const Stanza&) { close_if("presence"); });
  on.presence_available([&](const Stanza&) { close_if("presence_available"); });
  on.got_online([&](const Stanza&) { close_if("got_online"); });
  on.changed_status([&](const Stanza&) { close_if("changed_status"); });
  on.presence_unavailable([&](const Stanza&) { close_if("presence_unavailable"); });
  on.got_offline([&](const Stanza&) { close_if("got_offline"); });
  on.subscription([&](const Stanza&) { close_if("presence_subscription"); });
  on.message([&](const Stanza&) { close_if("message"); });
  on.session_end([&] { close_if("session_end"); });
  on.disconnected([&](const Ended&) { close_if("disconnected"); });
  bench.client->on_own_presence([&](xml::Writer&) { close_if("own_presence"); });
  bench.client->on_request(Type::get, "q", "x:y", [&](const Stanza&, const Responder& respond) {
    close_if("handler");
    respond.result();
  });
  bench.on_trace = [&](std::string_view line) {
    if (line.starts_with("Waiting ")) close_if("waiting");
    if (line.starts_with("TRANSITION")) close_if("transition");
    if (line.starts_with("<stream:features")) close_if("features");
    if (line.starts_with("<auth")) close_if("auth");
    if (line.starts_with("Using TLS")) close_if("tls");
  };
  bench.refusals = 1;
  bench.in_turn([&] { bench.client->connect(); });
  bench.loop.advance(Milliseconds{1500});
  const auto server_says = [&](std::string_view xml) {
    if (!bench.servers.empty()) bench.server_sends(xml);
  };
  const auto iqs = bench.servers.empty() ? std::vector<std::string>() : bench.servers.back()->stanzas;
  for (const auto& iq : iqs) {
    if (!iq.starts_with("<iq type=")) continue;
    const auto from = iq.find("id='") + 4;
    server_says(fmt::format("<iq type='result' id='{}'/>", iq.substr(from, iq.find('\'', from) - from)));
  }
  server_says("<presence from='bob@example.org/a'/><presence from='bob@example.org/a' type='unavailable'/>");
  server_says("<presence from='bob@example.org' type='subscribe'/>");
  server_says("<message from='bob@example.org/a'><body>Hi</body></message>");
  server_says("<iq type='get' id='7' from='bob@example.org/a'><q xmlns='x:y'/></iq>");
  bench.loop.advance(Milliseconds{3000});
  if (where == "session_end") bench.in_turn([&] { bench.client->close(); });
  EXPECT_TRUE(closed);
  bench.loop.advance(Milliseconds{10'000});
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.core->take_outcome().why,
            where == "disconnected" ? Ended::Why::could_not_connect : Ended::Why::closed);
  EXPECT_EQ(bench.loop.pending_timers(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ClosingFrom,
                         testing::Values("connected", "session_start", "request", "timeout", "sent_presence",
                                         "presence", "presence_available", "got_online", "changed_status",
                                         "presence_unavailable", "got_offline", "presence_subscription",
                                         "message", "session_end", "disconnected", "own_presence", "handler",
                                         "waiting", "transition", "features", "auth", "tls"),
                         [](const auto& info) { return std::string(info.param); });

// --- the debug log ---

TEST(Masking, SecretsAreStars) {
  EXPECT_EQ(mask_secrets("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNl</auth>"),
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>***</auth>");
  EXPECT_EQ(mask_secrets("<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>a</username>"
                         "<password>p&amp;q</password></query></iq>"),
            "<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>a</username>"
            "<password>***</password></query></iq>");
  EXPECT_EQ(mask_secrets("<iq type='set' id='1'><r:query "
                         "xmlns:r='jabber:iq:register'><r:password>x</r:password></r:query></iq>"),
            "<iq type='set' id='1'><r:query "
            "xmlns:r='jabber:iq:register'><r:password>***</r:password></r:query></iq>");
  EXPECT_EQ(mask_secrets("<x xmlns='jabber:x:data'><field var='old-password'><value>s</value></field>"
                         "<field var='name'><value>n</value></field></x>"),
            "<x xmlns='jabber:x:data'><field var='old-password'><value>***</value></field>"
            "<field var='name'><value>n</value></field></x>");
  EXPECT_EQ(mask_secrets("<message><body>password</body></message>"),
            "<message><body>password</body></message>");
  EXPECT_EQ(mask_secrets("<password>never shown"), "(21 bytes that are no single element)");
}

TEST(DebugLog, EveryStanzaIsThereOnceAndNoSecret) {  // R166
  Bench bench;
  bench.log_in();
  bench.in_turn([&] { bench.client->send(Message{.to = jid("bob@example.org"), .body = "one of a kind"}); });
  bench.server_sends("<message from='bob@example.org/a'><body>another one</body></message>");
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_EQ(bench.logged("one of a kind"), 1u);
  EXPECT_EQ(bench.logged("another one"), 1u);
  EXPECT_EQ(bench.logged("***</response>"), 1u);
  EXPECT_EQ(bench.logged("***</success>"), 1u);
  EXPECT_EQ(bench.logged("Sent 1 message, 0 presences, 0 iqs"), 1u);
}

}  // namespace
}  // namespace starling::client
