#include "net/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/testing.h"
#include "support/dns_server.h"

namespace starling::net::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

const DnsServer::Zones kZones{
    .records =
        {
            "example.org. IN A 127.0.0.2",
            "example.org. IN A 127.0.0.3",
            "example.org. IN AAAA ::1",
            "four.example.org. IN A 127.0.0.4",
            "alias.example.org. IN CNAME four.example.org.",
            "_xmpp-client._tcp.example.org. IN SRV 10 60 5222 One.example.org.",
            "_xmpp-client._tcp.example.org. IN SRV 65535 0 65535 two_.example.org.",
            "_xmpp-server._tcp.example.org. IN SRV 0 0 0 .",
            "_bad._tcp.example.org. IN SRV 0 0 1 a\\.b.example.org.",
            "_bad._tcp.example.org. IN SRV 0 0 2 a\\000b.example.org.",
            "_bad._tcp.example.org. IN SRV 0 0 3 a\\027[1m.example.org.",
            "_half._tcp.example.org. IN SRV 0 0 1 a\\032b.example.org.",
            "_half._tcp.example.org. IN SRV 0 0 2 good.example.org.",
            "localhost.example.org. IN A 127.0.0.9",
            "name.test. IN A 127.0.0.5",
            "box.home.arpa. IN A 127.0.0.6",
        },
    .silent = {"silent.example.org."},
    .refused = {"refused.example.org."},
};

struct ResolverTest : ::testing::Test {
  static void SetUpTestSuite() { server = std::make_unique<DnsServer>(kZones); }
  static void TearDownTestSuite() { server.reset(); }
  static inline std::unique_ptr<DnsServer> server;

  Reactor reactor;
  std::unique_ptr<Resolver> resolver = make({.server = server->address(), .hosts_file = false});

  std::unique_ptr<Resolver> make(Resolver::Options options) {
    auto made = Resolver::make(reactor, std::move(options));
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  Result<std::vector<SrvRecord>> srv(const std::string& name) {
    return await_on(reactor, [&] { return resolver->srv(name); });
  }
  Result<std::vector<std::string>> addresses(const std::string& name, Family family = Family::ipv4) {
    return await_on(reactor, [&] { return resolver->addresses(name, family); });
  }
};

TEST_F(ResolverTest, finds_addresses_of_both_families) {
  EXPECT_THAT(addresses("example.org").value(), UnorderedElementsAre("127.0.0.2", "127.0.0.3"));
  EXPECT_THAT(addresses("EXAMPLE.org.", Family::ipv6).value(), ElementsAre("::1"));
}

TEST_F(ResolverTest, follows_an_alias) {
  EXPECT_THAT(addresses("alias.example.org").value(), ElementsAre("127.0.0.4"));
}

TEST_F(ResolverTest, finds_service_records) {
  EXPECT_THAT(srv("_xmpp-client._tcp.example.org").value(),
              UnorderedElementsAre(SrvRecord{10, 60, 5222, "One.example.org"},
                                   SrvRecord{65535, 0, 65535, "two_.example.org"}));
  EXPECT_THAT(srv("_xmpp-server._tcp.example.org").value(), ElementsAre(SrvRecord{0, 0, 0, "."}));
}

TEST_F(ResolverTest, leaves_out_targets_that_are_no_host_names) {
  EXPECT_THAT(srv("_half._tcp.example.org").value(), ElementsAre(SrvRecord{0, 0, 2, "good.example.org"}));
  EXPECT_EQ(srv("_bad._tcp.example.org").error().code, Errc::not_found);
}

TEST_F(ResolverTest, tells_a_name_without_records_from_a_lookup_that_failed) {
  const auto none = addresses("nowhere.example.org");
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_EQ(none.error().message, "nowhere.example.org has no A records");
  EXPECT_EQ(addresses("four.example.org", Family::ipv6).error().code, Errc::not_found);
  EXPECT_EQ(srv("example.org").error().code, Errc::not_found);

  const auto refused = addresses("refused.example.org");
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("the A records of refused.example.org"));
}

TEST_F(ResolverTest, waits_for_its_time_and_no_longer) {
  resolver = make({.server = server->address(), .hosts_file = false, .timeout = Milliseconds{50}});
  const auto silent = addresses("silent.example.org");
  EXPECT_EQ(silent.error().code, Errc::unavailable);
  EXPECT_EQ(silent.error().message, "no name server told the A records of silent.example.org within 0.05 s");
  EXPECT_TRUE(addresses("example.org"));  // others go on
}

// A bound socket that nobody reads.
TEST_F(ResolverTest, gives_up_on_a_server_that_answers_nothing) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  ASSERT_GE(fd, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(fd, any, size), 0);
  ASSERT_EQ(::getsockname(fd, any, &size), 0);
  resolver =
      make({.server = fmt::format("127.0.0.1:{}", ntohs(address.sin_port)), .timeout = Milliseconds{50}});
  EXPECT_EQ(srv("_xmpp-client._tcp.example.org").error().code, Errc::unavailable);
  ::close(fd);
}

