#pragma once
// The embedded store: one file of SQLite in WAL mode, with every commit on disk before it is answered unless
// Options say otherwise. A writer thread, up to two reader threads started when reads come, and the
// undelivered tails' index in memory.
#include <span>

#include "storage/sqlite/readers.h"
#include "storage/sqlite/tail_index.h"
#include "storage/sqlite/writer.h"
#include "storage/store.h"

namespace starling::storage::sqlite {

class SqliteStore final : public Store {
 public:
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& file, Options options = {});
  // With other tables than this version's, for tests of migration.
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& file,
                                                   std::span<const char* const> steps, Options options = {});
  ~SqliteStore() override;

  Task<Result<Committed>> commit(Batch batch) override;
  Task<Result<std::optional<Account>>> account(std::string jid) override;
  Task<Result<std::vector<std::string>>> accounts(std::string domain, std::string after,
                                                  std::size_t limit) override;
  Task<Result<std::size_t>> count_accounts() override;
  Task<Result<std::optional<std::string>>> value(std::string owner, std::string kind,
                                                 std::string key) override;
  Task<Result<Entries>> values(std::string owner, std::string kind) override;
  Task<Result<std::vector<Entries>>> values_of(std::string owner, std::vector<std::string> kinds) override;
  Task<Result<std::vector<ArchivedMessage>>> undelivered(std::string owner, std::uint64_t after,
                                                         std::size_t limit) override;
  Task<Result<TailSize>> undelivered_size(std::string owner) override;
  Task<Result<std::optional<SessionCounts>>> session_counts(std::uint64_t session) override;
  Task<Result<ArchivePage>> archive(ArchiveQuery query) override;
  Task<Result<ArchiveEnds>> archive_ends(std::string account) override;
  MessageIds& ids() override { return ids_; }
  bool repeats(const std::string& fingerprint, std::int64_t stamp_ms) const override {
    return writer_.repeats().find(fingerprint, stamp_ms).has_value();
  }
  void close() override;

  // Transactions committed since the start; fewer than batches when they come together. Any thread.
  [[nodiscard]] std::uint64_t transactions() const { return writer_.transactions(); }

 private:
  explicit SqliteStore(const std::string& file)
      : recent_(ids_), writer_(tails_, recent_, ids_), readers_(file, tails_, recent_) {}

  // A Task for what `read` makes of a Reader, on one of the readers' threads.
  template <class T, class Read>
  Task<Result<T>> on_reader(Read read);

  MessageIds ids_;
  TailIndex tails_;
  RecentArchive recent_;
  Writer writer_;
  Readers readers_;
  std::atomic<bool> closed_ = false;
};

}  // namespace starling::storage::sqlite
