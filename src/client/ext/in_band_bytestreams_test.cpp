#include "client/ext/in_band_bytestreams.h"

#include <gmock/gmock.h>

#include "base/crypto.h"
#include "client/ext/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Stream = InBandBytestreams::Stream;
using Closed = InBandBytestreams::Closed;

constexpr std::string_view kBob = "bob@example.org/orchard";

InBandBytestreams& ibb(Bench& bench) { return bench.client->use<InBandBytestreams>(); }

// Everything that a client hears of its streams.
struct Heard {
  explicit Heard(Bench& bench) {
    ibb(bench).opened([this](const Stream& stream) { log.push_back("opened " + stream.peer.text()); });
    ibb(bench).received([this](const Stream& stream, std::string_view chunk) {
      bytes += chunk;
      EXPECT_EQ(stream.received, bytes.size());
    });
    ibb(bench).closed([this](const Stream&, const Closed& how) {
      const std::string_view why[] = {"by us", "by peer", "broken"};
      log.push_back(fmt::format("closed {}{}{}", why[std::to_underlying(how.why)],
                                how.text.empty() ? "" : ": ", how.text));
    });
  }
  std::vector<std::string> log;
  std::string bytes;
};

std::string random_looking(std::size_t size) {
  std::minstd_rand random(1);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

std::string open_xml(std::string_view sid = "s1", std::string_view size = "4096",
                     std::string_view more = {}) {
  return fmt::format("<open xmlns='http://jabber.org/protocol/ibb' sid='{}' block-size='{}'{}/>", sid, size,
                     more);
}
std::string data_xml(std::string_view seq, std::string_view base64, std::string_view sid = "s1") {
  return fmt::format("<data xmlns='http://jabber.org/protocol/ibb' seq='{}' sid='{}'>{}</data>", seq, sid,
                     base64);
}
constexpr std::string_view kClose = "<close xmlns='http://jabber.org/protocol/ibb' sid='s1'/>";

bool take_all(Stream&) { return true; }

// --- two of us ---

TEST(InBandBytestreams, AMebibyteArrivesEqual) {  // R85, R134
  for (const std::size_t window : {1, 8}) {
    Pair pair;
    Heard heard(pair.bob);
    ibb(pair.bob).accept = take_all;
    ibb(pair.alice).settings.window = window;
    pair.log_in();
    const auto data = random_looking(1'048'576 + 17);
    std::optional<Outcome<void>> outcome;
    pair.alice.in_turn([&] {
      ibb(pair.alice).send(jid(kBob), data).then([&](Outcome<void> sent) { outcome = std::move(sent); });
    });
    pair.settle();
    ASSERT_TRUE(outcome && outcome->has_value());
    EXPECT_TRUE(heard.bytes == data);
    EXPECT_THAT(heard.log, ElementsAre("opened alice@example.org/balcony", "closed by peer"));
    EXPECT_EQ(pair.stanzas, 2 * (257u + 2u));  // chunks, <open/> and <close/>, each with its answer
  }
}

TEST(InBandBytestreams, CountsChunksModulo65536) {
  Pair pair;
  Heard heard(pair.bob);
  ibb(pair.bob).accept = take_all;
  ibb(pair.alice).settings.block_size = 1;
  pair.log_in();
  const auto data = random_looking(65'540);
  std::optional<Outcome<void>> outcome;
  pair.alice.in_turn([&] {
    ibb(pair.alice).send(jid(kBob), data).then([&](Outcome<void> sent) { outcome = std::move(sent); });
  });
  pair.settle();
  EXPECT_TRUE(outcome && outcome->has_value());
  EXPECT_TRUE(heard.bytes == data);
}

TEST(InBandBytestreams, AgreeOnABlockSize) {
  Pair pair;
  Heard heard(pair.bob);
  ibb(pair.bob).accept = take_all;
  ibb(pair.bob).settings.largest_block = 1500;
  pair.log_in();
  std::optional<Stream> stream;
  pair.alice.in_turn([&] {
    ibb(pair.alice).open(jid(kBob)).then([&](Outcome<Stream> opened) { stream = *std::move(opened); });
  });
  pair.settle();
  ASSERT_TRUE(stream);
  EXPECT_EQ(stream->block_size, 1024u);
  EXPECT_FALSE(stream->incoming);
  EXPECT_EQ(ibb(pair.alice).find(stream->id)->sid, stream->sid);
}

TEST(InBandBytestreams, GoBothWays) {
  Pair pair;
  Heard alice(pair.alice), bob(pair.bob);
  ibb(pair.bob).accept = take_all;
  std::vector<std::string> order;
  ibb(pair.bob).received([&](const Stream& stream, std::string_view bytes) {
    ibb(pair.bob).write(stream.id, "you said: " + std::string(bytes)).then([&](const auto& written) {
      order.emplace_back(written ? "answered" : "failed");
    });
    if (bytes == "enough")
      ibb(pair.bob).close(stream.id).then([&](const auto&) { order.emplace_back("closed"); });
  });
  pair.log_in();
  pair.alice.in_turn([&] {
    ibb(pair.alice).open(jid(kBob)).then([&](Outcome<Stream> stream) {
      ibb(pair.alice).write(stream->id, "hello").then([](const auto&) {});
      ibb(pair.alice).write(stream->id, "").then([](const auto&) {});
      ibb(pair.alice).write(stream->id, "enough").then([](const auto&) {});
    });
  });
  pair.settle();
  EXPECT_EQ(bob.bytes, "helloenough");
  EXPECT_EQ(alice.bytes, "you said: helloyou said: enough");
  EXPECT_THAT(order, ElementsAre("answered", "answered", "closed"));
  EXPECT_THAT(alice.log, ElementsAre("opened bob@example.org/orchard", "closed by peer"));
  EXPECT_THAT(bob.log, ElementsAre("opened alice@example.org/balcony", "closed by us"));
}

// --- sending ---

struct Sending {
  Sending() : heard(bench) {
    bench.log_in();
    bench.in_turn([&] {
      ibb(bench).send(jid(kBob), "abcdefghij").then([&](Outcome<void> sent) { outcome = std::move(sent); });
    });
  }
  std::string last() {
    auto stanzas = sent(bench);
    return stanzas.empty() ? std::string() : stanzas.back();
  }
  Bench bench;
  Heard heard;
  std::optional<Outcome<void>> outcome;
};

TEST(InBandBytestreams, WritesWhatTheDocumentSays) {
  Sending one;
  const auto open = one.last();
  const auto sid = attribute_of(open, "sid");
  EXPECT_THAT(open, HasSubstr(fmt::format("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' "
                                          "sid='{}' stanza='iq'/>",
                                          sid)));
  answer(one.bench, open, "result");
  const auto data = one.last();
  EXPECT_THAT(data, HasSubstr(data_xml("0", "YWJjZGVmZ2hpag==", sid)));
  EXPECT_THAT(one.last(), IsEmpty());  // waits for the answer
  answer(one.bench, data, "result");
  const auto close = one.last();
  EXPECT_THAT(close, HasSubstr(fmt::format("<close xmlns='http://jabber.org/protocol/ibb' sid='{}'/>", sid)));
  EXPECT_FALSE(one.outcome);
  answer(one.bench, close, "error", error_xml("cancel", "item-not-found"));
  ASSERT_TRUE(one.outcome);
  EXPECT_TRUE(one.outcome->has_value());  // closed is closed (2.3)
  EXPECT_THAT(one.heard.log, ElementsAre("opened bob@example.org/orchard", "closed by us"));
}

TEST(InBandBytestreams, HalveTheBlockUntilThePeerTakesIt) {
  Sending one;
  for (const auto* size : {"4096", "2048", "1024", "512", "256"}) {
    const auto open = one.last();
    EXPECT_EQ(attribute_of(open, "block-size"), size);
    answer(one.bench, open, "error", error_xml("modify", "resource-constraint"));
  }
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().error.condition, Condition::resource_constraint);
  EXPECT_THAT(one.last(), IsEmpty());
}

TEST(InBandBytestreams, AreRefused) {
  Sending one;
  answer(one.bench, one.last(), "error", error_xml("cancel", "not-acceptable"));
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().error.condition, Condition::not_acceptable);
  EXPECT_THAT(one.heard.log, IsEmpty());
}

