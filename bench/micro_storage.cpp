// What storing costs: messages appended through Store::commit() with many commits outstanding, as shards do
// it. items_per_second is per second of CPU of the whole process (the loop's thread and the writer's), disk
// waits left out.
#include <filesystem>

#include <benchmark/benchmark.h>

#include "storage/store.h"
#include "support/virtual_loop.h"

namespace {

using namespace starling;
using namespace starling::storage;

class Fixture {
 public:
  explicit Fixture(const char* spec)
      : directory_(std::filesystem::temp_directory_path() / "starling-micro-storage") {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    store = std::move(open(spec, directory_.string()).value());
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

// One message a commit, `outstanding` commits at once.
void append(benchmark::State& state, const char* spec) {
  Fixture fixture(spec);
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
  state.SetItemsProcessed(static_cast<std::int64_t>(sent));
}
BENCHMARK_CAPTURE(append, sqlite, "sqlite:bench.db")
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(append, memory, "memory:")->Arg(1000)->MeasureProcessCPUTime();

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
