#pragma once
// How long to wait before the next attempt to connect: doubled after each failure up to a cap, and moved by
// chance, so that a million clients do not come back in the same second. Internal to this room.
#include <algorithm>
#include <random>

#include "base/loop.h"

namespace starling::client {

class Backoff {
 public:
  Backoff(Milliseconds first, Milliseconds longest) : longest_(longest), first_(std::min(first, longest)) {}

  // From half to one and a half times the plain series, as far as that is below the cap: at the cap, from
  // half of it.
  template <class Random>
  Milliseconds next(Random& random) {
    const Milliseconds plain = next_;
    next_ = std::min(next_ * 2, longest_);
    std::uniform_int_distribution<Milliseconds::rep> spread(plain.count() / 2,
                                                            std::min(plain * 3 / 2, longest_).count());
    return Milliseconds(spread(random));
  }
  void reset() { next_ = first_; }

 private:
  Milliseconds longest_, first_, next_ = first_;
};

}  // namespace starling::client
