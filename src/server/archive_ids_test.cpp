#include "server/archive_ids.h"

#include <limits>
#include <set>

#include <gtest/gtest.h>

namespace starling::server {
namespace {

TEST(ArchiveIds, ComeBack) {
  ArchiveIds ids("secret");
  for (const std::uint64_t id :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4711}, std::numeric_limits<std::uint64_t>::max()}) {
    EXPECT_EQ(ids.open(ids.seal(id)), id);
    EXPECT_EQ(ArchiveIds("secret").open(ids.seal(id)), id);
  }
}

TEST(ArchiveIds, SayNothing) {
  ArchiveIds ids("secret");
  std::set<std::string> seen;
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    const std::string text = ids.seal(id);
    EXPECT_EQ(text.size(), 32U);
    EXPECT_TRUE(seen.insert(text).second);
    EXPECT_TRUE(seen.insert(text.substr(0, 12)).second);
  }
}

TEST(ArchiveIds, CannotBeMadeUp) {
  ArchiveIds ids("secret");
  const std::string text = ids.seal(7);
  EXPECT_EQ(ArchiveIds("another").open(text), std::nullopt);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = other[i] == '0' ? '1' : '0';
    EXPECT_EQ(ids.open(other), std::nullopt) << i;
  }
  for (const char* nonsense : {"", "7", "00000000000000000000000000000000", "xyz"})
    EXPECT_EQ(ids.open(nonsense), std::nullopt) << nonsense;
  EXPECT_EQ(ids.open(text + "0"), std::nullopt);
  EXPECT_EQ(ids.open(text.substr(1) + "G"), std::nullopt);
}

}  // namespace
}  // namespace starling::server
