#include "payload/disco_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "xml/parser.h"

namespace starling::payload {
namespace {

using testing::ElementsAre;

Result<DiscoInfo> parse(std::string_view children) {
  const auto document =
      xml::parse(fmt::format("<query xmlns='http://jabber.org/protocol/disco#info'>{}</query>", children));
  if (!document) return std::unexpected(document.error());
  return parse_disco_info(document->root());
}

std::string written(const DiscoInfo& info) {
  std::string out;
  xml::Writer writer(out);
  writer.open("query", "http://jabber.org/protocol/disco#info");
  write(writer, info);
  writer.close();
  return out;
}

constexpr std::string_view kSimple =
    "<identity category='client' name='Exodus 0.9.1' type='pc'/>"
    "<feature var='http://jabber.org/protocol/muc'/>"
    "<feature var='http://jabber.org/protocol/caps'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>";

constexpr std::string_view kComplex =
    "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
    "<identity xml:lang='el' category='client' name='\u03a8 0.11' type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/>"
    "<feature var='http://jabber.org/protocol/muc'/>"
    "<x xmlns='jabber:x:data' type='result'>"
    "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>"
    "<field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>"
    "<field var='software'><value>Psi</value></field>"
    "<field var='os'><value>Mac</value></field>"
    "<field var='os_version'><value>10.5.1</value></field>"
    "<field var='software_version'><value>0.11</value></field>"
    "</x>";

TEST(DiscoInfo, hashes_the_simple_example_of_xep_0115_5_2) {
  const auto info = parse(kSimple);
  ASSERT_TRUE(info);
  EXPECT_EQ(caps_string(*info),
            "client/pc//Exodus 0.9.1<http://jabber.org/protocol/caps<http://jabber.org/protocol/disco#info<"
            "http://jabber.org/protocol/disco#items<http://jabber.org/protocol/muc<");
  EXPECT_EQ(caps_hash(*info), "QgayPKawpkPSDYmwT/WM94uAlu0=");
}

TEST(DiscoInfo, hashes_the_complex_example_of_xep_0115_5_3) {
  const auto info = parse(kComplex);
  ASSERT_TRUE(info);
  EXPECT_EQ(caps_hash(*info), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
}

TEST(DiscoInfo, reads_back_what_it_wrote) {
  const auto info = parse(kComplex);
  ASSERT_TRUE(info);
  const auto document = xml::parse(written(*info));
  ASSERT_TRUE(document);
  const auto again = parse_disco_info(document->root());
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *info);
}

TEST(DiscoInfo, refuses_what_xep_0115_calls_ill_formed) {
  const std::string identity = "<identity category='client' type='pc' name='a'/>";
  EXPECT_FALSE(parse(identity + identity));
  EXPECT_FALSE(parse("<feature var='a'/><feature var='b'/><feature var='a'/>"));
  const std::string form =
      "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' "
      "type='hidden'><value>t</value></field></x>";
  EXPECT_TRUE(parse(form));
  EXPECT_FALSE(parse(form + form));
  EXPECT_FALSE(
      parse("<x xmlns='jabber:x:data' type='result'>"
            "<field var='FORM_TYPE' type='hidden'><value>t</value><value>u</value></field></x>"));
  EXPECT_FALSE(parse("<identity category='client'/>"));
}

TEST(DiscoInfo, can_be_read_without_what_is_repeated) {
  const std::string form =
      "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>t</value>"
      "<value>u</value></field><field var='os'><value>Mac</value></field></x>";
  const auto document = xml::parse(
      "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/>"
      "<identity category='client' type='pc'/><feature var='b'/><feature var='a'/><feature var='b'/>" +
      form + form + "</query>");
  ASSERT_TRUE(document);
  const auto info = parse_disco_info(document->root(), Repeated::dropped);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->identities.size(), 1u);
  EXPECT_THAT(info->features, ElementsAre("b", "a"));
  ASSERT_EQ(info->forms.size(), 1u);
  EXPECT_EQ(info->forms[0].form_type(), "t");
}

TEST(DiscoInfo, leaves_out_forms_without_a_hidden_type) {
  const auto info = parse(
      "<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>t</value></field></x>"
      "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>t</value></field></x>"
      "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'/></x>"
      "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'><value>t</value></field></x>"
      "<x xmlns='jabber:x:data' type='result'><field var='os'><value>Mac</value></field></x>");
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->forms.empty());
}

TEST(DiscoInfo, of_a_form_type_only_the_hidden_value_counts) {
  const auto info = parse(
      "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'/>"
      "<field var='FORM_TYPE' type='text-single'><value>u</value></field>"
      "<field var='FORM_TYPE' type='hidden'><value>t</value><value>t</value></field>"
      "<field var='b'><value>2</value><value>1</value></field><field var='a' type='fixed'/></x>");
  ASSERT_TRUE(info);
  EXPECT_EQ(caps_string(*info), "t<a<b<1<2<");
}

TEST(DiscoInfo, a_separator_inside_a_part_does_not_separate) {
  DiscoInfo honest;
  honest.identities = {{"client", "pc", "", "SomeClient"}};
  honest.features = {"http://jabber.org/protocol/muc"};
  DiscoInfo forged;
  forged.identities = {{"client", "pc", "", "SomeClient<http://jabber.org/protocol/muc"}};
  EXPECT_NE(caps_hash(honest), caps_hash(forged));
  EXPECT_EQ(caps_string(forged), "client/pc//SomeClient&lt;http://jabber.org/protocol/muc<");
}

TEST(DiscoInfo, sorts_by_bytes_and_keeps_the_order_it_was_given) {
  DiscoInfo info;
  info.features = {"b", "B", "a"};
  EXPECT_EQ(caps_string(info), "B<a<b<");
  EXPECT_THAT(info.features, ElementsAre("b", "B", "a"));
  EXPECT_TRUE(info.has_feature("B"));
  EXPECT_FALSE(info.has_feature("c"));
}

}  // namespace
}  // namespace starling::payload
