#pragma once
// Task<T>: a lazy coroutine that lives on one loop. It starts when awaited (or spawned), and every suspension
// resumes it on the loop it was suspended on, so its code needs no lock. A Task that is destroyed before it
// ends is destroyed with everything it awaits; a completion that comes later finds nobody and is dropped.
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "base/loop.h"

namespace starling {

template <class T = void>
class Task;

namespace detail {

struct PromiseBase {
  std::coroutine_handle<> continuation;
  std::exception_ptr exception;

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct Final {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> ended) noexcept {
      auto next = ended.promise().continuation;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };
  Final final_suspend() noexcept { return {}; }
  void unhandled_exception() { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return handle_.done(); }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  Handle handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { throw; }  // to the loop's turn, which logs it
  };
};
}  // namespace detail

// Starts `task` now, on this loop; it owns itself until it ends.
inline detail::Detached spawn(Task<void> task) { co_await std::move(task); }

// Starts `task` now; when it has ended, calls `done` with its value on the same loop.
template <class T, class Done>
detail::Detached spawn(Task<T> task, Done done) {
  done(co_await std::move(task));
}

// The bridge from callbacks: `co_await Completion<T>` ends when its Resolver is called, from any thread; the
// awaiting coroutine resumes on the loop it was suspended on. A Resolver dropped uncalled leaves the
// coroutine suspended for good, so every path must call it.
template <class T>
class Completion {
  struct State {
    std::optional<T> value;
    std::coroutine_handle<> waiting;
    Loop* loop = nullptr;
  };

 public:
  class Resolver {
   public:
    explicit Resolver(std::shared_ptr<State> state) : state_(std::move(state)) {}
    // Any thread: hands the value to the loop that waits.
    void operator()(T value) const {
      state_->loop->post(
          [state = state_, value = std::move(value)]() mutable { settle(*state, std::move(value)); });
    }
    // On the waiting loop's own thread: no post, the coroutine goes on inside this call.
    void here(T value) const { settle(*state_, std::move(value)); }

   private:
    static void settle(State& state, T value) {
      state.value.emplace(std::move(value));
      if (auto waiting = std::exchange(state.waiting, {})) waiting.resume();
    }
    std::shared_ptr<State> state_;
  };

  // On a loop's thread.
  Completion() : state_(std::make_shared<State>()) { state_->loop = Loop::current(); }
  Completion(Completion&&) = default;
  ~Completion() {
    if (state_) state_->waiting = {};
  }
  [[nodiscard]] Resolver resolver() const { return Resolver(state_); }

  bool await_ready() const noexcept { return state_->value.has_value(); }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { state_->waiting = waiting; }
  T await_resume() { return std::move(*state_->value); }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace starling
