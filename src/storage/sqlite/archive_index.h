#pragma once
// What runs behind the log of messages, some at a time beside the groups that are committed: runs of the
// newest messages go into the indexes, sorted, since neighbours share pages and dirty pages are what a write
// costs; and what archives have lost is swept out. A mark in the database says up to where the indexes reach;
// what lies beyond is read from the log at the start. Writer's thread, inside its transaction.
#include <memory>
#include <vector>

#include "storage/sqlite/message_table.h"
#include "storage/sqlite/recent_archive.h"

namespace starling::storage::sqlite {

class ArchiveIndex {
 public:
  ArchiveIndex(MessageTable& messages, RecentArchive& recent, const MessageIds& ids)
      : messages_(messages), recent_(recent), ids_(ids) {}

  // Loads what the mark and the log say.
  Result<void> open(Database& database);
  // The database can be closed.
  void close();
  [[nodiscard]] std::uint64_t mark() const { return mark_; }

  // An account's archive is gone, up to `next_id` exclusive.
  Result<void> forget(std::string_view jid, std::uint64_t next_id);
  Result<void> expire(const Expire& expire);

  [[nodiscard]] bool busy() const;
  // Some of what is to be done.
  Result<void> step();
  // The transaction is written, or undone.
  void committed();
  void rolled_back();

 private:
  // A run on its way into the indexes: first all by account and id, then by account and party, then the
  // messages that are undelivered. `done` counts over all three.
  struct Run {
    std::shared_ptr<const RecentArchive::Run> by_id;
    RecentArchive::Run by_party;
    std::vector<std::uint64_t> undelivered;
    std::uint64_t last_id = 0;
    std::size_t done = 0;
    bool ended = false;
  };
  struct Sweep {
    bool fresh = false;    // what waits goes into the index first, since limits count what is there
    bool wanted = false;   // the table `sweep` may have an account
    bool walking = false;  // through all accounts, for Expire
    std::uint64_t walked = 0;
    std::uint64_t messages = 0, bytes = 0;  // Expire's
  };

  void begin_run();
  Result<void> index_some();
  Result<std::size_t> index_by_id(std::size_t from, std::size_t most);
  Result<void> count(std::uint64_t account, std::uint64_t first_id, std::size_t messages, std::size_t bytes);
  Result<void> end_run();
  Result<void> sweep_some();
  Result<void> trim(std::uint64_t account, std::uint64_t messages, std::uint64_t bytes);
  // Up to `most` of what the account's archive has lost; how many there were.
  Result<std::size_t> sweep(std::uint64_t account, std::uint64_t below, std::size_t most);

  MessageTable& messages_;
  RecentArchive& recent_;
  const MessageIds& ids_;
  Statement insert_, insert_party_, insert_tail_, count_, set_mark_, put_block_, want_sweep_, first_sweep_,
      end_sweep_, next_party_, oldest_, delete_, delete_party_, first_after_;
  std::uint64_t mark_ = 0;
  std::vector<std::uint64_t> undelivered_;  // appended since the last run began
  Run run_;
  std::size_t run_committed_ = 0;  // run_.done as it is in the database
  Sweep sweep_;
  Sweep sweep_committed_;
};

}  // namespace starling::storage::sqlite
