#include "payload/result_set.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

std::string set_of(std::string_view inner) {
  return fmt::format("<set xmlns='http://jabber.org/protocol/rsm'>{}</set>", inner);
}
Result<PageRequest> request(std::string_view inner) {
  return parse_page_request(document(set_of(inner)).root());
}
Result<PageInfo> info(std::string_view inner) { return parse_page_info(document(set_of(inner)).root()); }
TEST(ResultSet, Requests) {  // XEP-0059 2.1 to 2.7
  EXPECT_EQ(request("").value(), PageRequest());
  EXPECT_EQ(request("<max>10</max>").value(), PageRequest{.max = 10});
  EXPECT_EQ(request("<max>10</max><after>peter@example.org</after>").value(),
            (PageRequest{.max = 10, .after = "peter@example.org"}));
  EXPECT_EQ(request("<before/>").value(), PageRequest{.before = ""});
  EXPECT_EQ(request("<index>371</index><max>0</max>").value(), (PageRequest{.max = 0, .index = 371}));
  for (const char* wrong : {"<max>ten</max>", "<max>-1</max>", "<max/>", "<index>1.5</index>"})
    EXPECT_FALSE(request(wrong)) << wrong;
}

TEST(ResultSet, Answers) {
  EXPECT_EQ(info("<first index='0'>a</first><last>b</last><count>800</count>").value(),
            (PageInfo{.first = "a", .last = "b", .first_index = 0, .count = 800}));
  EXPECT_EQ(info("<count>0</count>").value(), PageInfo{.count = 0});
  EXPECT_EQ(info("<first index='3'/><last>b</last>").value(), PageInfo());  // of no item
  for (const char* wrong : {"<count>many</count>", "<first index='x'>a</first>"})
    EXPECT_FALSE(info(wrong)) << wrong;
}

TEST(ResultSet, AreWritten) {
  EXPECT_EQ(written(PageRequest{.max = 10, .before = ""}), set_of("<max>10</max><before/>"));
  EXPECT_EQ(written(PageInfo{.first = "a", .last = "b", .first_index = 4, .count = 9}),
            set_of("<first index='4'>a</first><last>b</last><count>9</count>"));
  EXPECT_EQ(written(PageInfo{.count = 0}), set_of("<count>0</count>"));
}

TEST(ResultSet, AreNoOtherElement) {
  const auto other = document("<set xmlns='urn:x'/>");
  EXPECT_FALSE(parse_page_request(other.root()));
  EXPECT_FALSE(parse_page_info(other.root()));
}

}  // namespace
}  // namespace starling::payload
