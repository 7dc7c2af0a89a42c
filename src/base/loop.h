#pragma once
// What the code above the sockets needs of an event loop. net::Reactor is the real one (a thread, epoll);
// tests run on a VirtualLoop, whose clock moves only when told to. Everything but post() is for the loop's
// own thread.
#include <chrono>
#include <cstdint>
#include <functional>

namespace starling {

using Milliseconds = std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;
using Job = std::move_only_function<void()>;

class Loop {
 public:
  using TimerId = std::uint64_t;  // never reused; 0 is no timer

  virtual ~Loop() = default;

  // Runs `job` on the loop's thread in a later turn. Any thread; jobs posted by one thread run in their
  // order.
  virtual void post(Job job) = 0;

  // Runs `job` once at the end of this turn, after every event of it was handled: the place to write what was
  // queued. A job added while the hooks run is run in the same turn.
  virtual void at_turn_end(Job job) = 0;

  virtual TimerId run_after(Milliseconds delay, Job job) = 0;
  virtual void cancel(TimerId timer) = 0;  // of a timer that has fired or was cancelled: no effect

  [[nodiscard]] virtual SteadyTime now() const = 0;  // time of this turn; cheap
  [[nodiscard]] virtual WallTime wall() const = 0;

  // The loop whose turn runs on this thread; nullptr outside of one.
  static Loop* current();

 protected:
  static void set_current(Loop* loop);
};

}  // namespace starling
