// version, entity_time, last, limits_feature: a handler or two each.
#include "base/version.h"
#include "support/module_bench.h"

namespace starling::modules {
namespace {

using testing::HasSubstr;
using testing::Not;

class SmallModulesTest : public Bench {};

TEST_F(SmallModulesTest, version_names_the_server_and_not_its_system) {
  EXPECT_EQ(get("romeo@example.org/a", "example.org", "<query xmlns='jabber:iq:version'/>"),
            fmt::format("<query xmlns='jabber:iq:version'><name>Starling</name><version>{}</version></query>",
                        kVersion));
}

TEST_F(SmallModulesTest, time_is_told_in_utc) {
  EXPECT_EQ(get("romeo@example.org/a", "example.org", "<time xmlns='urn:xmpp:time'/>"),
            "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2026-01-01T00:00:00Z</utc></time>");
}

constexpr std::string_view kLast = "<query xmlns='jabber:iq:last'/>";

TEST_F(SmallModulesTest, last_of_the_domain_is_its_uptime) {
  loop_.advance(std::chrono::seconds(903));
  EXPECT_EQ(get("romeo@example.org/a", "example.org", kLast),
            "<query xmlns='jabber:iq:last' seconds='903'/>");
}

TEST_F(SmallModulesTest, last_of_an_account_is_since_when_it_is_away) {
  auto& juliet = account("juliet@example.org");
  EXPECT_EQ(get("romeo@example.org/a", "juliet@example.org", kLast), "<!forbidden>");
  juliet.trusted = jid("romeo@example.org");
  EXPECT_EQ(get("romeo@example.org/a", "juliet@example.org", kLast), "<!item-not-found>");
  juliet.stored.last_seen = std::chrono::system_clock::to_time_t(loop_.wall()) - 60;
  juliet.stored.last_status = "Heading <Home>";
  EXPECT_EQ(get("romeo@example.org/a", "juliet@example.org", kLast),
            "<query xmlns='jabber:iq:last' seconds='60'>Heading &lt;Home&gt;</query>");
  session("juliet@example.org/balcony");
  EXPECT_EQ(get("romeo@example.org/a", "juliet@example.org", kLast),
            "<query xmlns='jabber:iq:last' seconds='0'/>");
}

TEST_F(SmallModulesTest, limits_are_told_after_login_and_follow_a_reload) {
  EXPECT_THAT(features(true),
              HasSubstr("<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes>"
                        "<idle-seconds>300</idle-seconds></limits>"));
  EXPECT_THAT(features(false), Not(HasSubstr("limits")));
  config_.limits.stanza_bytes = 10000;
  EXPECT_THAT(features(true), HasSubstr("<max-bytes>10000</max-bytes>"));
}

}  // namespace
}  // namespace starling::modules
