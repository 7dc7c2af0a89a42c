#include "storage/sqlite/readers.h"

#include <limits>

#include <pthread.h>

#include "storage/sqlite/message_table.h"

namespace starling::storage::sqlite {
namespace {

Result<ScramKeys> keys_at(const Statement& row, int column) {
  ScramKeys keys{row.string(column), row.string(column + 1), row.string(column + 2), 0};
  const std::int64_t iterations = row.integer(column + 3);
  if (iterations < 0 || iterations > std::numeric_limits<std::uint32_t>::max())
    return fail(Errc::corrupt,
                fmt::format("An account is stored with {} iterations of its key.", iterations));
  keys.iterations = static_cast<std::uint32_t>(iterations);
  return keys;
}

std::int64_t as_limit(std::size_t limit) {
  return static_cast<std::int64_t>(
      std::min(limit, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())));
}

}  // namespace

Result<void> Reader::open() {
  if (database_.is_open()) return {};
  if (auto opened = database_.open(file_, Database::Access::read); !opened) return opened;
  return database_.execute("PRAGMA cache_size=-8192");
}

Result<Statement*> Reader::use(Query& query) {
  if (auto opened = open(); !opened) return std::unexpected(std::move(opened.error()));
  if (!query.statement) {
    auto prepared = database_.prepare(query.text);
    if (!prepared) return std::unexpected(std::move(prepared.error()));
    query.statement = std::move(*prepared);
  }
  return &*query.statement;
}

template <class T, class Read>
Result<T> Reader::in_snapshot(Read read) {
  auto begin = use(begin_);
  if (!begin) return std::unexpected(std::move(begin.error()));
  auto end = use(end_);
  if (!end) return std::unexpected(std::move(end.error()));
  if (auto begun = (*begin)->run(); !begun) return std::unexpected(std::move(begun.error()));
  Result<T> result = read();
  if (auto ended = (*end)->run(); !ended && result) return std::unexpected(std::move(ended.error()));
  return result;
}

Result<std::optional<Account>> Reader::account(const std::string& jid) {
  auto query = use(account_);
  if (!query) return std::unexpected(std::move(query.error()));
  Statement& row = **query;
  Using scope(row);
  const auto found = row.bind(1, jid).step();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  auto sha1 = keys_at(row, 0);
  if (!sha1) return std::unexpected(std::move(sha1.error()));
  auto sha256 = keys_at(row, 4);
  if (!sha256) return std::unexpected(std::move(sha256.error()));
  return Account{jid,
                 std::move(*sha1),
                 std::move(*sha256),
                 row.integer(8) != 0,
                 row.integer(9),
                 row.integer(10),
                 row.string(11)};
}

Result<std::vector<std::string>> Reader::accounts(const std::string& domain, const std::string& after,
                                                  std::size_t limit) {
  auto query = use(domain.empty() ? accounts_ : accounts_of_domain_);
  if (!query) return std::unexpected(std::move(query.error()));
  Statement& row = **query;
  Using scope(row);
  row.bind(1, after).bind(2, as_limit(limit));
  if (!domain.empty()) row.bind(3, domain);
  std::vector<std::string> jids;
  for (;;) {
    const auto found = row.step();
    if (!found) return std::unexpected(found.error());
    if (!*found) return jids;
    jids.push_back(row.string(0));
  }
}

Result<std::size_t> Reader::count_accounts() {
  auto query = use(count_);
  if (!query) return std::unexpected(std::move(query.error()));
  Using scope(**query);
  const auto found = (*query)->step();
  if (!found) return std::unexpected(found.error());
  return static_cast<std::size_t>((*query)->integer(0));
}

Result<std::optional<std::string>> Reader::value(const std::string& owner, const std::string& kind,
                                                 const std::string& key) {
  auto query = use(value_);
  if (!query) return std::unexpected(std::move(query.error()));
  Using scope(**query);
  const auto found = (*query)->bind(1, owner).bind(2, kind).bind(3, key).step();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  return (*query)->string(0);
}

Result<std::vector<Entries>> Reader::values_of(const std::string& owner,
                                               const std::vector<std::string>& kinds) {
  auto query = use(values_);
  if (!query) return std::unexpected(std::move(query.error()));
  Statement& row = **query;
  return in_snapshot<std::vector<Entries>>([&]() -> Result<std::vector<Entries>> {
    std::vector<Entries> all;
    all.reserve(kinds.size());
    for (const auto& kind : kinds) {
      Using scope(row);
      row.bind(1, owner).bind(2, kind);
      auto& entries = all.emplace_back();
      for (;;) {
        const auto found = row.step();
        if (!found) return std::unexpected(found.error());
        if (!*found) break;
        entries.emplace_back(row.string(0), row.string(1));
      }
    }
    return all;
  });
}

// The index may be a commit behind the snapshot, so an id without a row was delivered a moment ago; and as
// the caller takes an empty answer for the end, the next ids are tried in its place.
Result<std::vector<ArchivedMessage>> Reader::undelivered(const std::string& owner, std::uint64_t after,
                                                         std::size_t limit) {
  auto query = use(message_);
  if (!query) return std::unexpected(std::move(query.error()));
  Statement& row = **query;
  return in_snapshot<std::vector<ArchivedMessage>>([&]() -> Result<std::vector<ArchivedMessage>> {
    std::vector<ArchivedMessage> messages;
    std::vector<std::uint64_t> ids;
    while (messages.size() < limit) {
      ids.clear();
      tails_.collect(owner, after, std::numeric_limits<std::uint64_t>::max(), limit - messages.size(), ids);
      if (ids.empty()) break;
      after = ids.back();
      for (const auto id : ids) {
        Using scope(row);
        const auto found = row.bind(1, static_cast<std::int64_t>(id)).step();
        if (!found) return std::unexpected(found.error());
        if (!*found) continue;
        if (row.bytes(0) != owner)
          return fail(Errc::corrupt, fmt::format("The stored message {} has changed its owner.", id));
        messages.push_back({id, owner, row.string(1), row.integer(2), true, row.string(3),
                            static_cast<std::uint64_t>(row.integer(4)),
                            static_cast<std::uint32_t>(row.integer(5)), (row.integer(6) & kForOwner) != 0});
      }
    }
    return messages;
  });
}

Result<std::optional<SessionCounts>> Reader::session_counts(std::uint64_t session) {
  auto query = use(session_);
  if (!query) return std::unexpected(std::move(query.error()));
  return read_session(**query, session);
}

Result<ArchivePage> Reader::archive(const ArchiveQuery& query) {
  if (auto opened = open(); !opened) return std::unexpected(std::move(opened.error()));
  return archive_.page(database_, query);
}

Result<ArchiveEnds> Reader::archive_ends(const std::string& account) {
  if (auto opened = open(); !opened) return std::unexpected(std::move(opened.error()));
  return archive_.ends(database_, account);
}

bool Readers::submit(Read read) {
  {
    std::lock_guard lock(mutex_);
    if (closing_) return false;
    queue_.push_back(std::move(read));
    if (queue_.size() > idle_ && threads_.size() < kThreads) threads_.emplace_back([this] { run(); });
  }
  wake_.notify_one();
  return true;
}

void Readers::close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Readers::run() {
  pthread_setname_np(pthread_self(), "store-reader");
  Reader reader(file_, tails_, recent_);
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return !queue_.empty() || closing_; });
    --idle_;
    if (queue_.empty()) return;
    Read read = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    read(reader);
    read = {};
    lock.lock();
  }
}

}  // namespace starling::storage::sqlite
