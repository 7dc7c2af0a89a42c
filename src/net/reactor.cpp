#include "net/reactor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <exception>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "net/timers.h"

namespace starling::net {
namespace {

constexpr Milliseconds kForever = Milliseconds::max();

// The one place where an exception of the environment ends: it costs the job that met it, never the loop.
template <class Call>
void guarded(std::string_view what, Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (const std::exception& problem) {
    log::error("{} failed: {}", what, problem.what());
  } catch (...) {
    log::error("{} failed with something that is no std::exception", what);
  }
}

// For epoll_wait: rounded up, so that a timer is due when it returns.
int to_timeout(Milliseconds wait) {
  return wait == kForever ? -1 : static_cast<int>(std::clamp<Milliseconds::rep>(wait.count(), 0, INT_MAX));
}

struct Posted {
  Posted* next;
  Job job;
};

}  // namespace

struct Reactor::State {
  int epoll = -1;
  int wake = -1;

  // The events of this turn that are not dispatched yet: unwatch() takes a watcher's out.
  std::array<epoll_event, 256> events{};
  std::size_t next_event = 0;
  std::size_t event_count = 0;

  // A stack that producers push to and the loop takes whole. `asleep`: the loop may be waiting and does not
  // look at the stack again by itself; whoever turns it to false writes the wake-up. Both are sequentially
  // consistent: producer (push, look at asleep) and loop (asleep, look at stack) must not both miss the
  // other.
  std::atomic<Posted*> posted{nullptr};
  std::atomic<bool> asleep{true};
  std::atomic<bool> stopping{false};

  Timers timers;
  std::vector<Job> hooks;
  SteadyTime now;
  bool in_turn = false;

  // Makes `epoll` readable when the earliest timer is due; only once descriptor() was asked for.
  int alarm = -1;
  SteadyTime alarm_set_for{};  // none: not set

  ~State() {
    if (alarm >= 0) ::close(alarm);
    if (wake >= 0) ::close(wake);
    if (epoll >= 0) ::close(epoll);
  }

  // The wake-up descriptor is edge-triggered and never read: each write is one event.
  void ring() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake, &one, sizeof one);
  }
  void rouse() {
    if (asleep.load() && asleep.exchange(false)) ring();
  }
  void make_alarm() {
    alarm = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (alarm < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, alarm, &event) != 0)
      throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
  // It is never read: setting it takes back that it went off, and while it is set for what is still the
  // earliest timer, that it went off stays true.
  void set_alarm() {
    const SteadyTime wanted = timers.empty() ? SteadyTime{} : timers.next();
    if (alarm < 0 || wanted == alarm_set_for) return;
    alarm_set_for = wanted;
    const auto since = wanted.time_since_epoch();  // of CLOCK_MONOTONIC
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const itimerspec when{.it_interval = {},
                          .it_value = {.tv_sec = seconds.count(),
                                       .tv_nsec = std::chrono::nanoseconds(since - seconds).count()}};
    ::timerfd_settime(alarm, TFD_TIMER_ABSTIME, &when, nullptr);
  }
  [[nodiscard]] Milliseconds idle_time(Milliseconds longest) const {
    if (posted.load() != nullptr || stopping.load() || !hooks.empty()) return Milliseconds{0};
    if (timers.empty()) return longest;
    const auto left = timers.next() - std::chrono::steady_clock::now();
    return std::min(longest, std::chrono::ceil<Milliseconds>(left));
  }
  void run_events() {
    while (next_event < event_count) {
      const epoll_event event = events[next_event++];
      if (event.data.ptr == nullptr) continue;  // the wake-up, or unwatched in this turn
      guarded("a watcher", [&] { static_cast<Watcher*>(event.data.ptr)->on_events(event.events); });
    }
  }
  void run_posted() {
    Posted* list = nullptr;  // in the order of posting
    for (Posted* taken = posted.exchange(nullptr); taken != nullptr;) {
      Posted* const next = taken->next;
      taken->next = list;
      list = taken;
      taken = next;
    }
    while (list != nullptr) {
      const std::unique_ptr<Posted> node(list);
      list = node->next;
      guarded("a posted job", node->job);
    }
  }
  void run_timers() {
    const auto limit = timers.mark();  // a timer that sets itself again with no delay waits for the next turn
    while (Job job = timers.take_due(now, limit)) guarded("a timer", job);
  }
  void run_hooks() {
    for (std::size_t i = 0; i < hooks.size(); ++i) {
      Job hook = std::move(hooks[i]);  // the vector may grow meanwhile
      guarded("a turn-end job", hook);
    }
    hooks.clear();
  }
};

