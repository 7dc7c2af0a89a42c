#include "payload/xrd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::payload {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// XEP-0156 2.3, example 1
TEST(Xrd, GivesTheLinksOfTheExample) {
  const auto links = read_xrd(R"(<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>
    ...
    <Link rel="urn:xmpp:alt-connections:xbosh"
          href="https://web.example.com:5280/bosh" />
    <Link rel="urn:xmpp:alt-connections:websocket"
          href="wss://web.example.com:443/ws" />
    ...
  </XRD>)");
  ASSERT_TRUE(links) << links.error().message;
  EXPECT_THAT(*links,
              ElementsAre(Pair("urn:xmpp:alt-connections:xbosh", "https://web.example.com:5280/bosh"),
                          Pair("urn:xmpp:alt-connections:websocket", "wss://web.example.com:443/ws")));
}

TEST(Xrd, MayHaveADeclarationCommentsPrefixesAndOtherLinks) {
  const auto links = read_xrd(
      "\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?>\n<!-- by <hand> -->\n"
      "<x:XRD xmlns:x='http://docs.oasis-open.org/ns/xri/xrd-1.0'>"
      "<x:Link rel='lrdd' template='https://example.org/{uri}'/><!-- <x:Link rel='a' href='b'/> -->"
      "<Link rel='of another namespace' href='b'/>"
      "<x:Link rel='copyright' href='https://example.org/?a&amp;b'>"
      "<x:Title>Hands off</x:Title></x:Link></x:XRD>\n<!-- end -->\n");
  ASSERT_TRUE(links) << links.error().message;
  EXPECT_THAT(*links, ElementsAre(Pair("copyright", "https://example.org/?a&b")));
}

TEST(Xrd, OfNoLinksIsEmpty) {
  EXPECT_THAT(read_xrd("<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'/>").value(), IsEmpty());
}

struct NoXrd : ::testing::TestWithParam<const char*> {};

TEST_P(NoXrd, IsRefused) {
  const auto links = read_xrd(GetParam());
  ASSERT_FALSE(links);
  EXPECT_NE(links.error().message, "");
}

INSTANTIATE_TEST_SUITE_P(
    Texts, NoXrd,
    ::testing::Values("", " \n", "<?xml version='1.0'", "{\"links\": []}", "<!DOCTYPE html><html></html>",
                      "<XRD/>", "<html xmlns='http://www.w3.org/1999/xhtml'><body/></html>",
                      "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>",
                      "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'><!-- </XRD>",
                      "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'/><XRD/>",
                      "<!DOCTYPE XRD [<!ENTITY a 'aaaa'>]><XRD "
                      "xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>&a;</XRD>",
                      "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\xFF</XRD>"));

}  // namespace
}  // namespace starling::payload
