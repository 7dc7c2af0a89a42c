#include "payload/disco_info.h"
#include "support/module_bench.h"

namespace starling::modules {
namespace {

using testing::HasSubstr;
using testing::Not;

class DiscoTest : public Bench {
 protected:
  payload::DiscoInfo info(std::string_view from, std::string_view to) {
    const auto answer = get(from, to, "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    return payload::parse_disco_info(xml::parse(answer).value().root()).value();
  }
};

TEST_F(DiscoTest, the_domain_is_an_im_server_with_the_features_of_all_modules) {
  const auto host = info("romeo@example.org/a", "example.org");
  ASSERT_EQ(host.identities.size(), 1U);
  EXPECT_EQ(host.identities[0], (payload::DiscoInfo::Identity{"server", "im", "", "Starling"}));
  EXPECT_TRUE(std::ranges::is_sorted(host.features));
  for (const auto& module : modules())
    for (const auto feature : module.host_features) EXPECT_TRUE(host.has_feature(feature)) << feature;
  EXPECT_TRUE(host.has_feature("http://jabber.org/protocol/disco#info"));
}

TEST_F(DiscoTest, an_account_is_registered_to_those_it_trusts) {
  const auto own = info("romeo@example.org/a", "romeo@example.org");
  ASSERT_EQ(own.identities.size(), 1U);
  EXPECT_EQ(own.identities[0].category, "account");
  EXPECT_EQ(own.identities[0].type, "registered");
  for (const std::string_view query : {"<query xmlns='http://jabber.org/protocol/disco#info'/>",
                                       "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>",
                                       "<query xmlns='http://jabber.org/protocol/disco#items'/>"})
    EXPECT_EQ(get("tybalt@example.org/a", "romeo@example.org", query), "<!service-unavailable>");
  account("romeo@example.org").trusted = jid("juliet@example.org");
  EXPECT_EQ(info("juliet@example.org/b", "romeo@example.org"), own);
}

TEST_F(DiscoTest, answers_only_the_node_of_its_own_hash_and_repeats_it) {
  const std::string hash = payload::caps_hash(info("romeo@example.org/a", "example.org"));
  const auto query = [](std::string_view node) {
    return fmt::format("<query xmlns='http://jabber.org/protocol/disco#info' node='{}'/>", node);
  };
  const std::string node = "urn:x-starling:server#" + hash;
  EXPECT_THAT(get("romeo@example.org/a", "example.org", query(node)), HasSubstr("node='" + node + "'"));
  EXPECT_EQ(get("romeo@example.org/a", "example.org", query("urn:x-starling:server#other")),
            "<!item-not-found>");
  EXPECT_EQ(get("romeo@example.org/a", "romeo@example.org", query(node)), "<!item-not-found>");
}

TEST_F(DiscoTest, the_items_of_an_account_are_its_available_sessions) {
  constexpr std::string_view kItems = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
  presence(session("romeo@example.org/here"), "");
  session("romeo@example.org/connected");
  const auto items = get("romeo@example.org/here", "romeo@example.org", kItems);
  EXPECT_THAT(items, HasSubstr("romeo@example.org/here"));
  EXPECT_THAT(items, Not(HasSubstr("connected")));
  EXPECT_EQ(get("romeo@example.org/here", "example.org", kItems),
            "<query xmlns='http://jabber.org/protocol/disco#items'/>");
}

TEST_F(DiscoTest, unknown_nodes_have_no_items) {
  EXPECT_EQ(get("romeo@example.org/a", "example.org",
                "<query xmlns='http://jabber.org/protocol/disco#items' node='n'/>"),
            "<!item-not-found>");
}

}  // namespace
}  // namespace starling::modules
