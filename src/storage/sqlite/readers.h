#pragma once
// Reads of the database, on threads and connections of their own: they see the last commit and wait for no
// writer.
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "storage/sqlite/archive_reader.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/session_table.h"
#include "storage/sqlite/tail_index.h"
#include "storage/store.h"

namespace starling::storage::sqlite {

// One connection, opened at the first read; its calls block. One thread.
class Reader {
 public:
  Reader(std::string file, const TailIndex& tails, const RecentArchive& recent)
      : file_(std::move(file)), tails_(tails), archive_(recent) {}

  Result<std::optional<Account>> account(const std::string& jid);
  Result<std::vector<std::string>> accounts(const std::string& domain, const std::string& after,
                                            std::size_t limit);
  Result<std::size_t> count_accounts();
  Result<std::optional<std::string>> value(const std::string& owner, const std::string& kind,
                                           const std::string& key);
  Result<std::vector<Entries>> values_of(const std::string& owner, const std::vector<std::string>& kinds);
  Result<std::vector<ArchivedMessage>> undelivered(const std::string& owner, std::uint64_t after,
                                                   std::size_t limit);
  Result<std::optional<SessionCounts>> session_counts(std::uint64_t session);
  Result<ArchivePage> archive(const ArchiveQuery& query);
  Result<ArchiveEnds> archive_ends(const std::string& account);

 private:
  // Prepared on first use.
  struct Query {
    const char* text;
    std::optional<Statement> statement = std::nullopt;
  };
  Result<void> open();
  Result<Statement*> use(Query& query);
  // Runs `read` on one state of the database.
  template <class T, class Read>
  Result<T> in_snapshot(Read read);

  std::string file_;
  const TailIndex& tails_;
  Database database_;
  ArchiveReader archive_;
  Query begin_{"BEGIN"};
  Query end_{"COMMIT"};
  Query account_{
      "SELECT sha1_salt, sha1_stored, sha1_server, sha1_iterations, sha256_salt, sha256_stored, "
      "sha256_server, sha256_iterations, disabled, created_at, last_seen, last_status FROM account "
      "WHERE jid=?1"};
  Query accounts_{"SELECT jid FROM account WHERE jid>?1 ORDER BY jid LIMIT ?2"};
  Query accounts_of_domain_{"SELECT jid FROM account WHERE jid>?1 AND domain=?3 ORDER BY jid LIMIT ?2"};
  Query count_{"SELECT count(*) FROM account"};
  Query value_{"SELECT value FROM value WHERE owner=?1 AND kind=?2 AND key=?3"};
  Query values_{"SELECT key, value FROM value WHERE owner=?1 AND kind=?2 ORDER BY key"};
  Query message_{
      "SELECT o.jid, p.jid, m.stamp_ms, m.stanza, m.session, m.number, m.kept FROM message m "
      "LEFT JOIN party o ON o.number=m.owner LEFT JOIN party p ON p.number=m.peer "
      "WHERE m.id=?1 AND m.undelivered=1"};
  Query session_{kReadSession};
};

// The threads, started when reads come.
class Readers {
 public:
  using Read = std::move_only_function<void(Reader&)>;

  Readers(std::string file, const TailIndex& tails, const RecentArchive& recent)
      : file_(std::move(file)), tails_(tails), recent_(recent) {}
  ~Readers() { close(); }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // Any thread. False when closed.
  bool submit(Read read);
  // Ends when all reads that wait are done.
  void close();

 private:
  static constexpr std::size_t kThreads = 2;
  void run();

  std::string file_;
  const TailIndex& tails_;
  const RecentArchive& recent_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Read> queue_;
  std::size_t idle_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace starling::storage::sqlite
