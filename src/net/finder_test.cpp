#include "net/finder.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/testing.h"
#include "support/dns_server.h"

namespace starling::net::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Candidate candidate(std::string host, std::uint16_t priority, std::uint16_t weight) {
  return {{std::move(host), 5222, false, {}}, priority, weight};
}

std::vector<std::string> hosts(const std::vector<Target>& targets) {
  std::vector<std::string> all;
  for (const Target& target : targets) all.push_back(target.host);
  return all;
}

TEST(Order, is_by_priority_and_within_one_by_weight) {
  constexpr int kTimes = 20'000;
  std::map<std::string, int> first;
  for (int i = 0; i < kTimes; ++i) {
    const auto ordered = hosts(order({candidate("backup", 20, 0), candidate("a", 10, 60),
                                      candidate("b", 10, 20), candidate("c", 10, 20)}));
    ASSERT_EQ(ordered.size(), 4U);
    EXPECT_EQ(ordered.back(), "backup");  // only when all others have failed
    ++first[ordered.front()];
  }
  EXPECT_NEAR(first["a"], kTimes * 0.6, kTimes * 0.03);
  EXPECT_NEAR(first["b"], kTimes * 0.2, kTimes * 0.03);
  EXPECT_NEAR(first["c"], kTimes * 0.2, kTimes * 0.03);
}

// RFC 2782: a number between 0 and the sum, both included; the first whose running sum reaches it, where
// those of weight 0 stand first.
TEST(Order, draws_as_the_document_says) {
  struct Case {
    std::vector<std::uint64_t> draws;
    std::vector<std::string> order;
  };
  const std::vector<Case> cases{
      {{0, 0, 0}, {"zero", "a", "b"}},
      {{1, 2, 0}, {"a", "b", "zero"}},
      {{3, 1, 0}, {"b", "a", "zero"}},
      {{2, 0, 1}, {"b", "zero", "a"}},
  };
  for (const Case& each : cases) {
    std::size_t next = 0;
    std::vector<std::uint64_t> highest;
    const Random source = [&](std::uint64_t top) {
      highest.push_back(top);
      return each.draws[next++];
    };
    EXPECT_EQ(hosts(order({candidate("a", 1, 1), candidate("zero", 1, 0), candidate("b", 1, 2)}, source)),
              each.order);
    EXPECT_EQ(highest.front(), 3U);
  }
}

TEST(Order, of_nothing_is_nothing_and_of_the_largest_weights_does_not_overflow) {
  EXPECT_THAT(order({}), IsEmpty());
  std::vector<Candidate> many;
  for (int i = 0; i < 100; ++i) many.push_back(candidate(std::to_string(i), 65535, 65535));
  EXPECT_EQ(order(many).size(), 100U);
}

TEST(Order, without_weights_keeps_the_order) {
  EXPECT_THAT(hosts(order({candidate("a", 1, 0), candidate("b", 1, 0), candidate("c", 0, 0)})),
              ElementsAre("c", "a", "b"));
}

const DnsServer::Zones kZones{
    .records =
        {
            "_xmpp-client._tcp.example.org. IN SRV 10 0 5222 one.example.org.",
            "_xmpp-client._tcp.example.org. IN SRV 30 0 5223 three.example.org.",
            "_xmpps-client._tcp.example.org. IN SRV 20 0 443 two.example.org.",
            "_xmpp-server._tcp.example.org. IN SRV 0 0 5269 peers.example.org.",
            // no service for clients
            "_xmpp-client._tcp.closed.org. IN SRV 0 0 0 .",
            // no direct TLS
            "_xmpps-client._tcp.plain.org. IN SRV 0 0 0 .",
            "_xmpp-client._tcp.plain.org. IN SRV 0 0 5222 one.plain.org.",
            // no direct TLS, and not a word about STARTTLS
            "_xmpps-client._tcp.odd.org. IN SRV 0 0 0 .",
            // ... or no answer
            "_xmpps-client._tcp.halfway.org. IN SRV 0 0 0 .",
            // direct TLS only
            "_xmpps-client._tcp.direct.org. IN SRV 0 0 443 one.direct.org.",
            "_xmpp-client._tcp.direct.org. IN SRV 0 0 0 .",
            // one of the two lookups fails
            "_xmpp-client._tcp.lame.org. IN SRV 0 0 5222 one.lame.org.",
        },
    .refused = {"broken.org.", "_xmpps-client._tcp.lame.org.", "_xmpp-client._tcp.halfway.org."},
};

struct FinderTest : ::testing::Test {
  static void SetUpTestSuite() { server = std::make_unique<DnsServer>(kZones); }
  static void TearDownTestSuite() { server.reset(); }
  static inline std::unique_ptr<DnsServer> server;

