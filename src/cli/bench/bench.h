#pragma once
// What every benchmark shares: its options, how it runs, how the server's cost is measured, progress and
// outcome. Main thread.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench/fleet.h"
#include "cli/bench/process_usage.h"
#include "cli/context.h"

namespace starling::cli::bench {

struct Settings {
  Target target;
  std::vector<pid_t> server;  // its processes; may be empty
  double seconds = 5, warm_up = 1;
};
using SettingsPtr = std::shared_ptr<Settings>;

// Adds the benchmark `name` with the options that all have.
CLI::App* add_benchmark(CLI::App& bench, Context& context, const std::string& name, const std::string& doc,
                        const SettingsPtr& settings);
// --seconds and --warm-up.
void add_window(CLI::App& benchmark, Settings& settings);
// An argument, or an option, that is a number of things, from `least` on.
void add_number(CLI::App& benchmark, const std::string& name, std::size_t& value, const std::string& doc,
                std::size_t least = 1);

// A benchmark that runs.
class Run {
 public:
  Run(const Settings& settings, net::Reactor& reactor);

  const Settings& settings;
  net::Reactor& reactor;
  Fleet fleet;

  // Words and how far it is, on a terminal; they are written over by the next.
  void show(std::string_view text);
  Task<Result<void>> log_in(std::size_t count);  // with progress

  // Waits for the warm-up and then for the window. `count` is asked at the beginning and the end of the
  // window. The outcome is what was counted within, in all, a second, and a second of the server's CPU, with
  // its and our own use of the CPU. Ends early when the fleet loses one.
  Task<Result<Json>> measure(const std::function<std::uint64_t()>& count, std::string_view what);
  [[nodiscard]] bool in_window() const { return in_window_; }

 private:
  bool in_window_ = false;
  bool is_terminal_;
};

// What is measured. It outlives the clients of its Run, whose handlers it has.
class Benchmark {
 public:
  virtual ~Benchmark() = default;
  virtual Task<Result<Json>> carry_out() = 0;
};
using MakeBenchmark = std::function<std::unique_ptr<Benchmark>(Run&)>;
// Does it, closes all streams, prints the outcome, and returns the exit code: kFailed as well when the
// outcome's member "ok" is false.
int run_benchmark(const Context& context, const Settings& settings, const MakeBenchmark& make);
template <class B, class Options>
int run_benchmark(const Context& context, const Settings& settings, const Options& options) {
  return run_benchmark(context, settings, [&](Run& run) { return std::make_unique<B>(run, options); });
}

// The benchmarks, each in a file of its own.
void add_register(CLI::App& bench, Context& context);
void add_chat(CLI::App& bench, Context& context);
void add_iq(CLI::App& bench, Context& context);
void add_idle(CLI::App& bench, Context& context);
void add_login(CLI::App& bench, Context& context);

}  // namespace starling::cli::bench
