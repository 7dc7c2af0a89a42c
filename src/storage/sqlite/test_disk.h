#pragma once
// A disk that forgets what was not synced. While a TestDisk lives it is SQLite's default VFS: it hands
// everything but syncs on to the real one and writes down what was done, in order. A Replay then gives the
// files as a loss of power at any point would leave them: what was synced, and of the rest nothing, all (that
// is what a killed process leaves), or any sectors of it. A write that is cut short leaves the bytes around
// it alone (SQLITE_IOCAP_POWERSAFE_OVERWRITE, as SQLite assumes). A sync that failed writes any of it too,
// and what it did not write no later sync will, unless it is written again: as Linux does. Any thread.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <sqlite3.h>

namespace starling::storage::sqlite {

class TestDisk {
 public:
  struct Operation {
    enum class Kind : std::uint8_t { create, remove, write, truncate, sync, failed_sync };
    Kind kind;
    std::size_t file = 0;    // each that was ever created has a number of its own
    std::string name = {};   // create, remove
    sqlite3_int64 at = 0;    // write, truncate
    std::string bytes = {};  // write
    bool directory = false;  // sync, remove: and the directory is synced
  };
  using Recording = std::vector<Operation>;

  TestDisk() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
    vfs_.zName = "test-disk";
    vfs_.pNext = nullptr;
    vfs_.pAppData = this;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.xOpen = &TestDisk::open;
    vfs_.xDelete = &TestDisk::remove;
    sqlite3_vfs_register(&vfs_, 1);
  }
  ~TestDisk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(real_, 1);
  }
  TestDisk(const TestDisk&) = delete;
  TestDisk& operator=(const TestDisk&) = delete;

  // The next `count` syncs fail.
  void fail_syncs(int count) {
    std::lock_guard lock(mutex_);
    failures_ = count;
  }
  // The next `count` writes end in the middle, with an error.
  void fail_writes(int count) {
    std::lock_guard lock(mutex_);
    bad_writes_ = count;
  }
  // As long as it is full no file can grow.
  void fill(bool full) {
    std::lock_guard lock(mutex_);
    full_ = full;
  }
  // How many operations there were.
  std::size_t position() {
    std::lock_guard lock(mutex_);
    return recording_.size();
  }
  // Until all that was written to the log is on the disk; in the database, on the disk; until all has failed
  // that was to fail. False if it has not come to that within a minute.
  bool wait_for_sync() {
    return wait([this] { return log_synced_ > log_written_; });
  }
  bool wait_for_checkpoint() {
    return wait([this] { return database_synced_ > log_written_; });
  }
  bool wait_for_failures() {
    return wait([this] { return failures_ == 0 && bad_writes_ == 0; });
  }
  Recording recording() {
    std::lock_guard lock(mutex_);
    return recording_;
  }

 private:
  using Kind = Operation::Kind;

  // Followed by the real one.
  struct File {
    sqlite3_file base;
    TestDisk* disk;
    std::size_t number;
    bool temporary, database;
    bool new_name;  // its first sync makes its name last as well

    static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };

  static TestDisk& of(sqlite3_vfs* vfs) { return *static_cast<TestDisk*>(vfs->pAppData); }

  void note(Operation operation) {
    recording_.push_back(std::move(operation));
    happened_.notify_all();
  }

  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return happened_.wait_for(lock, std::chrono::minutes(1), condition);
  }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* opened, int flags, int* given) {
    auto& disk = of(vfs);
    auto& file = File::of(opened);
    file = {.base = {},
            .disk = &disk,
            .number = 0,
            .temporary = name == nullptr || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0,
            .database = (flags & SQLITE_OPEN_MAIN_DB) != 0,
            .new_name = false};
    std::lock_guard lock(disk.mutex_);
    if (const int code = disk.real_->xOpen(disk.real_, name, file.real(), flags, given); code != SQLITE_OK)
      return code;
    file.base.pMethods = &kMethods;
    if (file.temporary) return SQLITE_OK;
    auto [known, is_new] = disk.files_.try_emplace(name, disk.next_);
    if (is_new) {
      disk.note({.kind = Kind::create, .file = disk.next_++, .name = name});
      file.new_name = !file.database;  // as the real one does with logs and journals
    }
    file.number = known->second;
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* vfs, const char* name, int sync_directory) {
    auto& disk = of(vfs);
    std::lock_guard lock(disk.mutex_);
    const int code = disk.real_->xDelete(disk.real_, name, sync_directory);
    if (code == SQLITE_OK && disk.files_.erase(name) != 0)
      disk.note({.kind = Kind::remove, .name = name, .directory = sync_directory != 0});
    return code;
  }

  static int write(sqlite3_file* opened, const void* bytes, int size, sqlite3_int64 at) {
    auto& file = File::of(opened);
    if (file.temporary) return file.real()->pMethods->xWrite(file.real(), bytes, size, at);
    auto& disk = *file.disk;
    std::lock_guard lock(disk.mutex_);
    const auto [answer, written] = disk.outcome(file, size, at);
    if (written == 0) return answer;
    const int code = file.real()->pMethods->xWrite(file.real(), bytes, written, at);
    if (code != SQLITE_OK) return code;
    if (!file.database) disk.log_written_ = disk.recording_.size();
    disk.note({.kind = Kind::write,
               .file = file.number,
               .at = at,
               .bytes = std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(written))});
    return answer;
  }

  // Of a write: what SQLite is told, and how much of it happens.
  std::pair<int, int> outcome(File& file, int size, sqlite3_int64 at) {
    if (bad_writes_ > 0) {
      --bad_writes_;
      happened_.notify_all();
      return {SQLITE_IOERR_WRITE, size / 2};
    }
    sqlite3_int64 end = 0;
    file.real()->pMethods->xFileSize(file.real(), &end);
    if (!full_ || at + size <= end) return {SQLITE_OK, size};
    return {SQLITE_FULL, static_cast<int>(std::max(end - at, sqlite3_int64{0}))};
  }

  static int truncate(sqlite3_file* opened, sqlite3_int64 size) {
    auto& file = File::of(opened);
    std::lock_guard lock(file.disk->mutex_);
    const int code = file.real()->pMethods->xTruncate(file.real(), size);
    if (code == SQLITE_OK && !file.temporary)
      file.disk->note({.kind = Kind::truncate, .file = file.number, .at = size});
    return code;
  }

  static int sync(sqlite3_file* opened, int /*flags*/) {
    auto& file = File::of(opened);
    if (file.temporary) return SQLITE_OK;
    auto& disk = *file.disk;
    std::lock_guard lock(disk.mutex_);
    if (disk.failures_ > 0) {
      --disk.failures_;
      disk.note({.kind = Kind::failed_sync, .file = file.number});
      return SQLITE_IOERR_FSYNC;
    }
    (file.database ? disk.database_synced_ : disk.log_synced_) = disk.recording_.size();
    disk.note({.kind = Kind::sync, .file = file.number, .directory = std::exchange(file.new_name, false)});
    return SQLITE_OK;
  }

  // What has no part in it.
  template <auto Method, class... Arguments>
  static auto pass(sqlite3_file* opened, Arguments... arguments) {
    auto* real = File::of(opened).real();
    return (real->pMethods->*Method)(real, arguments...);
  }

  static const sqlite3_io_methods kMethods;

  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::mutex mutex_;
  std::condition_variable happened_;
  Recording recording_;
  std::map<std::string, std::size_t> files_;  // those that are there, by name
  std::size_t next_ = 0;
  int failures_ = 0;
  int bad_writes_ = 0;
  bool full_ = false;
  std::size_t log_written_ = 0, log_synced_ = 0, database_synced_ = 0;  // at which operation, the last time
};

