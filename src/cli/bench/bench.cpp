// starling bench: a load generator for any XMPP server, on the client library.
#include "cli/bench/bench.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/pause.h"
#include "base/running.h"
#include "cli/commands.h"
#include "cli/interrupts.h"
#include "cli/tools/login.h"

namespace starling::cli {
namespace bench {
namespace {

using std::chrono::duration;
using Clock = std::chrono::steady_clock;
constexpr Milliseconds kTick{100};

double rounded(double value) { return std::round(value * 100) / 100; }

void print(const Json& outcome) {
  Json members = outcome;
  members.erase("rows");
  print_members(members);
  if (outcome.contains("rows")) print_table(outcome["rows"], "sessions");
}

}  // namespace

CLI::App* add_benchmark(CLI::App& bench, Context& context, const std::string& name, const std::string& doc,
                        const SettingsPtr& settings) {
  auto* benchmark = bench.add_subcommand(name, doc);
  Target& target = settings->target;
  benchmark->add_option("--domain", target.domain, "the server's domain")
      ->check([](const std::string& text) {
        const auto jid = Jid::parse(text);
        return jid && jid->is_domain() ? std::string() : fmt::format("'{}' is no domain", text);
      })
      ->capture_default_str();
  benchmark->add_option("--connect", target.connect, "connect there instead of asking DNS")
      ->type_name("HOST:PORT")
      ->check(check_place);
  benchmark->add_option("--tls", target.tls, "required or off; any certificate is accepted")
      ->type_name("POLICY")
      ->check(CLI::IsMember({"required", "off"}))
      ->capture_default_str();
  benchmark
      ->add_option("--first", target.first, "the number of the first account, uN with the password pw-uN")
      ->type_name("N")
      ->capture_default_str();
  benchmark->add_flag("!--no-stream-management", target.stream_management, "without XEP-0198");
  benchmark->add_option("--server-pid", settings->server, "the server's processes, to measure what they cost")
      ->type_name("PID,...")
      ->delimiter(',');
  benchmark->add_flag("--json", context.json, "answer in JSON");
  return benchmark;
}

void add_window(CLI::App& benchmark, Settings& settings) {
  add_seconds(benchmark, "--seconds", settings.seconds, "measure for so long");
  add_seconds(benchmark, "--warm-up", settings.warm_up, "after so long");
}

void add_number(CLI::App& benchmark, const std::string& name, std::size_t& value, const std::string& doc,
                std::size_t least) {
  benchmark.add_option(name, value, doc)
      ->check(CLI::Range(least, std::size_t{1'000'000}))
      ->capture_default_str();
}

Run::Run(const Settings& settings_of_it, net::Reactor& loop)
    : settings(settings_of_it),
      reactor(loop),
      fleet(loop, settings.target),
      is_terminal_(::isatty(STDERR_FILENO) == 1) {}

void Run::show(std::string_view text) {
  if (is_terminal_) fmt::print(stderr, "\r{:<60}\r", text);
}

Task<Result<void>> Run::log_in(std::size_t count) {
  auto growing = start(fleet.grow(count));
  while (!growing.done()) {
    co_await pause(reactor, kTick);
    show(fmt::format("{} of {} clients are online", fleet.online(), fleet.size()));
  }
  co_return co_await growing;
}

Task<Result<Json>> Run::measure(const std::function<std::uint64_t()>& count, std::string_view what) {
  struct Sample {
    Clock::time_point at;
    std::uint64_t count = 0;
    Usage server, own;
  };
  const auto sample = [&]() -> Result<Sample> {
    Sample now{.at = Clock::now(), .count = count(), .server = {}, .own = own_usage()};
    if (settings.server.empty()) return now;
    const auto server = usage_of(settings.server);
    if (!server) return std::unexpected(server.error());
    now.server = *server;
    return now;
  };
  const auto wait = [&](double seconds, std::string_view why) -> Task<void> {
    const auto end = Clock::now() + duration_cast<Clock::duration>(duration<double>(seconds));
    while (!fleet.failure() && Clock::now() < end) {
      const auto left = duration_cast<Milliseconds>(end - Clock::now());
      co_await pause(reactor, std::clamp(left, Milliseconds{1}, kTick));
      show(fmt::format("{}: {:.1f} s left, {} {}", why, std::max(duration<double>(left).count(), 0.0),
                       count(), what));
    }
  };
  co_await wait(settings.warm_up, "warming up");
  const auto begin = sample();
  in_window_ = true;
  co_await wait(settings.seconds, "measuring");
  in_window_ = false;
  const auto end = sample();
  show("");
  if (fleet.failure()) co_return std::unexpected(*fleet.failure());
  if (!begin) co_return std::unexpected(begin.error());
  if (!end) co_return std::unexpected(end.error());
  const double seconds = duration<double>(end->at - begin->at).count();
  const auto counted = static_cast<double>(end->count - begin->count);
  Json outcome{{"seconds", rounded(seconds)},
               {std::string(what), end->count - begin->count},
               {"per_second", std::round(counted / seconds)}};
  if (!settings.server.empty()) {
    const double cpu = (end->server.cpu - begin->server.cpu).count();
    outcome["per_server_cpu_second"] = cpu > 0 ? Json(std::round(counted / cpu)) : Json();
    outcome["server_cpu_share"] = rounded(cpu / seconds);
  }
  outcome["own_cpu_share"] = rounded((end->own.cpu - begin->own.cpu).count() / seconds);
  co_return outcome;
}

int run_benchmark(const Context& context, const Settings& settings, const MakeBenchmark& make) {
  net::Reactor reactor;
  Interrupts interrupts;
  bool interrupted = false;
  interrupts.watch(reactor, [&] {
    interrupted = true;
    reactor.stop();
  });
  Run run(settings, reactor);
  const auto benchmark = make(run);
  std::optional<Result<Json>> outcome;
  std::exception_ptr thrown;
  const auto carry_out = [&]() -> Task<void> {
    try {
      outcome = co_await benchmark->carry_out();
      co_await run.fleet.leave();
    } catch (...) {
      thrown = std::current_exception();
    }
    reactor.stop();
  };
  // Begun on the loop, so that what it awaits finds it.
  std::optional<Running<void>> running;
  reactor.post([&] { running.emplace(start(carry_out())); });
  reactor.run();
  running.reset();
  run.fleet.drop();  // before the benchmark, which its handlers call
  run.show("");
  if (thrown) std::rethrow_exception(thrown);
  if (interrupted) return kDone;
  if (!*outcome) {
    print_error(context, outcome->error());
    return kFailed;
  }
  const int exit = (*outcome)->value("ok", true) ? kDone : kFailed;
  return std::max<int>(exit, finish(context, **outcome, print));
}

}  // namespace bench

void add_bench(CLI::App& app, Context& context) {
  auto* bench = app.add_subcommand("bench", "measure what an XMPP server can do");
  bench->require_subcommand(1);
  bench->footer(
      "One process with one thread. It needs accounts uN with the passwords pw-uN, which `register` makes "
      "where the "
      "server lets it.\n\nExamples:\n"
      "  starling bench register 200 --connect 127.0.0.1:5222\n"
      "  starling bench chat 200 --outstanding 10 --connect 127.0.0.1:5222 --server-pid $(pgrep -x "
      "starling)");
  bench::add_register(*bench, context);
  bench::add_chat(*bench, context);
  bench::add_iq(*bench, context);
  bench::add_idle(*bench, context);
  bench::add_login(*bench, context);
}

}  // namespace starling::cli
