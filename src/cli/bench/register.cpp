// starling bench register: makes the accounts that the others log in with (XEP-0077).
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/bench/bench.h"
#include "client/ext/registration.h"

namespace starling::cli::bench {
namespace {

class Accounts final : public Benchmark {
 public:
  Accounts(Run& run, std::size_t count) : run_(run), count_(count) {}

  Task<Result<Json>> carry_out() override {
    for (std::size_t i = 0; i < count_; ++i) {
      co_await make(run_.settings.target.first + i);
      if (failure_) co_return std::unexpected(*failure_);
      if (i % 100 == 99) run_.show(fmt::format("{} of {} accounts", i + 1, count_));
    }
    co_return Json{{"made", made_}, {"there_before", known_}};
  }

 private:
  // On a stream of its own: some servers end it after the first.
  Task<void> make(std::size_t number) {
    auto options = options_for(run_.settings.target, number);
    options.jid = options.jid.to_domain();
    options.password.clear();
    Completion<bool> over;
    client_ = std::make_unique<client::Client>(std::move(options), run_.reactor);
    client_->on.session_start([this, number] {
      client_->use<client::Registration>()
          .create(account_name(number), password_of(number))
          .then([this, number](const client::Outcome<void>& done) { answered(number, done); });
    });
    client_->on.disconnected([this, number, resolve = over.resolver()](const client::Ended& ended) {
      if (ended.why != client::Ended::Why::closed && !failure_)
        failure_ = Error{Errc::unavailable, fmt::format("{}: {}", account_name(number), ended.text)};
      resolve(true);  // later: not inside a handler of what goes now
    });
    client_->connect();
    co_await std::move(over);
  }

  void answered(std::size_t number, const client::Outcome<void>& done) {
    if (done)
      ++made_;
    else if (done.error().error.condition == Condition::conflict)
      ++known_;
    else
      failure_ =
          Error{Errc::unavailable, fmt::format("{}: {}", account_name(number), done.error().message())};
    client_->close();
  }

  Run& run_;
  std::size_t count_, made_ = 0, known_ = 0;
  std::optional<Error> failure_;
  std::unique_ptr<client::Client> client_;  // which calls us, and goes first
};

}  // namespace

void add_register(CLI::App& bench, Context& context) {
  const auto settings = std::make_shared<Settings>();
  const auto count = std::make_shared<std::size_t>(1000);
  auto* command =
      add_benchmark(bench, context, "register", "make the accounts for the others (XEP-0077)", settings);
  add_number(*command, "ACCOUNTS", *count, "how many");
  command->callback(
      [&context, settings, count] { context.exit = run_benchmark<Accounts>(context, *settings, *count); });
}

}  // namespace starling::cli::bench