TEST(InBandBytestreams, AreClosedByUsWhenAChunkIsRefused) {  // a MUST of 2.2
  Sending one;
  answer(one.bench, one.last(), "result");
  answer(one.bench, one.last(), "error", error_xml("cancel", "unexpected-request"));
  EXPECT_THAT(one.last(), HasSubstr("<close "));
  ASSERT_TRUE(one.outcome);
  EXPECT_THAT(one.outcome->error().message(), HasSubstr("unexpected-request"));
  EXPECT_THAT(one.heard.log.back(), HasSubstr("closed broken"));
}

TEST(InBandBytestreams, FailWhenThePeerClosesTooEarly) {
  Sending one;
  const auto open = one.last();
  answer(one.bench, open, "result");
  const auto close =
      fmt::format("<close xmlns='http://jabber.org/protocol/ibb' sid='{}'/>", attribute_of(open, "sid"));
  EXPECT_THAT(ask(one.bench, kBob, "set", close), HasSubstr("type='result'"));
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().message(), "the peer closed the stream");
  EXPECT_EQ(one.heard.log.back(), "closed by peer");
  EXPECT_THAT(ask(one.bench, kBob, "set", close), HasSubstr("item-not-found"));
}

TEST(InBandBytestreams, EndWithTheSession) {
  Sending one;
  answer(one.bench, one.last(), "result");
  one.bench.in_turn([&] { one.bench.servers.back()->fail(StreamCondition::reset); });
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().kind, RequestError::Kind::disconnected);
  EXPECT_THAT(one.heard.log.back(), HasSubstr("closed broken"));
}

