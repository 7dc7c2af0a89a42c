// A disk whose syncs and writes fail, that is full, and readers that hold back what is to be moved: what is
// stored meanwhile, and what a loss of power leaves of it.
#include <chrono>

#include "storage/sqlite/test_power_loss.h"

namespace starling::storage::sqlite {
namespace {

class FailingDiskTest : public PowerLossTest, public testing::WithParamInterface<Durability> {
 protected:
  // A store that has lived, and has everything in the database.
  void live_on() {
    open(GetParam());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(write());
    ASSERT_TRUE(disk_->wait_for_checkpoint());
  }
  // 40 pages, which the database has room for after the first time.
  bool write_much(char fill) {
    Batch batch;
    for (int i = 0; i < 40; ++i)
      batch.emplace_back(PutValue{"bob@x", "much", std::to_string(i), std::string(3000, fill)});
    return loop_.get([&] { return store_->commit(std::move(batch)); }).has_value();
  }
  // As many as make the indexes run behind.
  void write_many() {
    for (int i = 0; i < 44; ++i) {
      Batch batch;
      for (int k = 0; k < 1000; ++k)
        batch.emplace_back(Append{
            .message = {.owner = "bob@x", .peer = "eve@x", .stamp_ms = 1, .undelivered = true, .stanza = "-"},
            .for_owner = true,
            .for_peer = true,
            .fingerprint = {}});
      ASSERT_TRUE(loop_.get([&] { return store_->commit(std::move(batch)); }));
    }
  }
};

class UnsyncedTest : public FailingDiskTest {};
class SyncedTest : public FailingDiskTest {};

// Without it "a second after the last write" would be never.
TEST_P(UnsyncedTest, SyncsAgainWhatFailedThoughNobodyWrites) {
  live_on();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(write());
  disk_->fail_syncs(2);
  ASSERT_TRUE(disk_->wait_for_failures());
  ASSERT_TRUE(disk_->wait_for_checkpoint());
  const auto safe = disk_->position();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(write());
  end();
  expect_sound();
  const auto found = lose_power(Unsynced::none, 0, safe, safe);
  EXPECT_EQ(found.points, 1U);
  EXPECT_EQ(found.lost, 0) << found.first;
}

TEST_P(UnsyncedTest, SyncsWhatAReaderHoldsBackFromTheDatabase) {
  live_on();
  Database shell;
  ASSERT_TRUE(shell.open(file_, Database::Access::read));
  ASSERT_TRUE(shell.execute("BEGIN; SELECT count(*) FROM message"));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(write());
  ASSERT_TRUE(disk_->wait_for_sync());
  const auto safe = disk_->position();
  ASSERT_TRUE(shell.execute("COMMIT"));
  ASSERT_TRUE(disk_->wait_for_checkpoint());
  shell.close();
  end();
  expect_sound();
  EXPECT_EQ(lose_power(Unsynced::none, 0, safe, safe).lost, 0);
}

// As long as somebody has an id in hand the indexes wait behind it, and the writer looks each millisecond.
TEST_P(UnsyncedTest, SyncsWhileIndexesWait) {
  open(GetParam());
  MessageIds::Taker taker(store_->ids());
  const auto late = taker.take();
  write_many();
  EXPECT_TRUE(disk_->wait_for_sync());
  taker.settle(late);
}

TEST_P(UnsyncedTest, LeavesALogWhoseSyncFailedToTheNextProcess) {
  live_on();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(write() && write_much('a'));
  disk_->fail_syncs(1000);
  store_.reset();
  disk_->fail_syncs(0);
  open(GetParam());
  ASSERT_TRUE(disk_->wait_for_checkpoint());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(write());
  end();
  expect_sound();
}

// A full disk or one bad sector is no reason to refuse what there is room for.
TEST_P(FailingDiskTest, StoresOnAFullDiskWhatTheLogHasRoomFor) {
  live_on();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(write_much('a'));
  ASSERT_TRUE(disk_->wait_for_checkpoint());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(write_much('b'));
  disk_->fill(true);
  while (write_much('c')) {
  }
  for (int i = 0; i < 6; ++i) {
    EXPECT_FALSE(write_much('d') && write_much('e') && write_much('f') && write_much('g'));
    ASSERT_TRUE(disk_->wait_for_checkpoint());
    EXPECT_TRUE(write_much('h'));
  }
  disk_->fill(false);
  ASSERT_TRUE(write_much('i'));
  ASSERT_TRUE(write());
  end();
  expect_sound(answered_at(3));
}

TEST_P(FailingDiskTest, BringsNothingBackThatCouldNotBeWritten) {
  live_on();
  disk_->fail_writes(1);
  EXPECT_FALSE(write());  // the header of a log that is begun anew
  ASSERT_TRUE(write());
  disk_->fail_writes(1);
  EXPECT_FALSE(write());  // a frame
  ASSERT_TRUE(write());
  disk_->fail_writes(1);  // a page of the database
  ASSERT_TRUE(disk_->wait_for_failures());
  ASSERT_TRUE(disk_->wait_for_checkpoint());
  ASSERT_TRUE(write());
  end();
  expect_sound();
}

// Of a checkpoint that a reader allows in part, with syncs that fail at each of its steps.
TEST_P(FailingDiskTest, StaysSoundWithReadersBetween) {
  live_on();
  for (int failures = 1; failures < 5; ++failures) {
    ASSERT_TRUE(write());
    Database shell;
    ASSERT_TRUE(shell.open(file_, Database::Access::read));
    ASSERT_TRUE(shell.execute("BEGIN; SELECT count(*) FROM message"));
    ASSERT_TRUE(write());
    ASSERT_TRUE(disk_->wait_for_sync());
    disk_->fail_syncs(failures);
    write();
    ASSERT_TRUE(shell.execute("COMMIT"));
    ASSERT_TRUE(disk_->wait_for_failures());
    while (!write()) {
    }
    ASSERT_TRUE(disk_->wait_for_checkpoint());
  }
  end();
  expect_sound(answered_at(3));
}

// The log goes into the database while its end is in doubt, and that never becomes part of it.
TEST_P(SyncedTest, MovesNothingThatIsInDoubt) {
  live_on();
  ASSERT_TRUE(write());
  disk_->fail_syncs(3);  // the commit's, that of its withdrawal, and that of the next one
  EXPECT_FALSE(write());
  ASSERT_TRUE(disk_->wait_for_failures());
  ASSERT_TRUE(disk_->wait_for_checkpoint());
  const auto moved = disk_->position();
  while (!write()) {
  }
  const auto works = disk_->position();
  ASSERT_TRUE(write());
  end();
  const auto killed = lose_power(Unsynced::all, 0, answered_at(4));
  EXPECT_EQ(killed.returned + killed.lost + killed.unsound, 0) << killed.first;
  EXPECT_LT(moved, works);
  for (unsigned seed = 1; seed < 6; ++seed) {
    EXPECT_EQ(lose_power(Unsynced::some, seed, answered_at(4), works).unsound, 0);
    const auto found = lose_power(Unsynced::some, seed, works);
    EXPECT_EQ(found.returned + found.lost + found.unsound, 0) << found.first;
  }
}

TEST_P(SyncedTest, TriesAnEarlierFailureOnceAGroup) {
  live_on();
  disk_->fail_syncs(1000);
  std::size_t fewest = 1000;
  for (int i = 0; i < 5; ++i) {
    const auto before = disk_->position();
    EXPECT_FALSE(write());
    const auto recording = disk_->recording();
    const auto failed =
        std::count_if(recording.begin() + static_cast<std::ptrdiff_t>(before), recording.end(),
                      [](const auto& done) { return done.kind == TestDisk::Operation::Kind::failed_sync; });
    fewest = std::min(fewest, static_cast<std::size_t>(failed));
  }
  EXPECT_EQ(fewest, 1U);
  disk_->fail_syncs(0);
}

TEST_P(SyncedTest, DoesNotHurryWhileWhatRunsBehindFails) {
  open(GetParam());
  MessageIds::Taker taker(store_->ids());
  const auto late = taker.take();
  write_many();
  const auto begun = std::chrono::steady_clock::now();
  disk_->fail_writes(9);
  taker.settle(late);
  ASSERT_TRUE(disk_->wait_for_failures());
  EXPECT_GT(std::chrono::steady_clock::now() - begun, 2 * Checkpointer::kIdle);
}

// Whatever was given, to whom and when: after a loss of power it is not given again.
TEST_P(FailingDiskTest, GivesNoIdTwiceAfterALossOfPower) {
  struct Given {
    std::size_t position;
    std::uint64_t id;
  };
  std::vector<Given> given;
  const auto take = [&](std::size_t most) {
    MessageIds::Taker taker(store_->ids());
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < most; ++i) {
      const auto id = taker.take();
      taker.settle(id);
      if (id == 0) break;
      last = id;
    }
    if (last != 0) given.push_back({disk_->position(), last});
  };
  const auto store = [&] {
    const auto stored = loop_.get([&] { return store_->commit(message(1000)); });
    ASSERT_TRUE(stored);
    given.push_back({disk_->position(), stored->appended.front()});
  };
  open(GetParam());
  take(10);
  store();
  open(GetParam());
  take(10);
  store();
  take(100'000);
  store();
  take(100'000);  // more than there are
  store();        // what only this reserves
  take(1'000'000);
  ASSERT_TRUE(disk_->wait_for_checkpoint());
  take(10);
  end();
  for (const auto& [position, id] : given) {
    TemporaryDirectory elsewhere;
    leave(position, elsewhere);
    auto opened = SqliteStore::open(elsewhere.file("test.db"), {.durability = GetParam()});
    ASSERT_TRUE(opened);
    MessageIds::Taker taker((*opened)->ids());
    const auto next = taker.take();
    EXPECT_GT(next, id) << "at " << position;
    taker.settle(next);
  }
}

std::string name_of(const testing::TestParamInfo<Durability>& durability) {
  return durability.param == Durability::disk ? "disk" : "process";
}

INSTANTIATE_TEST_SUITE_P(Durabilities, FailingDiskTest,
                         testing::Values(Durability::disk, Durability::process), name_of);
INSTANTIATE_TEST_SUITE_P(Durabilities, SyncedTest, testing::Values(Durability::disk), name_of);
INSTANTIATE_TEST_SUITE_P(Durabilities, UnsyncedTest, testing::Values(Durability::process), name_of);

}  // namespace
}  // namespace starling::storage::sqlite
