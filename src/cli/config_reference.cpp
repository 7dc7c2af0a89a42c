// starling config-reference: what docs/configuration.md is made from.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"

namespace starling::cli {

void add_config_reference(CLI::App& app, Context& context) {
  auto* reference = app.add_subcommand("config-reference", "print docs/configuration.md");
  reference->group("");  // not in --help
  reference->callback([&context] {
    fmt::print("{}", server::config_reference());
    context.exit = kDone;
  });
}

}  // namespace starling::cli
