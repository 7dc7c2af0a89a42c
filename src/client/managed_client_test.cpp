// Clients with stream management (XEP-0198), and a server as it ought to be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/running.h"
#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Jid jid(std::string_view text) { return Jid::parse(text).value(); }
xml::Document element(std::string_view text) { return xml::parse_fragment(text, ns::client).value(); }
constexpr std::string_view kOffer = "<sm xmlns='urn:xmpp:sm:3'/>";

// alice's session, over all connections to it. Counts, keeps and resends; breaks the connection where it is
// told to: when so many more elements have come or gone, nonzas included.
class Manager {
 public:
  explicit Manager(Bench& bench) {
    bench.on_server = [this](FakeServer& server) { attach(server); };
  }

  void attach(FakeServer& server) {
    server.only_plain();  // the quickest
    if (offers) server.advertise(kOffer);
    server.claim(ns::sm);
    server.on_element = [this, &server](const xml::Element& what) {
      now_ = &server;
      hear(what);
      if (cut_after_in && --*cut_after_in == 0) cut();
    };
  }
  // A stanza to alice.
  void send(std::string_view xml) {
    unacknowledged_.emplace_back(xml);
    write(xml);
  }
  void message(std::string_view body) {
    send(fmt::format("<message from='bob@example.org/a'><body>{}</body></message>", body));
  }
  void cut() {
    cut_after_in.reset();
    cut_after_out.reset();
    if (FakeServer* server = std::exchange(now_, nullptr)) server->drop();
    if (forgets) known_ = false;
  }

  std::vector<std::string> bodies, stanzas;  // that were handled, in order
  int resumptions = 0, sessions = 0, acknowledged = 0;
  std::optional<int> cut_after_in, cut_after_out;
  std::string enabled_with = "resume='true'";
  bool offers = true, enables = true;
  bool answers = true;      // <r/>
  bool forgets = false;     // the session, with its connection
  bool tells_count = true;  // when it has
  int adds = 0;             // to each count

 private:
  void write(std::string_view xml) {
    if (now_ == nullptr) return;
    now_->send(xml);
    if (cut_after_out && --*cut_after_out == 0) cut();
  }
  void hear(const xml::Element& what) {
    const auto number = [&] {
      return static_cast<std::uint32_t>(std::stoul(std::string(what.attribute("h").value())));
    };
    if (what.is("enable", ns::sm)) {
      if (!enables) return write("<failed xmlns='urn:xmpp:sm:3'/>");
      ++sessions;
      known_ = true;
      handled_ = dropped_ = 0;
      unacknowledged_.clear();
      write(fmt::format("<enabled xmlns='urn:xmpp:sm:3' id='s{}' {}/>", sessions, enabled_with));
    } else if (what.is("resume", ns::sm)) {
      if (!known_ || what.attribute("previd") != fmt::format("s{}", sessions))
        return write(tells_count ? fmt::format("<failed xmlns='urn:xmpp:sm:3' h='{}'/>", handled_ + adds)
                                 : "<failed xmlns='urn:xmpp:sm:3'/>");
      ++resumptions;
      drop_handled(number());
      now_->resume(jid("alice@example.org/balcony"));
      write(fmt::format("<resumed xmlns='urn:xmpp:sm:3' previd='s{}' h='{}'/>", sessions, handled_ + adds));
      for (const auto& stanza : unacknowledged_) write(stanza);
    } else if (what.is("r", ns::sm)) {
      if (answers) write(fmt::format("<a xmlns='urn:xmpp:sm:3' h='{}'/>", handled_ + adds));
    } else if (what.is("a", ns::sm)) {
      ++acknowledged;
      drop_handled(number());
    } else {
      ++handled_;
      stanzas.emplace_back(what.bytes());
      if (const auto* body = what.child("body", ns::client)) bodies.emplace_back(body->text());
      if (what.name() == "iq" && what.child("ping", "urn:xmpp:ping") != nullptr)
        send(fmt::format("<iq type='result' id='{}'/>", what.attribute("id").value()));
    }
  }
  void drop_handled(std::uint32_t h) {
    ASSERT_LE(h, dropped_ + unacknowledged_.size()) << "the client has handled more than there was";
    for (; dropped_ < h; ++dropped_) unacknowledged_.pop_front();
  }

  FakeServer* now_ = nullptr;
  bool known_ = false;
  std::uint32_t handled_ = 0, dropped_ = 0;
  std::deque<std::string> unacknowledged_;
};

