#include "net/worker_pool.h"

#include <atomic>
#include <latch>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "net/reactor.h"

namespace starling::net {
namespace {

TEST(WorkerPool, runs_a_job_at_once_when_it_has_no_threads) {
  WorkerPool pool(0, 1);
  std::thread::id ran_on;
  EXPECT_TRUE(pool.submit([&] { ran_on = std::this_thread::get_id(); }));
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(WorkerPoolThreaded, refuses_what_its_queue_has_no_room_for_and_drops_the_queue_at_its_end) {
  auto dropped = std::make_shared<int>(0);
  std::latch started(1);
  std::latch go_on(1);
  std::atomic<int> ran{0};
  {
    WorkerPool pool(1, 2);
    ASSERT_TRUE(pool.submit([&] {
      started.count_down();
      go_on.wait();
      ++ran;
    }));
    started.wait();
    EXPECT_TRUE(pool.submit([&, dropped] { ++ran; }));
    EXPECT_TRUE(pool.submit([&, dropped] { ++ran; }));
    EXPECT_FALSE(pool.submit([&, dropped] { ++ran; }));
    std::thread releaser([&] { go_on.count_down(); });
    releaser.join();
  }
  EXPECT_GE(ran, 1);
  EXPECT_EQ(dropped.use_count(), 1);
}

TEST(WorkerPoolThreaded, goes_on_after_a_job_that_throws) {
  WorkerPool pool(1, 8);
  std::latch done(1);
  ASSERT_TRUE(pool.submit([] { throw std::runtime_error("expected in this test"); }));
  ASSERT_TRUE(pool.submit([&] { done.count_down(); }));
  done.wait();
}

TEST(WorkerPoolThreaded, resumes_the_caller_on_its_own_loop) {
  Reactor reactor;
  WorkerPool pool(2, 100);
  int left = 50;
  std::vector<int> values;
  const auto derive = [&](int value) -> Task<> {
    const auto result = co_await pool.run([value] { return value * 2; });
    EXPECT_EQ(Loop::current(), &reactor);
    values.push_back(result.value_or(-1));
    if (--left == 0) reactor.stop();
  };
  reactor.post([&] {
    for (int i = 0; i < 50; ++i) spawn(derive(i));
  });
  reactor.run();
  std::ranges::sort(values);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i * 2);
}

TEST(WorkerPoolThreaded, answers_with_nothing_when_it_is_full_and_hands_on_what_is_thrown) {
  Reactor reactor;
  WorkerPool full(1, 0);
  WorkerPool pool(1, 8);
  bool nothing = false;
  std::string caught;
  const auto both = [&]() -> Task<> {
    const auto refused = co_await full.run([] { return 1; });
    nothing = !refused.has_value();
    try {
      co_await pool.run([]() -> int { throw std::runtime_error("out of luck"); });
    } catch (const std::runtime_error& problem) {
      caught = problem.what();
    }
    reactor.stop();
  };
  reactor.post([&] { spawn(both()); });
  reactor.run();
  EXPECT_TRUE(nothing);
  EXPECT_EQ(caught, "out of luck");
}

}  // namespace
}  // namespace starling::net
