#include "support/module_bench.h"

namespace starling::modules {
namespace {

using testing::HasSubstr;
using testing::Not;

class PrivateXmlTest : public Bench {
 protected:
  std::string read(std::string_view content) { return get("romeo@example.org/a", "", query(content)); }
  std::string write(std::string_view content) { return set("romeo@example.org/a", "", query(content)); }
  static std::string query(std::string_view content) {
    return fmt::format("<query xmlns='jabber:iq:private'>{}</query>", content);
  }
};

TEST_F(PrivateXmlTest, bookmarks_are_empty_and_then_what_was_stored) {  // R74
  constexpr std::string_view kAsk = "<storage xmlns='storage:bookmarks'/>";
  EXPECT_EQ(read(kAsk), query(kAsk));
  const std::string stored =
      "<storage xmlns='storage:bookmarks'><conference jid='a@b' "
      "name='x'><nick>R</nick></conference></storage>";
  EXPECT_EQ(write(stored), "");
  EXPECT_EQ(read(kAsk), query(stored));
  EXPECT_EQ(write(kAsk), "");
  EXPECT_EQ(read(kAsk), query(kAsk));
}

TEST_F(PrivateXmlTest, name_and_namespace_together_are_the_key) {
  EXPECT_EQ(write("<a xmlns='one'>1</a><a xmlns='two'>2</a><b xmlns='one'>3</b>"), "");
  EXPECT_EQ(read("<a xmlns='one'/>"), query("<a xmlns='one'>1</a>"));
  EXPECT_EQ(read("<a xmlns='two'/>"), query("<a xmlns='two'>2</a>"));
  EXPECT_EQ(read("<b xmlns='one'/>"), query("<b xmlns='one'>3</b>"));
}

TEST_F(PrivateXmlTest, is_for_the_owner_alone) {
  const auto content = query("<a xmlns='one'>1</a>");
  EXPECT_EQ(set("tybalt@example.org/a", "romeo@example.org", content), "<!refused>");
  EXPECT_EQ(get("tybalt@example.org/a", "romeo@example.org", content), "<!refused>");
  EXPECT_EQ(get("romeo@example.org/a", "romeo@example.org", content), query("<a xmlns='one'/>"));
}

TEST_F(PrivateXmlTest, refuses_what_names_no_single_element) {
  EXPECT_EQ(read(""), "<!bad-request>");
  EXPECT_EQ(read("<a xmlns='one'/><b xmlns='one'/>"), "<!bad-request>");
  EXPECT_EQ(read("<a/>"), "<!not-acceptable>");
  EXPECT_EQ(write(""), "<!not-acceptable>");
  EXPECT_EQ(write("<a>1</a>"), "<!not-acceptable>");
  EXPECT_EQ(write("<a xmlns=''>1</a>"), "<!not-acceptable>");
}

TEST_F(PrivateXmlTest, the_limit_is_for_all_that_an_account_stores) {
  config_.limits.private_bytes = 200;
  const std::string large(120, 'x');
  EXPECT_EQ(write(fmt::format("<a xmlns='one'>{}</a>", large)), "");
  EXPECT_EQ(write(fmt::format("<b xmlns='one'>{}</b>", large)), "<!policy-violation>");
  EXPECT_EQ(read("<b xmlns='one'/>"), query("<b xmlns='one'/>"));
  EXPECT_EQ(write(fmt::format("<a xmlns='one'>{}</a>", large)), "") << "replacing needs no more room";
}

}  // namespace
}  // namespace starling::modules
