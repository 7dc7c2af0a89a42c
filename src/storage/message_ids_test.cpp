#include "storage/message_ids.h"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

namespace starling::storage {
namespace {

TEST(MessageIds, AscendOverAllTakers) {
  MessageIds ids;
  ids.begin(10);
  ids.reserve(100);
  MessageIds::Taker one(ids);
  MessageIds::Taker two(ids);
  EXPECT_EQ(one.take(), 11U);
  EXPECT_EQ(two.take(), 12U);
  EXPECT_EQ(one.take(), 13U);
  EXPECT_EQ(ids.next(), 14U);
}

TEST(MessageIds, ReadersStopBelowWhatIsNotSettled) {
  MessageIds ids;
  ids.reserve(100);
  MessageIds::Taker one(ids);
  MessageIds::Taker two(ids);
  EXPECT_EQ(ids.unsettled(), 1U);
  const auto first = one.take();
  const auto second = two.take();
  const auto third = one.take();
  two.settle(second);
  EXPECT_EQ(ids.unsettled(), first);
  one.settle(third);
  EXPECT_EQ(ids.unsettled(), first);
  one.settle(first);
  EXPECT_EQ(ids.unsettled(), third + 1);
  one.settle(first);
  two.settle(0);
  two.settle(99);
  EXPECT_EQ(ids.unsettled(), third + 1);
}

TEST(MessageIds, NoneBeyondWhatIsReserved) {
  MessageIds ids;
  ids.reserve(2);
  MessageIds::Taker taker(ids);
  taker.settle(taker.take());
  EXPECT_EQ(taker.take(), 2U);
  EXPECT_EQ(taker.take(), 0U);
  EXPECT_EQ(ids.unsettled(), 2U);
  taker.settle(2);
  EXPECT_EQ(taker.take(), 0U);
  EXPECT_EQ(taker.take_unreserved(), 5U);
  EXPECT_EQ(ids.unsettled(), 5U);
}

TEST(MessageIds, ATakerThatGoesLeavesNothing) {
  MessageIds ids;
  ids.reserve(10);
  {
    MessageIds::Taker taker(ids);
    taker.take();
    EXPECT_EQ(ids.unsettled(), 1U);
  }
  EXPECT_EQ(ids.unsettled(), 2U);
}

// What a reader has been told is settled never comes again.
TEST(MessageIds, ThreadedReadersAreNeverTooFar) {
  MessageIds ids;
  constexpr std::uint64_t kEach = 20'000;
  ids.reserve(10 * kEach);
  std::atomic<bool> wrong = false;
  const auto take = [&] {
    MessageIds::Taker taker(ids);
    for (std::uint64_t i = 0; i < kEach; ++i) {
      const auto id = taker.take();
      if (ids.unsettled() > id) wrong = true;
      taker.settle(id);
    }
  };
  std::thread one(take);
  std::thread two(take);
  one.join();
  two.join();
  EXPECT_FALSE(wrong);
  EXPECT_EQ(ids.unsettled(), 2 * kEach + 1);
}

}  // namespace
}  // namespace starling::storage
