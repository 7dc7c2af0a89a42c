#pragma once
// Two ways to slow somebody down without refusing them: a token bucket for what a session sends, and growing
// delays for logins that keep failing. On one shard: connections of one address may be on several, and each
// shard counts what failed on its own.
#include <chrono>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/loop.h"

namespace starling::server {

// What limits take for one address: an IPv4 address, also written as a mapped one (RFC 4291 2.5.5.2), and the
// /64 network of an IPv6 address, since a single host has all of that (RFC 4291 2.5.4, RFC 7421).
std::string network_of(std::string_view address);

// Holds at most two seconds' worth. Goes below zero by what was taken last, and says how long that has to be
// made up for.
class TokenBucket {
 public:
  // `per_second` 0: no limit.
  void take(double amount, double per_second, SteadyTime now);
  // How long until it is above zero again; zero when it is.
  [[nodiscard]] Milliseconds wait(double per_second, SteadyTime now) const;

 private:
  [[nodiscard]] double spent(double per_second, SteadyTime now) const;
  double spent_ = 0;  // of the two seconds' worth
  SteadyTime at_{};
};

// How long the next login attempt is held up (never refused: a right password always works in the end).
// Attempts that come together stand in line, so that many connections guess no faster than one.
class Throttle {
 public:
  [[nodiscard]] Milliseconds login_delay(const std::string& address, const std::string& account,
                                         SteadyTime now);
  void login_failed(const std::string& address, const std::string& account, SteadyTime now);
  void login_succeeded(const std::string& address, const std::string& account);
  void sweep(SteadyTime now);  // forgets what is ten minutes old

 private:
  struct Failures {
    unsigned count = 0;
    SteadyTime last{};
    SteadyTime next{};  // when the attempt after those in line may begin
  };
  static std::string key(std::string_view network, std::string_view account);
  std::unordered_map<std::string, Failures> failures_;  // by network and account, and by network alone
};

}  // namespace starling::server
