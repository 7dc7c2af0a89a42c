#include "storage/sqlite/tail_index.h"

#include <algorithm>

namespace starling::storage::sqlite {
namespace {

constexpr auto kIdBelow = [](const auto& entry, std::uint64_t id) { return entry.id < id; };
constexpr auto kBelowId = [](std::uint64_t id, const auto& entry) { return id < entry.id; };

}  // namespace

void TailIndex::Tail::remove_up_to(std::uint64_t id) {
  const auto end = std::upper_bound(begin(), entries.cend(), id, kBelowId);
  for (auto at = begin(); at != end; ++at) bytes -= at->bytes;
  first = static_cast<std::size_t>(end - entries.cbegin());
  if (first > entries.size() / 2) {
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(first));
    first = 0;
  }
}

void TailIndex::Tail::remove_one(std::uint64_t id) {
  const auto at = std::lower_bound(begin(), entries.cend(), id, kIdBelow);
  if (at == entries.cend() || at->id != id) return;
  if (at == begin()) return remove_up_to(id);
  bytes -= at->bytes;
  entries.erase(at);
}

void TailIndex::apply(const TailChange& change) {
  std::lock_guard lock(mutex_);
  auto tail = tails_.find(change.owner);
  if (change.kind == TailChange::Kind::append) {
    if (tail == tails_.end()) tail = tails_.try_emplace(std::string(change.owner)).first;
    tail->second.entries.push_back({change.id, change.bytes});
    tail->second.bytes += change.bytes;
    return;
  }
  if (tail == tails_.end()) return;
  if (change.kind == TailChange::Kind::remove_up_to) tail->second.remove_up_to(change.id);
  if (change.kind == TailChange::Kind::remove_one) tail->second.remove_one(change.id);
  if (change.kind == TailChange::Kind::remove_all || tail->second.empty()) tails_.erase(tail);
}

TailSize TailIndex::size(std::string_view owner) const {
  std::lock_guard lock(mutex_);
  const auto tail = tails_.find(owner);
  if (tail == tails_.end()) return {};
  return {tail->second.entries.size() - tail->second.first, tail->second.bytes};
}

void TailIndex::collect(std::string_view owner, std::uint64_t after, std::uint64_t up_to, std::size_t limit,
                        std::vector<std::uint64_t>& ids) const {
  std::lock_guard lock(mutex_);
  const auto tail = tails_.find(owner);
  if (tail == tails_.end()) return;
  const auto end = tail->second.entries.cend();
  for (auto at = std::upper_bound(tail->second.begin(), end, after, kBelowId);
       at != end && at->id <= up_to && limit != 0; ++at, --limit)
    ids.push_back(at->id);
}

bool TailIndex::contains(std::string_view owner, std::uint64_t id) const {
  std::lock_guard lock(mutex_);
  const auto tail = tails_.find(owner);
  return tail != tails_.end() &&
         std::binary_search(tail->second.begin(), tail->second.entries.cend(), Entry{id, 0},
                            [](const Entry& a, const Entry& b) { return a.id < b.id; });
}

}  // namespace starling::storage::sqlite