  Reactor reactor;
  std::unique_ptr<Resolver> resolver =
      std::move(*Resolver::make(reactor, {.server = server->address(), .hosts_file = false}));
  std::vector<std::string> asked;
  std::vector<std::string> warnings;

  Result<std::vector<Target>> find(const std::string& domain, Service service = Service::client) {
    asked.clear();
    warnings.clear();
    return await_on(reactor, [&] {
      return find_targets(*resolver, domain, service, [&](Step step, std::string_view line) {
        (step == Step::dns ? asked : warnings).emplace_back(line);
      });
    });
  }
};

TEST_F(FinderTest, mixes_direct_tls_and_starttls_by_their_priorities) {
  EXPECT_THAT(find("example.org").value(), ElementsAre(Target{"one.example.org", 5222, false, {}},
                                                       Target{"two.example.org", 443, true, {}},
                                                       Target{"three.example.org", 5223, false, {}}));
  EXPECT_THAT(asked, ElementsAre("Querying _xmpps-client._tcp.example.org for SRV records.",
                                 "Querying _xmpp-client._tcp.example.org for SRV records."));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(FinderTest, looks_for_servers_where_servers_are) {
  EXPECT_THAT(find("example.org", Service::server).value(),
              ElementsAre(Target{"peers.example.org", 5269, false, {}}));
  EXPECT_THAT(asked, Contains("Querying _xmpps-server._tcp.example.org for SRV records."));
}

TEST_F(FinderTest, falls_back_to_the_domain_itself) {
  EXPECT_THAT(find("nothing.org").value(), ElementsAre(Target{"nothing.org", 5222, false, {}}));
  EXPECT_THAT(find("nothing.org", Service::server).value(),
              ElementsAre(Target{"nothing.org", 5269, false, {}}));
  EXPECT_THAT(find("usertp-virtualbox").value(), ElementsAre(Target{"usertp-virtualbox", 5222, false, {}}));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(FinderTest, falls_back_with_a_warning_when_the_lookup_fails) {
  EXPECT_THAT(find("broken.org").value(), ElementsAre(Target{"broken.org", 5222, false, {}}));
  EXPECT_THAT(warnings,
              Contains(HasSubstr("cannot look up the SRV records of _xmpp-client._tcp.broken.org")));
  EXPECT_EQ(warnings.back(), "The SRV lookup failed; trying broken.org itself, port 5222.");
}

TEST_F(FinderTest, falls_back_with_a_warning_when_nobody_answers) {
  resolver = std::move(
      *Resolver::make(reactor, {.server = "127.0.0.1:1", .hosts_file = false, .timeout = Milliseconds{100}}));
  EXPECT_THAT(find("example.org").value(), ElementsAre(Target{"example.org", 5222, false, {}}));
  EXPECT_EQ(warnings.back(), "The SRV lookup failed; trying example.org itself, port 5222.");
}

TEST_F(FinderTest, takes_what_one_lookup_gives_when_the_other_fails) {
  EXPECT_THAT(find("lame.org").value(), ElementsAre(Target{"one.lame.org", 5222, false, {}}));
  EXPECT_EQ(warnings.size(), 1U);
}

TEST_F(FinderTest, takes_a_dot_for_a_no) {
  const auto closed = find("closed.org");
  EXPECT_EQ(closed.error().code, Errc::not_found);
  EXPECT_EQ(closed.error().message, "closed.org offers no XMPP service for clients: so its SRV records say");
  EXPECT_THAT(find("plain.org").value(), ElementsAre(Target{"one.plain.org", 5222, false, {}}));
  EXPECT_THAT(find("direct.org").value(), ElementsAre(Target{"one.direct.org", 443, true, {}}));
}

// XEP-0368 5: then the domain itself is not tried either.
TEST_F(FinderTest, does_not_fall_back_after_a_dot) {
  EXPECT_EQ(find("odd.org").error().code, Errc::not_found);
  const auto halfway = find("halfway.org");
  EXPECT_EQ(halfway.error().code, Errc::unavailable);
  EXPECT_THAT(halfway.error().message, HasSubstr("cannot be found out"));
}

TEST_F(FinderTest, asks_nobody_about_addresses_and_this_machine) {
  for (const char* domain : {"127.0.0.1", "[::1]", "localhost", "a.localhost"}) {
    EXPECT_THAT(find(domain).value(), ElementsAre(Target{domain, 5222, false, {}}));
    EXPECT_THAT(asked, IsEmpty());
  }
}

TEST_F(FinderTest, can_be_left_while_it_asks) {
  std::optional<Running<Result<std::vector<Target>>>> running;
  reactor.post([&] { running.emplace(start(find_targets(*resolver, "example.org", Service::client, {}))); });
  reactor.turn(Milliseconds{0});
  running.reset();
  resolver.reset();
  settle(reactor);
}

}  // namespace
}  // namespace starling::net::testing
