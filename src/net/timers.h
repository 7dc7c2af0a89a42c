#pragma once
// The reactor's timers: a binary heap of deadlines over a table of jobs. An idle connection owns one or two,
// so they are small: 16 bytes in the heap, a slot in the table, no allocation of their own.
#include <cstdint>
#include <vector>

#include "base/loop.h"

namespace starling::net {

class Timers {
 public:
  using Id = Loop::TimerId;

  // Timers of one deadline fire in the order of their making. O(log n).
  Id add(SteadyTime deadline, Job job);
  // O(log n). An id that is no longer there is ignored.
  void cancel(Id id);

  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }
  [[nodiscard]] SteadyTime next() const { return heap_.front().deadline; }  // not when empty

  // The timers made from now on have this id or a higher one.
  [[nodiscard]] Id mark() const { return sequence_ << kSlotBits; }
  // Removes the earliest timer if it is due at `now` and was made before `limit`; an empty job when there is
  // none.
  Job take_due(SteadyTime now, Id limit);

 private:
  // An id is the number of the timer (40 bits) and its slot (24 bits): unique for 10^12 timers, and found
  // without a search.
  static constexpr unsigned kSlotBits = 24;
  static constexpr Id kSlotMask = (Id{1} << kSlotBits) - 1;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct Entry {
    SteadyTime deadline;
    Id id;
    bool operator<(const Entry& other) const {
      return deadline != other.deadline ? deadline < other.deadline : id < other.id;
    }
  };
  struct Slot {
    Job job;
    Id id = 0;
    std::uint32_t position = kNone;  // in the heap; of a free slot: the next free one
  };

  void place(std::size_t position, const Entry& entry);
  void rise(std::size_t position);
  void sink(std::size_t position);
  Job remove(std::size_t position);

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::uint32_t free_ = kNone;
  Id sequence_ = 1;
};

}  // namespace starling::net
