// What storing costs: messages appended through Store::commit() with many commits outstanding, as shards do
// it. items_per_second is per second of CPU of the whole process (the loop's thread and the writer's), disk
// waits left out; per_second_on_the_wall has them in it. disk and process are what the commits survive.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>

#include <benchmark/benchmark.h>

#include "storage/store.h"
#include "support/virtual_loop.h"

namespace {

using namespace starling;
using namespace starling::storage;

class Fixture {
 public:
  explicit Fixture(const char* spec, Durability durability = Durability::disk)
      : directory_(std::filesystem::temp_directory_path() / "starling-micro-storage") {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    store = std::move(open(spec, directory_.string(), {.durability = durability}).value());
  }
  ~Fixture() {
    store->close();
    store.reset();
    std::filesystem::remove_all(directory_);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  VirtualLoop loop;
  std::unique_ptr<Store> store;

 private:
  std::filesystem::path directory_;
};

Batch message_to(std::uint64_t account) {
  Batch batch;
  batch.push_back(Append{{.owner = fmt::format("user{}@example.org", account % 10'000),
                          .peer = "juliet@example.org",
                          .stamp_ms = 1'700'000'000'000,
                          .undelivered = true,
                          .stanza = std::string(400, 'm')}});
  return batch;
}

// How many a second, by the clock on the wall, since this was made.
class WallRate {
 public:
  explicit WallRate(benchmark::State& state) : state_(state) {}
  void set(std::uint64_t items) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begun_;
    state_.counters["per_second_on_the_wall"] = static_cast<double>(items) / passed.count();
  }

 private:
  benchmark::State& state_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

// One message a commit, `outstanding` commits at once.
void append(benchmark::State& state, const char* spec, Durability durability) {
  Fixture fixture(spec, durability);
  WallRate wall(state);
  const auto outstanding = static_cast<std::size_t>(state.range(0));
  std::uint64_t sent = 0;
  for (auto _ : state) {
    std::size_t ended = 0;
    fixture.loop.in_turn([&] {
      for (std::size_t i = 0; i < outstanding; ++i)
        spawn(fixture.store->commit(message_to(++sent * 7919)), [&](const Result<Committed>& result) {
          if (!result) state.SkipWithError(result.error().message.c_str());
          ++ended;
        });
    });
    if (!fixture.loop.run_until([&] { return ended == outstanding; })) state.SkipWithError("no answer");
  }
  wall.set(sent);
  state.SetItemsProcessed(static_cast<std::int64_t>(sent));
}
BENCHMARK_CAPTURE(append, disk, "sqlite:bench.db", Durability::disk)
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(append, process, "sqlite:bench.db", Durability::process)
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(append, memory, "memory:", Durability::process)->Arg(1000)->MeasureProcessCPUTime();

// Appends and takes away again: an offline message's whole life.
void append_and_deliver(benchmark::State& state) {
  Fixture fixture("sqlite:bench.db");
  std::uint64_t sent = 0;
  for (auto _ : state) {
    std::size_t ended = 0;
    fixture.loop.in_turn([&] {
      for (std::uint64_t i = 0; i < 1000; ++i)
        spawn(fixture.store->commit(message_to(i)), [&](const auto&) { ++ended; });
    });
    fixture.loop.run_until([&] { return ended == 1000; });
    fixture.loop.in_turn([&] {
      for (std::uint64_t i = 0; i < 1000; ++i)
        spawn(fixture.store->commit({MarkDelivered{fmt::format("user{}@example.org", i), ~std::uint64_t{0}}}),
              [&](const auto&) { ++ended; });
    });
    fixture.loop.run_until([&] { return ended == 2000; });
    sent += 1000;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(sent));
}
BENCHMARK(append_and_deliver)->MeasureProcessCPUTime();

// One message as it goes with stream management and archives: in the archives of both sides, undelivered, and
// the sender's counter, in one commit; then delivered. 10,000 accounts with 20 contacts each. What runs
// behind is in it: the log, indexes by account and by party, checkpoints. A thousand messages at once.
void durable_message(benchmark::State& state, Durability durability) {
  Fixture fixture("sqlite:bench.db", durability);
  WallRate wall(state);
  std::uint64_t sent = 0;
  std::uint64_t last_delivered = 0;
  std::minstd_rand random(7);  // NOLINT(cert-msc51-cpp): the same in every run
  for (auto _ : state) {
    std::size_t ended = 0;
    std::vector<std::pair<std::string, std::uint64_t>> stored;
    fixture.loop.in_turn([&] {
      for (int i = 0; i < 1000; ++i) {
        const std::uint64_t from = random() % 10'000;
        const std::uint64_t to = (from * 31 + random() % 20 * 97) % 10'000;
        Batch batch = message_to(to);
        auto& append = std::get<Append>(batch.front());
        append.message.peer = fmt::format("user{}@example.org", from);
        append.for_owner = append.for_peer = true;
        const std::string owner = append.message.owner;
        const auto number = static_cast<std::uint32_t>(++sent);
        batch.emplace_back(Receive{from + 1, number, number});
        spawn(fixture.store->commit(std::move(batch)), [&, owner](const Result<Committed>& result) {
          if (!result) state.SkipWithError(result.error().message.c_str());
          if (result) stored.emplace_back(owner, result->appended[0]);
          ++ended;
        });
      }
    });
    fixture.loop.run_until([&] { return ended == 1000; });
    fixture.loop.in_turn([&] {
      for (const auto& [owner, id] : stored)
        spawn(fixture.store->commit({MarkOneDelivered{owner, id}}), [&](const auto&) { ++ended; });
    });
    fixture.loop.run_until([&] { return ended == 2000; });
    last_delivered = stored.empty() ? 0 : stored.back().second;
  }
  benchmark::DoNotOptimize(last_delivered);
  wall.set(sent);
  state.SetItemsProcessed(static_cast<std::int64_t>(sent));
}
BENCHMARK_CAPTURE(durable_message, disk, Durability::disk)->MeasureProcessCPUTime()->MinTime(5);
BENCHMARK_CAPTURE(durable_message, process, Durability::process)->MeasureProcessCPUTime()->MinTime(5);

// Pages of 50 out of one account's archive of STARLING_BENCH_MESSAGES (ten million if not said) messages, of
// which one in 100,000 is with a rare party.
class LargeArchive {
 public:
  static LargeArchive& get() {
    static LargeArchive made;
    return made;
  }

  Fixture fixture{"sqlite:bench.db"};
  std::uint64_t messages = 10'000'000;
  std::vector<std::uint64_t> ids;  // every 1000th

 private:
  LargeArchive() {
    if (const char* said = std::getenv("STARLING_BENCH_MESSAGES"))
      messages = std::strtoull(said, nullptr, 10);
    for (std::uint64_t made = 0; made < messages;) {
      Batch batch;
      for (int i = 0; i < 1000 && made < messages; ++i, ++made)
        batch.emplace_back(
            Append{.message = {.owner = "juliet@example.org",
                               .peer = made % 100'000 == 0 ? "rare@example.org"
                                                           : fmt::format("u{}@example.org", made % 997),
                               .stamp_ms = 1'700'000'000'000 + static_cast<std::int64_t>(made) * 10,
                               .stanza = std::string(100, 'm')},
                   .for_owner = true});
      ids.push_back(
          fixture.loop.get([&] { return fixture.store->commit(std::move(batch)); }).value().appended.front());
    }
  }
};

void archive_page(benchmark::State& state, int which) {
  auto& archive = LargeArchive::get();
  std::uint64_t turn = 0;
  for (auto _ : state) {
    ArchiveQuery query{.account = "juliet@example.org", .limit = 50};
    const std::size_t somewhere = ++turn * 7919 % archive.ids.size();
    if (which == 0) query.from_end = true;
    if (which == 1) query.after = archive.ids[somewhere];
    if (which == 2) query.with = "rare@example.org";
    if (which == 3) query.start_ms = 1'700'000'000'000 + static_cast<std::int64_t>(somewhere) * 10'000;
    const auto page = archive.fixture.loop.get([&] { return archive.fixture.store->archive(query); });
    if (!page || page->messages.empty()) state.SkipWithError("no page");
  }
}
BENCHMARK_CAPTURE(archive_page, last, 0)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(archive_page, after_any_id, 1)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(archive_page, with_a_rare_party, 2)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(archive_page, from_any_time, 3)->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);

// What a first login reads: four kinds of an account with twenty entries in each of 10,000 accounts.
void values_of(benchmark::State& state) {
  Fixture fixture("sqlite:bench.db");
  for (int account = 0; account < 10'000; ++account) {
    Batch batch;
    for (int entry = 0; entry < 20; ++entry)
      batch.push_back(PutValue{fmt::format("user{}@example.org", account), "roster",
                               fmt::format("c{}@example.org", entry), std::string(100, 'v')});
    fixture.loop.in_turn([&] { spawn(fixture.store->commit(std::move(batch)), [](const auto&) {}); });
  }
  std::uint64_t read = 0;
  for (auto _ : state) {
    const auto owner = fmt::format("user{}@example.org", (++read * 7919) % 10'000);
    benchmark::DoNotOptimize(fixture.loop.get(
        [&] { return fixture.store->values_of(owner, {"roster", "roster-version", "privacy", "private"}); }));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(read));
}
BENCHMARK(values_of)->MeasureProcessCPUTime();

}  // namespace
