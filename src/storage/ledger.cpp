#include "storage/ledger.h"

#include <algorithm>

namespace starling::storage {
namespace {

// Whether `a` comes before `b` or is it.
bool up_to(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(b - a) >= 0; }

}  // namespace

void Ledger::apply(std::uint32_t number, std::uint32_t after) {
  if (number == after && received_ == 0 && beyond_.empty()) {
    received_ = number;
    return;
  }
  if (up_to(number, received_)) return;
  if (number != after && !up_to(after, received_)) {
    const auto at =
        std::ranges::find_if(beyond_, [&](const auto& other) { return up_to(number, other.first); });
    if (at == beyond_.end() || at->first != number) {
      beyond_.insert(at, {number, after});
    } else if (up_to(after, at->second)) {
      at->second = after;
    }
    return;
  }
  received_ = number;
  for (const auto& [later, behind] : beyond_)
    if (up_to(behind, received_) && up_to(received_, later)) received_ = later;
  std::erase_if(beyond_, [&](const auto& other) { return up_to(other.first, received_); });
}

std::vector<std::uint32_t> Ledger::numbers_beyond() const {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(beyond_.size());
  for (const auto& [number, after] : beyond_) numbers.push_back(number);
  return numbers;
}

bool Ledger::contains(std::uint32_t number) const {
  return up_to(number, received_) || std::ranges::any_of(beyond_, [&](const auto& other) {
           return !up_to(number, other.second) && up_to(number, other.first);
         });
}

}  // namespace starling::storage
