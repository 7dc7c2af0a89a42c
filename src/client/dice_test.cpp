#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/ext/disco.h"
#include "client/test_dice.h"
#include "client/testing.h"

namespace starling::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

struct DiceTest : testing::Test {
  DiceTest() { bench.log_in(); }
  [[nodiscard]] auto ask(int sides) {
    return [this, sides] { return dice.ask(Jid::parse("bob@example.org/a").value(), sides); };
  }
  std::string throw_for_bob(std::string_view attributes) {
    bench.server_sends(
        fmt::format("<iq type='get' id='7' from='bob@example.org/a'><throw xmlns='urn:example:dice'{}/></iq>",
                    attributes));
    return bench.servers.back()->stanzas.back();
  }
  Bench bench;
  Dice& dice = bench.client->use<Dice>();
};

TEST_F(DiceTest, Asks) {  // R84
  EXPECT_EQ(bench.outcome(ask(20), "<thrown xmlns='urn:example:dice'>17</thrown>"), 17);
  EXPECT_THAT(bench.servers.back()->stanzas.back(),
              MatchesRegex("<iq to='bob@example.org/a' type='get' id='.+'>"
                           "<throw xmlns='urn:example:dice' sides='20'/></iq>"));
}

TEST_F(DiceTest, WhatIsNoThrowIsMalformed) {
  for (const std::string_view nonsense :
       {"", "<thrown xmlns='other'>3</thrown>", "<thrown xmlns='urn:example:dice'/>",
        "<thrown xmlns='urn:example:dice'>7</thrown>", "<thrown xmlns='urn:example:dice'>0</thrown>",
        "<thrown xmlns='urn:example:dice'>six</thrown>",
        "<thrown xmlns='urn:example:dice'>99999999999</thrown>"})
    EXPECT_EQ(bench.failure(ask(6), nonsense), RequestError::Kind::malformed) << nonsense;
  EXPECT_EQ(bench.failure(ask(6), "", "error"), RequestError::Kind::refused);
}

TEST_F(DiceTest, Throws) {
  std::vector<std::string> thrown;
  dice.thrown([&](const Jid& by, int value) { thrown.push_back(fmt::format("{} {}", by.text(), value)); });
  EXPECT_THAT(throw_for_bob(" sides='1'"), HasSubstr("<thrown xmlns='urn:example:dice'>1</thrown>"));
  EXPECT_THAT(thrown, ElementsAre("bob@example.org/a 1"));
  EXPECT_TRUE(bench.saw("dice_thrown"));
  EXPECT_THAT(throw_for_bob(""), MatchesRegex(".*<thrown xmlns='urn:example:dice'>[1-6]</thrown></iq>"));
  EXPECT_THAT(throw_for_bob(" sides='-1'"), HasSubstr("bad-request"));
  EXPECT_THAT(throw_for_bob(" sides='many'"), HasSubstr("bad-request"));
}

TEST_F(DiceTest, IsAFeature) {
  EXPECT_TRUE(bench.client->use<Disco>().own().has_feature("urn:example:dice"));
  EXPECT_EQ(bench.logged("Loaded Plugin: urn:example:dice: Dice"), 1u);
}

std::string contents_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(DiceExample, IsInTheDocumentation) {
  const auto here = std::filesystem::path(__FILE__).parent_path();
  const auto example = contents_of(here / "test_dice.h");
  EXPECT_LT(std::ranges::count(example, '\n'), 60);
  EXPECT_THAT(contents_of(here.parent_path().parent_path() / "docs" / "extensions.md"), HasSubstr(example));
}

}  // namespace
}  // namespace starling::client
