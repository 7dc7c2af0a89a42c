#pragma once
// The list of extensions that this server has.
#include <memory>
#include <vector>

#include "server/module.h"

namespace starling::modules {

// One object of each, for one shard, in the order in which their phases run.
std::vector<std::unique_ptr<server::Module>> all(const server::Config& config);

}  // namespace starling::modules
