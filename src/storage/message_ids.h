#pragma once
// Ids of messages, given out before the messages are stored: in the order in which they are taken, over all
// threads, and never twice. What has been taken and is not settled is remembered by who took it, so that
// readers can stop below it: what is still to come would otherwise appear behind what they have read already.
#include <atomic>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

namespace starling::storage {

class MessageIds {
 public:
  // Who takes ids: one thread at a time. MessageIds outlives it.
  class Taker {
   public:
    explicit Taker(MessageIds& ids);
    ~Taker();
    Taker(const Taker&) = delete;
    Taker& operator=(const Taker&) = delete;

    // 0: there are none, since more cannot be reserved at the moment.
    std::uint64_t take();
    // For who reserves it along with what it is for.
    std::uint64_t take_unreserved();
    // The message is stored, or never will be. Of 0: no effect.
    void settle(std::uint64_t id);

   private:
    friend class MessageIds;
    struct Taken {
      std::uint64_t id;
      bool settled = false;
    };
    MessageIds& ids_;
    std::deque<Taken> open_;  // ascending; the first is not settled
    std::atomic<std::uint64_t> lowest_ = kNone;
  };

  // Every id that was ever taken and is not settled, or will be taken, is this or higher. Any thread.
  [[nodiscard]] std::uint64_t unsettled() const;

  // --- the store's part ---
  // Ids go on behind `last`.
  void begin(std::uint64_t last) { next_ = last + 1; }
  // Ids up to and including `last` may be taken: after a restart, or whatever else the store survives, they
  // would not be given again.
  void reserve(std::uint64_t last) { reserved_ = last; }
  [[nodiscard]] std::uint64_t reserved() const { return reserved_; }
  [[nodiscard]] std::uint64_t next() const { return next_; }

 private:
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

  std::atomic<std::uint64_t> next_ = 1;
  std::atomic<std::uint64_t> reserved_ = 0;
  mutable std::mutex mutex_;  // of the list; takers come and go with shards
  std::vector<const Taker*> takers_;
};

}  // namespace starling::storage
