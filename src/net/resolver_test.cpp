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
            "_xmpp-client._tcp.example.org. IN SRV 20 0 5223 two.example.org.",
            "_xmpp-server._tcp.example.org. IN SRV 0 0 0 .",
            "name.test. IN A 127.0.0.5",
            "box.home.arpa. IN A 127.0.0.6",
        },
    .silent = {"silent.example.org."},
    .refused = {"refused.example.org."},
};

struct ResolverTest : ::testing::Test {
  DnsServer server{kZones};
  Reactor reactor;
  std::unique_ptr<Resolver> resolver = make({.server = server.address(), .hosts_file = false});

  std::unique_ptr<Resolver> make(Resolver::Options options) {
    auto made = Resolver::make(reactor, std::move(options));
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  Result<std::vector<SrvRecord>> srv(const std::string& name) {
    return await_on(reactor, [&] { return resolver->srv(name); });
  }
  Result<std::vector<std::string>> addresses(const std::string& name, Family family) {
    return await_on(reactor, [&] { return resolver->addresses(name, family); });
  }
};

TEST_F(ResolverTest, finds_addresses_of_both_families) {
  EXPECT_THAT(addresses("example.org", Family::ipv4).value(), UnorderedElementsAre("127.0.0.2", "127.0.0.3"));
  EXPECT_THAT(addresses("EXAMPLE.org.", Family::ipv6).value(), ElementsAre("::1"));
  EXPECT_THAT(addresses("alias.example.org", Family::ipv4).value(), ElementsAre("127.0.0.4"));
}

}  // namespace
}  // namespace starling::net::testing
