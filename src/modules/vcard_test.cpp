#include "support/module_bench.h"

namespace starling::modules {
namespace {

using testing::HasSubstr;

class VCardTest : public Bench {};
constexpr std::string_view kGet = "<vCard xmlns='vcard-temp'/>";

TEST_F(VCardTest, ones_own_is_empty_before_the_first) {  // R71
  EXPECT_EQ(get("romeo@example.org/a", "", kGet), "<vCard xmlns='vcard-temp'/>");
}

TEST_F(VCardTest, a_missing_one_of_somebody_else_looks_like_a_missing_account) {
  EXPECT_EQ(get("romeo@example.org/a", "juliet@example.org", kGet), "<!service-unavailable>");
}

TEST_F(VCardTest, what_was_set_is_for_anybody_to_read) {
  EXPECT_EQ(
      set("romeo@example.org/a", "", "<v:vCard xmlns:v='vcard-temp'><v:FN>Romeo &amp; Co</v:FN></v:vCard>"),
      "");
  const auto read = get("juliet@example.org/b", "romeo@example.org", kGet);
  const auto document = xml::parse_fragment(read, ns::client);
  ASSERT_TRUE(document) << read;
  const auto* name = document->root().child("FN", ns::vcard);
  ASSERT_NE(name, nullptr) << read;
  EXPECT_EQ(name->text(), "Romeo & Co");
}

TEST_F(VCardTest, only_the_owner_sets_it) {
  EXPECT_EQ(set("tybalt@example.org/a", "romeo@example.org", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>"),
            "<!refused>");
  EXPECT_EQ(get("romeo@example.org/a", "", kGet), "<vCard xmlns='vcard-temp'/>");
}

TEST_F(VCardTest, one_that_is_too_large_is_refused) {
  config_.limits.private_bytes = 100;
  const auto vcard = fmt::format("<vCard xmlns='vcard-temp'><FN>{}</FN></vCard>", std::string(100, 'x'));
  EXPECT_EQ(set("romeo@example.org/a", "", vcard), "<!policy-violation>");
  EXPECT_EQ(get("romeo@example.org/a", "", kGet), "<vCard xmlns='vcard-temp'/>");
}

}  // namespace
}  // namespace starling::modules
