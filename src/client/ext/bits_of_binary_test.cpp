#include "client/ext/bits_of_binary.h"

#include <gmock/gmock.h>

#include "base/crypto.h"
#include "client/ext/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Bits = BitsOfBinary::Bits;

constexpr std::string_view kBob = "bob@example.org/orchard";

// Example 3 of XEP-0231, a PNG of ten by ten pixels.
constexpr std::string_view kPng =
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAABGdBTUEAALGPC/"
    "xhBQAAAAlwSFlzAAALEwAACxMBAJqcGAAAAAd0SU1FB9YGARc5"
    "KB0XV+"
    "IAAAAddEVYdENvbW1lbnQAQ3JlYXRlZCB3aXRoIFRoZSBHSU1Q72QlbgAAAF1JREFUGNO9zL0NglAAxPEfdLTs4BZM4DIO4C7OwQg2Jo"
    "Q9"
    "LE1exdlYvBBeZ7jqch9//"
    "q1uH4TLzw4d6+ErXMMcXuHWxId3KOETnnXXV6MJpcq2MLaI97CER3N0vr4MkhoXe0rZigAAAABJRU5ErkJggg==";
std::string png() { return crypto::base64_decode(kPng).value(); }

BitsOfBinary& bob(Bench& bench) { return bench.client->use<BitsOfBinary>(); }

std::string data_xml(std::string_view cid, std::string_view base64,
                     std::string_view more = " type='text/plain'") {
  return fmt::format("<data xmlns='urn:xmpp:bob' cid='{}'{}>{}</data>", cid, more, base64);
}
const std::string kAbc = BitsOfBinary::cid_of("abc");

// What comes of asking bob for it, when the answer is that.
Outcome<Bits> fetch(Bench& bench, const std::string& cid, std::string_view type, std::string_view payload) {
  auto got = bench.outcome([&] { return bob(bench).fetch(jid(kBob), cid); }, payload, type);
  sent(bench);
  return got;
}

