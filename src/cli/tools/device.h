#pragma once
// What `read` and `control` share: finding out whether there is such a device (XEP-0030). Main thread.
#include <string>
#include <string_view>
#include <vector>

#include "cli/tools/tool.h"

namespace starling::cli {

// Its features, sorted. That nobody is there is an error which says so.
Task<client::Outcome<std::vector<std::string>>> features_of(client::Client& client, Jid device);

// Whether `feature` is among them; else prints that the device is no `what`.
bool has_feature(const Context& context, const Jid& device, const std::vector<std::string>& features,
                 std::string_view feature, std::string_view what);

}  // namespace starling::cli
