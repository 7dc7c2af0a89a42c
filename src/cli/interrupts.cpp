#include "cli/interrupts.h"

#include <utility>

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace starling::cli {
namespace {

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

Interrupts::Interrupts() {
  const auto signals = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  descriptor_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

Interrupts::~Interrupts() {
  if (reactor_ != nullptr) reactor_->unwatch(*this);
  ::close(descriptor_);
  const auto signals = ending_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void Interrupts::watch(net::Reactor& reactor, std::function<void()> asked) {
  asked_ = std::move(asked);
  if (reactor.watch(descriptor_, EPOLLIN, *this)) reactor_ = &reactor;
}

void Interrupts::on_events(std::uint32_t) {
  signalfd_siginfo signal{};
  while (::read(descriptor_, &signal, sizeof signal) == sizeof signal) {
    if (auto asked = std::exchange(asked_, {})) {
      asked();
      continue;
    }
    const auto signals = ending_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    ::signal(static_cast<int>(signal.ssi_signo), SIG_DFL);
    ::raise(static_cast<int>(signal.ssi_signo));
  }
}

}  // namespace starling::cli
