#pragma once
// The one thread that writes. It takes all batches that wait, runs them in one transaction, commits once, and
// answers with one post a loop. While it waits for the disk the next group gathers.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "storage/repeat_window.h"
#include "storage/sqlite/archive_index.h"
#include "storage/sqlite/checkpointer.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/session_table.h"
#include "storage/sqlite/tail_index.h"
#include "storage/store.h"

namespace starling::storage::sqlite {

class Writer {
 public:
  using Resolver = Completion<Result<Committed>>::Resolver;

  Writer(TailIndex& tails, RecentArchive& recent, MessageIds& ids)
      : tails_(tails), index_(messages_, recent, ids), ids_(ids), own_ids_(ids) {}
  ~Writer() { close(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Opens or makes the database, migrates it, fills the tail index and starts the thread. Call once.
  Result<void> open(const std::string& file, std::span<const char* const> steps, Durability durability);

  // Any loop's thread; answers on that loop.
  void commit(Batch batch, const Resolver& answer);

  // Writes what waits, moves the log into the database and ends the thread.
  void close();

  [[nodiscard]] const RepeatWindow& repeats() const { return repeats_; }
  [[nodiscard]] std::uint64_t transactions() const { return transactions_; }

 private:
  struct Request {
    Batch batch;
    Loop* loop;
    Resolver answer;
    Result<Committed> result;
  };
  using Group = std::vector<Request>;
  struct Answers {
    Group group;
    std::size_t next = 0;
    void operator()();
  };

  struct Statements {
    Statement begin, commit, rollback, has_account, put_account, set_keys, set_last_seen, delete_account,
        delete_owner, put_value, delete_value, delete_kind, reserve_ids, add_repeat, drop_repeats;
  };

  Result<void> prepare();
  Result<void> fill_tails();

  void run();
  // The next group, or an empty one when it is time to tidy up.
  Group next_group();
  void write_group(Group& group);
  Result<void> write_all(Group& group);
  Result<void> write_batch(Request& request);
  Result<void> write(const PutAccount& put, Committed& committed);
  Result<void> write(const SetKeys& set, Committed& committed);
  Result<void> write(const SetLastSeen& set, Committed& committed);
  Result<void> write(const DeleteAccount& gone, Committed& committed);
  Result<void> write(const PutValue& put, Committed& committed);
  Result<void> write(const DeleteValue& gone, Committed& committed);
  Result<void> write(const DeleteKind& gone, Committed& committed);
  Result<void> write(const Append& append, Committed& committed);
  Result<void> write(const MarkDelivered& mark, Committed& committed);
  Result<void> write(const MarkOneDelivered& mark, Committed& committed);
  Result<void> write(const MarkSent& mark, Committed& committed);
  Result<void> write(const Receive& receive, Committed& committed);
  Result<void> write(const Sent& sent, Committed& committed);
  Result<void> write(const ForgetSession& gone, Committed& committed);
  Result<void> write(const ReplaceStanza& replace, Committed& committed);
  Result<void> write(const Expire& expire, Committed& committed);
  Result<void> fill_repeats();
  Result<void> drop_repeats();
  Result<void> write_behind();
  bool step_behind();
  void rollback();
  void undo();
  Result<void> run_commit();
  Result<void> withdraw();
  Result<void> release_gone();
  Result<void> reserve_ids();
  void doom(std::string_view owner, std::uint64_t up_to);
  void index_new_appends();
  void settle_taken();
  static void answer(Group group);
  void works_again(bool& failing);
  void checkpoint();
  void vacuum();
  void tidy();

  TailIndex& tails_;
  Database database_;
  Checkpointer log_;
  Statements sql_;
  SessionTable sessions_;
  MessageTable messages_;
  ArchiveIndex index_;
  RepeatWindow repeats_;

  // Of the thread alone.
  MessageIds& ids_;
  MessageIds::Taker own_ids_;
  Durability durability_ = Durability::disk;
  std::vector<std::uint64_t> taken_ids_;  // for this group
  std::uint64_t reserved_ = 0;            // as it is in the database: ids up to it may have been given
  bool in_doubt_ = false;                 // a group that failed could be in the log as if it had not
  bool failing_ = false;                  // the last thing that was to be written was not
  bool stuck_ = false;                    // the last checkpoint failed
  bool crowded_ = false;                  // the last group had more than one batch
  std::vector<TailChange> changes_;       // of this group, for the index once it is committed
  std::vector<std::uint64_t> gone_ids_;   // messages that leave their tails with this group
  // Ids that this group has appended, by owner, from the first changes_; made only for groups that also
  // remove.
  std::unordered_map<std::string_view, std::vector<std::uint64_t>> new_ids_;
  std::size_t changes_indexed_ = 0;
  std::size_t repeats_added_ = 0;      // by this group
  std::uint64_t repeats_dropped_ = 0;  // the table `repeat` has none below this id

  std::atomic<std::uint64_t> transactions_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  Group queue_;
  std::size_t queued_bytes_ = 0;
  bool waiting_ = false;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace starling::storage::sqlite