TEST(BitsOfBinary, APictureArrivesEqual) {  // R85
  Pair pair;
  pair.log_in();
  const auto cid = bob(pair.bob).publish({.data = png(), .type = "image/png", .max_age = 86'400});
  ASSERT_TRUE(cid);
  std::optional<Outcome<Bits>> got;
  pair.alice.in_turn([&] {
    bob(pair.alice).fetch(jid(kBob), *cid).then([&](Outcome<Bits> bits) { got = std::move(bits); });
  });
  pair.settle();
  ASSERT_TRUE(got && got->has_value());
  EXPECT_TRUE((*got)->data == png());
  EXPECT_EQ((*got)->type, "image/png");
  EXPECT_EQ((*got)->max_age, 86'400u);
  EXPECT_EQ((*got)->cid, *cid);
  EXPECT_EQ(pair.stanzas, 2u);
}

TEST(BitsOfBinary, AreNamedByTheirHash) {
  EXPECT_EQ(kAbc, "sha1+a9993e364706816aba3e25717850c26c9cd0d89d@bob.xmpp.org");
}

TEST(BitsOfBinary, AreAnsweredAsTheDocumentSays) {
  Bench bench;
  bench.log_in();
  const auto cid = bob(bench).publish({.data = "abc", .type = "text/plain"}).value();
  const auto get = fmt::format("<data xmlns='urn:xmpp:bob' cid='{}'/>", cid);
  std::vector<std::string> given;
  bob(bench).given([&](const Jid& whom, std::string_view what) {
    given.push_back(fmt::format("{} {}", whom.text(), what));
  });
  EXPECT_THAT(
      ask(bench, kBob, "get", get),
      HasSubstr(fmt::format("><data xmlns='urn:xmpp:bob' cid='{}' type='text/plain'>YWJj</data></iq>", cid)));
  EXPECT_THAT(ask(bench, kBob, "get", "<data xmlns='urn:xmpp:bob' cid='x'/>"), HasSubstr("item-not-found"));
  EXPECT_THAT(ask(bench, kBob, "get", "<data xmlns='urn:xmpp:bob'/>"), HasSubstr("bad-request"));
  bob(bench).withdraw(cid);
  EXPECT_THAT(ask(bench, kBob, "get", get), HasSubstr("item-not-found"));
  EXPECT_THAT(given, ElementsAre(fmt::format("{} {}", kBob, cid)));
}

TEST(BitsOfBinary, ThatCannotBePublished) {
  Bench bench;
  bob(bench).settings.most_bytes = 10;
  EXPECT_EQ(bob(bench).publish({.data = "elevenbytes", .type = "text/plain"}).error().code, Errc::limit);
  EXPECT_EQ(bob(bench).publish({.data = "abc", .type = ""}).error().code, Errc::invalid);
  EXPECT_EQ(bob(bench).publish({.data = "abd", .type = "text/plain", .cid = kAbc}).error().code,
            Errc::invalid);
  EXPECT_EQ(bob(bench).publish({.data = "abc", .type = "text/plain", .cid = "my@own"}).value(), "my@own");
}

TEST(BitsOfBinary, MustBeWhatTheirNameSays) {
  Bench bench;
  bob(bench).settings.most_bytes = 20;
  bob(bench).settings.cache_bytes = 0;
  bench.log_in();
  const auto sha256 = "sha-256+ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad@bob.xmpp.org";
  const auto upper = "sha1+A9993E364706816ABA3E25717850C26C9CD0D89D@bob.xmpp.org";
  struct Case {
    std::string cid, payload;
    bool good;
  };
  const Case cases[] = {
      {kAbc, data_xml(kAbc, "YWJj"), true},
      {kAbc, data_xml(kAbc, "\n  YW\n  Jj\n", ""), true},  // as it is printed in the document
      {sha256, data_xml(sha256, "YWJj", ""), true},
      {upper, data_xml(upper, "YWJj", ""), true},
      {"some@thing", data_xml("some@thing", "YWJk", ""), true},
      {"md5+00@bob.xmpp.org", data_xml("md5+00@bob.xmpp.org", "YWJk", ""), true},
      {kAbc, data_xml(kAbc, "YWJk"), false},
      {kAbc, data_xml(kAbc, ""), false},
      {kAbc, data_xml(kAbc, "YWJ"), false},
      {kAbc, data_xml(kAbc, "YWJj====x"), false},
      {kAbc, data_xml("some@thing", "YWJj"), false},
      {kAbc, "<data xmlns='urn:xmpp:bob'>YWJj</data>", false},
      {kAbc, "<data xmlns='urn:example:bob'>YWJj</data>", false},
      {kAbc, "", false},
      {"sha1+@bob.xmpp.org", data_xml("sha1+@bob.xmpp.org", "YWJj"), false},
      {"big", data_xml("big", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo="), false},
  };
  for (const auto& [cid, payload, good] : cases) {
    const auto got = fetch(bench, cid, "result", payload);
    EXPECT_EQ(got.has_value(), good) << payload;
    if (!got) EXPECT_EQ(got.error().kind, RequestError::Kind::malformed) << payload;
  }
  EXPECT_EQ(fetch(bench, "gone", "error", error_xml("cancel", "item-not-found")).error().error.condition,
            Condition::item_not_found);
}

TEST(BitsOfBinary, AreKeptAsLongAsTheyMay) {
  Bench bench;
  bench.log_in();
  const auto keep = [&](std::string_view data, std::string_view more) {
    const auto cid = BitsOfBinary::cid_of(data);
    EXPECT_TRUE(fetch(bench, cid, "result", data_xml(cid, crypto::base64_encode(data), more)));
    return cid;
  };
  const auto ephemeral = keep("a", " max-age='0'"), brief = keep("b", " max-age='5'"), ever = keep("c", ""),
             odd = keep("d", " max-age='-1'"), huge = keep("e", " max-age='9223372036854775807'");
  EXPECT_FALSE(bob(bench).find(ephemeral));
  EXPECT_TRUE(bob(bench).find(brief));
  bench.loop.advance(Milliseconds{4'999});
  EXPECT_TRUE(bob(bench).find(brief));
  bench.loop.advance(Milliseconds{1});
  EXPECT_FALSE(bob(bench).find(brief));
  for (const auto& cid : {ever, odd, huge}) EXPECT_TRUE(bob(bench).find(cid)) << cid;
  EXPECT_THAT(sent(bench), IsEmpty());
  EXPECT_EQ(fetch(bench, ever, "result", "")->data, "c");  // nobody was asked
  EXPECT_THAT(sent(bench), IsEmpty());
}

TEST(BitsOfBinary, AreNotKeptWithoutEnd) {
  Bench bench;
  bob(bench).settings.cache_bytes = 10'000;
  bench.log_in();
  std::vector<std::string> cids;
  for (int i = 0; i < 10; ++i) {
    const std::string data(2000, static_cast<char>('a' + i));
    cids.push_back(BitsOfBinary::cid_of(data));
    EXPECT_TRUE(fetch(bench, cids.back(), "result", data_xml(cids.back(), crypto::base64_encode(data))));
    EXPECT_TRUE(bob(bench).find(cids.front()));  // used each time
  }
  const auto kept =
      std::ranges::count_if(cids, [&](const auto& cid) { return bob(bench).find(cid).has_value(); });
  EXPECT_GE(kept, 3);
  EXPECT_LE(kept, 5);
  EXPECT_TRUE(bob(bench).find(cids.back()));
}

TEST(BitsOfBinary, WithoutAHashAreOfTheirSender) {
  Bench bench;
  bench.log_in();
  EXPECT_TRUE(fetch(bench, "some@thing", "result", data_xml("some@thing", "YWJj")));
  EXPECT_TRUE(bob(bench).find("some@thing", jid(kBob)));
  EXPECT_FALSE(bob(bench).find("some@thing", jid("mallory@example.net/x")));
}

TEST(BitsOfBinary, ComeAlong) {
  Bench bench;
  std::vector<std::string> got;
  bob(bench).received(
      [&](const Jid& from, const Bits& bits) { got.push_back(from.text() + " " + bits.data); });
  bench.log_in();
  const auto send = [&](std::string_view start, const std::string& content) {
    bench.server_sends(
        fmt::format("<{} from='{}'>{}</{}>", start, kBob, content, start.substr(0, start.find(' '))));
  };
  send("message", data_xml(kAbc, "YWJj") + data_xml(BitsOfBinary::cid_of("d"), "ZA=="));
  send("presence", data_xml(BitsOfBinary::cid_of("e"), "ZQ=="));
  send("message", data_xml(kAbc, "YWJk"));                    // a lie
  send("message", data_xml(kAbc, ""));                        // a mention
  send("message type='error'", data_xml("some@x", "YWJk"));   // what we sent
  send("message", "<data xmlns='urn:xmpp:bob'>YWJj</data>");  // no name
  EXPECT_THAT(got, ElementsAre("bob@example.org/orchard abc", "bob@example.org/orchard d",
                               "bob@example.org/orchard e"));
  EXPECT_EQ(bob(bench).find(kAbc)->data, "abc");
  EXPECT_FALSE(bob(bench).find("some@x", jid(kBob)));
}

TEST(BitsOfBinary, GoAlong) {
  Pair pair;
  std::vector<Bits> got;
  bob(pair.bob).received([&](const Jid&, const Bits& bits) { got.push_back(bits); });
  pair.log_in();
  pair.alice.in_turn([&] {
    pair.alice.client->send(
        Message{.to = jid(kBob),
                .body = "look",
                .extra = BitsOfBinary::to_xml({.data = png(), .type = "image/png", .max_age = 0})});
  });
  pair.settle();
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_TRUE(got[0].data == png());
  EXPECT_THAT(bob(pair.bob).info().features, ElementsAre("urn:xmpp:bob"));
}

}  // namespace
}  // namespace starling::client
