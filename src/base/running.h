#pragma once
// Running<T>: a Task that has been started and is owned by who waits for it, so that one coroutine has
// several under way at once. Destroying it ends the task with everything that it awaits.
#include <coroutine>
#include <utility>

#include "base/task.h"

namespace starling {

template <class T>
class [[nodiscard]] Running {
 public:
  struct promise_type : detail::Promise<T> {
    Running get_return_object() { return Running(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
  };

  Running(Running&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Running& operator=(Running&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Running() {
    if (handle_) handle_.destroy();
  }

  [[nodiscard]] bool done() const { return handle_.done(); }

  // Awaited once, by one coroutine.
  bool await_ready() const noexcept { return handle_.done(); }
  void await_suspend(std::coroutine_handle<> awaiting) noexcept { handle_.promise().continuation = awaiting; }
  T await_resume() { return handle_.promise().take(); }

 private:
  explicit Running(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

// Runs `task` up to its first suspension, now.
template <class T>
Running<T> start(Task<T> task) {
  co_return co_await std::move(task);
}

}  // namespace starling
