#pragma once
// The rows of messages, and the numbers that stand for the JIDs in them. A message is one row at the end of
// the table; it goes when it is not undelivered and no archive keeps it. Writer's thread, inside its
// transaction.
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/sqlite/database.h"
#include "storage/sqlite/recent_archive.h"
#include "storage/store.h"

namespace starling::storage::sqlite {

// Bits of message.kept.
inline constexpr std::int64_t kForOwner = 1;
inline constexpr std::int64_t kForPeer = 2;

class MessageTable {
 public:
  Result<void> open(Database& database);

  Result<void> append(std::uint64_t id, const Append& append);
  Result<void> mark_sent(const MarkSent& mark);
  Result<void> replace(const ReplaceStanza& replace);
  // A message is undelivered no more.
  Result<void> release(std::uint64_t id);
  // An account's archive has lost a message.
  Result<void> lost(std::uint64_t id, std::uint64_t account);
  // An account's archive has nothing below an id any more; what is there still is to be swept.
  Result<void> raise_floor(std::uint64_t account, std::uint64_t id);
  Result<std::uint64_t> floor(std::uint64_t account);
  // The same for all archives.
  Result<void> expire_below(std::uint64_t id);
  [[nodiscard]] std::uint64_t expired_below() const { return expired_below_; }

  // The number of a JID, 0 if it has none.
  Result<std::uint64_t> find_party(std::string_view jid);

  // Ids up to it are in the table `tail` if they are undelivered.
  void list_tail_up_to(std::uint64_t id) { tail_listed_ = id; }

  // What the group has appended, for RecentArchive and the index.
  struct Appended {
    std::vector<ArchiveEntry> entries;
    std::vector<RecentArchive::Stamped> stamps;
    std::vector<std::uint64_t> undelivered;
  };
  [[nodiscard]] const Appended& appended() const { return appended_; }

  // The group is written, or undone.
  void committed();
  void rolled_back();

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  Result<std::uint64_t> party(std::string_view jid);
  Result<bool> keeps(std::uint64_t account, std::uint64_t id);

  Statement find_party_, make_party_, append_, mark_sent_, row_, replace_, delivered_, delete_, untail_,
      floor_, raise_floor_, expire_;
  std::unordered_map<std::string, std::uint64_t, Hash, std::equal_to<>> parties_;  // numbers used lately
  std::uint64_t highest_floor_ = 0;  // no archive has lost anything from here on
  std::uint64_t expired_below_ = 0;
  std::uint64_t committed_expired_below_ = 0;
  std::uint64_t tail_listed_ = 0;
  Appended appended_;
};

}  // namespace starling::storage::sqlite
