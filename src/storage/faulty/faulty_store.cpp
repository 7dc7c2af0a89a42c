#include "storage/faulty/faulty_store.h"

#include "storage/detail.h"

namespace starling::storage::faulty {

bool FaultyStore::next_fails() {
  auto left = fails_in_.load();
  while (left != 0 && !fails_in_.compare_exchange_weak(left, left - 1)) {
  }
  return left == 1 || fails_all_;
}

Task<Result<Committed>> FaultyStore::commit(Batch batch) {
  if (next_fails())
    return detail::ready<Result<Committed>>(fail(Errc::io, "The disk failed, as the test asked."));
  return inner_->commit(std::move(batch));
}

Task<Result<std::optional<Account>>> FaultyStore::account(std::string jid) {
  return inner_->account(std::move(jid));
}

Task<Result<std::vector<std::string>>> FaultyStore::accounts(std::string domain, std::string after,
                                                             std::size_t limit) {
  return inner_->accounts(std::move(domain), std::move(after), limit);
}

Task<Result<std::size_t>> FaultyStore::count_accounts() { return inner_->count_accounts(); }

Task<Result<std::optional<std::string>>> FaultyStore::value(std::string owner, std::string kind,
                                                            std::string key) {
  return inner_->value(std::move(owner), std::move(kind), std::move(key));
}

Task<Result<Entries>> FaultyStore::values(std::string owner, std::string kind) {
  return inner_->values(std::move(owner), std::move(kind));
}

Task<Result<std::vector<Entries>>> FaultyStore::values_of(std::string owner, std::vector<std::string> kinds) {
  return inner_->values_of(std::move(owner), std::move(kinds));
}

Task<Result<std::vector<ArchivedMessage>>> FaultyStore::undelivered(std::string owner, std::uint64_t after,
                                                                    std::size_t limit) {
  return inner_->undelivered(std::move(owner), after, limit);
}

Task<Result<TailSize>> FaultyStore::undelivered_size(std::string owner) {
  return inner_->undelivered_size(std::move(owner));
}

Task<Result<std::optional<SessionCounts>>> FaultyStore::session_counts(std::uint64_t session) {
  return inner_->session_counts(session);
}

Task<Result<ArchivePage>> FaultyStore::archive(ArchiveQuery query) {
  return inner_->archive(std::move(query));
}

Task<Result<ArchiveEnds>> FaultyStore::archive_ends(std::string account) {
  return inner_->archive_ends(std::move(account));
}

}  // namespace starling::storage::faulty
