#pragma once
// A Loop for tests: its clock moves only when told to, and it runs only inside settle(), advance(),
// in_turn(), run_until() and get(), on the thread that calls them. post() is for any thread, so real threads
// (a store's writer, a worker pool) can answer to it; wait for them with run_until() or get(), never by
// sleeping.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/task.h"

namespace starling {

class VirtualLoop : public Loop {
 public:
  VirtualLoop() = default;
  VirtualLoop(const VirtualLoop&) = delete;
  VirtualLoop& operator=(const VirtualLoop&) = delete;

  // Jobs never run are destroyed inside a turn, as what they own may call the loop.
  ~VirtualLoop() override {
    Turn turn(*this);
    while (!timers_.empty()) timers_.extract(timers_.begin());
    hooks_.clear();
    take_posted().clear();
  }

  // Notifies under the lock: who has seen the job may destroy the loop as soon as the lock is free.
  void post(Job job) override {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(job));
    arrived_.notify_one();
  }

  void at_turn_end(Job job) override { hooks_.push_back(std::move(job)); }

  TimerId run_after(Milliseconds delay, Job job) override {
    const TimerId id = ++last_timer_;
    const SteadyTime due = now_ + std::max(delay, Milliseconds(0));
    timers_.emplace(std::pair(due, id), std::move(job));
    due_.emplace(id, due);
    return id;
  }

  void cancel(TimerId timer) override {
    auto found = due_.find(timer);
    if (found == due_.end()) return;
    auto job = timers_.extract(std::pair(found->second, timer));
    due_.erase(found);
  }

  [[nodiscard]] SteadyTime now() const override { return now_; }
  [[nodiscard]] WallTime wall() const override { return kWallStart + (now_ - kStart); }

  [[nodiscard]] std::size_t pending_timers() const { return timers_.size(); }

  // Turns until nothing posted, no turn-end hook and no timer that is due is left. Work that feeds itself for
  // ever throws.
  void settle() {
    for (int turns = 0; run_turn(); ++turns)
      if (turns == kMaxTurns) throw std::runtime_error("VirtualLoop::settle: the loop never comes to rest");
  }

  // Moves the clock on, stopping at each timer on the way: it fires in order of due time, then of starting,
  // and the loop settles before the next.
  void advance(Milliseconds by) {
    const SteadyTime end = now_ + by;
    settle();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      now_ = timers_.begin()->first.first;
      settle();
    }
    now_ = end;
  }

  // Calls `f` as one turn of this loop, now, and returns what it returns. What it posts waits for settle().
  template <class F>
  auto in_turn(F&& f) {
    Turn turn(*this);
    if constexpr (std::is_void_v<decltype(f())>) {
      std::forward<F>(f)();
      run_hooks();
    } else {
      auto result = std::forward<F>(f)();
      run_hooks();
      return result;
    }
  }

  // Turns until pred() is true, waiting for posts of other threads. False if it is not within a minute of
  // real time.
  template <class Predicate>
  bool run_until(Predicate pred) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      settle();
      if (in_turn(pred)) return true;
      std::unique_lock lock(mutex_);
      if (!arrived_.wait_until(lock, deadline, [this] { return !posted_.empty(); })) return false;
    }
  }

  // Calls `make`, which returns a Task, inside a turn, runs until that has ended and returns its value.
  template <class Make>
  auto get(Make make) {
    using TaskType = decltype(make());
    using Value = decltype(std::declval<TaskType>().await_resume());
    auto value = std::make_shared<std::optional<Value>>();
    in_turn([&] { spawn(make(), [value](Value ended) { value->emplace(std::move(ended)); }); });
    if (!run_until([&value] { return value->has_value(); }))
      throw std::runtime_error("VirtualLoop::get: the task did not end");
    return std::move(**value);
  }

 private:
  static constexpr int kMaxTurns = 1'000'000;
  static constexpr std::chrono::seconds kPatience{60};
  static constexpr SteadyTime kStart{std::chrono::hours(1)};
  static constexpr WallTime kWallStart{std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)};

  // Makes this loop the current one of the thread; turns of several loops may nest.
  class Turn {
   public:
    explicit Turn(VirtualLoop& loop) : outer_(Loop::current()) { set_current(&loop); }
    ~Turn() { set_current(outer_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Loop* outer_;
  };

  std::vector<Job> take_posted() {
    std::lock_guard lock(mutex_);
    return std::exchange(posted_, {});
  }

  void run_hooks() {
    while (!hooks_.empty())
      for (auto& hook : std::exchange(hooks_, {})) hook();
  }

  // True if there was anything to do.
  bool run_turn() {
    Turn turn(*this);
    auto jobs = take_posted();
    bool worked = !jobs.empty() || !hooks_.empty();
    for (auto& job : jobs) job();
    const TimerId newest = last_timer_;  // one started by these jobs waits for the next turn
    while (!timers_.empty() && timers_.begin()->first.first <= now_ &&
           timers_.begin()->first.second <= newest) {
      auto timer = timers_.extract(timers_.begin());
      due_.erase(timer.key().second);
      timer.mapped()();
      worked = true;
    }
    run_hooks();
    return worked;
  }

  SteadyTime now_ = kStart;
  TimerId last_timer_ = 0;
  std::map<std::pair<SteadyTime, TimerId>, Job> timers_;
  std::unordered_map<TimerId, SteadyTime> due_;
  std::vector<Job> hooks_;

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Job> posted_;
};

}  // namespace starling
