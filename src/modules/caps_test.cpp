#include "modules/caps.h"

#include "support/module_bench.h"

namespace starling::modules {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kHash = "QgayPKawpkPSDYmwT/WM94uAlu0=";  // XEP-0115 5.2
constexpr std::string_view kPresence =
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://code.google.com/p/exodus' "
    "ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>";
constexpr std::string_view kHonest =
    "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' name='Exodus 0.9.1' "
    "type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/><feature "
    "var='http://jabber.org/protocol/muc'/></query>";
constexpr std::string_view kPoisoned =
    "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' name='Exodus 0.9.1' "
    "type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/></query>";

class CapsTest : public Bench {
 protected:
  [[nodiscard]] Caps& caps() const {
    for (const auto& module : modules_)
      if (auto* found = dynamic_cast<Caps*>(module.get())) return *found;
    throw std::logic_error("no caps module");
  }
};

TEST_F(CapsTest, the_stream_feature_has_the_hash_of_disco_info) {  // R23
  const auto answer =
      get("romeo@example.org/a", "example.org", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
  const auto info = payload::parse_disco_info(xml::parse(answer).value().root());
  EXPECT_THAT(features(true), HasSubstr(fmt::format("ver='{}'", payload::caps_hash(*info))));
  EXPECT_THAT(features(false), Not(HasSubstr("caps")));
}

TEST_F(CapsTest, a_client_is_asked_once_and_others_with_its_hash_never) {
  auto& first = session("romeo@example.org/a");
  presence(first, kPresence);
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(asked_.front().to, first.jid());
  EXPECT_THAT(asked_.front().payload,
              HasSubstr("node='http://code.google.com/p/exodus#" + std::string(kHash)));
  presence(first, kPresence);
  EXPECT_EQ(asked_.size(), 1U);
  EXPECT_EQ(caps().capabilities_of(first), nullptr);

  answer(kHonest);
  ASSERT_NE(caps().capabilities_of(first), nullptr);
  EXPECT_TRUE(caps().capabilities_of(first)->has_feature("http://jabber.org/protocol/muc"));

  auto& second = session("juliet@example.org/b");
  presence(second, kPresence);
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(caps().capabilities_of(second), caps().capabilities_of(first));
}

TEST_F(CapsTest, a_poisoned_answer_is_not_remembered) {
  auto& attacker = session("tybalt@example.org/a");
  presence(attacker, kPresence);
  answer(kPoisoned);
  EXPECT_EQ(caps().capabilities_of(attacker), nullptr);

  auto& honest = session("romeo@example.org/a");
  presence(honest, kPresence);
  ASSERT_EQ(asked_.size(), 1U);
  answer(kHonest);
  EXPECT_NE(caps().capabilities_of(honest), nullptr);
}

TEST_F(CapsTest, capabilities_that_cannot_be_proved_are_not_asked_about) {
  auto& client = session("romeo@example.org/a");
  presence(client,
           "<c xmlns='http://jabber.org/protocol/caps' node='http://psi-im.org' ver='0.11' ext='cs ep'/>");
  presence(client,
           "<c xmlns='http://jabber.org/protocol/caps' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>");
  presence(client, "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='short'/>");
  EXPECT_TRUE(asked_.empty());
}

TEST_F(CapsTest, a_late_answer_finds_the_session_gone_or_changed) {
  auto& client = session("romeo@example.org/a");
  presence(client, kPresence);
  presence(client,
           "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' "
           "ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>");
  answer(kHonest);
  EXPECT_EQ(caps().capabilities_of(client), nullptr);

  auto& other = session("juliet@example.org/b");
  presence(other,
           "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' "
           "ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>");
  close(other);
  while (!asked_.empty()) answer(kHonest);
  EXPECT_EQ(caps().capabilities_of(client), nullptr);
}

TEST(CapsCache, forgets_what_was_not_used_for_longest) {
  const auto some = std::make_shared<const payload::DiscoInfo>();
  CapsCache cache(2);
  cache.insert("a", some);
  cache.insert("b", some);
  EXPECT_NE(cache.find("a"), nullptr);
  cache.insert("c", some);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_NE(cache.find("a"), nullptr);
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_NE(cache.find("c"), nullptr);
}

}  // namespace
}  // namespace starling::modules
