#include "support/module_bench.h"

namespace starling::modules {
namespace {

class PingTest : public Bench {};
constexpr std::string_view kPing = "<ping xmlns='urn:xmpp:ping'/>";

TEST_F(PingTest, the_domain_and_ones_own_account_answer) {
  EXPECT_EQ(get("romeo@example.org/a", "example.org", kPing), "");
  EXPECT_EQ(get("romeo@example.org/a", "romeo@example.org", kPing), "");
  EXPECT_EQ(get("romeo@example.org/a", "", kPing), "");
}

TEST_F(PingTest, strangers_do_not_learn_that_an_account_exists) {
  EXPECT_EQ(get("romeo@example.org/a", "juliet@example.org", kPing), "<!service-unavailable>");
  account("juliet@example.org").trusted = jid("romeo@example.org");
  EXPECT_EQ(get("romeo@example.org/a", "juliet@example.org", kPing), "");
}

}  // namespace
}  // namespace starling::modules
