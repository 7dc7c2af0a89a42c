// starling bench register: makes the accounts that the others log in with (XEP-0077).
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/bench/bench.h"
#include "client/ext/registration.h"

namespace starling::cli::bench {
namespace {

// One stream for each: some servers end it after the first.
Task<Result<Json>> carry_out(Run& run, std::size_t count) {
  std::size_t made = 0, known = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t number = run.settings.target.first + i;
    auto options = options_for(run.settings.target, number);
    options.jid = options.jid.to_domain();
    options.password.clear();
    client::Client client(std::move(options), run.reactor);
    auto& registration = client.use<client::Registration>();
    Completion<bool> over;
    std::optional<Error> failure;
    bool online = false;
    client.on.session_start([&] {
      online = true;
      registration.create(account_name(number), password_of(number))
          .then([&](const client::Outcome<void>& done) {
            if (done)
              ++made;
            else if (done.error().error.condition == Condition::conflict)
              ++known;
            else
              failure = Error{Errc::unavailable,
                              fmt::format("{}: {}", account_name(number), done.error().message())};
            client.close();
          });
    });
    client.on.disconnected([&, resolve = over.resolver()](const client::Ended& ended) {
      if (!online) failure = Error{Errc::unavailable, ended.text};
      resolve(true);  // later: not inside a handler of what goes now
    });
    client.connect();
    co_await std::move(over);
    if (failure) co_return std::unexpected(*failure);
    if (i % 100 == 99) run.show(fmt::format("{} of {} accounts", i + 1, count));
  }
  co_return Json{{"made", made}, {"there_before", known}};
}

}  // namespace

void add_register(CLI::App& bench, Context& context) {
  const auto settings = std::make_shared<Settings>();
  const auto count = std::make_shared<std::size_t>(1000);
  auto* command =
      add_benchmark(bench, context, "register", "make the accounts for the others (XEP-0077)", settings);
  command->add_option("ACCOUNTS", *count, "how many")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command->callback([&context, settings, count] {
    context.exit = run_benchmark(context, *settings, [&](Run& run) { return carry_out(run, *count); });
  });
}

}  // namespace starling::cli::bench
