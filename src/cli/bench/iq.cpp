// starling bench iq: clients that ping their server (XEP-0199).
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/bench/bench.h"

namespace starling::cli::bench {
namespace {

struct Options {
  std::size_t clients = 50, outstanding = 10;
};

class Pings final : public Benchmark {
 public:
  Pings(Run& run, const Options& options)
      : run_(run), options_(options), server_(*Jid::parse(run.settings.target.domain)) {}

  Task<Result<Json>> carry_out() override {
    if (auto online = co_await run_.log_in(options_.clients); !online)
      co_return std::unexpected(online.error());
    asking_ = true;
    for (std::size_t i = 0; i < options_.clients; ++i)
      for (std::size_t n = 0; n < options_.outstanding; ++n) ask(i);
    auto outcome = co_await run_.measure([this] { return answered_; }, "answered");
    asking_ = false;
    if (!outcome) co_return outcome;
    Json told{{"clients", options_.clients},
              {"outstanding", options_.outstanding},
              {"tls", run_.settings.target.tls},
              {"stream_management", run_.fleet[0].acknowledges()}};
    told.update(*outcome);
    told["errors"] = errors_;
    told["ok"] = errors_ == 0;
    co_return told;
  }

 private:
  void ask(std::size_t client) {
    run_.fleet[client]
        .request(Type::get, server_, "<ping xmlns='urn:xmpp:ping'/>")
        .then([this, client](const auto& answer) {
          if (!asking_) return;  // the stream ends
          ++(answer ? answered_ : errors_);
          ask(client);
        });
  }

  Run& run_;
  const Options& options_;
  Jid server_;
  bool asking_ = false;
  std::uint64_t answered_ = 0, errors_ = 0;
};

}  // namespace

void add_iq(CLI::App& bench, Context& context) {
  const auto settings = std::make_shared<Settings>();
  const auto options = std::make_shared<Options>();
  auto* command = add_benchmark(bench, context, "iq", "clients that ping the server (XEP-0199)", settings);
  add_number(*command, "CLIENTS", options->clients, "how many");
  add_number(*command, "--outstanding", options->outstanding, "requests of each that are not answered yet");
  add_window(*command, *settings);
  command->callback(
      [&context, settings, options] { context.exit = run_benchmark<Pings>(context, *settings, *options); });
}

}  // namespace starling::cli::bench
