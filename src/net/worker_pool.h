#pragma once
// A few threads for work that would hold up a shard: key derivation, above all. Bounded: a full queue is an answer.
#include <cstddef>
#include <memory>

#include "base/loop.h"
#include "base/task.h"

namespace starling::net {

class WorkerPool {
 public:
  // No threads: the job runs inside submit(), for tests on one loop.
  WorkerPool(std::size_t threads, std::size_t queue_limit);
  ~WorkerPool();  // waits for what runs, drops what is queued
  // Any thread. False when the queue is full.
  [[nodiscard]] bool submit(Job job);

  // Runs `work` on the pool and resumes here with its value; nothing when the queue is full.
  template <class Work, class T = std::invoke_result_t<Work>>
  Task<std::optional<T>> run(Work work) {
    Completion<std::optional<T>> done;
    const bool taken = submit([work = std::move(work), resolve = done.resolver()]() mutable { resolve(std::optional<T>(work())); });
    if (!taken) co_return std::nullopt;
    co_return co_await std::move(done);
  }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace starling::net
