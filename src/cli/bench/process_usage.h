#pragma once
// What processes cost, from /proc: of a server that is measured from outside. Any thread.
#include <chrono>
#include <cstdint>
#include <span>

#include <sys/types.h>

#include "base/error.h"

namespace starling::cli::bench {

struct Usage {
  std::chrono::duration<double> cpu{};  // user and system, in ticks of 10 ms
  std::uint64_t resident_bytes = 0;
};

// Of the processes and all that descend from them. Errors: not_found for one that is not there.
Result<Usage> usage_of(std::span<const pid_t> processes);
Usage own_usage();

}  // namespace starling::cli::bench