inline const sqlite3_io_methods TestDisk::kMethods{
    .iVersion = 2,  // no mapped pages: they would be written behind its back
    .xClose = &pass<&sqlite3_io_methods::xClose>,
    .xRead = &pass<&sqlite3_io_methods::xRead>,
    .xWrite = &write,
    .xTruncate = &truncate,
    .xSync = &sync,
    .xFileSize = &pass<&sqlite3_io_methods::xFileSize>,
    .xLock = &pass<&sqlite3_io_methods::xLock>,
    .xUnlock = &pass<&sqlite3_io_methods::xUnlock>,
    .xCheckReservedLock = &pass<&sqlite3_io_methods::xCheckReservedLock>,
    .xFileControl = &pass<&sqlite3_io_methods::xFileControl>,
    .xSectorSize = &pass<&sqlite3_io_methods::xSectorSize>,
    .xDeviceCharacteristics = &pass<&sqlite3_io_methods::xDeviceCharacteristics>,
    .xShmMap = &pass<&sqlite3_io_methods::xShmMap>,
    .xShmLock = &pass<&sqlite3_io_methods::xShmLock>,
    .xShmBarrier = &pass<&sqlite3_io_methods::xShmBarrier>,
    .xShmUnmap = &pass<&sqlite3_io_methods::xShmUnmap>,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

// What becomes of what was not synced.
enum class Unsynced : std::uint8_t { none, all, some };

// Goes through a recording from its beginning.
class Replay {
 public:
  Replay(Unsynced unsynced, unsigned seed) : unsynced_(unsynced), random_(seed) {}

  void apply(const TestDisk::Operation& done) {
    using Kind = TestDisk::Operation::Kind;
    auto& file = files_[done.file];
    switch (done.kind) {
      case Kind::create:
        names_.pending.push_back({done.name, done.file, true});
        break;
      case Kind::remove:
        names_.pending.push_back({done.name, 0, false});
        break;
      case Kind::write:
        for (std::size_t from = 0; from < done.bytes.size();) {
          const auto at = static_cast<std::size_t>(done.at) + from;
          const auto size = std::min(kSector - at % kSector, done.bytes.size() - from);
          file.pending.push_back({at, done.bytes.substr(from, size), false});
          from += size;
        }
        break;
      case Kind::truncate:
        file.pending.push_back({static_cast<std::size_t>(done.at), "", true});
        break;
      case Kind::sync:
        for (const auto& piece : std::exchange(file.pending, {})) piece.put(file.synced);
        break;
      case Kind::failed_sync:
        for (const auto& piece : std::exchange(file.pending, {}))
          if (happens()) piece.put(file.synced);
        break;
    }
    if (done.directory)
      for (const auto& change : std::exchange(names_.pending, {})) change.put(names_.synced);
  }

  // The files as they are found again, by name. With `some` another choice at each call.
  std::map<std::string, std::string> lose_power() {
    auto names = names_.synced;
    for (const auto& change : names_.pending)
      if (happens()) change.put(names);
    std::map<std::string, std::string> found;
    for (const auto& [name, number] : names) {
      auto bytes = files_[number].synced;
      for (const auto& piece : files_[number].pending)
        if (happens()) piece.put(bytes);
      found.emplace(name, std::move(bytes));
    }
    return found;
  }

 private:
  static constexpr std::size_t kSector = 512;

  struct Piece {
    std::size_t at;
    std::string bytes;
    bool ends;  // the file

    void put(std::string& file) const {
      if (ends || file.size() < at + bytes.size()) file.resize(at + bytes.size());
      file.replace(at, bytes.size(), bytes);
    }
  };
  struct Name {
    std::string name;
    std::size_t file;
    bool is_there;

    void put(std::map<std::string, std::size_t>& names) const {
      if (is_there)
        names[name] = file;
      else
        names.erase(name);
    }
  };
  struct File {
    std::string synced;
    std::vector<Piece> pending;
  };
  struct Names {
    std::map<std::string, std::size_t> synced;
    std::vector<Name> pending;
  };

  bool happens() { return unsynced_ == Unsynced::some ? random_() % 2 == 0 : unsynced_ == Unsynced::all; }

  Unsynced unsynced_;
  std::minstd_rand random_;
  std::map<std::size_t, File> files_;
  Names names_;
};

}  // namespace starling::storage::sqlite
