#pragma once
// What a store on a TestDisk has again after a loss of power, a killed process and failures of the disk, at
// every point of its work. For tests.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "storage/sqlite/sqlite_store.h"
#include "storage/sqlite/test_disk.h"
#include "support/temporary_directory.h"
#include "support/virtual_loop.h"

namespace starling::storage::sqlite {

using Numbers = std::vector<int>;

// Messages 1, 2, 3... of one session, each a commit of its own.
inline Batch message(int number) {
  const auto counted = static_cast<std::uint32_t>(number);
  Batch batch;
  batch.emplace_back(Append{.message = {.owner = "ann@x",
                                        .peer = "bob@x",
                                        .stamp_ms = 1,
                                        .undelivered = true,
                                        .stanza = std::to_string(number) + std::string(900, ' ')},
                            .for_owner = true,
                            .for_peer = true,
                            .fingerprint = std::to_string(number)});
  batch.emplace_back(Receive{7, counted, counted});
  batch.emplace_back(PutValue{"ann@x", "last", "", std::to_string(number)});
  return batch;
}

// What is stored, by all ways to ask for it. Throws if they do not agree or the database is not sound.
inline Numbers stored_in(const std::string& file) {
  const TestDisk quick;  // syncs nothing
  Numbers numbers;
  {
    auto opened = SqliteStore::open(file);
    if (!opened) throw std::runtime_error(opened.error().message);
    auto& store = **opened;
    VirtualLoop loop;
    for (const auto& one : loop.get([&] { return store.archive({.account = "ann@x"}); }).value().messages)
      numbers.push_back(std::stoi(one.stanza));
    const auto last = loop.get([&] { return store.value("ann@x", "last", ""); }).value();
    const auto counts = loop.get([&] { return store.session_counts(7); }).value();
    const int newest = numbers.empty() ? 0 : numbers.back();
    if (last.value_or("0") != std::to_string(newest)) throw std::runtime_error("half of a commit");
    if (counts.value_or(SessionCounts()).received != static_cast<std::uint32_t>(newest))
      throw std::runtime_error("half of a commit");
    if (loop.get([&] { return store.undelivered_size("ann@x"); }).value().messages != numbers.size())
      throw std::runtime_error("the tail is another");
  }
  Database shell;
  if (!shell.open(file, Database::Access::read)) throw std::runtime_error("no shell");
  auto check = shell.prepare("PRAGMA integrity_check");
  if (!check || !check->step() || check->string(0) != "ok") throw std::runtime_error("not sound");
  return numbers;
}

class PowerLossTest : public testing::Test {
 protected:
  void open(Durability durability) {
    store_.reset();
    durability_ = durability;
    auto opened = SqliteStore::open(file_, {.durability = durability});
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = std::move(*opened);
  }
  bool write() {
    const int number = ++written_;
    const auto result = loop_.get([&] { return store_->commit(message(number)); });
    answers_.push_back({disk_->position(), number, result.has_value()});
    return result.has_value();
  }
  // A new database, its log moved into it and begun anew, closed and opened again.
  void live(Durability durability) {
    open(durability);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(write());
    ASSERT_TRUE(disk_->wait_for_checkpoint());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(write());
    open(durability);
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(write());
    end();
  }
  void end() {
    store_.reset();
    recording_ = disk_->recording();
    disk_.reset();
  }

  struct Found {
    std::size_t points = 0;
    int lost = 0;       // points where something that was answered is not there
    int returned = 0;   // points where something is there that was refused
    int unsound = 0;    // points where the database is damaged, or has a commit without the one before it
    std::string first;  // of these
  };

