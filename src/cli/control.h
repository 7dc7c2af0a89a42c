#pragma once
// How a subcommand reaches the admin interface: through the running server's socket, or straight on the store
// when none runs. Blocking, main thread.
#include <string>

#include "cli/context.h"

namespace starling::cli {

// Fails with kNoServer when no server runs.
Outcome ask_server(const Context& context, const std::string& command, const Json& params);

// Works on the store (under the data directory's lock) when no server runs.
Outcome ask_server_or_store(const Context& context, const std::string& command, const Json& params);

}  // namespace starling::cli
