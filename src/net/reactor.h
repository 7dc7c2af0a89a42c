#pragma once
// A thread's event loop over epoll: descriptors, timers, jobs from other threads. About the smallest that
// serves: one epoll_wait a turn, then events, then posted jobs, then timers, then the turn-end hooks, in
// which each connection writes what it queued, once. What a job or a watcher throws is logged, and the loop
// goes on.
#include <cstdint>
#include <memory>

#include "base/error.h"
#include "base/loop.h"

namespace starling::net {

class Reactor final : public Loop {
 public:
  // Watches one descriptor at a time, and outlives the watch.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void on_events(std::uint32_t events) = 0;  // EPOLLIN, EPOLLOUT, EPOLLHUP, ...

   private:
    friend class Reactor;
    int watched_ = -1;
  };

  Reactor();  // throws std::system_error where the kernel gives no epoll or event descriptor
  ~Reactor() override;
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Level-triggered unless `events` says EPOLLET. Own thread (or before it runs). A watcher that was removed
  // in this turn is not called, and one that takes over its descriptor's number does not see its events.
  Result<void> watch(int fd, std::uint32_t events, Watcher& watcher);
  void change(int fd, std::uint32_t events, Watcher& watcher);
  void unwatch(Watcher& watcher);  // before its descriptor is closed; of one that watches nothing: no effect

  void run();   // until stop(); sets Loop::current() for the time
  void stop();  // any thread; before run(): the next run() returns at once
  // One turn: waits at most `longest` for something to happen. For embedding in another loop and for tests.
  void turn(Milliseconds longest);
  // Readable when a turn has something to do: for a loop that embeds this one, which then calls turn(0). From
  // the first call on, which throws like the constructor, a change of the earliest timer costs a system call.
  [[nodiscard]] int descriptor() const;

  void post(Job job) override;  // any thread; no lock, one wake-up for many
  void at_turn_end(Job job) override;
  TimerId run_after(Milliseconds delay, Job job) override;
  void cancel(TimerId timer) override;
  [[nodiscard]] SteadyTime now() const override;
  [[nodiscard]] WallTime wall() const override;

 private:
  struct State;
  void one_turn(Milliseconds longest);
  std::unique_ptr<State> state_;
};

}  // namespace starling::net
