#pragma once
// SIGINT and SIGTERM as an event of a loop, for commands that wait for a server. Main thread, before any
// other thread starts.
#include <functional>

#include "net/reactor.h"

namespace starling::cli {

// From its making until its end, the first signal calls `asked`; a second one ends the process as the signal
// itself would (exit code 130 in a shell).
class Interrupts final : private net::Reactor::Watcher {
 public:
  Interrupts();
  ~Interrupts() override;
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  void watch(net::Reactor& reactor, std::function<void()> asked);  // once; the reactor outlives this

 private:
  void on_events(std::uint32_t events) override;
  int descriptor_ = -1;
  net::Reactor* reactor_ = nullptr;
  std::function<void()> asked_;
};

}  // namespace starling::cli
