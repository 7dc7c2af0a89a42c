// The attempts of a client to get a session, and what it does to keep one.
#include <cmath>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/backoff.h"
#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// --- places and attempts ---

TEST(Attempt, GoesOnToTheNextPlace) {
  Bench bench;
  bench.places = 2;
  bench.first_words = {"HTTP/1.1 400 Bad Request\r\n\r\n"};
  bench.log_in();
  EXPECT_EQ(bench.client->state(), State::online);
  EXPECT_EQ(bench.servers.size(), 2u);
  EXPECT_FALSE(bench.saw("disconnected"));
}

TEST(Attempt, TellsTheFailureOfTheLastPlace) {
  Bench bench;
  bench.places = 1;
  bench.first_words = {"HTTP/1.1 400 Bad Request\r\n\r\n"};
  bench.in_turn([&] { bench.client->connect(); });
  EXPECT_TRUE(bench.client->ended());
  const auto ended = bench.core->take_outcome();
  EXPECT_EQ(ended.why, Ended::Why::could_not_connect);
  EXPECT_THAT(ended.text, HasSubstr("does not speak XMPP"));
}

std::string see_other_host(std::string_view host) {
  return fmt::format(
      "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
      "id='1' from='example.org'><stream:error><see-other-host "
      "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{}</see-other-host></stream:error></stream:stream>",
      host);
}

TEST(Attempt, FollowsSeeOtherHost) {
  Bench bench;
  bench.first_words = {see_other_host("\n  other.example:5223\t")};
  bench.log_in();
  EXPECT_EQ(bench.client->state(), State::online);
  EXPECT_THAT(bench.hosts, ElementsAre("", "other.example:5223"));
}

TEST(Attempt, DoesNotFollowSeeOtherHostForEver) {
  Bench bench;
  bench.first_words = {5, see_other_host("other.example")};
  bench.in_turn([&] { bench.client->connect(); });
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.hosts.size(), 4u);
}

