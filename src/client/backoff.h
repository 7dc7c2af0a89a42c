#pragma once
// How long to wait before the next attempt to connect: doubled after each failure, moved by chance so that a
// million clients do not come back in the same second, and capped. Internal to this room.
#include <algorithm>
#include <random>

#include "base/loop.h"

namespace starling::client {

class Backoff {
 public:
  Backoff(Milliseconds first, Milliseconds longest) : first_(first), longest_(longest), next_(first) {}

  // From half to one and a half times the plain series, and never longer than the cap.
  template <class Random>
  Milliseconds next(Random& random) {
    const Milliseconds plain = next_;
    next_ = std::min(next_ * 2, longest_);
    std::uniform_int_distribution<Milliseconds::rep> spread(plain.count() / 2, plain.count() * 3 / 2);
    return std::min(Milliseconds(spread(random)), longest_);
  }
  void reset() { next_ = first_; }

 private:
  Milliseconds first_, longest_, next_;
};

}  // namespace starling::client
