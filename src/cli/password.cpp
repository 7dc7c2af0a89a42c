#include "cli/password.h"

#include <array>
#include <cerrno>
#include <cstdio>

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "base/crypto.h"
#include "cli/context.h"

namespace starling::cli {
namespace {

constexpr std::size_t kLongest = 1024;  // bytes, as RFC 7622 bounds every part of an address

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};

volatile sig_atomic_t interrupted = 0;
void interrupt(int number) { interrupted = number; }

// No echo while it lives. A signal that would end the process does so only once the echo is back; until then
// it is blocked but while we wait for input.
class Silence {
 public:
  explicit Silence(int terminal) : terminal_(terminal) {
    struct sigaction action{};
    action.sa_handler = interrupt;
    sigset_t ours;
    ::sigemptyset(&ours);
    for (const int one : kSignals) ::sigaddset(&ours, one);
    ::pthread_sigmask(SIG_BLOCK, &ours, &mask_before_);
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals.at(i), &action, &before_.at(i));
    ::tcgetattr(terminal_, &modes_);
    auto silent = modes_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(terminal_, TCSAFLUSH, &silent);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    ::tcsetattr(terminal_, TCSANOW, &modes_);
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals.at(i), &before_.at(i), nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
    if (interrupted != 0) ::raise(interrupted);
  }

 private:
  int terminal_;
  sigset_t mask_before_{};
  termios modes_{};
  std::array<struct sigaction, kSignals.size()> before_{};
};

// False when a signal has come. One that comes just before the waiting is not missed.
bool wait_for_input(int descriptor) {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  for (const int one : kSignals) ::sigdelset(&mask, one);
  pollfd input{.fd = descriptor, .events = POLLIN, .revents = 0};
  while (::ppoll(&input, 1, nullptr, &mask) < 0)
    if (errno != EINTR || interrupted != 0) return false;
  return true;
}

Result<std::string> ask(int terminal, const std::string& prompt) {
  std::fputs(fmt::format("{}: ", prompt).c_str(), stderr);
  auto line = read_password_line(terminal);
  say("");
  return line;
}

}  // namespace

Result<std::string> read_password_line(int descriptor) {
  std::string line;
  for (;;) {
    char next = 0;
    // Byte by byte: what follows the line is not ours.
    const auto got = wait_for_input(descriptor) ? ::read(descriptor, &next, 1) : -1;
    if (got < 0) return fail(Errc::io, "no password could be read");
    if (got == 0 || next == '\n') break;
    line += next;
    if (line.size() > kLongest)
      return fail(Errc::limit, fmt::format("the password has more than {} bytes", kLongest));
  }
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) return fail(Errc::invalid, "the password is empty");
  return line;
}

Result<std::string> ask_password(int descriptor, const std::string& what) {
  const Silence silence(descriptor);
  return ask(descriptor, what);
}

Result<std::string> ask_password_twice(int descriptor, const std::string& what) {
  const Silence silence(descriptor);
  auto first = ask(descriptor, what);
  if (!first) return first;
  auto second = ask(descriptor, "Once more");
  if (!second) return second;
  const bool same = crypto::constant_time_equal(*first, *second);
  crypto::wipe(*second);
  if (!same) return fail(Errc::invalid, "the two passwords differ");
  return first;
}

}  // namespace starling::cli
