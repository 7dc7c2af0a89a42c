#pragma once
// A store that forgets: for tests and for trying the server out. Calls take effect at once, on the calling
// thread, under one lock (several loops may share it); results are posted, so that callers see the same
// asynchrony as with a disk.
#include <map>
#include <mutex>
#include <unordered_map>

#include "storage/memory/memory_archive.h"
#include "storage/repeat_window.h"
#include "storage/store.h"

namespace starling::storage {

class MemoryStore final : public Store {
 public:
  MemoryStore() { ids_.reserve(std::numeric_limits<std::uint64_t>::max()); }
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
    return repeats_.find(fingerprint, stamp_ms).has_value();
  }
  void close() override;

 private:
  using Kind = std::map<std::string, std::string>;
  using Tail = std::map<std::uint64_t, ArchivedMessage>;

  Result<Committed> apply(Batch& batch);
  [[nodiscard]] Entries entries_of(const std::string& owner, const std::string& kind) const;

  std::mutex mutex_;
  bool closed_ = false;
  MessageIds ids_;
  MessageIds::Taker own_ids_{ids_};
  std::map<std::string, Account> accounts_;
  std::unordered_map<std::string, std::unordered_map<std::string, Kind>> values_;  // by owner, by kind
  std::unordered_map<std::string, Tail> tails_;                                    // by owner
  std::unordered_map<std::uint64_t, SessionCounts> sessions_;
  MemoryArchive archive_;
  RepeatWindow repeats_;
};

}  // namespace starling::storage
