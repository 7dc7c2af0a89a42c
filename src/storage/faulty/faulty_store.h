#pragma once
// A store whose writes fail on demand with Errc::io, and are then not done: for tests of what stands above a
// store. Reads and the writes that do not fail are those of the store it wraps. Any thread may call what is
// new here.
#include <atomic>

#include "storage/store.h"

namespace starling::storage::faulty {

class FaultyStore final : public Store {
 public:
  explicit FaultyStore(std::unique_ptr<Store> inner) : inner_(std::move(inner)) {}

  // The nth commit() from now fails: 1 is the next, 0 none.
  void fail_write(std::uint64_t nth) { fails_in_ = nth; }
  // While it is true every commit() fails.
  void fail_all(bool on) { fails_all_ = on; }
  [[nodiscard]] Store& inner() { return *inner_; }

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
  MessageIds& ids() override { return inner_->ids(); }
  bool repeats(const std::string& fingerprint, std::int64_t stamp_ms) const override {
    return inner_->repeats(fingerprint, stamp_ms);
  }
  void close() override { inner_->close(); }

 private:
  bool next_fails();

  std::unique_ptr<Store> inner_;
  std::atomic<std::uint64_t> fails_in_ = 0;
  std::atomic<bool> fails_all_ = false;
};

}  // namespace starling::storage::faulty
