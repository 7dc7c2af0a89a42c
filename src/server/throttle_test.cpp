#include "server/throttle.h"

#include <gtest/gtest.h>

#include "support/test_host.h"

namespace starling::server {
namespace {

TEST(NetworkTest, AnIpv6AddressCountsAsItsNetwork) {
  EXPECT_EQ(network_of("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(network_of("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(network_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(network_of("2001:db8:1:2:ffff:ffff:ffff:ffff"), network_of("2001:db8:1:2::"));
  EXPECT_NE(network_of("2001:db8:1:2::1"), network_of("2001:db8:1:3::1"));
  EXPECT_EQ(network_of("::1"), "::/64");
  EXPECT_EQ(network_of("no address"), "no address");
}

class ThrottleTest : public ::testing::Test {
 protected:
  void fail(const std::string& address, int times) {
    for (int i = 0; i < times; ++i) throttle_.login_failed(address, "juliet@localhost", now_);
  }
  bool held_up(const std::string& address) {
    return throttle_.login_delay(address, "juliet@localhost", now_) > Milliseconds(0);
  }

  Throttle throttle_;
  const SteadyTime now_{std::chrono::hours(1)};
};

TEST_F(ThrottleTest, AHostGainsNothingFromItsManyAddresses) {
  fail("2001:db8::1", 1);
  EXPECT_FALSE(held_up("2001:db8::2"));  // a typing error costs nothing
  fail("2001:db8::2", 1);
  EXPECT_TRUE(held_up("2001:db8::3"));
  EXPECT_FALSE(held_up("2001:db8:0:1::3"));
  throttle_.login_succeeded("2001:db8::4", "juliet@localhost");
  EXPECT_FALSE(held_up("2001:db8::3"));
}

TEST_F(ThrottleTest, Ipv4AddressesStandForThemselves) {
  fail("192.0.2.1", 2);
  EXPECT_TRUE(held_up("192.0.2.1"));
  EXPECT_TRUE(held_up("::ffff:192.0.2.1"));
  EXPECT_FALSE(held_up("192.0.2.2"));
}

TEST(AdmissionTest, ConnectionsAreCountedByNetworkOverAllShards) {
  Config config = TestHost::default_config();
  config.limits.rate = true;
  config.limits.connections_per_address = 2;
  TestHost host(config, 4);
  Core& core = host.core();
  EXPECT_TRUE(core.admit("2001:db8::1"));
  EXPECT_TRUE(core.admit("2001:db8::2"));
  EXPECT_FALSE(core.admit("2001:db8::3"));
  EXPECT_TRUE(core.admit("2001:db8:0:1::3"));
  core.dismiss("2001:db8::3");
  core.dismiss("2001:db8::2");
  EXPECT_TRUE(core.admit("2001:db8::4"));
  EXPECT_TRUE(core.admit("192.0.2.1"));
  EXPECT_TRUE(core.admit("::ffff:192.0.2.1"));
  EXPECT_FALSE(core.admit("192.0.2.1"));
  EXPECT_TRUE(core.admit("192.0.2.2"));
}

}  // namespace
}  // namespace starling::server
