#pragma once
// Something that is done so often a second, more finely than a loop's timers can. The loop's thread.
#include <chrono>
#include <functional>

#include "net/reactor.h"

namespace starling::cli::bench {

class Ticker final : private net::Reactor::Watcher {
 public:
  // From now until it goes. Throws std::system_error where the kernel gives no timer.
  Ticker(net::Reactor& reactor, std::chrono::duration<double> every, std::function<void()> tick);
  ~Ticker() override;
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  void on_events(std::uint32_t events) override;

  net::Reactor& reactor_;
  std::function<void()> tick_;
  int descriptor_;
};

}  // namespace starling::cli::bench
