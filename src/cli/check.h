#pragma once
// What `starling check` finds. Main thread; opens and closes sockets, changes nothing.
#include <chrono>
#include <string_view>
#include <vector>

#include "cli/context.h"

namespace starling::cli {

// Configuration, certificates, ports and policies, in this order; notes say what holds.
std::vector<server::Finding> check(const Context& context, std::chrono::system_clock::time_point now);

// Whether a certificate's name (maybe with a wildcard for its first label, RFC 6125 6.4.3) proves `domain`.
// ASCII, any case.
bool name_covers(std::string_view name, std::string_view domain);

}  // namespace starling::cli