class Managed : public testing::Test {
 protected:
  explicit Managed(Options with = {.reconnect = true}) : bench(std::move(with)), server(bench) {}

  void say(std::string_view body) {
    bench.in_turn([&] {
      EXPECT_NE(bench.client->send(Message{.to = jid("bob@example.org"), .body = std::string(body)}), "");
    });
  }
  void tell(std::string_view xml) {
    bench.in_turn([&] { server.send(xml); });
  }
  void cut() {
    bench.in_turn([&] { server.cut(); });
  }
  void come_back() { bench.loop.advance(Milliseconds{3000}); }
  std::optional<Outcome<void>>& acknowledged() {
    auto& outcome = outcomes.emplace_back();
    bench.in_turn([&] {
      bench.client->acknowledged().then([&outcome](Outcome<void> got) { outcome.emplace(std::move(got)); });
    });
    return outcome;
  }

  Bench bench;
  Manager server;
  std::deque<std::optional<Outcome<void>>> outcomes;
};

TEST_F(Managed, IsEnabledOnceBound) {
  auto& connection = bench.log_in();
  EXPECT_THAT(connection.stanzas, ElementsAre("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"));
  EXPECT_EQ(bench.logged("<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>"), 1u);
  EXPECT_THAT(bench.events, ElementsAre("connected", "session_start"));
}

TEST_F(Managed, RequestsOncePerTurnAndAnswersAtOnce) {
  auto& connection = bench.log_in();
  connection.stanzas.clear();
  server.answers = false;
  bench.in_turn([&] {
    bench.client->send(Message{.to = jid("bob@example.org"), .body = "1", .id = "m"});
    bench.client->send(Presence{});
  });
  say("2");
  ASSERT_EQ(connection.stanzas.size(), 4u);
  EXPECT_EQ(connection.stanzas[1], "<presence/>");
  EXPECT_EQ(connection.stanzas[2], "<r xmlns='urn:xmpp:sm:3'/>");
  bench.server_sends("<a xmlns='urn:xmpp:sm:3' h='2'/>");  // not all: it is asked for the rest
  EXPECT_EQ(connection.stanzas.back(), "<r xmlns='urn:xmpp:sm:3'/>");
  bench.server_sends("<a xmlns='urn:xmpp:sm:3' h='3'/>");
  EXPECT_EQ(connection.stanzas.size(), 5u);
  bench.in_turn([&] {
    server.send("<message from='bob@example.org/a'/>");
    connection.send("<r xmlns='urn:xmpp:sm:3'/>");
    server.send("<presence type='no such'/>");
  });
  EXPECT_EQ(connection.stanzas.back(), "<a xmlns='urn:xmpp:sm:3' h='1'/>");
  bench.server_sends("<r xmlns='urn:xmpp:sm:3'/>");
  EXPECT_EQ(connection.stanzas.back(), "<a xmlns='urn:xmpp:sm:3' h='2'/>")
      << "what is no stanza to us counts too";
}

TEST_F(Managed, AcknowledgesBeforeItCloses) {
  auto& connection = bench.log_in();
  tell("<message from='bob@example.org/a'/>");
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_EQ(connection.stanzas.back(), "<a xmlns='urn:xmpp:sm:3' h='1'/>");
  EXPECT_THAT(connection.bytes, testing::EndsWith("<a xmlns='urn:xmpp:sm:3' h='1'/></stream:stream>"));
  EXPECT_TRUE(bench.client->ended());
}

// RFC 6120 4.4: whoever has closed its side sends nothing more, and all that is said before is said once.
TEST_F(Managed, WritesNothingAfterItsClosingTag) {
  auto& connection = bench.log_in();
  connection.keep_open = true;
  server.answers = false;
  say("1");
  tell("<message from='bob@example.org/a'/>");
  connection.bytes.clear();
  bench.in_turn([&] {
    bench.client->close();
    connection.send("<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/><r xmlns='urn:xmpp:sm:3'/>");
  });
  EXPECT_EQ(connection.bytes, "<a xmlns='urn:xmpp:sm:3' h='1'/></stream:stream>");
  bench.server_sends(
      "<message from='bob@example.org/a'/><iq type='get' id='1' from='bob@example.org/a'><q xmlns='a'/></iq>"
      "<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/>");
  EXPECT_THAT(connection.bytes, testing::EndsWith("</stream:stream>"));
  EXPECT_EQ(bench.logged("<a xmlns='urn:xmpp:sm:3' h='1'/>"), 3u) << "one of ours, which is not told twice";
  bench.loop.advance(Milliseconds{5000});
  EXPECT_TRUE(bench.client->ended());
}

