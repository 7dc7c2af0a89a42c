#include "storage/sqlite/checkpointer.h"

#include <algorithm>
#include <vector>

#include <sqlite3.h>

namespace starling::storage::sqlite {
namespace {

constexpr int kMaxPages = 8192;  // of the log, more or less
// What is answered before it is on the disk is there after this time.
constexpr std::chrono::milliseconds kUnsynced{1000};
constexpr sqlite3_int64 kPiece = 1 << 16;  // SQLite writes no more at once, and its VFS cannot

int note_pages(void* pages, sqlite3* /*database*/, const char* /*name*/, int in_log) {
  *static_cast<int*>(pages) = in_log;
  return SQLITE_OK;
}

}  // namespace

void Checkpointer::open(Database& database, Durability durability) {
  database_ = &database;
  durability_ = durability;
  sqlite3_wal_hook(database.raw(), note_pages, &pages_);
}

// SQLite would move the log by itself, and knows nothing of what a sync has lost.
void Checkpointer::close() {
  if (torn_ && database_ != nullptr && database_->is_open())
    sqlite3_db_config(database_->raw(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

bool Checkpointer::is_due(bool soon) const {
  if (pages_ == 0) return false;
  const auto since = std::chrono::steady_clock::now() - tried_;
  // Not with every commit, even when a reader or the disk leaves it as long as it is.
  if (soon || pages_ >= kMaxPages) return since >= kIdle;
  return durability_ == Durability::process && since >= kUnsynced;
}

Result<void> Checkpointer::run() {
  tried_ = std::chrono::steady_clock::now();
  auto done = sync();
  return done ? move() : done;
}

// SQLite syncs the log as well, but only when there is something to move: what a reader holds back would not
// come to the disk. And after a sync that failed it syncs again, while the kernel has forgotten what it did
// not write: pages would go into the database from a log that has holes on the disk. So all is written again,
// over itself, as long as the kernel has it.
Result<void> Checkpointer::sync() {
  sqlite3_file* log = nullptr;
  int code =
      sqlite3_file_control(database_->raw(), nullptr, SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log));
  if (code == SQLITE_OK && torn_) code = rewrite(*log);
  torn_ = true;
  if (code == SQLITE_OK) code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (code != SQLITE_OK) return database_->error(code);
  torn_ = false;
  return {};
}

int Checkpointer::rewrite(sqlite3_file& log) const {
  sqlite3_int64 size = 0;
  int code = log.pMethods->xFileSize(&log, &size);
  std::vector<char> bytes(static_cast<std::size_t>(std::min(size, kPiece)));
  for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += kPiece) {
    const int count = static_cast<int>(std::min(size - at, kPiece));
    code = log.pMethods->xRead(&log, bytes.data(), count, at);
    if (code == SQLITE_OK) code = log.pMethods->xWrite(&log, bytes.data(), count, at);
  }
  return code;
}

Result<void> Checkpointer::move() {
  int in_log = 0;
  int moved = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(database_->raw(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
  if (code == SQLITE_BUSY) return {};  // somebody else does it
  if (code != SQLITE_OK) return database_->error(code);
  if (moved == in_log) pages_ = 0;
  return {};
}

}  // namespace starling::storage::sqlite
