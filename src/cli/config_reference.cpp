// starling config-reference and specs: what docs/configuration.md and docs/specs.md are made from.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/specs.h"

namespace starling::cli {

void add_config_reference(CLI::App& app, Context& context) {
  auto* reference = app.add_subcommand("config-reference", "print docs/configuration.md");
  reference->group("");  // not in --help
  reference->callback([&context] {
    fmt::print("{}", server::config_reference());
    context.exit = kDone;
  });
  auto* specs = app.add_subcommand("specs", "print docs/specs.md");
  specs->group("");
  specs->callback([&context] {
    fmt::print("{}", specs_markdown());
    context.exit = kDone;
  });
}

}  // namespace starling::cli
