// starling bench idle: what sessions cost that do nothing.
#include <algorithm>
#include <cmath>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/pause.h"
#include "cli/bench/bench.h"
#include "cli/tools/login.h"

namespace starling::cli::bench {
namespace {

struct Options {
  std::vector<std::size_t> counts{1000};
  double settle = 2;  // seconds
};

double mebibytes(std::uint64_t bytes) { return std::round(static_cast<double>(bytes) / 1048576 * 100) / 100; }

class Idle final : public Benchmark {
 public:
  Idle(Run& run, const Options& options) : run_(run), options_(options) {}

  Task<Result<Json>> carry_out() override {
    const auto before = usage_of(run_.settings.server);
    if (!before) co_return std::unexpected(before.error());
    Json outcome{{"tls", run_.settings.target.tls}, {"server_mib_before", mebibytes(before->resident_bytes)}};
    auto rows = Json::array();
    for (const std::size_t count : options_.counts) {
      if (auto online = co_await run_.log_in(count - run_.fleet.size()); !online)
        co_return std::unexpected(online.error());
      run_.show(fmt::format("{} sessions settle", count));
      co_await pause(run_.reactor, milliseconds(options_.settle));
      if (run_.fleet.failure()) co_return std::unexpected(*run_.fleet.failure());
      const auto now = usage_of(run_.settings.server);
      if (!now) co_return std::unexpected(now.error());
      const double grown =
          static_cast<double>(now->resident_bytes) - static_cast<double>(before->resident_bytes);
      rows.push_back(
          {{"sessions", count},
           {"server_mib", mebibytes(now->resident_bytes)},
           {"kib_per_session", std::round(grown / static_cast<double>(count) / 1024 * 100) / 100}});
    }
    outcome["rows"] = std::move(rows);
    co_return outcome;
  }

 private:
  Run& run_;
  const Options& options_;
};

}  // namespace

void add_idle(CLI::App& bench, Context& context) {
  const auto settings = std::make_shared<Settings>();
  const auto options = std::make_shared<Options>();
  auto* command = add_benchmark(bench, context, "idle", "the memory of sessions that do nothing", settings);
  command->add_option("CLIENTS", options->counts, "how many, or several numbers that grow: 1000,5000,10000")
      ->delimiter(',')
      ->check(CLI::Range(1, 1'000'000));
  add_seconds(*command, "--settle", options->settle, "measure so long after the last login");
  command->get_option("--server-pid")->required();
  command->callback([&context, settings, options] {
    if (!std::ranges::is_sorted(options->counts)) {
      context.exit = usage(context, "expected numbers of clients that grow");
      return;
    }
    context.exit = run_benchmark<Idle>(context, *settings, *options);
  });
}

}  // namespace starling::cli::bench
