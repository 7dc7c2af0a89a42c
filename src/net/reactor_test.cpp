#include "net/reactor.h"

#include <random>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/timers.h"

namespace starling::net {
namespace {

using testing::ElementsAre;

struct SocketPair {
  int a = -1;
  int b = -1;
  SocketPair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0) {
      a = fds[0];
      b = fds[1];
    }
  }
  ~SocketPair() {
    ::close(a);
    ::close(b);
  }
};

struct CallOnEvents : Reactor::Watcher {
  std::function<void(std::uint32_t)> call;
  explicit CallOnEvents(std::function<void(std::uint32_t)> what) : call(std::move(what)) {}
  void on_events(std::uint32_t events) override { call(events); }
};

bool is_readable(int fd, int wait = 0) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, wait) == 1;
}

TEST(Reactor, runs_posted_jobs_in_order_and_those_posted_meanwhile_later) {
  Reactor reactor;
  std::vector<int> order;
  reactor.post([&] {
    order.push_back(1);
    reactor.post([&] { order.push_back(3); });
  });
  reactor.post([&] { order.push_back(2); });
  reactor.turn(Milliseconds{0});
  EXPECT_THAT(order, ElementsAre(1, 2));
  reactor.turn(Milliseconds{0});
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(Reactor, goes_through_a_turn_in_its_order) {
  Reactor reactor;
  SocketPair pair;
  std::vector<std::string> order;
  CallOnEvents watcher([&](std::uint32_t) { order.emplace_back("event"); });
  ASSERT_TRUE(reactor.watch(pair.a, EPOLLIN | EPOLLET, watcher));
  ASSERT_EQ(::write(pair.b, "x", 1), 1);
  reactor.at_turn_end([&] {
    order.emplace_back("hook");
    reactor.at_turn_end([&] { order.emplace_back("hook of hook"); });
  });
  reactor.run_after(Milliseconds{0}, [&] { order.emplace_back("timer"); });
  reactor.post([&] { order.emplace_back("job"); });
  reactor.turn(Milliseconds{0});
  EXPECT_THAT(order, ElementsAre("event", "job", "timer", "hook", "hook of hook"));
}

TEST(Reactor, is_the_current_loop_within_its_turn_only) {
  Reactor reactor;
  Loop* seen = nullptr;
  reactor.post([&] { seen = Loop::current(); });
  reactor.turn(Milliseconds{0});
  EXPECT_EQ(seen, &reactor);
  EXPECT_EQ(Loop::current(), nullptr);
}

TEST(Reactor, survives_what_jobs_watchers_timers_and_hooks_throw) {
  Reactor reactor;
  SocketPair pair;
  CallOnEvents watcher([](std::uint32_t) { throw std::runtime_error("expected in this test: watcher"); });
  ASSERT_TRUE(reactor.watch(pair.a, EPOLLIN | EPOLLET, watcher));
  ASSERT_EQ(::write(pair.b, "x", 1), 1);
  const auto thrower = [] { throw std::runtime_error("expected in this test"); };
  int ran = 0;
  reactor.post(thrower);
  reactor.post([&] { ++ran; });
  reactor.run_after(Milliseconds{0}, thrower);
  reactor.run_after(Milliseconds{0}, [&] { ++ran; });
  reactor.at_turn_end(thrower);
  reactor.at_turn_end([&] { ++ran; });
  reactor.turn(Milliseconds{0});
  EXPECT_EQ(ran, 3);
}

TEST(Reactor, does_not_call_a_watcher_removed_in_the_same_turn_nor_a_successor_on_its_descriptor) {
  Reactor reactor;
  SocketPair one;
  SocketPair two;
  int calls = 0;
  std::unique_ptr<CallOnEvents> first;
  std::unique_ptr<CallOnEvents> second;
  std::vector<std::uint32_t> seen_by_successor;
  CallOnEvents successor([&](std::uint32_t events) { seen_by_successor.push_back(events); });
  SocketPair fresh;
  // Whichever is called first destroys the other one and puts a new socket, which has nothing to read, on its
  // number.
  const auto remove_other = [&](std::unique_ptr<CallOnEvents>& other, int fd) {
    ++calls;
    reactor.unwatch(*other);
    other.reset();
    ASSERT_EQ(::dup2(fresh.a, fd), fd);
    ASSERT_TRUE(reactor.watch(fd, EPOLLIN, successor));
  };
  first = std::make_unique<CallOnEvents>([&](std::uint32_t) { remove_other(second, two.a); });
  second = std::make_unique<CallOnEvents>([&](std::uint32_t) { remove_other(first, one.a); });
  ASSERT_TRUE(reactor.watch(one.a, EPOLLIN | EPOLLET, *first));
  ASSERT_TRUE(reactor.watch(two.a, EPOLLIN | EPOLLET, *second));
  ASSERT_EQ(::write(one.b, "x", 1), 1);
  ASSERT_EQ(::write(two.b, "x", 1), 1);
  reactor.turn(Milliseconds{0});
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(seen_by_successor.empty());
  ASSERT_EQ(::write(fresh.b, "x", 1), 1);
  reactor.turn(Milliseconds{0});
  EXPECT_THAT(seen_by_successor, ElementsAre(EPOLLIN));
}

TEST(Reactor, refuses_a_descriptor_that_cannot_be_watched_and_a_watcher_in_use) {
  Reactor reactor;
  CallOnEvents watcher([](std::uint32_t) {});
  EXPECT_EQ(reactor.watch(-1, EPOLLIN, watcher).error().code, Errc::io);
  SocketPair pair;
  ASSERT_TRUE(reactor.watch(pair.a, EPOLLIN, watcher));
  EXPECT_EQ(reactor.watch(pair.b, EPOLLIN, watcher).error().code, Errc::invalid);
  reactor.unwatch(watcher);
  EXPECT_TRUE(reactor.watch(pair.b, EPOLLIN, watcher));
}

TEST(Reactor, fires_timers_by_deadline_and_waits_no_longer_than_the_next) {
  Reactor reactor;
  std::vector<int> order;
  const auto start = std::chrono::steady_clock::now();
  reactor.run_after(Milliseconds{20}, [&] { order.push_back(2); });
  reactor.run_after(Milliseconds{10}, [&] { order.push_back(1); });
  const auto cancelled = reactor.run_after(Milliseconds{5}, [&] { order.push_back(0); });
  reactor.cancel(cancelled);
  reactor.cancel(cancelled);
  while (order.size() < 2) reactor.turn(Milliseconds{10'000});
  EXPECT_THAT(order, ElementsAre(1, 2));
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, Milliseconds{20});
  EXPECT_LT(took, Milliseconds{5'000});
}

TEST(Reactor, lets_a_timer_without_delay_that_sets_itself_again_wait_for_the_next_turn) {
  Reactor reactor;
  int ran = 0;
  std::function<void()> again = [&] {
    ++ran;
    reactor.run_after(Milliseconds{0}, again);
  };
  again();
  reactor.turn(Milliseconds{0});
  EXPECT_EQ(ran, 2);
  reactor.turn(Milliseconds{0});
  EXPECT_EQ(ran, 3);
}

TEST(Reactor, keeps_one_time_within_a_turn) {
  Reactor reactor;
  SteadyTime first;
  SteadyTime second;
  reactor.post([&] {
    first = reactor.now();
    const auto until = std::chrono::steady_clock::now() + Milliseconds{2};
    while (std::chrono::steady_clock::now() < until) {
    }
  });
  reactor.post([&] { second = reactor.now(); });
  reactor.turn(Milliseconds{0});
  EXPECT_EQ(first, second);
  EXPECT_GT(reactor.now(), second);
}

TEST(Reactor, makes_its_descriptor_readable_when_a_turn_has_something_to_do) {
  Reactor reactor;
  reactor.turn(Milliseconds{0});
  EXPECT_FALSE(is_readable(reactor.descriptor()));
  int ran = 0;
  reactor.post([&] {
    ++ran;
    reactor.post([&] { ++ran; });  // in the turn, while nobody sleeps
  });
  EXPECT_TRUE(is_readable(reactor.descriptor()));
  reactor.turn(Milliseconds{0});
  EXPECT_TRUE(is_readable(reactor.descriptor()));
  reactor.turn(Milliseconds{0});
  EXPECT_EQ(ran, 2);
  EXPECT_FALSE(is_readable(reactor.descriptor()));
}

constexpr int kPatience = 10'000;

// As a loop does that has this one inside.
bool turn_when_readable(Reactor& reactor, const bool& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done && std::chrono::steady_clock::now() < deadline) {
    if (!is_readable(reactor.descriptor(), kPatience)) return false;
    reactor.turn(Milliseconds{0});
  }
  return done;
}

TEST(Reactor, makes_its_descriptor_readable_when_a_timer_is_due) {
  Reactor reactor;
  bool fired = false;
  reactor.run_after(Milliseconds{5}, [&] { fired = true; });  // before there is a descriptor
  EXPECT_TRUE(turn_when_readable(reactor, fired));
  EXPECT_FALSE(is_readable(reactor.descriptor()));

  fired = false;
  reactor.run_after(Milliseconds{5}, [&] { fired = true; });
  EXPECT_TRUE(turn_when_readable(reactor, fired));

  // Set within a turn, for at once and for later.
  fired = false;
  reactor.post([&] {
    reactor.run_after(Milliseconds{0}, [&] { reactor.run_after(Milliseconds{3}, [&] { fired = true; }); });
  });
  EXPECT_TRUE(turn_when_readable(reactor, fired));
  EXPECT_FALSE(is_readable(reactor.descriptor()));
}

TEST(Reactor, has_a_descriptor_that_follows_its_earliest_timer) {
  Reactor reactor;
  EXPECT_FALSE(is_readable(reactor.descriptor()));
  const auto late = reactor.run_after(std::chrono::hours{1}, [] { FAIL(); });
  bool early = false;
  reactor.run_after(Milliseconds{2}, [&] { early = true; });
  EXPECT_TRUE(turn_when_readable(reactor, early));
  EXPECT_FALSE(is_readable(reactor.descriptor()));
  reactor.cancel(late);

  // A timer that is due and taken back leaves nothing to do, or what comes next.
  const auto taken_back = reactor.run_after(Milliseconds{0}, [] { FAIL(); });
  EXPECT_TRUE(is_readable(reactor.descriptor(), kPatience));
  reactor.cancel(taken_back);
  EXPECT_FALSE(is_readable(reactor.descriptor()));
  const auto again = reactor.run_after(Milliseconds{0}, [] { FAIL(); });
  bool next = false;
  reactor.run_after(Milliseconds{2}, [&] { next = true; });
  reactor.cancel(again);
  EXPECT_TRUE(turn_when_readable(reactor, next));

  // Two that are due at once, of which the second is made in the turn of the first, for the same moment.
  int runs = 0;
  bool both = false;
  reactor.post([&] {
    reactor.run_after(Milliseconds{0}, [&] {
      ++runs;
      reactor.run_after(Milliseconds{0}, [&] { both = ++runs == 2; });
    });
  });
  EXPECT_TRUE(turn_when_readable(reactor, both));
}

TEST(Reactor, drops_what_is_left_when_it_is_destroyed) {
  auto witness = std::make_shared<int>(0);
  {
    Reactor reactor;
    reactor.post([witness] { ++*witness; });
    reactor.run_after(Milliseconds{0}, [witness] { ++*witness; });
    reactor.at_turn_end([witness] { ++*witness; });
  }
  EXPECT_EQ(*witness, 0);
  EXPECT_EQ(witness.use_count(), 1);
}

TEST(Reactor, returns_from_run_at_once_when_stopped_before) {
  Reactor reactor;
  reactor.stop();
  reactor.run();
  int ran = 0;
  reactor.post([&] {
    ++ran;
    reactor.stop();
  });
  reactor.run();
  EXPECT_EQ(ran, 1);
}

TEST(ReactorThreaded, takes_posts_from_four_threads_in_the_order_of_each) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 20'000;
  Reactor reactor;
  std::vector<std::vector<int>> seen(kThreads);
  int total = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        reactor.post([&, t, i] {
          seen[static_cast<std::size_t>(t)].push_back(i);
          if (++total == kThreads * kPosts) reactor.stop();
        });
      }
    });
  }
  reactor.run();
  for (auto& thread : threads) thread.join();
  for (const auto& list : seen) {
    EXPECT_EQ(list.size(), kPosts);
    EXPECT_TRUE(std::ranges::is_sorted(list));
  }
}