TEST_F(Managed, ClosesOnceItsMessagesAreAcknowledged) {
  auto& connection = bench.log_in();
  server.answers = false;
  say("1");
  const auto& outcome = acknowledged();
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_FALSE(connection.client_closed);
  bench.server_sends("<a xmlns='urn:xmpp:sm:3' h='1'/>");
  EXPECT_TRUE(connection.client_closed);
  EXPECT_TRUE(outcome && outcome->has_value());
  EXPECT_TRUE(bench.client->ended());
  EXPECT_FALSE(bench.saw("undelivered"));
}

TEST_F(Managed, ClosesWithoutThemAfterItsTime) {
  bench.log_in();
  server.answers = false;
  say("1");
  const auto& outcome = acknowledged();
  bench.in_turn([&] { bench.client->close(); });
  bench.loop.advance(Milliseconds{5000});
  EXPECT_TRUE(bench.client->ended());
  ASSERT_TRUE(outcome && !outcome->has_value());
  EXPECT_EQ(outcome->error().kind, RequestError::Kind::disconnected);
  // As the log has them; the handlers of the last but one are called last.
  EXPECT_THAT(bench.events,
              ElementsAre("connected", "session_start", "session_end", "disconnected", "undelivered"));
}

TEST_F(Managed, IsResumedWithAllThatBelongsToTheSession) {
  int over = 0;
  bench.client->on_session_over([&] { ++over; });
  bench.log_in();
  bench.in_turn([&] { bench.client->send(Presence{}); });
  tell("<presence from='bob@example.org/a'/>");
  std::optional<Outcome<StanzaPtr>> asked;
  bench.in_turn([&] {
    bench.client->request(Type::get, jid("bob@example.org/a"), "<q xmlns='x:y'/>").then([&](auto got) {
      asked.emplace(std::move(got));
    });
  });
  const auto id = element(server.stanzas.back());
  bench.events.clear();
  cut();
  EXPECT_EQ(bench.client->state(), State::disconnected);
  say("in between");
  come_back();
  EXPECT_EQ(server.resumptions, 1);
  EXPECT_EQ(over, 0);
  EXPECT_FALSE(asked);
  tell(
      fmt::format("<iq type='result' from='bob@example.org/a' id='{}'/>", id.root().attribute("id").value()));
  EXPECT_TRUE(asked && asked->has_value());
  tell("<presence from='bob@example.org/a' type='unavailable'/>");
  EXPECT_THAT(bench.events, ElementsAre("disconnected", "connected", "session_resumed", "presence",
                                        "presence_unavailable", "got_offline"));
  EXPECT_THAT(server.bodies, ElementsAre("in between"));
  EXPECT_EQ(bench.client->jid().text(), "alice@example.org/balcony");
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_EQ(over, 1);
  EXPECT_EQ(bench.loop.pending_timers(), 0u);
}

// The connection breaks after each element that either side has taken, and once more while the session is
// resumed: every message arrives once, in order.
// Where the server forgets the session each time and tells how far it had come, that holds for what goes to
// it.
class Loss : public testing::TestWithParam<bool> {};