TEST(InBandBytestreams, EndWithThePeersPresence) {
  Sending one;
  answer(one.bench, one.last(), "result");
  one.bench.server_sends("<presence type='unavailable' from='bob@example.org/elsewhere'/>");
  EXPECT_FALSE(one.outcome);
  one.bench.server_sends("<presence type='unavailable' from='bob@example.org/orchard'/>");
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().message(), "bob@example.org/orchard went offline");
}

TEST(InBandBytestreams, FailWhenNobodyAnswers) {
  Sending one;
  answer(one.bench, one.last(), "result");
  one.bench.loop.advance(Milliseconds{31'000});
  ASSERT_TRUE(one.outcome);
  EXPECT_THAT(one.outcome->error().message(), HasSubstr("no answer from bob@example.org/orchard"));
}

TEST(InBandBytestreams, ThatAreClosedTakeNothing) {
  Bench bench;
  bench.log_in();
  int failed = 0;
  bench.in_turn([&] {
    ibb(bench).write(7, "x").then([&](const auto& written) { failed += !written; });
    ibb(bench).close(7).then([&](const auto& closed) { failed += !closed; });
  });
  EXPECT_EQ(failed, 2);
}

TEST(InBandBytestreams, KeepWithinTheWindow) {
  Bench bench;
  ibb(bench).settings.window = 3;
  ibb(bench).settings.block_size = 2;
  bench.log_in();
  bool done = false;
  bench.in_turn([&] {
    ibb(bench).send(jid(kBob), "abcdefghi").then([&](const auto& sent) { done = sent.has_value(); });
  });
  answer(bench, sent(bench).back(), "result");
  auto chunks = sent(bench);
  ASSERT_EQ(chunks.size(), 3u);
  answer(bench, chunks[0], "result");
  const auto fourth = sent(bench);
  ASSERT_EQ(fourth.size(), 1u);
  answer(bench, chunks[1], "result");
  const auto fifth = sent(bench);
  ASSERT_EQ(fifth.size(), 1u);
  EXPECT_EQ(attribute_of(fifth[0], "seq"), "4");
  for (const auto& chunk : {chunks[2], fourth[0], fifth[0]}) answer(bench, chunk, "result");
  answer(bench, sent(bench).back(), "result");
  EXPECT_TRUE(done);
}

// --- receiving ---

Options without_pings() {
  Options options;
  options.ping_after = Milliseconds{0};
  return options;
}

struct Receiving {
  Receiving() : bench(without_pings()), heard(bench) {
    ibb(bench).accept = take_all;
    bench.log_in();
  }
  std::string says(std::string_view payload, std::string_view from = kBob) {
    return ask(bench, from, "set", payload);
  }
  Bench bench;
  Heard heard;
};

TEST(InBandBytestreams, AreNotTakenWithoutAPolicy) {
  Receiving one;
  ibb(one.bench).accept = {};
  EXPECT_THAT(one.says(open_xml()), HasSubstr("<error type='cancel'><not-acceptable"));
  ibb(one.bench).accept = [](const Stream& offer) { return offer.peer.domain() == "example.net"; };
  EXPECT_THAT(one.says(open_xml()), HasSubstr("not-acceptable"));
  EXPECT_THAT(one.says(open_xml(), "carol@example.net/x"), HasSubstr("type='result'"));
  EXPECT_THAT(one.heard.log, ElementsAre("opened carol@example.net/x"));
}

TEST(InBandBytestreams, MayThrowAfterSilenceToo) {
  Receiving one;
  ibb(one.bench).closed([](const Stream&, const Closed&) { throw std::runtime_error("no more"); });
  one.says(open_xml());
  one.bench.loop.advance(ibb(one.bench).settings.idle);
  EXPECT_TRUE(one.bench.client->ended());
  EXPECT_THROW(one.bench.core->take_outcome(), std::runtime_error);
}

TEST(InBandBytestreams, AreNotOpenedByNonsense) {
  Receiving one;
  for (const auto& open :
       {open_xml(""), open_xml("a b"), open_xml("a/b"), open_xml("s", "0"), open_xml("s", "-1"),
        open_xml("s", "65536"), open_xml("s", "99999999999"), open_xml("s", "four"), open_xml("s", ""),
        open_xml("s", "4096", " stanza='presence'"),
        std::string("<open xmlns='http://jabber.org/protocol/ibb' sid='s'/>"),
        std::string("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096'/>")})
    EXPECT_THAT(one.says(open), HasSubstr("<bad-request")) << open;
  EXPECT_THAT(one.heard.log, IsEmpty());
}

TEST(InBandBytestreams, OfAnotherSizeAreAskedFor) {
  Receiving one;
  ibb(one.bench).settings.largest_block = 4096;
  EXPECT_THAT(one.says(open_xml("s1", "4097")), HasSubstr("<error type='modify'><resource-constraint"));
  EXPECT_THAT(one.says(open_xml("s1", "4096", " stanza='message'")), HasSubstr("type='result'"));
}

TEST(InBandBytestreams, AreNotOpenedTwiceAndNotTooOften) {
  Receiving one;
  ibb(one.bench).settings.incoming = 2;
  EXPECT_THAT(one.says(open_xml("s1")), HasSubstr("type='result'"));
  EXPECT_THAT(one.says(open_xml("s1")), HasSubstr("not-acceptable"));
  EXPECT_THAT(one.says(open_xml("s1"), "carol@example.net/x"), HasSubstr("type='result'"));
  EXPECT_THAT(one.says(open_xml("s2")), HasSubstr("not-acceptable"));
  EXPECT_THAT(one.says(kClose), HasSubstr("type='result'"));
  EXPECT_THAT(one.says(open_xml("s2")), HasSubstr("type='result'"));
}

TEST(InBandBytestreams, TakeChunksInOrder) {
  Receiving one;
  one.says(open_xml());
  EXPECT_THAT(one.says(data_xml("0", "YWJj")), HasSubstr("type='result'"));
  EXPECT_THAT(one.says(data_xml("1", "ZA==")), HasSubstr("type='result'"));
  EXPECT_THAT(one.says(data_xml("2", "")), HasSubstr("type='result'"));
  EXPECT_EQ(one.heard.bytes, "abcd");
  EXPECT_THAT(one.says(kClose), HasSubstr("type='result'"));
  EXPECT_THAT(one.heard.log, ElementsAre("opened bob@example.org/orchard", "closed by peer"));
}

TEST(InBandBytestreams, EndWithAChunkThatIsNone) {
  struct Case {
    std::string chunk;
    std::string_view error;
  };
  const Case cases[] = {
      {data_xml("0", "YWJj"), "unexpected-request"},  // again
      {data_xml("2", "YWJj"), "unexpected-request"},
      {data_xml("65536", "YWJj"), "bad-request"},
      {data_xml("-1", "YWJj"), "bad-request"},
      {data_xml("", "YWJj"), "bad-request"},
      {"<data xmlns='http://jabber.org/protocol/ibb' sid='s1'>YWJj</data>", "bad-request"},
      {data_xml("1", "YWJ"), "bad-request"},
      {data_xml("1", " YWJj"), "bad-request"},
      {data_xml("1", "YWJj\n"), "bad-request"},
      {data_xml("1", "=AAA"), "bad-request"},
      {data_xml("1", "BBBB=CCC"), "bad-request"},
      {data_xml("1", "YWJj&#xE9;"), "bad-request"},
      {data_xml("1", "YW-_"), "bad-request"},
      {data_xml("1", "YWJjZGVmZ2hp"), "bad-request"},  // nine bytes
      {data_xml("1", "YWJjZGVmZ2g="), "policy-violation"},
  };
  for (const auto& [chunk, error] : cases) {
    Receiving one;
    ibb(one.bench).settings.most_bytes = 10;
    one.says(open_xml("s1", "8"));
    one.says(data_xml("0", "YWJj"));
    const auto answer = one.says(chunk);
    EXPECT_THAT(answer, HasSubstr(fmt::format("<error type='cancel'><{} ", error))) << chunk;
    EXPECT_THAT(sent(one.bench).back(), HasSubstr("<close ")) << chunk;
    EXPECT_EQ(one.heard.bytes, "abc") << chunk;
    EXPECT_THAT(one.heard.log.back(), HasSubstr("closed broken: bob@example.org/orchard sent a chunk"))
        << chunk;
    EXPECT_THAT(one.says(data_xml("1", "YWJj")), HasSubstr("<error type='cancel'><item-not-found")) << chunk;
  }
}

TEST(InBandBytestreams, AreOfThePeerThatOpenedThem) {
  Receiving one;
  one.says(open_xml());
  EXPECT_THAT(one.says(data_xml("0", "YWJj"), "bob@example.org/other"), HasSubstr("item-not-found"));
  EXPECT_THAT(one.says(data_xml("0", "YWJj", "s2")), HasSubstr("item-not-found"));
  EXPECT_THAT(one.says(kClose, "mallory@example.net/x"), HasSubstr("item-not-found"));
  EXPECT_THAT(one.says(data_xml("0", "YWJj")), HasSubstr("type='result'"));
}

TEST(InBandBytestreams, ComeInMessagesToo) {
  Receiving one;
  one.says(open_xml("s1", "4096", " stanza='message'"));
  const auto message = [&](std::string_view type, const std::string& data) {
    sent(one.bench);
    one.bench.server_sends(
        fmt::format("<message from='{}' id='m1' to='alice@example.org/balcony' type='{}'>{}</message>", kBob,
                    type, data));
    return sent(one.bench);
  };
  EXPECT_THAT(message("normal", data_xml("0", "YWJj")), IsEmpty());
  EXPECT_THAT(message("groupchat", data_xml("1", "YWJj")), IsEmpty());
  EXPECT_THAT(message("error", data_xml("1", "YWJj")), IsEmpty());
  EXPECT_EQ(one.heard.bytes, "abc");
  const auto refused = message("normal", data_xml("3", "YWJj"));
  ASSERT_EQ(refused.size(), 2u);
  EXPECT_THAT(refused[0], HasSubstr("<message "));
  EXPECT_EQ(attribute_of(refused[0], "id"), "m1");
  EXPECT_EQ(attribute_of(refused[0], "to"), kBob);
  EXPECT_THAT(refused[0], HasSubstr("unexpected-request"));
  EXPECT_THAT(refused[1], HasSubstr("<close "));
}

TEST(InBandBytestreams, LastNoLongerThanTheirPeerTalks) {
  Receiving one;
  one.says(open_xml());
  one.bench.loop.advance(Milliseconds{599'000});
  EXPECT_THAT(one.says(data_xml("0", "YWJj")), HasSubstr("type='result'"));
  sent(one.bench);
  one.bench.loop.advance(Milliseconds{599'000});
  EXPECT_THAT(one.heard.log, ElementsAre("opened bob@example.org/orchard"));
  one.bench.loop.advance(Milliseconds{2'000});
  EXPECT_EQ(one.heard.log.back(), "closed broken: nothing came for too long");
}

TEST(InBandBytestreams, MayBeClosedFromAHandler) {
  Receiving one;
  ibb(one.bench).received([&](const Stream& stream, std::string_view) {
    ibb(one.bench).close(stream.id).then([&](const auto& closed) {
      EXPECT_TRUE(closed.has_value());
      one.heard.log.emplace_back("answered");
    });
  });
  one.says(open_xml());
  EXPECT_THAT(one.says(data_xml("0", "YWJj")), HasSubstr("type='result'"));
  const auto close = sent(one.bench).front();
  EXPECT_THAT(close, HasSubstr("<close "));
  answer(one.bench, close, "result");
  EXPECT_THAT(one.heard.log, ElementsAre("opened bob@example.org/orchard", "closed by us", "answered"));
}

TEST(InBandBytestreams, AreInTheListOfExtensions) {
  Bench bench;
  EXPECT_THAT(ibb(bench).info().features, ElementsAre("http://jabber.org/protocol/ibb"));
}

}  // namespace
}  // namespace starling::client