// A few successive ones are too many (RFC 6120 4.9.3.19), not one each time that we come back.
TEST(Attempt, FollowsSeeOtherHostHoweverOftenItComesBack) {
  Bench bench({.reconnect = true});
  bench.first_words = {see_other_host("other.example")};
  bench.log_in();
  for (std::size_t times = 1; times <= 6; ++times) {
    EXPECT_EQ(bench.client->state(), State::online);
    EXPECT_EQ(bench.hosts.size(), 2 * times);
    EXPECT_EQ(bench.hosts.back(), "other.example");
    bench.first_words = {see_other_host("other.example")};
    bench.loop.advance(Milliseconds{60'000});
    bench.in_turn([&] { bench.servers.back()->drop(); });
    bench.loop.advance(Milliseconds{1'500});
  }
}

TEST(Attempt, IsToldOfWhateverStopsIt) {
  for (const Options& with : {Options{.ca_file = "/no/such/file"}, Options{.password = "\a"}}) {
    Bench bench(with);
    bench.in_turn([&] { bench.client->connect(); });
    EXPECT_TRUE(bench.client->ended());
    EXPECT_EQ(bench.dials, 0) << "in vain";
    EXPECT_THAT(bench.events, ElementsAre("disconnected"));
    EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::could_not_connect);
  }
}

TEST(Attempt, MayBeginAnewOnceTheClientIsTold) {
  Bench bench;
  int ends = 0;
  bench.client->on.disconnected([&](const Ended& ended) {
    EXPECT_EQ(ended.why, ends == 0 ? Ended::Why::lost : Ended::Why::closed);
    EXPECT_TRUE(bench.client->ended());
    if (ends++ == 0) bench.client->connect();
  });
  bench.log_in();
  bench.in_turn([&] { bench.servers.back()->drop(); });
  EXPECT_EQ(bench.client->state(), State::online);
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(ends, 2);
  EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::closed);
}

TEST(Attempt, DoesNotBeginAnewBeforeWhatWasThrownIsTaken) {
  Bench bench;
  bench.client->on.session_start([] { throw std::runtime_error("no more"); });
  bench.client->on.disconnected([&](const Ended&) { bench.client->connect(); });
  bench.log_in();
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.dials, 1);
  EXPECT_THROW(bench.core->take_outcome(), std::runtime_error);
}

TEST(Attempt, HasALimitOfTime) {
  {
    Bench bench;
    bench.never_connects = true;
    bench.in_turn([&] { bench.client->connect(); });
    bench.loop.advance(Milliseconds{29'999});
    EXPECT_FALSE(bench.client->ended());
    bench.loop.advance(Milliseconds{1});
    EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::timed_out);
  }
  Bench bench;
  bench.on_server = [](FakeServer& server) { server.silent = true; };
  bench.in_turn([&] { bench.client->connect(); });
  bench.loop.advance(Milliseconds{30'000});
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::timed_out);
}

TEST(Attempt, CanBeGivenUp) {
  Bench bench({.reconnect = true});
  bench.never_connects = true;
  bench.in_turn([&] { bench.client->connect(); });
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::closed);
  EXPECT_EQ(bench.loop.pending_timers(), 0u);
}

TEST(Attempt, DoesNotWaitForTheCloseOfAServerThatHasSaidNothing) {
  Bench bench;
  bench.on_server = [](FakeServer& server) { server.silent = true; };
  bench.in_turn([&] { bench.client->connect(); });
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::closed);
}

TEST(Backoff, IsSpreadAtItsCapToo) {
  std::minstd_rand random(1);
  Backoff backoff(Milliseconds{1000}, Milliseconds{300'000});
  for (int i = 0; i < 9; ++i) backoff.next(random);
  int longest = 0, short_half = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto wait = backoff.next(random);
    EXPECT_GE(wait, Milliseconds{150'000});
    EXPECT_LE(wait, Milliseconds{300'000});
    if (wait > Milliseconds{299'000}) ++longest;
    if (wait < Milliseconds{225'000}) ++short_half;
  }
  EXPECT_LT(longest, 30);
  EXPECT_NEAR(short_half, 500, 100);
}

double last_wait(const Bench& bench) {
  const auto line = std::find_if(bench.log.rbegin(), bench.log.rend(),
                                 [](const std::string& text) { return text.starts_with("Waiting "); });
  return std::stod(line->substr(8));
}

TEST(Reconnect, WaitsLongerEachTimeUpToACap) {  // R38
  Bench bench({.reconnect = true, .first_wait = Milliseconds{1000}, .longest_wait = Milliseconds{20'000}});
  bench.refusals = 10;
  bench.in_turn([&] { bench.client->connect(); });
  std::vector<double> waits;
  for (int i = 0; i < 10; ++i) {
    waits.push_back(last_wait(bench));
    const auto before = bench.dials;
    bench.loop.advance(Milliseconds(std::lround(waits.back() * 1000) - 1));
    EXPECT_EQ(bench.dials, before);
    bench.loop.advance(Milliseconds{1});
    EXPECT_EQ(bench.dials, before + 1);
  }
  double plain = 1;
  for (const double wait : waits) {
    EXPECT_GE(wait, plain / 2);
    EXPECT_LE(wait, std::min(plain * 3 / 2, 20.0));
    plain = std::min(plain * 2, 20.0);
  }
  EXPECT_EQ(bench.client->state(), State::online);
}

TEST(Reconnect, ComesBackAfterALostConnection) {
  Bench bench({.reconnect = true});
  bench.log_in();
  bench.in_turn([&] { bench.servers.back()->drop(); });
  EXPECT_FALSE(bench.client->ended());
  EXPECT_TRUE(bench.saw("disconnected"));
  bench.loop.advance(Milliseconds{1500});
  EXPECT_EQ(bench.servers.size(), 2u);
  EXPECT_EQ(bench.client->state(), State::online);
  EXPECT_EQ(std::ranges::count(bench.events, "session_start"), 2);
}

// A server that ends each session at once is not to be asked once a second for ever.
TEST(Reconnect, WaitsNoLessForASessionThatDidNotLast) {
  Bench bench({.reconnect = true});
  bench.log_in();
  for (double plain = 1; plain < 100; plain *= 2) {
    bench.in_turn([&] { bench.servers.back()->drop(); });
    EXPECT_GE(last_wait(bench), plain / 2);
    bench.loop.advance(Milliseconds(std::lround(plain * 1500)));
    ASSERT_EQ(bench.client->state(), State::online);
  }
  bench.loop.advance(Milliseconds{60'000});
  bench.in_turn([&] { bench.servers.back()->drop(); });
  EXPECT_LE(last_wait(bench), 1.5);
}

TEST(Reconnect, NotAfterAConflictOrARefusedLogin) {
  {
    Bench bench({.reconnect = true});
    bench.log_in();
    bench.in_turn([&] { bench.servers.back()->fail(StreamCondition::conflict); });
    EXPECT_TRUE(bench.client->ended());
  }
  Bench bench({.password = "wrong", .reconnect = true});
  bench.in_turn([&] { bench.client->connect(); });
  EXPECT_TRUE(bench.client->ended());
}

TEST(Reconnect, AfterALoginThatFailedForAWhile) {
  Bench bench({.reconnect = true});
  bench.on_server = [](FakeServer& server) { server.refuse_with = sasl::Failure::temporary_auth_failure; };
  bench.in_turn([&] { bench.client->connect(); });
  EXPECT_FALSE(bench.client->ended());
  bench.on_server = {};
  bench.loop.advance(Milliseconds{1500});
  EXPECT_EQ(bench.client->state(), State::online);
}

TEST(Reconnect, NeverFallsBackToShowingThePassword) {
  Bench bench({.reconnect = true});
  bench.log_in();
  // The next server (or who is between) offers PLAIN alone.
  bench.on_server = [](FakeServer& server) { server.only_plain(); };
  bench.in_turn([&] { bench.servers.back()->drop(); });
  bench.loop.advance(Milliseconds{1500});
  ASSERT_EQ(bench.servers.size(), 2u);
  EXPECT_EQ(bench.servers.back()->bytes.find("<auth"), std::string::npos);
  EXPECT_NE(bench.client->state(), State::online);
}

// --- keeping it alive ---

TEST(Keepalive, ASpaceWhenNothingWasSentForAWhile) {  // R31
  Bench bench({.keepalive = Milliseconds{60'000}, .ping_after = Milliseconds{0}});
  auto& server = bench.log_in();
  server.bytes.clear();
  bench.loop.advance(Milliseconds{59'000});
  EXPECT_EQ(server.bytes, "");
  bench.loop.advance(Milliseconds{1'000});
  EXPECT_EQ(server.bytes, " ");
  bench.loop.advance(Milliseconds{120'000});
  EXPECT_EQ(server.bytes, "   ");
  EXPECT_EQ(bench.logged("Whitespace Keepalive"), 3u);
}

TEST(Keepalive, APingAndThenTheEndOfADeadPeer) {  // R33
  Bench bench({.keepalive = Milliseconds{0},
               .ping_after = Milliseconds{60'000},
               .ping_timeout = Milliseconds{20'000}});
  auto& server = bench.log_in();
  bench.loop.advance(Milliseconds{60'000});
  ASSERT_EQ(server.stanzas.size(), 1u);
  EXPECT_THAT(server.stanzas[0], HasSubstr("<ping xmlns='urn:xmpp:ping'/>"));
  bench.server_sends(" ");  // anything is life
  bench.loop.advance(Milliseconds{20'000});
  EXPECT_EQ(bench.client->state(), State::online);
  bench.loop.advance(Milliseconds{40'000});
  EXPECT_EQ(server.stanzas.size(), 2u);
  bench.loop.advance(Milliseconds{20'000});
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::lost);
}

// What nobody takes need not grow.
TEST(Keepalive, AddsNothingToAFullPipe) {
  Bench bench({.keepalive = Milliseconds{1'000}, .ping_after = Milliseconds{0}});
  bench.pipe_bytes = 4096;
  auto& server = bench.log_in();
  server.take_nothing(true);
  bench.in_turn([&] {
    bench.client->send(Message{.to = *Jid::parse("bob@example.org"), .body = std::string(10'000, 'x')});
  });
  const auto queued = bench.client->queued_bytes();
  EXPECT_GT(queued, 0u);
  bench.loop.advance(Milliseconds{60'000});
  EXPECT_EQ(bench.client->queued_bytes(), queued);
  EXPECT_EQ(bench.logged("Whitespace Keepalive"), 0u);
  bench.in_turn([&] { server.take_nothing(false); });
  EXPECT_EQ(bench.client->queued_bytes(), 0u);
  bench.loop.advance(Milliseconds{2'000});
  EXPECT_EQ(server.bytes.substr(server.bytes.size() - 2), "  ");
  EXPECT_EQ(bench.logged("Whitespace Keepalive"), 2u);
}

TEST(Keepalive, IsQuietWhileTheLastWordsWait) {
  Bench bench({.keepalive = Milliseconds{1'000}, .ping_after = Milliseconds{0}});
  bench.pipe_bytes = 4096;
  auto& server = bench.log_in();
  server.take_nothing(true);
  bench.in_turn([&] {
    bench.client->send(Message{.to = *Jid::parse("bob@example.org"), .body = std::string(10'000, 'x')});
    server.send("</stream:stream>");
  });
  bench.loop.advance(Milliseconds{60'000});
  EXPECT_EQ(bench.logged("Whitespace Keepalive"), 0u);
  bench.in_turn([&] { server.take_nothing(false); });
  EXPECT_TRUE(bench.client->ended());
}

}  // namespace
}  // namespace starling::client