TEST_F(ResolverTest, answers_for_addresses_and_this_machine_by_itself) {
  const auto asked = std::exchange(resolver, make({.server = "127.0.0.1:1", .hosts_file = false}));
  EXPECT_THAT(addresses("127.0.0.7").value(), ElementsAre("127.0.0.7"));
  EXPECT_THAT(addresses("[2001:DB8::0:1]", Family::ipv6).value(), ElementsAre("2001:db8::1"));
  EXPECT_THAT(addresses("::1", Family::ipv6).value(), ElementsAre("::1"));
  EXPECT_EQ(addresses("127.0.0.7", Family::ipv6).error().code, Errc::not_found);
  EXPECT_EQ(addresses("::1", Family::ipv4).error().code, Errc::not_found);
  for (const char* name : {"localhost", "LOCALHOST.", "a.b.LocalHost"}) {
    EXPECT_THAT(addresses(name).value(), ElementsAre("127.0.0.1")) << name;
    EXPECT_THAT(addresses(name, Family::ipv6).value(), ElementsAre("::1")) << name;
  }
}

TEST_F(ResolverTest, takes_no_other_name_for_this_machine) {
  EXPECT_THAT(addresses("localhost.example.org").value(), ElementsAre("127.0.0.9"));
  EXPECT_EQ(addresses("notlocalhost").error().code, Errc::not_found);
}

TEST_F(ResolverTest, asks_about_names_that_are_special_to_servers_only) {
  EXPECT_THAT(addresses("name.test").value(), ElementsAre("127.0.0.5"));
  EXPECT_THAT(addresses("box.home.arpa").value(), ElementsAre("127.0.0.6"));
  EXPECT_EQ(addresses("anything.invalid").error().code, Errc::not_found);
}

TEST_F(ResolverTest, refuses_what_is_no_name) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string("a..b"), std::string(".a"), std::string("a b"),
        std::string("a\0b", 3),
        std::string("b\xC3\xBC"
                    "cher.example"),
        std::string(64, 'a') + ".org", std::string("127.0.0.1:53"), std::string("\\097.org")}) {
    EXPECT_EQ(addresses(name).error().code, Errc::invalid) << name;
    EXPECT_EQ(srv(name).error().code, Errc::invalid) << name;
  }
  std::string longest;
  for (int i = 0; i < 127; ++i) longest += "a.";
  EXPECT_EQ(addresses(longest).error().code, Errc::not_found);  // 253 without the final dot
  EXPECT_EQ(addresses(longest + "b").error().code, Errc::invalid);
}

TEST_F(ResolverTest, reads_the_hosts_file_when_told_to) {
  const bool in_file = [] {
    std::ifstream file("/etc/hosts");
    std::string word;
    while (file >> word)
      if (word == "ip6-allnodes") return true;
    return false;
  }();
  if (!in_file) return;  // Debian's has it
  EXPECT_EQ(addresses("ip6-allnodes", Family::ipv6).error().code, Errc::not_found);
  resolver = make({.server = server->address(), .hosts_file = true});
  EXPECT_THAT(addresses("ip6-allnodes", Family::ipv6).value(), ElementsAre("ff02::1"));
}

TEST_F(ResolverTest, has_many_lookups_under_way) {
  std::vector<Running<Result<std::vector<std::string>>>> running;
  reactor.post([&] {
    for (int i = 0; i < 200; ++i)
      running.push_back(start(
          resolver->addresses(i % 2 == 0 ? "example.org" : fmt::format("n{}.example.org", i), Family::ipv4)));
  });
  ASSERT_TRUE(turn_until(reactor, [&] {
    return running.size() == 200 &&
           std::ranges::all_of(running, [](const auto& each) { return each.done(); });
  }));
  for (std::size_t i = 0; i < running.size(); ++i)
    EXPECT_EQ(running[i].await_resume().has_value(), i % 2 == 0);
}

TEST_F(ResolverTest, drops_a_query_with_the_task_that_waits_for_it) {
  std::vector<std::optional<Running<Result<std::vector<std::string>>>>> running(20);
  reactor.post([&] {
    for (auto& each : running) each.emplace(start(resolver->addresses("example.org", Family::ipv4)));
    for (auto& each : running) each.reset();
    for (auto& each : running) each.emplace(start(resolver->addresses("silent.example.org", Family::ipv4)));
  });
  reactor.turn(Milliseconds{0});
  running.clear();
  EXPECT_TRUE(addresses("example.org"));
}

TEST_F(ResolverTest, ends_what_waits_when_it_is_destroyed) {
  std::optional<Running<Result<std::vector<SrvRecord>>>> running;
  reactor.post([&] { running.emplace(start(resolver->srv("silent.example.org"))); });
  reactor.turn(Milliseconds{0});
  ASSERT_TRUE(running);
  resolver.reset();
  ASSERT_TRUE(turn_until(reactor, [&] { return running->done(); }));
  EXPECT_EQ(running->await_resume().error().code, Errc::unavailable);
}

TEST(ResolverOptions, name_a_server_by_its_address) {
  Reactor reactor;
  for (const char* server : {"", "127.0.0.1", "127.0.0.1:53", "::1", "[::1]:5353"})
    EXPECT_TRUE(Resolver::make(reactor, {.server = server})) << server;
  for (const char* server :
       {"dns.example.org", "127.0.0.1:", "127.0.0.1:70000", "1.2.3.4.5", "localhost:53"}) {
    const auto made = Resolver::make(reactor, {.server = server});
    ASSERT_FALSE(made) << server;
    EXPECT_EQ(made.error().code, Errc::invalid);
    EXPECT_THAT(made.error().message, HasSubstr(server));
  }
}

}  // namespace
}  // namespace starling::net::testing
