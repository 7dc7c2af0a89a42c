#pragma once
// What archives have and the database's index does not yet: the newest messages, by account, in memory; and
// when messages were taken, for reading from a time on. The writer adds what it has committed, readers look.
// 32 bytes a message and account until it is indexed, 16 bytes for each kBlock ids. Any thread; locked for
// microseconds.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage/message_ids.h"

namespace starling::storage::sqlite {

// That a message is in an account's archive. Accounts and parties are numbers of the table `party`.
struct ArchiveEntry {
  std::uint64_t account = 0;
  std::uint64_t id = 0;
  std::uint64_t other = 0;  // the party on the other side
  std::uint32_t bytes = 0;  // of its stanza
};

// Stamps of neighbouring ids. Clocks go back at times, so a block says from when to when its messages are.
struct StampBlock {
  std::int64_t first_ms = std::numeric_limits<std::int64_t>::max();
  std::int64_t last_ms = std::numeric_limits<std::int64_t>::min();
};
inline constexpr std::uint64_t kBlock = 4096;  // ids

class RecentArchive {
 public:
  // Sorted by account and id.
  using Run = std::vector<ArchiveEntry>;
  struct Stamped {
    std::uint64_t id = 0;
    std::int64_t stamp_ms = 0;
  };

  explicit RecentArchive(const MessageIds& ids) : ids_(ids) {}

  // An account's ids ascend, or nearly so.
  void add(std::span<const ArchiveEntry> entries, std::span<const Stamped> stamps);
  [[nodiscard]] std::size_t entries() const;
  // Everything that is here up to an id becomes the run that is being indexed; there must be none.
  std::shared_ptr<const Run> freeze(std::uint64_t up_to);
  // All up to `id` is in the index: the run goes.
  void indexed(std::uint64_t id);

  // What readers see: entries of an account beyond what is in the index, ascending.
  struct View {
    std::uint64_t indexed = 0;    // the index has all up to this id
    std::uint64_t unsettled = 0;  // below this one nothing is still to come
    std::vector<ArchiveEntry> entries;
  };
  [[nodiscard]] View view(std::uint64_t account) const;

  // The ids among which all messages taken within a time are, inclusive; nothing if there are none.
  [[nodiscard]] std::optional<std::pair<std::uint64_t, std::uint64_t>> taken_within(
      std::int64_t start_ms, std::int64_t end_ms) const;
  [[nodiscard]] StampBlock block(std::uint64_t number) const;
  void put_block(std::uint64_t number, StampBlock block);

 private:
  StampBlock& grow_to(std::uint64_t number);

  const MessageIds& ids_;
  mutable std::mutex mutex_;
  std::uint64_t indexed_ = 0;
  std::shared_ptr<const Run> frozen_;
  std::unordered_map<std::uint64_t, std::vector<ArchiveEntry>> newest_;  // by account
  std::size_t entries_ = 0;                                              // of newest_
  std::vector<StampBlock> blocks_;
};

}  // namespace starling::storage::sqlite
