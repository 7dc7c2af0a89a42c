// starling bench login: clients that log in and leave, again and again.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/pause.h"
#include "cli/bench/bench.h"
#include "stream/sasl/mechanism.h"

namespace starling::cli::bench {
namespace {

struct Options {
  std::size_t accounts = 500, at_once = 20;
};

class Logins final : public Benchmark {
 public:
  Logins(Run& run, const Options& options) : run_(run), options_(options) {}

  Task<Result<Json>> carry_out() override {
    going_ = true;
    for (std::size_t i = 0; i < options_.at_once; ++i) begin(i);
    auto outcome = co_await run_.measure([this] { return done_; }, "logins");
    going_ = false;
    while (under_way_ > 0) co_await pause(run_.reactor, Milliseconds{10});
    if (!failure_.empty()) co_return fail(Errc::unavailable, failure_);
    if (!outcome) co_return outcome;
    Json told{{"at_once", options_.at_once},
              {"tls", run_.settings.target.tls},
              {"mechanism", run_.settings.target.mechanism}};
    told.update(*outcome);
    co_return told;
  }

 private:
  // Each place has a client for one account after the other.
  void begin(std::size_t place) {
    if (!going_) return;
    const std::size_t account = next_++ % options_.accounts;
    auto client = std::make_unique<client::Client>(
        options_for(run_.settings.target, run_.settings.target.first + account), run_.reactor);
    ++under_way_;
    client->on.session_start([this, &client = *client] {
      ++done_;
      client.close();
    });
    client->on.disconnected([this, place](const client::Ended& ended) {
      --under_way_;
      if (ended.why != client::Ended::Why::closed && failure_.empty()) failure_ = ended.text;
      if (going_ && failure_.empty())
        run_.reactor.post([this, place] { begin(place); });  // which destroys the one that calls us
    });
    client->connect();
    if (clients_.size() <= place) clients_.resize(place + 1);
    clients_[place] = std::move(client);
  }

  Run& run_;
  const Options& options_;
  std::size_t next_ = 0, under_way_ = 0;
  std::uint64_t done_ = 0;
  bool going_ = false;
  std::string failure_;
  std::vector<std::unique_ptr<client::Client>> clients_;  // which call us, and go first
};

}  // namespace

void add_login(CLI::App& bench, Context& context) {
  const auto settings = std::make_shared<Settings>();
  const auto options = std::make_shared<Options>();
  auto* command = add_benchmark(bench, context, "login", "clients that log in and leave", settings);
  std::vector<std::string> names;
  for (const auto& mechanism : sasl::standard_mechanisms()) names.emplace_back(mechanism.name);
  settings->target.mechanism = "SCRAM-SHA-1";
  add_number(*command, "ACCOUNTS", options->accounts, "how many, one after the other");
  add_number(*command, "--at-once", options->at_once, "logins under way");
  command->add_option("--mechanism", settings->target.mechanism, "of SASL")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  add_window(*command, *settings);
  command->callback(
      [&context, settings, options] { context.exit = run_benchmark<Logins>(context, *settings, *options); });
}

}  // namespace starling::cli::bench
