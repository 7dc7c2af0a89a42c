#include "client/ext/software_version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/version.h"
#include "client/testing.h"

namespace starling::client {
namespace {

using testing::HasSubstr;

struct SoftwareVersionTest : testing::Test {
  SoftwareVersionTest() { bench.log_in(); }
  [[nodiscard]] auto ask() {
    return [this] { return version.of(Jid::parse("example.org").value()); };
  }
  std::string answer() {
    bench.server_sends(
        "<iq type='get' id='7' from='bob@example.org/a'><query xmlns='jabber:iq:version'/></iq>");
    return bench.servers.back()->stanzas.back();
  }
  Bench bench;
  SoftwareVersion& version = bench.client->use<SoftwareVersion>();
};

TEST_F(SoftwareVersionTest, OfSomebody) {
  const auto got =
      bench.outcome(ask(),
                    "<query xmlns='jabber:iq:version'><name>Exodus</name><version>0.7.0.4</version>"
                    "<os>Windows</os></query>");
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, (payload::SoftwareVersion{"Exodus", "0.7.0.4", "Windows"}));
  EXPECT_THAT(bench.servers.back()->stanzas.back(), HasSubstr("<query xmlns='jabber:iq:version'/>"));
}

TEST_F(SoftwareVersionTest, WhatIsNoneIsMalformed) {
  for (const std::string_view nonsense :
       {"", "<query xmlns='jabber:iq:version'/>",
        "<query xmlns='jabber:iq:version'><name>Exodus</name></query>",
        "<query xmlns='other'><name/><version/></query>",
        "<query xmlns='jabber:iq:version'><name/><version xmlns='other'/></query>"})
    EXPECT_EQ(bench.failure(ask(), nonsense), RequestError::Kind::malformed) << nonsense;
  EXPECT_EQ(bench.failure(ask(), "", "error"), RequestError::Kind::refused);
}

TEST_F(SoftwareVersionTest, OfUs) {
  EXPECT_EQ(answer(),
            fmt::format("<iq to='bob@example.org/a' type='result' id='7'><query "
                        "xmlns='jabber:iq:version'><name>Starling</name><version>{}</version></query></iq>",
                        kVersion));
  version.set({"Lamp & Co", "2", "Linux"});
  EXPECT_THAT(answer(), HasSubstr("<name>Lamp &amp; Co</name><version>2</version><os>Linux</os>"));
}

}  // namespace
}  // namespace starling::client
