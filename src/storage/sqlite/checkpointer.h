#pragma once
// Brings the writer's log to the disk and moves it into the database. Of the writer's thread, beside its
// Database.
#include <chrono>

#include "storage/options.h"
#include "storage/sqlite/database.h"

struct sqlite3_file;

namespace starling::storage::sqlite {

class Checkpointer {
 public:
  // Nobody has written for so long; and nothing that failed is tried again sooner.
  static constexpr std::chrono::milliseconds kIdle{200};

  // Counts what the database commits from now on.
  void open(Database& database, Durability durability);
  // Before the database is closed.
  void close();

  // Syncs the log, and moves of it what no reader holds back. An error: it may not be on the disk, or not in
  // the database.
  Result<void> run();

  // The log has what is not in the database, or was not when it was last looked at.
  [[nodiscard]] bool has_work() const { return pages_ != 0; }
  // It is too long by now, or what was answered is not on the disk for too long. `soon`: somebody waits.
  [[nodiscard]] bool is_due(bool soon) const;

 private:
  Result<void> sync();
  int rewrite(sqlite3_file& log) const;
  Result<void> move();

  Database* database_ = nullptr;
  Durability durability_ = Durability::disk;
  std::chrono::steady_clock::time_point tried_;
  int pages_ = 0;     // in the log, when some of them are not in the database
  bool torn_ = true;  // a sync of it may have failed; of a process that was killed nobody knows
};

}  // namespace starling::storage::sqlite
