#pragma once
// The counters of sessions that can be resumed, one row each. A session is written once a group, however many
// of its stanzas the group has. Writer's thread, but for reading.
#include <unordered_map>

#include "storage/sqlite/database.h"
#include "storage/store.h"

namespace starling::storage::sqlite {

inline constexpr const char* kReadSession = "SELECT received, sent, lossy, beyond FROM session WHERE id=?1";

// What a statement made of kReadSession finds. Errors: io, corrupt.
Result<std::optional<SessionCounts>> read_session(Statement& query, std::uint64_t session);

class SessionTable {
 public:
  Result<void> prepare(Database& database);

  Result<void> apply(const Receive& receive);
  Result<void> apply(const Sent& sent);
  Result<void> forget(std::uint64_t session);

  // Writes what has changed since the last time, before the group is committed.
  Result<void> flush();
  // The group was undone: the table is as it was.
  void rolled_back();

 private:
  // Nothing in it: not in the table, or no more.
  struct Known {
    std::optional<SessionCounts> counts;
    bool changed = false;
  };
  Result<Known*> find(std::uint64_t session);
  template <class Change>
  Result<void> change(std::uint64_t session, Change apply);

  Statement read_, put_, delete_;
  // Sessions that were written lately, as they are in the table but for what has changed; so that a busy one
  // is read once. Never more than kMostKnown after a flush.
  std::unordered_map<std::uint64_t, Known> known_;
  std::vector<std::uint64_t> changed_;
};

}  // namespace starling::storage::sqlite
