#include "server/throttle.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <arpa/inet.h>
#include <netinet/in.h>

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

std::string network_of(std::string_view address) {
  std::string text(address);
  in6_addr bytes{};
  if (::inet_pton(AF_INET6, text.c_str(), &bytes) != 1) return text;
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (IN6_IS_ADDR_V4MAPPED(&bytes)) return ::inet_ntop(AF_INET, &bytes.s6_addr[12], out.data(), out.size());
  std::fill(std::begin(bytes.s6_addr) + 8, std::end(bytes.s6_addr), 0);
  return std::string(::inet_ntop(AF_INET6, &bytes, out.data(), out.size())) + "/64";
}

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

std::string Throttle::key(std::string_view network, std::string_view account) {
  return std::string(network).append(1, ' ').append(account);
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
  const std::string network = network_of(address);
  line_up(key(network, account), kFreeFailures);
  line_up(key(network, {}), kFreeFailuresOfAddress);
  return wait;
}

void Throttle::login_failed(const std::string& address, const std::string& account, SteadyTime now) {
  if (failures_.size() >= kMaxRemembered) failures_.clear();
  const std::string network = network_of(address);
  for (const std::string& of : {key(network, account), key(network, {})}) {
    Failures& entry = failures_[of];
    ++entry.count;
    entry.last = now;
  }
}

void Throttle::login_succeeded(const std::string& address, const std::string& account) {
  failures_.erase(key(network_of(address), account));
}

void Throttle::sweep(SteadyTime now) {
  std::erase_if(failures_, [&](const auto& entry) { return now - entry.second.last > kMemory; });
}

}  // namespace starling::server
