// A loss of power, a killed process and a sync that failed, at every point of the store's work.
#include "storage/sqlite/test_power_loss.h"

namespace starling::storage::sqlite {
namespace {

TEST_F(PowerLossTest, TakesNothingThatWasAnswered) {
  live(Durability::disk);
  for (const auto unsynced : {Unsynced::none, Unsynced::all, Unsynced::some}) {
    const auto found = lose_power(unsynced);
    EXPECT_GT(found.points, 150U);
    EXPECT_EQ(found.lost, 0) << found.first;
    EXPECT_EQ(found.unsound, 0) << found.first;
  }
}

// It shows as well that this disk forgets, and that it would be seen.
TEST_F(PowerLossTest, TakesTheLastCommitsOfAProcessThatDoesNotWaitForTheDisk) {
  live(Durability::process);
  for (const auto unsynced : {Unsynced::none, Unsynced::some}) {
    const auto found = lose_power(unsynced);
    EXPECT_GT(found.lost, 0);
    EXPECT_EQ(found.unsound, 0) << found.first;
  }
}

TEST_F(PowerLossTest, IsNotWhatHappensToAKilledProcess) {
  live(Durability::process);
  const auto found = lose_power(Unsynced::all);
  EXPECT_EQ(found.lost, 0) << found.first;
  EXPECT_EQ(found.unsound, 0) << found.first;
}

TEST_F(PowerLossTest, BringsNothingBackWhoseSyncFailed) {
  open(Durability::disk);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(write());
  disk_->fail_syncs(1);
  EXPECT_FALSE(write());
  ASSERT_TRUE(write());
  ASSERT_TRUE(disk_->wait_for_checkpoint());
  disk_->fail_syncs(1);
  EXPECT_FALSE(write());  // the first of a log that is begun anew
  ASSERT_TRUE(write());
  end();
  for (const auto unsynced : {Unsynced::none, Unsynced::all, Unsynced::some}) {
    for (unsigned seed = 1; seed < (unsynced == Unsynced::some ? 4U : 2U); ++seed) {
      const auto found = lose_power(unsynced, seed, answered_at(2));
      EXPECT_EQ(found.lost, 0) << found.first;
      EXPECT_EQ(found.returned, 0) << found.first;
      EXPECT_EQ(found.unsound, 0) << found.first;
    }
  }
}

// While the disk does not sync at all, nobody can say what it has; the file is right for whoever is killed
// then, and nothing is written that could be found behind what failed.
TEST_F(PowerLossTest, BringsNothingBackThatFailedBeforeADiskThatWorksAgain) {
  open(Durability::disk);
  ASSERT_TRUE(write());
  disk_->fail_syncs(3);
  EXPECT_FALSE(write());
  while (!write()) {
  }
  ASSERT_TRUE(write());
  end();
  const auto killed = lose_power(Unsynced::all, 0, answered_at(1));
  EXPECT_EQ(killed.lost, 0) << killed.first;
  EXPECT_EQ(killed.returned, 0) << killed.first;
  for (unsigned seed = 1; seed < 4; ++seed) {
    const auto found = lose_power(Unsynced::some, seed, answered_at(4));
    EXPECT_EQ(found.lost, 0) << found.first;
    EXPECT_EQ(found.returned, 0) << found.first;
    EXPECT_EQ(found.unsound, 0) << found.first;
  }
}

}  // namespace
}  // namespace starling::storage::sqlite
