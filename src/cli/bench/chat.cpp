// starling bench chat: pairs of clients that write to each other.
#include <algorithm>
#include <charconv>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/pause.h"
#include "cli/bench/bench.h"
#include "cli/bench/ticker.h"

namespace starling::cli::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr Milliseconds kLongestDrain{10'000};

struct Options {
  std::size_t clients = 200, outstanding = 1, body_bytes = 100;
  double rate = 0;  // messages a second, of all; 0: as fast as what is outstanding allows
};

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count());
}

// What a body says: "FLOW NUMBER TIME ...".
struct Mark {
  std::size_t flow = 0;
  std::uint64_t number = 0, sent_us = 0;

  static std::optional<Mark> read(std::string_view body) {
    Mark mark;
    const char* at = body.data();
    const char* const end = at + body.size();
    const auto next = [&](auto& value) {
      const auto [after, wrong] = std::from_chars(at, end, value);
      at = after == end ? end : after + 1;
      return wrong == std::errc();
    };
    if (!next(mark.flow) || !next(mark.number) || !next(mark.sent_us)) return std::nullopt;
    return mark;
  }
};

class Chat final : public Benchmark {
 public:
  Chat(Run& run, const Options& options) : run_(run), options_(options) {}

  Task<Result<Json>> carry_out() override {
    if (auto online = co_await run_.log_in(options_.clients); !online)
      co_return std::unexpected(online.error());
    flows_.resize(options_.clients);
    for (std::size_t i = 0; i < options_.clients; ++i) listen(i);
    talking_ = true;
    started_ = Clock::now();
    std::optional<Ticker> ticker;
    if (options_.rate > 0)
      ticker.emplace(run_.reactor, std::chrono::duration<double>(1 / options_.rate),
                     [this] { send_what_is_due(); });
    else
      for (std::size_t i = 0; i < options_.clients; ++i)
        for (std::size_t n = 0; n < options_.outstanding; ++n) send(i, now_us());
    auto outcome = co_await run_.measure([this] { return delivered_; }, "delivered");
    talking_ = false;
    ticker.reset();
    if (!outcome) co_return outcome;
    co_await drain();
    co_return tell(*std::move(outcome));
  }

 private:
  struct Flow {  // from one client to its partner
    std::uint64_t sent = 0, received = 0;
  };

  static std::size_t partner(std::size_t client) { return client ^ 1U; }

  void listen(std::size_t client) {
    run_.fleet[client].on.message([this, client](const Stanza& message) { receive(client, message); });
  }

  void receive(std::size_t client, const Stanza& message) {
    if (message.type() == Type::error) {
      ++errors_;
      return;
    }
    const auto mark = Mark::read(client::body_of(message));
    const std::size_t from = partner(client);
    Flow& flow = flows_[from];
    if (!mark || mark->flow != from || mark->number >= flow.sent ||
        message.from() != run_.fleet[from].jid()) {
      ++wrong_;
      return;
    }
    if (mark->number < flow.received)
      ++repeated_or_late_;
    else
      lost_or_early_ += mark->number - flow.received;
    flow.received = std::max(flow.received, mark->number + 1);
    ++delivered_;
    const std::uint64_t now = now_us();
    if (run_.in_window())
      latencies_.push_back(
          static_cast<std::uint32_t>(std::min<std::uint64_t>(now - mark->sent_us, UINT32_MAX)));
    if (talking_ && options_.rate <= 0) send(from, now);
  }

  void send(std::size_t from, std::uint64_t when_us) {
    Flow& flow = flows_[from];
    text_.clear();
    auto body = fmt::format("{} {} {} ", from, flow.sent, when_us);
    body.resize(std::max(body.size(), options_.body_bytes), 'x');
    fmt::format_to(std::back_inserter(text_),
                   "<message to='{}' type='chat' id='{}-{}'><body>{}</body></message>",
                   run_.fleet[partner(from)].jid().text(), from, flow.sent, body);
    if (run_.fleet[from].send_xml(text_))
      ++flow.sent;
    else
      ++errors_;
  }

