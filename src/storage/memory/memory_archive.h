#pragma once
// The archives of the store that forgets: every message in one map, looked through from one end to the other.
// Under its store's lock.
#include <map>
#include <unordered_map>

#include "storage/store.h"

namespace starling::storage {

class MemoryArchive {
 public:
  void add(const Append& append);  // with its id
  void delivered(std::uint64_t id);
  void replace(const ReplaceStanza& replace);
  void expire(const Expire& expire);
  void forget(const std::string& account);

  [[nodiscard]] Result<ArchivePage> page(const ArchiveQuery& query, std::uint64_t unsettled) const;
  [[nodiscard]] ArchiveEnds ends(const std::string& account, std::uint64_t unsettled) const;

 private:
  struct Row {
    ArchivedMessage message;
    bool for_owner = false, for_peer = false;

    [[nodiscard]] bool is_of(std::string_view account) const {
      return (for_owner && message.owner == account) || (for_peer && message.peer == account);
    }
    void leave(std::string_view account) {
      for_owner = for_owner && message.owner != account;
      for_peer = for_peer && message.peer != account;
    }
  };
  using Rows = std::map<std::uint64_t, Row>;

  void drop_what_nobody_keeps();

  Rows rows_;
};

}  // namespace starling::storage
