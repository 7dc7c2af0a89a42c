// What a stanza costs from the bytes of one client to the bytes for another: the whole server in memory, all
// shards on one loop, no sockets and no TLS. Clients write many stanzas at once and only count what they get,
// so that nearly all of it is the server. items_per_second counts stanzas delivered.
#include <deque>
#include <memory>

#include <benchmark/benchmark.h>

#include "support/test_host.h"

namespace starling {
namespace {

constexpr std::size_t kBulk = 64;  // stanzas in one write, about what one read of the server takes

// The body of an ordinary message; 266 bytes with the addresses.
std::string chat(std::string_view to) {
  return fmt::format(
      "<message to='{}' id='ktx72v49-5cd8-4c3f' type='chat' xml:lang='en'>"
      "<body>Art thou not Romeo, and a Montague? Neither, fair saint.</body>"
      "<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>"
      "<thread>e0ffe42b28561960c6</thread></message>",
      to);
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; at += what.size()) ++found;
  return found;
}

// A name whose account lives on that shard.
std::string name_on(TestHost& host, std::size_t shard, std::string_view stem) {
  for (int i = 0;; ++i) {
    std::string name = fmt::format("{}{}", stem, i);
    if (host.core().home(name + "@localhost").index() == shard) return name;
  }
}

// Sends `bulk` again and again from `from`. The first time what comes is looked at: `expected` times `mark`
// at each of `to`; then only its size is, for speed.
void run(benchmark::State& state, TestHost& host, TestClient& from, const std::string& bulk,
         const std::vector<TestClient*>& to, std::string_view mark, std::size_t expected) {
  host.settle();
  for (TestClient* client : to) client->take();
  from.take();
  from.send(bulk);
  std::vector<std::size_t> sizes;
  for (TestClient* client : to) {
    const std::string got = client->take();
    if (count(got, mark) != expected) state.SkipWithError("stanzas were lost");
    sizes.push_back(got.size());
  }
  for (auto _ : state) {
    from.send(bulk);
    for (std::size_t i = 0; i < to.size(); ++i)
      if (to[i]->take().size() != sizes[i]) state.SkipWithError("another answer than before");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(to.size() * expected));
}

// From a session to another one's full JID; with two shards each account lives on its own.
void route_chat(benchmark::State& state) {
  const auto shards = static_cast<std::size_t>(state.range(0));
  TestHost host(TestHost::default_config(), shards);
  TestClient& juliet = host.login(name_on(host, 0, "juliet") + "@localhost/balcony");
  TestClient& romeo = host.login(name_on(host, shards - 1, "romeo") + "@localhost/orchard");
  run(state, host, juliet, repeated(chat(romeo.bound()), kBulk), {&romeo}, "</message>", kBulk);
}
BENCHMARK(route_chat)->ArgName("shards")->Arg(1)->Arg(2);

// One message at a time: what a turn of the loop, a read and a write add.
void route_chat_singly(benchmark::State& state) {
  TestHost host;
  TestClient& juliet = host.login("juliet@localhost/balcony");
  TestClient& romeo = host.login("romeo@localhost/orchard");
  run(state, host, juliet, chat(romeo.bound()), {&romeo}, "</message>", 1);
}
BENCHMARK(route_chat_singly);

// To the bare JID: the receiver's priorities are looked at (RFC 6121 8.5.2).
void route_chat_to_bare(benchmark::State& state) {
  TestHost host;
  TestClient& juliet = host.login("juliet@localhost/balcony");
  TestClient& romeo = host.login("romeo@localhost/orchard");
  romeo.send("<presence/>");
  run(state, host, juliet, repeated(chat("romeo@localhost"), kBulk), {&romeo}, "</message>", kBulk);
}
BENCHMARK(route_chat_to_bare);

// XEP-0199: a request that the server answers at once.
void route_ping(benchmark::State& state) {
  TestHost host;
  TestClient& juliet = host.login("juliet@localhost/balcony");
  const std::string ping = "<iq type='get' id='p-17' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>";
  run(state, host, juliet, repeated(ping, kBulk), {&juliet}, "type='result'", kBulk);
}
BENCHMARK(route_ping);

// RFC 6121 4.4.2: a change of presence to all contacts that are subscribed to it, each of them online.
void route_presence(benchmark::State& state) {
  const auto contacts = static_cast<std::size_t>(state.range(0));
  const auto shards = static_cast<std::size_t>(state.range(1));
  TestHost host(TestHost::default_config(), shards);
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  std::vector<TestClient*> audience;
  for (std::size_t i = 0; i < contacts; ++i) {
    TestClient& contact = host.login(fmt::format("contact{}@localhost/here", i));
    contact.send("<presence/><presence type='subscribe' to='juliet@localhost'/>");
    juliet.send(fmt::format("<presence type='subscribed' to='contact{}@localhost'/>", i));
    audience.push_back(&contact);
  }
  run(state, host, juliet,
      repeated("<presence><show>away</show><status>at the balcony</status></presence>", 8), audience,
      "<show>away</show>", 8);
}
BENCHMARK(route_presence)->ArgNames({"contacts", "shards"})->Args({20, 1})->Args({20, 2});

}  // namespace
}  // namespace starling
