#pragma once
// Which messages are undelivered, by owner: ids and sizes, in memory. What the database cannot index without
// paying ten times the message. 16 bytes a message and about 120 an owner who has any. Any thread; the lock
// is held for nanoseconds.
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/store.h"

namespace starling::storage::sqlite {

// What one committed write did to a tail. The view is of the write.
struct TailChange {
  enum class Kind : std::uint8_t { append, remove_up_to, remove_one, remove_all };
  Kind kind;
  std::uint32_t bytes = 0;
  std::uint64_t id = 0;
  std::string_view owner;
};

class TailIndex {
 public:
  void apply(const TailChange& change);

  [[nodiscard]] TailSize size(std::string_view owner) const;
  // Ids above `after` and up to `up_to`, ascending, at most `limit`, added to `ids`.
  void collect(std::string_view owner, std::uint64_t after, std::uint64_t up_to, std::size_t limit,
               std::vector<std::uint64_t>& ids) const;
  [[nodiscard]] bool contains(std::string_view owner, std::uint64_t id) const;

 private:
  struct Entry {
    std::uint64_t id;
    std::uint32_t bytes;
  };
  // Ascending ids from `first` on; what is before it was delivered, and goes when it is more than half.
  struct Tail {
    std::vector<Entry> entries;
    std::size_t first = 0;
    std::size_t bytes = 0;

    [[nodiscard]] auto begin() const { return entries.begin() + static_cast<std::ptrdiff_t>(first); }
    [[nodiscard]] bool empty() const { return first == entries.size(); }
    void remove_up_to(std::uint64_t id);
    void remove_one(std::uint64_t id);
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Tail, Hash, std::equal_to<>> tails_;
};

}  // namespace starling::storage::sqlite
