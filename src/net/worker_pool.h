#pragma once
// A few threads for work that would hold up a shard: key derivation, above all. Bounded: a full queue is an
// answer.
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <variant>

#include "base/loop.h"
#include "base/task.h"

namespace starling::net {

class WorkerPool {
 public:
  // No threads: the job runs inside submit(), for tests on one loop.
  WorkerPool(std::size_t threads, std::size_t queue_limit);
  ~WorkerPool();  // waits for what runs, drops what is queued
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Any thread. False when the queue is full. What a job throws is logged.
  [[nodiscard]] bool submit(Job job);

  // Runs `work` on the pool and resumes here with its value; nothing when the queue is full. What `work`
  // throws is thrown here. The caller's loop outlives the pool.
  template <class Work, class T = std::invoke_result_t<Work>>
  Task<std::optional<T>> run(Work work) {
    using Outcome = std::variant<std::exception_ptr, T>;
    Completion<Outcome> done;
    const bool taken = submit([work = std::move(work), resolve = done.resolver()]() mutable {
      Outcome outcome;
      try {
        outcome.template emplace<1>(work());
      } catch (...) {
        outcome.template emplace<0>(std::current_exception());
      }
      resolve(std::move(outcome));
    });
    if (!taken) co_return std::nullopt;
    Outcome outcome = co_await std::move(done);
    if (outcome.index() == 0) std::rethrow_exception(std::get<0>(outcome));
    co_return std::optional<T>(std::get<1>(std::move(outcome)));
  }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace starling::net
