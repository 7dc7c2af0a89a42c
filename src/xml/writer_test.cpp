#include "xml/writer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::xml {
namespace {

std::string dump(const Element& element) {
  std::string out = fmt::format("({}|{}", element.ns(), element.name());
  for (const Attribute* at = element.first_attribute(); at != nullptr; at = at->next) {
    out += fmt::format(" {}|{}=[{}]", at->ns, at->name, at->value);
  }
  out += fmt::format(" \"{}\"", element.text());
  for (const Element& child : element.children()) out += dump(child);
  return out + ")";
}

std::string copied(std::string_view text, std::string_view default_ns = {}) {
  Result<Document> parsed = parse(text);
  EXPECT_TRUE(parsed.has_value()) << parsed.error().message;
  std::string out;
  Writer(out, default_ns).copy(parsed->root());
  Result<Document> again = parse_fragment(out, default_ns);
  EXPECT_TRUE(again.has_value()) << out << ": " << again.error().message;
  EXPECT_EQ(dump(parsed->root()), dump(again->root())) << out;
  return out;
}

TEST(Writer, DeclaresANamespaceWhereItChanges) {
  std::string out;
  Writer writer(out, ns::client);
  writer.open("iq")
      .attribute("type", "result")
      .attribute_if("id", "")
      .open("query", ns::roster)
      .leaf("item")
      .leaf("group", "a");
  EXPECT_EQ(writer.depth(), 2U);
  EXPECT_EQ(writer.default_ns(), ns::roster);
  writer.close().empty_element("ping", ns::ping).leaf("body", "x<y").open("z", "").close().close();
  EXPECT_EQ(out,
            "<iq type='result'><query xmlns='jabber:iq:roster'><item/><group>a</group></query><ping "
            "xmlns='urn:xmpp:ping'/>"
            "<body>x&lt;y</body><z xmlns=''/></iq>");
  EXPECT_EQ(writer.depth(), 0U);
  EXPECT_EQ(writer.default_ns(), ns::client);
}

TEST(Writer, WritesAnElementWithoutContentShort) {
  std::string out;
  Writer(out).open("a").text("").raw("").close();
  EXPECT_EQ(out, "<a/>");
}

TEST(Writer, DeepElementsCloseInOrder) {
  std::string out;
  Writer writer(out);
  for (int i = 0; i < 300; ++i) writer.open(i % 2 == 0 ? "a" : "b", i % 3 == 0 ? "u" : "v");
  writer.text("x");
  for (int i = 0; i < 300; ++i) writer.close();
  EXPECT_TRUE(parse(out, {.depth = 300}).has_value());
}

TEST(Writer, TextAndValuesReadBackAsTheyWere) {
  const std::string hostile = "a<b>&c'd\"e\r\nf\rg\nh\ti]]>j \xE2\x82\xAC  ";
  std::string out;
  Writer(out).open("a").attribute("b", hostile).text(hostile).close();
  Result<Document> parsed = parse(out);
  ASSERT_TRUE(parsed.has_value()) << out;
  EXPECT_EQ(parsed->root().text(), hostile);
  EXPECT_EQ(parsed->root().attribute("b"), hostile);
}

TEST(Writer, WhatXmlCannotHoldIsReplaced) {
  std::string out;
  escape_text(out, std::string_view("a\0b\x1F", 4));
  EXPECT_EQ(out,
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

TEST(Writer, CopiesWithTheNamespacesItNeeds) {
  EXPECT_EQ(copied("<p:a xmlns:p='u' xmlns='v'><b/><p:c/></p:a>"), "<a xmlns='u'><b xmlns='v'/><c/></a>");
  EXPECT_EQ(copied("<a xmlns='jabber:client'><b xmlns=''/></a>", ns::client), "<a><b xmlns=''/></a>");
  EXPECT_EQ(copied("<a xmlns:p='u' p:b='1' b='2' xml:lang='en'/>"),
            "<a xmlns:ns0='u' ns0:b='1' b='2' xml:lang='en'/>");
  copied("<a xmlns:p='u' xmlns:q='v' p:b='1' q:b='2' p:c='&#10;&lt;'><xml:d xmlns='w'><e/></xml:d></a>");
}

TEST(Writer, CopiesMixedContentInItsOrder) {
  EXPECT_EQ(copied("<p xmlns='u'>one <b>two</b> &amp; <![CDATA[<three>]]><i/>\r\n</p>"),
            "<p xmlns='u'>one <b>two</b> &amp; <![CDATA[<three>]]><i/>\r\n</p>");
}

}  // namespace
}  // namespace starling::xml
