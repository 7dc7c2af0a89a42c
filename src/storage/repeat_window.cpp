#include "storage/repeat_window.h"

#include "storage/store.h"

namespace starling::storage {

std::optional<std::uint64_t> RepeatWindow::find(const std::string& fingerprint, std::int64_t stamp_ms) const {
  std::lock_guard lock(mutex_);
  const auto known = known_.find(fingerprint);
  if (known == known_.end() || known->second.stamp_ms < stamp_ms - kRepeatMs) return std::nullopt;
  return known->second.id;
}

// One that came again after its time keeps its old place in the order, with the new time: at worst it is
// forgotten early.
void RepeatWindow::add(const std::string& fingerprint, std::uint64_t id, std::int64_t stamp_ms) {
  std::lock_guard lock(mutex_);
  const auto [known, fresh] = known_.insert_or_assign(fingerprint, Known{id, stamp_ms});
  if (fresh) order_.push_back(&*known);
  while (order_.size() > kMostRepeats ||
         (order_.size() > 1 && order_.front()->second.stamp_ms < stamp_ms - kRepeatMs)) {
    forgotten_below_ = order_.front()->second.id + 1;
    known_.erase(order_.front()->first);
    order_.pop_front();
  }
}

std::uint64_t RepeatWindow::forgotten_below() const {
  std::lock_guard lock(mutex_);
  return forgotten_below_;
}

void RepeatWindow::undo(std::size_t additions) {
  std::lock_guard lock(mutex_);
  for (; additions != 0 && !order_.empty(); --additions) {
    known_.erase(order_.back()->first);
    order_.pop_back();
  }
}

}  // namespace starling::storage
