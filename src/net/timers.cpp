#include "net/timers.h"

#include <stdexcept>
#include <utility>

namespace starling::net {

Timers::Id Timers::add(SteadyTime deadline, Job job) {
  if (free_ == kNone) {
    if (slots_.size() > kSlotMask) throw std::length_error("more than 2^24 timers");
    slots_.emplace_back();
    free_ = static_cast<std::uint32_t>(slots_.size() - 1);
  }
  heap_.push_back({});  // may throw: before anything has changed
  const std::uint32_t index = free_;
  Slot& slot = slots_[index];
  free_ = slot.position;
  slot.id = (sequence_++ << kSlotBits) | index;
  slot.job = std::move(job);
  place(heap_.size() - 1, {deadline, slot.id});
  rise(heap_.size() - 1);
  return slot.id;
}

void Timers::cancel(Id id) {
  const auto index = static_cast<std::size_t>(id & kSlotMask);
  if (id == 0 || index >= slots_.size() || slots_[index].id != id) return;
  // The job is destroyed last: what it owns may come back here.
  const Job dropped = remove(slots_[index].position);
}

Job Timers::take_due(SteadyTime now, Id limit) {
  if (heap_.empty() || heap_.front().deadline > now || heap_.front().id >= limit) return {};
  return remove(0);
}

void Timers::place(std::size_t position, const Entry& entry) {
  heap_[position] = entry;
  slots_[entry.id & kSlotMask].position = static_cast<std::uint32_t>(position);
}

void Timers::rise(std::size_t position) {
  const Entry entry = heap_[position];
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (!(entry < heap_[parent])) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, entry);
}

void Timers::sink(std::size_t position) {
  const Entry entry = heap_[position];
  for (;;) {
    std::size_t child = position * 2 + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
    if (!(heap_[child] < entry)) break;
    place(position, heap_[child]);
    position = child;
  }
  place(position, entry);
}

Job Timers::remove(std::size_t position) {
  const auto index = static_cast<std::uint32_t>(heap_[position].id & kSlotMask);
  Slot& slot = slots_[index];
  Job job = std::exchange(slot.job, nullptr);
  slot.id = 0;
  slot.position = free_;
  free_ = index;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (position < heap_.size()) {
    place(position, last);
    rise(position);
    sink(slots_[last.id & kSlotMask].position);
  }
  return job;
}

}  // namespace starling::net
