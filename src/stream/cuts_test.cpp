// However the bytes are cut, the outcome is the same: whole, byte by byte, and in two at every point.
#include <regex>

#include <gtest/gtest.h>

#include "stream/test_peers.h"

namespace starling::stream {
namespace {

struct Outcome {
  std::vector<std::string> events;
  std::string output;
  bool operator==(const Outcome&) const = default;
};

// Feeds `dialogue` in the pieces that `next_piece` cuts from the front; stream ids are random and made alike.
template <class Cut>
Outcome run(const Settings& settings, std::string_view dialogue, Cut next_piece) {
  auto server = ServerPeer::encrypted(settings);
  std::string output;
  while (!dialogue.empty()) {
    const auto piece = dialogue.substr(0, next_piece(dialogue.size()));
    output += server.feed(piece);
    dialogue.remove_prefix(piece.size());
  }
  static const std::regex id(" id='[A-Za-z0-9_-]{22}'");
  return {server.events, std::regex_replace(output, id, " id='?'")};
}

void expect_the_same_however_cut(const Settings& settings, const std::string& dialogue) {
  const auto whole = run(settings, dialogue, [](std::size_t left) { return left; });
  EXPECT_EQ(run(settings, dialogue, [](std::size_t) { return 1U; }), whole);
  for (std::size_t at = 1; at < dialogue.size(); ++at) {
    const auto cut = run(settings, dialogue, [&, first = true](std::size_t left) mutable {
      return std::exchange(first, false) ? at : left;
    });
    ASSERT_EQ(cut.output, whole.output) << "cut at " << at;
    ASSERT_EQ(cut.events, whole.events) << "cut at " << at;
  }
}

// A client that waits for nothing (R28).
std::string pipelined(std::string_view end) {
  return fmt::format(
      "{0}{1}{0} {2}\n<presence/><message to='bob@example.org' id='m&lt;1'><body>caf\u00e9 &amp; "
      "cr\u00e8me</body>"
      "<x xmlns='urn:example'/></message><iq type='set' id='s'><session "
      "xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>{3}",
      kHeader, plain("alice", "secret"), bind("balcony"), end);
}

TEST(Cuts, AWholeSession) {
  const auto settings = server_settings();
  const auto dialogue = pipelined("</stream:stream>");
  const auto whole = run(settings, dialogue, [](std::size_t left) { return left; });
  ASSERT_EQ(whole.events.size(), 6U) << testing::PrintToString(whole.events);
  EXPECT_EQ(whole.events.back(), "closed");
  expect_the_same_however_cut(settings, dialogue);
}

TEST(Cuts, ASessionThatEndsInAnError) {
  const auto settings = server_settings();
  expect_the_same_however_cut(settings, pipelined("<message><body></message>"));
  expect_the_same_however_cut(settings, pipelined("<foo xmlns='urn:example'/><message/>"));
}

TEST(Cuts, AFailedLogin) {
  const auto settings = server_settings();
  std::string dialogue(kHeader);
  for (int i = 0; i < 6; ++i) dialogue += plain("alice", "wrong");
  expect_the_same_however_cut(settings, dialogue);
}

TEST(Cuts, ARefusedHeader) {
  const auto settings = server_settings();
  expect_the_same_however_cut(
      settings, "<?xml version='1.0'?>" + header("to='unknown.example' version='1.0'") + "<message/>");
}

}  // namespace
}  // namespace starling::stream