  // Loses power before and after each operation from `from` to `to`, and looks at what is there again.
  Found lose_power(Unsynced unsynced, unsigned seed = 0, std::size_t from = 0,
                   std::size_t to = std::numeric_limits<std::size_t>::max(), std::size_t stride = 1) {
    Found found;
    Replay replay(unsynced, seed);
    std::map<std::string, std::string> before;
    for (std::size_t point = 0; point <= std::min(to, recording_.size()); ++point) {
      if (point != 0) replay.apply(recording_[point - 1]);
      if (point < from || (point + seed) % stride != 0) continue;
      ++found.points;
      auto files = replay.lose_power();
      if (files != before) look(files);
      before = std::move(files);
      judge(point, found);
    }
    return found;
  }

  // With everything that may happen to what was not synced, at 60 points each.
  void expect_sound(std::size_t from = 0) {
    constexpr auto kEnd = std::numeric_limits<std::size_t>::max();
    const std::size_t stride = 1 + (recording_.size() - from) / 60;
    for (unsigned seed = 0; seed < 6; ++seed) {
      const auto unsynced = seed == 0 ? Unsynced::none : seed == 1 ? Unsynced::all : Unsynced::some;
      const auto found = lose_power(unsynced, seed, from, kEnd, stride);
      EXPECT_EQ(found.unsound, 0) << seed << ": " << found.first;
      EXPECT_EQ(found.returned, 0) << seed << ": " << found.first;
      if (durability_ == Durability::disk || unsynced == Unsynced::all) {
        EXPECT_EQ(found.lost, 0) << seed << ": " << found.first;
      }
    }
  }

  // The files as a loss of power leaves them after that many operations, without what was not synced.
  void leave(std::size_t point, const TemporaryDirectory& elsewhere) {
    Replay replay(Unsynced::none, 0);
    for (std::size_t i = 0; i < point; ++i) replay.apply(recording_.at(i));
    put(replay.lose_power(), elsewhere);
  }

  std::size_t answered_at(int number) { return answers_.at(static_cast<std::size_t>(number - 1)).position; }

  std::optional<TestDisk> disk_{std::in_place};
  TemporaryDirectory directory_;
  std::string file_ = directory_.file("test.db");
  VirtualLoop loop_;
  std::unique_ptr<SqliteStore> store_;
  Durability durability_ = Durability::disk;
  TestDisk::Recording recording_;

 private:
  static void put(const std::map<std::string, std::string>& files, const TemporaryDirectory& elsewhere) {
    for (const auto& [name, bytes] : files)
      std::ofstream(elsewhere.file(std::filesystem::path(name).filename().string()), std::ios::binary)
          << bytes;
  }

  void look(const std::map<std::string, std::string>& files) {
    TemporaryDirectory elsewhere;
    put(files, elsewhere);
    problem_.clear();
    there_.clear();
    try {
      there_ = stored_in(elsewhere.file("test.db"));
    } catch (const std::exception& problem) {
      problem_ = problem.what();
    }
  }

  void judge(std::size_t point, Found& found) const {
    const auto note = [&](int& count, const std::string& what) {
      if (++count == 1) found.first += fmt::format("{}: {}; ", point, what);
    };
    if (!problem_.empty()) return note(found.unsound, problem_);
    for (std::size_t i = 1; i < there_.size(); ++i)
      for (int between = there_[i - 1] + 1; between < there_[i]; ++between)
        if (answers_.at(static_cast<std::size_t>(between - 1)).stored)
          return note(found.unsound, fmt::format("{} without {}", there_[i], between));
    for (const auto& answer : answers_) {
      if (answer.position > point) break;
      const bool is_there = std::ranges::find(there_, answer.number) != there_.end();
      if (answer.stored && !is_there) return note(found.lost, fmt::format("{} is lost", answer.number));
      if (!answer.stored && is_there) return note(found.returned, fmt::format("{} is there", answer.number));
    }
  }

  struct Answer {
    std::size_t position;
    int number;
    bool stored;
  };

  int written_ = 0;
  std::vector<Answer> answers_;
  Numbers there_;  // at the last look
  std::string problem_;
};

}  // namespace starling::storage::sqlite
