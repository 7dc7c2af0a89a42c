#include "payload/software_version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

Result<SoftwareVersion> parse(std::string_view text) { return parse_software_version(document(text).root()); }

// XEP-0092, example 2
constexpr std::string_view kExample =
    "<query xmlns='jabber:iq:version'><name>Exodus</name><version>0.7.0.4</version>"
    "<os>Windows-XP 5.01.2600</os></query>";

TEST(SoftwareVersion, the_example_is_read_and_written) {
  const auto version = parse(kExample);
  ASSERT_TRUE(version);
  EXPECT_EQ(version->name, "Exodus");
  EXPECT_EQ(version->version, "0.7.0.4");
  EXPECT_EQ(version->os, "Windows-XP 5.01.2600");
  EXPECT_EQ(written(*version), kExample);
}

TEST(SoftwareVersion, the_operating_system_is_optional) {
  constexpr std::string_view kText = "<query xmlns='jabber:iq:version'><name>a</name><version/></query>";
  EXPECT_EQ(written(parse(kText).value()), kText);
}

TEST(SoftwareVersion, what_is_refused) {
  for (const std::string_view text :
       {"<query xmlns='jabber:iq:version'/>", "<query xmlns='jabber:iq:version'><name>a</name></query>",
        "<query xmlns='jabber:iq:version'><version>1</version></query>",
        "<query xmlns='jabber:iq:last'><name>a</name><version>1</version></query>"})
    EXPECT_FALSE(parse(text)) << text;
}

}  // namespace
}  // namespace starling::payload