// One message to and fro: each post finds the other reactor asleep or just falling asleep.
TEST(ReactorThreaded, loses_no_wake_up_between_two_reactors) {
  Reactor one;
  Reactor two;
  int left = 20'000;
  std::function<void()> ping;
  std::function<void()> pong = [&] { one.post([&] { ping(); }); };
  ping = [&] {
    if (--left > 0) {
      two.post([&] { pong(); });
    } else {
      one.stop();
      two.stop();
    }
  };
  std::thread other([&] { two.run(); });
  one.post([&] { ping(); });
  one.run();
  other.join();
  EXPECT_EQ(left, 0);
}

TEST(Timers, agree_with_a_sorted_list_under_random_use) {
  std::minstd_rand random(7);
  Timers timers;
  std::map<std::pair<SteadyTime, Timers::Id>, int> expected;
  SteadyTime now{};
  std::vector<int> fired;
  int next = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 4) {
      case 0:
      case 1: {
        const auto deadline = now + Milliseconds{random() % 50};
        const auto id = timers.add(deadline, [&fired, next] { fired.push_back(next); });
        expected[{deadline, id}] = next++;
        break;
      }
      case 2:
        if (!expected.empty()) {
          auto victim = expected.begin();
          std::advance(victim, static_cast<std::ptrdiff_t>(random() % expected.size()));
          timers.cancel(victim->first.second);
          timers.cancel(victim->first.second);
          expected.erase(victim);
        }
        break;
      default: {
        now += Milliseconds{random() % 5};
        std::vector<int> due;
        while (!expected.empty() && expected.begin()->first.first <= now) {
          due.push_back(expected.begin()->second);
          expected.erase(expected.begin());
        }
        fired.clear();
        while (Job job = timers.take_due(now, timers.mark())) job();
        ASSERT_EQ(fired, due);
      }
    }
    ASSERT_EQ(timers.size(), expected.size());
    if (!expected.empty()) ASSERT_EQ(timers.next(), expected.begin()->first.first);
  }
}

TEST(Timers, may_be_cancelled_by_what_a_cancelled_job_owned) {
  Timers timers;
  const auto inner = timers.add(SteadyTime{}, [] {});
  struct Canceller {
    Timers& timers;
    Timers::Id id;
    ~Canceller() { timers.cancel(id); }
  };
  const auto outer = timers.add(SteadyTime{}, [owned = std::make_unique<Canceller>(timers, inner)] {});
  timers.cancel(outer);
  EXPECT_TRUE(timers.empty());
}

}  // namespace
}  // namespace starling::net
