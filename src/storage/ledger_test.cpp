#include "storage/ledger.h"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr std::uint32_t kLast = 0xffff'ffff;

TEST(Ledger, CountsWhatComesInOrder) {
  Ledger ledger;
  EXPECT_EQ(ledger.received(), 0U);
  ledger.apply(1, 0);
  ledger.apply(4, 1);  // 2 and 3 need nothing
  EXPECT_EQ(ledger.received(), 4U);
  EXPECT_THAT(ledger.beyond(), IsEmpty());
  EXPECT_TRUE(ledger.contains(4));
  EXPECT_FALSE(ledger.contains(5));
}

TEST(Ledger, HoldsBackWhatAnEarlierOneIsMissingFor) {
  Ledger ledger;
  ledger.apply(7, 5);
  ledger.apply(5, 2);
  EXPECT_EQ(ledger.received(), 0U);
  EXPECT_THAT(ledger.beyond(), ElementsAre(Pair(5, 2), Pair(7, 5)));
  EXPECT_THAT(ledger.numbers_beyond(), ElementsAre(5, 7));
  for (const std::uint32_t handled : {0U, 3U, 4U, 5U, 6U, 7U})
    EXPECT_TRUE(ledger.contains(handled)) << handled;
  for (const std::uint32_t open : {1U, 2U, 8U}) EXPECT_FALSE(ledger.contains(open)) << open;
  ledger.apply(2, 0);
  EXPECT_EQ(ledger.received(), 7U);
  EXPECT_THAT(ledger.beyond(), IsEmpty());
}

TEST(Ledger, TakesUpToANumberWhateverWasKnown) {
  Ledger ledger;
  ledger.apply(3, 2);
  ledger.apply(9, 8);
  ledger.apply(12, 11);
  ledger.apply(8, 8);
  EXPECT_EQ(ledger.received(), 9U);
  EXPECT_THAT(ledger.beyond(), ElementsAre(Pair(12, 11)));
  ledger.apply(5, 5);  // late news
  EXPECT_EQ(ledger.received(), 9U);
}

TEST(Ledger, IsToldAgainWithoutHarm) {
  Ledger ledger;
  ledger.apply(1, 0);
  ledger.apply(4, 3);
  ledger.apply(4, 3);
  ledger.apply(4, 2);  // no more between them
  ledger.apply(1, 0);
  EXPECT_EQ(ledger.received(), 1U);
  EXPECT_THAT(ledger.beyond(), ElementsAre(Pair(4, 2)));
}

TEST(Ledger, WrapsAround) {
  Ledger ledger;
  ledger.apply(kLast - 1, kLast - 1);
  EXPECT_EQ(ledger.received(), kLast - 1);
  ledger.apply(1, 0);
  ledger.apply(0, kLast);
  EXPECT_THAT(ledger.beyond(), ElementsAre(Pair(0, kLast), Pair(1, 0)));
  EXPECT_TRUE(ledger.contains(0));
  EXPECT_FALSE(ledger.contains(kLast));
  ledger.apply(kLast, kLast - 1);
  EXPECT_EQ(ledger.received(), 1U);
  EXPECT_THAT(ledger.beyond(), IsEmpty());
  EXPECT_TRUE(ledger.contains(kLast));
  EXPECT_FALSE(ledger.contains(2));
}

// Whatever the order, all handled is all received; and never more than what is handled without a gap.
TEST(Ledger, EndsWithEverythingInAnyOrder) {
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    const std::uint32_t start = kLast - 25;
    Ledger ledger;
    ledger.apply(start, start);
    Ledger::Beyond entries;
    for (std::uint32_t number = start; number != start + 50;) {
      const std::uint32_t after = number;
      number += 1 + random() % 3;
      if (static_cast<std::int32_t>(start + 50 - number) < 0) number = start + 50;
      entries.emplace_back(number, after);
    }
    auto shuffled = entries;
    std::ranges::shuffle(shuffled, random);
    std::vector<std::uint32_t> applied;
    for (const auto& [number, after] : shuffled) {
      ledger.apply(number, after);
      applied.push_back(number);
      std::uint32_t expected = start;
      for (const auto& [there, before] : entries) {
        if (std::ranges::find(applied, there) == applied.end()) break;
        expected = there;
      }
      ASSERT_EQ(ledger.received(), expected);
      for (const auto& [there, before] : entries)
        ASSERT_EQ(ledger.contains(there), std::ranges::find(applied, there) != applied.end());
    }
    ASSERT_EQ(ledger.received(), start + 50);
  }
}

}  // namespace
}  // namespace starling::storage
