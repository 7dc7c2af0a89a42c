#include "support/module_bench.h"

namespace starling::modules {
namespace {

using testing::Contains;
using testing::Not;

class OfflineTest : public Bench {
 protected:
  bool keeps(std::string_view type, std::string_view content) {
    return kept(fmt::format("<message type='{}'>{}</message>", type, content));
  }
  [[nodiscard]] bool advertised() const {
    return std::ranges::any_of(modules(), [](const auto& module) {
      return std::ranges::find(module.host_features, "msgoffline") != module.host_features.end();
    });
  }
};

TEST_F(OfflineTest, the_type_decides) {  // XEP-0160 section 3
  EXPECT_TRUE(keeps("normal", "<body>x</body>"));
  EXPECT_TRUE(kept("<message><body>x</body></message>"));
  EXPECT_TRUE(keeps("chat", "<body>x</body>"));
  EXPECT_FALSE(keeps("groupchat", "<body>x</body>"));
  EXPECT_FALSE(keeps("headline", "<body>x</body>"));
  EXPECT_FALSE(keeps("error", "<body>x</body>"));
}

TEST_F(OfflineTest, chat_states_alone_are_not_kept) {
  constexpr std::string_view kState = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
  EXPECT_FALSE(keeps("chat", kState));
  EXPECT_FALSE(keeps("chat", fmt::format("{}<thread>t</thread>", kState)));
  EXPECT_TRUE(keeps("chat", fmt::format("{}<body>x</body>", kState)));
  EXPECT_FALSE(keeps("chat", ""));
}

TEST_F(OfflineTest, payloads_without_a_body_are_kept) {
  EXPECT_TRUE(keeps("chat", "<received xmlns='urn:xmpp:receipts' id='1'/>"));
  EXPECT_TRUE(keeps("normal", "<x xmlns='jabber:x:conference' jid='room@b'/>"));
}

TEST_F(OfflineTest, hints_are_heard) {  // XEP-0334
  EXPECT_FALSE(keeps("chat", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>"));
  EXPECT_TRUE(keeps("chat", "<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>"));
  EXPECT_TRUE(
      keeps("chat", "<gone xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>"));
  EXPECT_FALSE(keeps("headline", "<body>x</body><store xmlns='urn:xmpp:hints'/>"));
}

TEST_F(OfflineTest, nothing_is_kept_or_advertised_when_it_is_off) {
  EXPECT_TRUE(advertised());
  config_.offline.enabled = false;
  EXPECT_FALSE(keeps("chat", "<body>x</body>"));
  rebuild();
  EXPECT_FALSE(advertised());
}

}  // namespace
}  // namespace starling::modules