  // Open loop: what is late is late by the time at which it was due, not by that at which it was sent.
  void send_what_is_due() {
    const double elapsed = std::chrono::duration<double>(Clock::now() - started_).count();
    const auto due = static_cast<std::uint64_t>(elapsed * options_.rate);
    const auto start_us = now_us() - static_cast<std::uint64_t>(elapsed * 1e6);
    for (; sent_ < due; ++sent_)
      send(sent_ % options_.clients,
           start_us + static_cast<std::uint64_t>(static_cast<double>(sent_) / options_.rate * 1e6));
  }

  [[nodiscard]] std::uint64_t all_sent() const {
    std::uint64_t sum = 0;
    for (const Flow& flow : flows_) sum += flow.sent;
    return sum;
  }

  Task<void> drain() {
    const auto end = Clock::now() + kLongestDrain;
    while (delivered_ < all_sent() && Clock::now() < end && !run_.fleet.failure()) {
      run_.show(fmt::format("waiting for {} messages", all_sent() - delivered_));
      co_await pause(run_.reactor, Milliseconds{20});
    }
  }

  Json tell(Json outcome) {
    const std::uint64_t sent = all_sent();
    const std::uint64_t lost = sent > delivered_ ? sent - delivered_ : 0;
    Json head{{"clients", options_.clients}};
    if (options_.rate > 0)
      head["rate"] = options_.rate;
    else
      head["outstanding"] = options_.outstanding;
    head["tls"] = run_.settings.target.tls;
    head["stream_management"] = run_.fleet[0].acknowledges();
    head.update(outcome);
    head["p50_ms"] = percentile(0.5);
    head["p99_ms"] = percentile(0.99);
    head["lost"] = lost;
    head["out_of_order_or_twice"] = repeated_or_late_;
    head["wrong"] = wrong_;
    head["errors"] = errors_;
    head["ok"] = lost == 0 && lost_or_early_ == 0 && repeated_or_late_ == 0 && wrong_ == 0 && errors_ == 0;
    return head;
  }

  Json percentile(double share) {
    if (latencies_.empty()) return {};
    const auto at = static_cast<std::size_t>(share * static_cast<double>(latencies_.size() - 1));
    std::ranges::nth_element(latencies_, latencies_.begin() + static_cast<std::ptrdiff_t>(at));
    return static_cast<double>(latencies_[at]) / 1000;
  }

  Run& run_;
  const Options& options_;
  std::vector<Flow> flows_;
  std::vector<std::uint32_t> latencies_;  // microseconds, of what arrived in the window
  std::uint64_t delivered_ = 0, sent_ = 0, errors_ = 0, wrong_ = 0, repeated_or_late_ = 0, lost_or_early_ = 0;
  bool talking_ = false;
  Clock::time_point started_;
  std::string text_;
};

}  // namespace

void add_chat(CLI::App& bench, Context& context) {
  const auto settings = std::make_shared<Settings>();
  const auto options = std::make_shared<Options>();
  auto* command =
      add_benchmark(bench, context, "chat", "pairs of clients that write to each other", settings);
  add_number(*command, "CLIENTS", options->clients, "how many, an even number", 2);
  add_number(*command, "--outstanding", options->outstanding, "messages of each that have not arrived yet");
  command->add_option("--rate", options->rate, "so many messages a second in all, whether they arrive or not")
      ->check(CLI::Range(1.0, 1e8))
      ->excludes("--outstanding");
  command->add_option("--body", options->body_bytes, "bytes of a body")
      ->check(CLI::Range(1, 200'000))
      ->capture_default_str();
  add_window(*command, *settings);
  command->footer(
      "Each message is checked: lost, twice, out of order, at the wrong client. With --rate the time of "
      "arrival counts from when it was due.\n\nExample:\n"
      "  starling bench chat 200 --outstanding 10 --connect 127.0.0.1:5222 --server-pid $(pgrep -x "
      "starling)");
  command->callback([&context, settings, options] {
    if (options->clients % 2 != 0) {
      context.exit = usage(context, "the clients talk in pairs: expected an even number");
      return;
    }
    context.exit = run_benchmark<Chat>(context, *settings, *options);
  });
}

}  // namespace starling::cli::bench
