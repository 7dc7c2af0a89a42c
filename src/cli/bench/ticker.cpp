#include "cli/bench/ticker.h"

#include <algorithm>
#include <system_error>

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace starling::cli::bench {

Ticker::Ticker(net::Reactor& reactor, std::chrono::duration<double> every, std::function<void()> tick)
    : reactor_(reactor),
      tick_(std::move(tick)),
      descriptor_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(every).count();
  const timespec interval{.tv_sec = nanoseconds / 1'000'000'000,
                          .tv_nsec = std::max<long>(nanoseconds % 1'000'000'000, 1)};
  const itimerspec times{.it_interval = interval, .it_value = interval};
  ::timerfd_settime(descriptor_, 0, &times, nullptr);
  if (const auto watched = reactor_.watch(descriptor_, EPOLLIN, *this); !watched) {
    ::close(descriptor_);
    throw std::system_error(ENOSPC, std::generic_category(), watched.error().message);
  }
}

Ticker::~Ticker() {
  reactor_.unwatch(*this);
  ::close(descriptor_);
}

void Ticker::on_events(std::uint32_t /*events*/) {
  std::uint64_t times = 0;
  if (::read(descriptor_, &times, sizeof times) > 0) tick_();
}

}  // namespace starling::cli::bench