TEST_P(Loss, AtEveryBoundaryLosesAndRepeatsNothing) {
  const bool forgets = GetParam();
  int cuts = 0;
  for (const bool in : {true, false})
    for (int first = 1; first < 17; ++first)
      for (const int second : {0, 1, 2, 4}) {
        SCOPED_TRACE(fmt::format("{} {}, then {}", in ? "in" : "out", first, second));
        Bench bench({.reconnect = true, .ping_after = Milliseconds{0}});
        Manager server(bench);
        server.forgets = forgets;
        std::vector<std::string> got;
        bench.client->on.message([&](const Stanza& message) { got.emplace_back(body_of(message)); });
        (in ? server.cut_after_in : server.cut_after_out) = first;
        bench.in_turn([&] { bench.client->connect(); });
        std::vector<std::string> sent, told;
        for (int i = 0; i < 6; ++i) {
          bench.in_turn([&] {
            for (const auto* part : {"a", "b"}) {
              const auto body = fmt::format("{}{}", i, part);
              if (!bench.client->send(Message{.to = jid("bob@example.org"), .body = body}).empty())
                sent.push_back(body);
              told.push_back(body);
              server.message(body);
            }
          });
          if (i == 3) {
            cuts += bench.client->state() == State::disconnected;
            if (second > 0) (in ? server.cut_after_out : server.cut_after_in) = second;
            bench.loop.advance(Milliseconds{3000});
          }
        }
        bench.loop.advance(Milliseconds{30'000});
        EXPECT_EQ(bench.client->state(), State::online);
        EXPECT_EQ(server.bodies, sent);
        if (!forgets) {
          EXPECT_EQ(server.sessions, 1);
          EXPECT_EQ(got, told);
        }
        std::optional<Outcome<void>> outcome;
        bench.in_turn([&] {
          bench.client->acknowledged().then([&](Outcome<void> is) { outcome.emplace(std::move(is)); });
        });
        EXPECT_TRUE(outcome && outcome->has_value());
        bench.in_turn([&] { bench.client->close(); });
        EXPECT_FALSE(bench.saw("undelivered"));
      }
  EXPECT_GT(cuts, 80);
}

INSTANTIATE_TEST_SUITE_P(Of, Loss, testing::Bool(),
                         [](const auto& info) { return info.param ? "SessionsForgotten" : "Connections"; });

// --- another session ---

class Refused : public Managed, public testing::WithParamInterface<bool> {};

TEST_P(Refused, SessionsAreBegunAnewAndMessagesSentAgain) {
  server.tells_count = GetParam();
  std::vector<std::string> order;
  bench.client->on_session_over([&] { order.emplace_back("over"); });
  bench.client->on.session_start([&] { order.emplace_back("start"); });
  bench.log_in();
  server.answers = false;
  std::optional<Outcome<StanzaPtr>> asked;
  bench.in_turn([&] {
    bench.client->request(Type::get, jid("bob@example.org/a"), "<q xmlns='x:y'/>").then([&](auto got) {
      asked.emplace(std::move(got));
    });
    bench.client->send(Presence{.type = Type::subscribe, .to = jid("bob@example.org")});
  });
  say("1");
  server.forgets = true;
  cut();
  server.forgets = false;
  say("2");
  const auto& outcome = acknowledged();
  EXPECT_FALSE(asked);
  EXPECT_THAT(order, ElementsAre("start"));
  server.answers = true;
  server.stanzas.clear();
  come_back();
  EXPECT_THAT(order, ElementsAre("start", "over", "start"));
  ASSERT_TRUE(asked && !asked->has_value());
  EXPECT_EQ(asked->error().kind, RequestError::Kind::disconnected);
  EXPECT_TRUE(outcome && outcome->has_value());
  const auto late =
      testing::AllOf(HasSubstr("<delay xmlns='urn:xmpp:delay' from='alice@example.org/balcony' stamp='"),
                     HasSubstr("type='chat'"));
  if (server.tells_count) {
    EXPECT_THAT(server.stanzas, ElementsAre(late));
    EXPECT_THAT(server.bodies, ElementsAre("1", "2"));
  } else {
    EXPECT_THAT(server.stanzas, ElementsAre("<presence to='bob@example.org' type='subscribe'/>", late, late));
    EXPECT_THAT(server.bodies, ElementsAre("1", "1", "2"));
  }
  EXPECT_FALSE(bench.saw("session_resumed"));
  EXPECT_FALSE(bench.saw("undelivered"));
}

INSTANTIATE_TEST_SUITE_P(ByTheServer, Refused, testing::Bool(),
                         [](const auto& info) { return info.param ? "WithItsCount" : "WithoutIt"; });

TEST_F(Managed, ComesBackToAServerWithoutIt) {
  bench.log_in();
  server.answers = false;
  say("1");
  const auto& outcome = acknowledged();
  cut();
  server.offers = false;
  come_back();
  EXPECT_EQ(bench.client->state(), State::online);
  EXPECT_FALSE(bench.client->acknowledges());
  EXPECT_THAT(server.bodies, ElementsAre("1", "1"));
  EXPECT_THAT(server.stanzas.back(), HasSubstr("<ping xmlns='urn:xmpp:ping'/>"));
  EXPECT_TRUE(outcome && outcome->has_value());
}

TEST_F(Managed, MayBeRefused) {
  server.enables = false;
  bench.in_turn([&] {
    bench.client->on.session_start([&] {
      bench.client->send(Message{.to = jid("bob@example.org"), .body = "1"});
      bench.client->acknowledged().then([&](Outcome<void> got) { outcomes.emplace_back(std::move(got)); });
    });
    bench.client->connect();
  });
  ASSERT_EQ(outcomes.size(), 1u) << "by the answer to a ping";
  EXPECT_TRUE(outcomes[0]->has_value());
  EXPECT_FALSE(bench.client->acknowledges());
  cut();
  come_back();
  EXPECT_THAT(server.bodies, ElementsAre("1", "1")) << "nothing is kept, the second is of the second session";
}

// --- servers that do wrong ---

class CountedTooMuch : public Managed, public testing::WithParamInterface<bool> {};

TEST_P(CountedTooMuch, EndsTheStreamAndTheTrust) {
  const bool when_resumed = GetParam();
  auto& first = bench.log_in();
  if (when_resumed) {
    server.answers = false;
    say("1");
    cut();
    server.adds = 1;
    come_back();
  } else {
    server.adds = 1;
    say("1");
  }
  auto& connection = when_resumed ? *bench.servers[1] : first;
  EXPECT_THAT(
      connection.bytes,
      testing::EndsWith("<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                        "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>2 stanzas were "
                        "acknowledged, and 1 "
                        "were sent</text><handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' "
                        "send-count='1'/></stream:error></stream:stream>"));
  come_back();
  EXPECT_EQ(bench.client->state(), State::online);
  EXPECT_EQ(server.sessions, 1);
  EXPECT_FALSE(bench.client->acknowledges());
  EXPECT_THAT(server.bodies, ElementsAre("1", "1")) << "it may have been lost";
}

INSTANTIATE_TEST_SUITE_P(ByAServer, CountedTooMuch, testing::Bool(),
                         [](const auto& info) { return info.param ? "InAResumption" : "InAnAnswer"; });

TEST_F(Managed, DoesNotSendAgainWhatTheStreamWasEndedFor) {
  bench.log_in();
  server.answers = false;
  std::vector<std::string> undelivered;
  bench.client->on.undelivered([&](const Stanza& message) { undelivered.emplace_back(body_of(message)); });
  say("too long");
  const auto& outcome = acknowledged();
  bench.in_turn([&] { bench.servers.back()->fail(StreamCondition::policy_violation); });
  EXPECT_THAT(undelivered, ElementsAre("too long"));
  EXPECT_TRUE(outcome && !outcome->has_value());
  come_back();
  EXPECT_EQ(server.sessions, 2);
  EXPECT_THAT(server.bodies, ElementsAre("too long"));
}

// --- the bound ---

class Bounded : public Managed {
 protected:
  Bounded() : Managed({.reconnect = true, .unacknowledged_bytes = 1000}) {}
};

TEST_F(Bounded, RefusesWhatItCannotKeep) {
  bench.log_in();
  server.answers = false;
  std::size_t sent = 0;
  const auto send = [&] {
    std::string id;
    bench.in_turn([&] { id = bench.client->send(Message{.to = jid("bob@example.org"), .body = "body"}); });
    return !id.empty();
  };
  while (sent < 100 && send()) ++sent;
  EXPECT_LT(sent, 20u);
  std::optional<Outcome<StanzaPtr>> asked;
  bench.in_turn([&] {
    bench.client->request(Type::get, {}, "<q xmlns='x:y'/>").then([&](auto got) {
      asked.emplace(std::move(got));
    });
  });
  ASSERT_TRUE(asked && !asked->has_value());
  EXPECT_EQ(asked->error().text, "the server does not acknowledge what it was sent");
  EXPECT_EQ(server.bodies.size(), sent);
  cut();
  EXPECT_FALSE(send());
  server.answers = true;
  come_back();
  EXPECT_TRUE(send());
  EXPECT_EQ(server.bodies.size(), sent + 1);
}

// --- where to come back to ---

TEST_F(Managed, PrefersTheLocationAndThenWhatItWouldHaveTaken) {
  server.enabled_with = "resume='true' location='[::1]:9222'";
  bench.log_in();
  cut();
  come_back();
  EXPECT_THAT(bench.hosts, ElementsAre("", "[::1]:9222"));
  EXPECT_EQ(server.resumptions, 1);
  cut();
  bench.refusals = 1;
  come_back();
  EXPECT_THAT(bench.hosts, ElementsAre("", "[::1]:9222", "[::1]:9222", ""));
  EXPECT_EQ(server.resumptions, 2);
}

// --- those who do not come back ---

class Once : public Managed {
 protected:
  Once() : Managed(Options{}) {}
};

TEST_F(Once, AsksForAcknowledgementsAlone) {
  auto& connection = bench.log_in();
  EXPECT_EQ(connection.stanzas.front(), "<enable xmlns='urn:xmpp:sm:3'/>");
  say("1");
  EXPECT_TRUE(acknowledged()->has_value());
  server.answers = false;
  say("2");
  const auto& outcome = acknowledged();
  std::vector<std::string> undelivered;
  bench.client->on.undelivered([&](const Stanza& message) { undelivered.emplace_back(body_of(message)); });
  cut();
  EXPECT_TRUE(bench.client->ended());
  EXPECT_THAT(undelivered, ElementsAre("2"));
  ASSERT_TRUE(outcome && !outcome->has_value());
  EXPECT_EQ(outcome->error().kind, RequestError::Kind::disconnected);
}

class Never : public Managed {
 protected:
  Never() : Managed({.stream_management = false}) {}
};

TEST_F(Never, AsksForNothing) {
  auto& connection = bench.log_in();
  say("1");
  EXPECT_TRUE(acknowledged()->has_value()) << "by the answer to a ping";
  EXPECT_THAT(connection.bytes, Not(HasSubstr("urn:xmpp:sm:3")));
}

// --- from inside of everything ---

class ClosedWhileResuming : public Managed, public testing::WithParamInterface<std::string_view> {};

TEST_P(ClosedWhileResuming, IsSafe) {
  bench.log_in();
  server.answers = false;
  say("1");
  bool armed = true;
  bench.on_trace = [&](std::string_view line) {
    if (!line.starts_with(GetParam()) || !std::exchange(armed, false)) return;
    bench.client->close();
  };
  cut();
  bench.in_turn([&] { bench.client->send(Message{.to = jid("bob@example.org"), .body = "2"}); });
  const auto& outcome = acknowledged();
  server.answers = true;
  come_back();
  bench.loop.advance(Milliseconds{10'000});
  EXPECT_FALSE(armed);
  EXPECT_TRUE(bench.client->ended());
  EXPECT_TRUE(outcome);
  EXPECT_EQ(outcome->has_value(), !bench.saw("undelivered"));
  EXPECT_THAT(server.bodies, testing::AnyOf(ElementsAre("1"), ElementsAre("1", "2")));
  EXPECT_EQ(bench.loop.pending_timers(), 0u);
}

INSTANTIATE_TEST_SUITE_P(From, ClosedWhileResuming,
                         testing::Values("Waiting", "TRANSITION disconnected", "<auth", "<success",
                                         "<resume ", "<resumed", "Session resumed", "TRANSITION connected",
                                         "<message", "session_resumed", "<r ", "<a "),
                         [](const auto& info) {
                           std::string name(info.param);
                           std::erase_if(
                               name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
                           return name + std::to_string(info.index);
                         });

Task<void> send_and_wait(Client& client, std::string& log) {
  client.send(Message{.to = jid("bob@example.org"), .body = "1"});
  const auto taken = co_await client.acknowledged();
  log += taken ? "yes" : "no";
}

TEST_F(Managed, CanBeAwaitedAndAbandoned) {
  bench.log_in();
  std::string log;
  bench.in_turn([&] { spawn(send_and_wait(*bench.client, log)); });
  EXPECT_EQ(log, "yes");
  std::optional<Running<void>> running;
  bench.in_turn([&] { running.emplace(start(send_and_wait(*bench.client, log))); });
  server.answers = false;
  bench.in_turn([&] {
    running.emplace(start(send_and_wait(*bench.client, log)));
    // The first whom the acknowledgement reaches destroys the next.
    bench.client->acknowledged().then([&](const auto&) { running.reset(); });
    running.emplace(start(send_and_wait(*bench.client, log)));
  });
  bench.server_sends("<a xmlns='urn:xmpp:sm:3' h='4'/>");
  EXPECT_EQ(log, "yesyes");
  EXPECT_FALSE(running);
}

TEST_F(Managed, KeepsTheOrderOfWhatIsSentWhileItIsResumed) {
  bench.log_in();
  server.answers = false;
  server.cut_after_in = 1;
  say("lost");  // handled, the acknowledgement is lost
  bench.in_turn([&] {
    bench.client->acknowledged().then(
        [&](const auto&) { bench.client->send(Message{.to = jid("bob@example.org"), .body = "second"}); });
    bench.client->send(Message{.to = jid("bob@example.org"), .body = "first"});
  });
  bench.client->on.session_resumed(
      [&] { bench.client->send(Message{.to = jid("bob@example.org"), .body = "third"}); });
  server.answers = true;
  come_back();
  EXPECT_THAT(server.bodies, ElementsAre("lost", "first", "second", "third"));
}

}  // namespace
}  // namespace starling::client