Reactor::Reactor() : state_(std::make_unique<State>()) {
  state_->epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (state_->epoll < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  state_->wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (state_->wake < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (::epoll_ctl(state_->epoll, EPOLL_CTL_ADD, state_->wake, &event) != 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

Reactor::~Reactor() {
  // What is dropped here may post or set timers once more.
  State& s = *state_;
  while (s.posted.load() != nullptr || !s.hooks.empty() || !s.timers.empty()) {
    const auto hooks = std::exchange(s.hooks, {});
    const auto timers = std::exchange(s.timers, {});
    for (Posted* list = s.posted.exchange(nullptr); list != nullptr;) {
      const std::unique_ptr<Posted> node(list);
      list = node->next;
    }
  }
}

Result<void> Reactor::watch(int fd, std::uint32_t events, Watcher& watcher) {
  if (watcher.watched_ >= 0) return fail(Errc::invalid, "this watcher watches a descriptor already");
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  if (::epoll_ctl(state_->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
    return fail(Errc::io, fmt::format("cannot watch descriptor {}: {}", fd, std::strerror(errno)));
  watcher.watched_ = fd;
  return {};
}

void Reactor::change(int fd, std::uint32_t events, Watcher& watcher) {
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  if (::epoll_ctl(state_->epoll, EPOLL_CTL_MOD, fd, &event) != 0)
    log::error("cannot change what is watched of descriptor {}: {}", fd, std::strerror(errno));
}

void Reactor::unwatch(Watcher& watcher) {
  if (watcher.watched_ < 0) return;
  epoll_event unused{};
  ::epoll_ctl(state_->epoll, EPOLL_CTL_DEL, std::exchange(watcher.watched_, -1), &unused);
  for (std::size_t i = state_->next_event; i < state_->event_count; ++i)
    if (state_->events[i].data.ptr == &watcher) state_->events[i].data.ptr = nullptr;
}

void Reactor::one_turn(Milliseconds longest) {
  State& s = *state_;
  s.asleep.store(true);
  const int count = ::epoll_wait(s.epoll, s.events.data(), static_cast<int>(s.events.size()),
                                 to_timeout(s.idle_time(longest)));
  s.asleep.store(false);

  Loop* const outer = current();
  set_current(this);
  s.now = std::chrono::steady_clock::now();
  s.in_turn = true;
  s.next_event = 0;
  s.event_count = count > 0 ? static_cast<std::size_t>(count) : 0;  // EINTR: a turn without events
  s.run_events();
  s.run_posted();
  s.run_timers();
  s.run_hooks();
  s.in_turn = false;
  set_current(outer);
}

void Reactor::turn(Milliseconds longest) {
  one_turn(longest);
  // Until the next turn nobody looks at the stack: what is on it, or comes, has to make descriptor()
  // readable.
  state_->asleep.store(true);
  if (state_->posted.load() != nullptr) state_->rouse();
  state_->set_alarm();
}

void Reactor::run() {
  while (!state_->stopping.load()) one_turn(kForever);
  state_->stopping.store(false);
  state_->asleep.store(true);
}

void Reactor::stop() {
  state_->stopping.store(true);
  state_->ring();
}

int Reactor::descriptor() const {
  if (state_->alarm < 0) {
    state_->make_alarm();
    state_->set_alarm();
  }
  return state_->epoll;
}

void Reactor::post(Job job) {
  auto* const node = new Posted{nullptr, std::move(job)};
  node->next = state_->posted.load(std::memory_order_relaxed);
  while (!state_->posted.compare_exchange_weak(node->next, node)) {
  }
  state_->rouse();
}

void Reactor::at_turn_end(Job job) {
  state_->hooks.push_back(std::move(job));
  if (!state_->in_turn) state_->rouse();
}

Loop::TimerId Reactor::run_after(Milliseconds delay, Job job) {
  const TimerId timer = state_->timers.add(now() + delay, std::move(job));
  if (!state_->in_turn) state_->set_alarm();
  return timer;
}
void Reactor::cancel(TimerId timer) {
  state_->timers.cancel(timer);
  if (!state_->in_turn) state_->set_alarm();
}
SteadyTime Reactor::now() const { return state_->in_turn ? state_->now : std::chrono::steady_clock::now(); }
WallTime Reactor::wall() const { return std::chrono::system_clock::now(); }

}  // namespace starling::net
