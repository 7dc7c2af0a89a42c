#include "storage/message_ids.h"

#include <algorithm>

namespace starling::storage {

MessageIds::Taker::Taker(MessageIds& ids) : ids_(ids) {
  std::lock_guard lock(ids_.mutex_);
  ids_.takers_.push_back(this);
}

MessageIds::Taker::~Taker() {
  std::lock_guard lock(ids_.mutex_);
  std::erase(ids_.takers_, this);
}

// Whoever sees the counter beyond an id sees lowest_ at it or below: that is written first.
std::uint64_t MessageIds::Taker::take_unreserved() {
  if (open_.empty()) lowest_ = ids_.next_.load();
  const std::uint64_t id = ids_.next_.fetch_add(1);
  open_.push_back({id});
  return id;
}

std::uint64_t MessageIds::Taker::take() {
  const std::uint64_t id = take_unreserved();
  if (id <= ids_.reserved_) return id;
  settle(id);  // it is nobody's
  return 0;
}

void MessageIds::Taker::settle(std::uint64_t id) {
  const auto taken = std::ranges::lower_bound(open_, id, {}, &Taken::id);
  if (taken == open_.end() || taken->id != id) return;
  taken->settled = true;
  while (!open_.empty() && open_.front().settled) open_.pop_front();
  lowest_ = open_.empty() ? kNone : open_.front().id;
}

std::uint64_t MessageIds::unsettled() const {
  std::uint64_t lowest = next_;  // before the takers are looked at
  std::lock_guard lock(mutex_);
  for (const Taker* taker : takers_) lowest = std::min(lowest, taker->lowest_.load());
  return lowest;
}

}  // namespace starling::storage
