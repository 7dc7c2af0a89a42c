#include "base/running.h"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace starling {
namespace {

// What a coroutine waits at until the test lets it go on.
struct Gate {
  std::coroutine_handle<> waiting;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) { waiting = handle; }
  void await_resume() const noexcept {}
  void open() { std::exchange(waiting, {}).resume(); }
};

struct Witness {
  explicit Witness(int& count) : count_(count) { ++count_; }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() { --count_; }

 private:
  int& count_;
};

Task<std::string> passing(Gate& gate, std::string text, int& alive) {
  const Witness witness(alive);
  co_await gate;
  co_return text;
}

TEST(Running, StartsAtOnceAndSeveralAreUnderWay) {
  Gate one;
  Gate two;
  int alive = 0;
  std::string both;
  auto first = start(passing(one, "a", alive));
  auto second = start(passing(two, "b", alive));
  EXPECT_EQ(alive, 2);
  const auto join = [](Running<std::string>& a, Running<std::string>& b, std::string& out) -> Task<void> {
    out = co_await a;
    out += co_await b;
  };
  auto joined = start(join(first, second, both));
  two.open();  // the one that is awaited later ends first
  EXPECT_TRUE(second.done());
  EXPECT_FALSE(joined.done());
  one.open();
  EXPECT_TRUE(joined.done());
  EXPECT_EQ(both, "ab");
  EXPECT_EQ(alive, 0);
}

TEST(Running, IsDestroyedWithWhatItAwaits) {
  Gate gate;
  int alive = 0;
  {
    auto running = start(passing(gate, "never", alive));
    EXPECT_EQ(alive, 1);
    auto moved = std::move(running);
    EXPECT_FALSE(moved.done());
  }
  EXPECT_EQ(alive, 0);
}

TEST(Running, ThrowsWhatItsTaskThrows) {
  const auto throwing = []() -> Task<void> {
    throw std::runtime_error("expected");
    co_return;
  };
  auto running = start(throwing());
  EXPECT_TRUE(running.done());
  EXPECT_THROW(running.await_resume(), std::runtime_error);
}

}  // namespace
}  // namespace starling
