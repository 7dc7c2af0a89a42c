#include "storage/sqlite/sqlite_store.h"

#include "storage/detail.h"
#include "storage/sqlite/schema.h"

namespace starling::storage::sqlite {

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& file, Options options) {
  return open(file, schema(), options);
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& file,
                                                       std::span<const char* const> steps, Options options) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(file));
  if (auto opened = store->writer_.open(file, steps, options.durability); !opened)
    return std::unexpected(std::move(opened.error()));
  return store;
}

SqliteStore::~SqliteStore() { SqliteStore::close(); }

// Readers first: the last connection to close empties the log and removes it, and that one may write.
void SqliteStore::close() {
  closed_ = true;
  readers_.close();
  writer_.close();
}

template <class T, class Read>
Task<Result<T>> SqliteStore::on_reader(Read read) {
  Completion<Result<T>> done;
  const bool taken = readers_.submit(
      [answer = done.resolver(), read = std::move(read)](Reader& reader) { answer(read(reader)); });
  if (!taken) done.resolver()(detail::closed());
  return detail::wait_for(std::move(done));
}

Task<Result<Committed>> SqliteStore::commit(Batch batch) {
  Completion<Result<Committed>> done;
  writer_.commit(std::move(batch), done.resolver());
  return detail::wait_for(std::move(done));
}

Task<Result<std::optional<Account>>> SqliteStore::account(std::string jid) {
  return on_reader<std::optional<Account>>(
      [jid = std::move(jid)](Reader& reader) { return reader.account(jid); });
}

Task<Result<std::vector<std::string>>> SqliteStore::accounts(std::string domain, std::string after,
                                                             std::size_t limit) {
  return on_reader<std::vector<std::string>>(
      [domain = std::move(domain), after = std::move(after), limit](Reader& reader) {
        return reader.accounts(domain, after, limit);
      });
}

Task<Result<std::size_t>> SqliteStore::count_accounts() {
  return on_reader<std::size_t>([](Reader& reader) { return reader.count_accounts(); });
}

Task<Result<std::optional<std::string>>> SqliteStore::value(std::string owner, std::string kind,
                                                            std::string key) {
  return on_reader<std::optional<std::string>>(
      [owner = std::move(owner), kind = std::move(kind), key = std::move(key)](Reader& reader) {
        return reader.value(owner, kind, key);
      });
}

Task<Result<Entries>> SqliteStore::values(std::string owner, std::string kind) {
  return on_reader<Entries>(
      [owner = std::move(owner), kind = std::vector{std::move(kind)}](Reader& reader) -> Result<Entries> {
        auto all = reader.values_of(owner, kind);
        if (!all) return std::unexpected(std::move(all.error()));
        return std::move(all->front());
      });
}

Task<Result<std::vector<Entries>>> SqliteStore::values_of(std::string owner, std::vector<std::string> kinds) {
  return on_reader<std::vector<Entries>>([owner = std::move(owner), kinds = std::move(kinds)](
                                             Reader& reader) { return reader.values_of(owner, kinds); });
}

// Most who log in have no tail: the index knows without a read.
Task<Result<std::vector<ArchivedMessage>>> SqliteStore::undelivered(std::string owner, std::uint64_t after,
                                                                    std::size_t limit) {
  using R = Result<std::vector<ArchivedMessage>>;
  if (!closed_ && tails_.size(owner).messages == 0) return detail::ready<R>({});
  return on_reader<std::vector<ArchivedMessage>>([owner = std::move(owner), after, limit](Reader& reader) {
    return reader.undelivered(owner, after, limit);
  });
}

Task<Result<TailSize>> SqliteStore::undelivered_size(std::string owner) {
  using R = Result<TailSize>;
  return detail::ready<R>(closed_ ? R(detail::closed()) : R(tails_.size(owner)));
}

Task<Result<std::optional<SessionCounts>>> SqliteStore::session_counts(std::uint64_t session) {
  return on_reader<std::optional<SessionCounts>>(
      [session](Reader& reader) { return reader.session_counts(session); });
}

Task<Result<ArchivePage>> SqliteStore::archive(ArchiveQuery query) {
  return on_reader<ArchivePage>([query = std::move(query)](Reader& reader) { return reader.archive(query); });
}

Task<Result<ArchiveEnds>> SqliteStore::archive_ends(std::string account) {
  return on_reader<ArchiveEnds>(
      [account = std::move(account)](Reader& reader) { return reader.archive_ends(account); });
}

}  // namespace starling::storage::sqlite
