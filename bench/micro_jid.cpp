// What an address costs. The ASCII figures are on the path of every stanza.
#include <benchmark/benchmark.h>

#include "jid/jid.h"

namespace {

using starling::Jid;

void parse(benchmark::State& state, std::string_view text) {
  for (auto _ : state) {
    auto jid = Jid::parse(text);
    benchmark::DoNotOptimize(jid);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

BENCHMARK_CAPTURE(parse, bare, "juliet@capulet.example");
BENCHMARK_CAPTURE(parse, full, "juliet@capulet.example/balcony-5d1f3a7c");
BENCHMARK_CAPTURE(parse, mixed_case, "Juliet@Capulet.Example/balcony-5d1f3a7c");
BENCHMARK_CAPTURE(parse, international_local, "j\u00FCrgen@capulet.example/balcony-5d1f3a7c");
BENCHMARK_CAPTURE(parse, international_resource, "juliet@capulet.example/B\u00FCro");
BENCHMARK_CAPTURE(parse, international_domain, "juliet@b\u00FCcher.example/balcony-5d1f3a7c");
BENCHMARK_CAPTURE(parse, refused, "not an address");

void to_bare(benchmark::State& state) {
  const Jid full = Jid::parse("juliet@capulet.example/balcony-5d1f3a7c").value();
  for (auto _ : state) {
    auto bare = full.to_bare();
    benchmark::DoNotOptimize(bare);
  }
}
BENCHMARK(to_bare);

void hash(benchmark::State& state) {
  const Jid full = Jid::parse("juliet@capulet.example/balcony-5d1f3a7c").value();
  for (auto _ : state) benchmark::DoNotOptimize(std::hash<Jid>()(full));
}
BENCHMARK(hash);

}  // namespace
