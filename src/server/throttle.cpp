#include "server/throttle.h"

#include <algorithm>
#include <cmath>

namespace starling::server {
namespace {

constexpr double kBurstSeconds = 2;
constexpr std::size_t kMaxRemembered = 100000;   // addresses and accounts; beyond it the table starts anew
constexpr unsigned kFreeFailures = 1;            // a typing error costs nothing
constexpr unsigned kFreeFailuresOfAddress = 20;  // many people may share an address
constexpr Milliseconds kFirstDelay{500}, kLongestDelay{8000};
constexpr std::chrono::seconds kLongestLine{40};  // less than limits.login_seconds
constexpr std::chrono::minutes kMemory{10};

Milliseconds delay_for(unsigned failures, unsigned free) {
  if (failures <= free) return Milliseconds(0);
  const unsigned doublings = std::min(failures - free - 1, 10U);
  return std::min(kFirstDelay * (1U << doublings), kLongestDelay);
}

}  // namespace

double TokenBucket::spent(double per_second, SteadyTime now) const {
  return std::max(0.0, spent_ - std::chrono::duration<double>(now - at_).count() * per_second);
}

void TokenBucket::take(double amount, double per_second, SteadyTime now) {
  if (per_second <= 0) return;
  spent_ = spent(per_second, now) + amount;
  at_ = now;
}

Milliseconds TokenBucket::wait(double per_second, SteadyTime now) const {
  if (per_second <= 0) return Milliseconds(0);
  const double over = spent(per_second, now) - kBurstSeconds * per_second;
  return over <= 0 ? Milliseconds(0)
                   : Milliseconds(static_cast<std::int64_t>(std::ceil(over * 1000 / per_second)));
}

std::string Throttle::key(std::string_view address, std::string_view account) {
  return std::string(address).append(1, ' ').append(account);
}

Milliseconds Throttle::login_delay(const std::string& address, const std::string& account, SteadyTime now) {
  Milliseconds wait{0};
  const auto line_up = [&](const std::string& of, unsigned free) {
    const auto found = failures_.find(of);
    if (found == failures_.end() || now - found->second.last > kMemory) return;
    const Milliseconds delay = delay_for(found->second.count, free);
    if (delay.count() == 0) return;
    SteadyTime& next = found->second.next;
    next = std::min(std::max(next, now) + delay, now + kLongestLine);
    wait = std::max(wait, std::chrono::ceil<Milliseconds>(next - now));
  };
  line_up(key(address, account), kFreeFailures);
  line_up(key(address, {}), kFreeFailuresOfAddress);
  return wait;
}

void Throttle::login_failed(const std::string& address, const std::string& account, SteadyTime now) {
  if (failures_.size() >= kMaxRemembered) failures_.clear();
  for (const std::string& of : {key(address, account), key(address, {})}) {
    Failures& entry = failures_[of];
    ++entry.count;
    entry.last = now;
  }
}

void Throttle::login_succeeded(const std::string& address, const std::string& account) {
  failures_.erase(key(address, account));
}

void Throttle::sweep(SteadyTime now) {
  std::erase_if(failures_, [&](const auto& entry) { return now - entry.second.last > kMemory; });
}

}  // namespace starling::server
