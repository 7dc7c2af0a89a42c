#include "payload/vcard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

using testing::ElementsAre;

VCard parsed(std::string_view children) {
  auto card = parse_vcard(document(fmt::format("<vCard xmlns='vcard-temp'>{}</vCard>", children)).root());
  if (!card) throw std::invalid_argument(card.error().message);
  EXPECT_EQ(parse_vcard(document(written(*card)).root()).value(), *card) << children;
  return std::move(*card);
}

std::string rewritten(std::string_view children) { return written(parsed(children)); }

// XEP-0054, example 2
constexpr std::string_view kExample =
    "<FN>Peter Saint-Andre</FN><N><FAMILY>Saint-Andre</FAMILY><GIVEN>Peter</GIVEN><MIDDLE/></N>"
    "<NICKNAME>stpeter</NICKNAME><URL>http://www.xmpp.org/xsf/people/stpeter.shtml</URL>"
    "<BDAY>1966-08-06</BDAY><ORG><ORGNAME>XMPP Standards Foundation</ORGNAME><ORGUNIT/></ORG>"
    "<TITLE>Executive Director</TITLE><ROLE>Patron Saint</ROLE>"
    "<TEL><WORK/><VOICE/><NUMBER>303-308-3282</NUMBER></TEL><TEL><WORK/><FAX/><NUMBER/></TEL>"
    "<ADR><WORK/><EXTADD>Suite 600</EXTADD><STREET>1899 Wynkoop Street</STREET><LOCALITY>Denver</LOCALITY>"
    "<REGION>CO</REGION><PCODE>80202</PCODE><CTRY>USA</CTRY></ADR>"
    "<EMAIL><INTERNET/><PREF/><USERID>stpeter@jabber.org</USERID></EMAIL>"
    "<JABBERID>stpeter@jabber.org</JABBERID><DESC>\n  More information\n</DESC>";

TEST(VCard, the_example_is_read_field_by_field) {
  const VCard card = parsed(kExample);
  EXPECT_EQ(card.fn, "Peter Saint-Andre");
  EXPECT_EQ(card.n.family, "Saint-Andre");
  EXPECT_EQ(card.n.given, "Peter");
  EXPECT_EQ(card.n.middle, "");
  EXPECT_EQ(card.nickname, "stpeter");
  EXPECT_EQ(card.url, "http://www.xmpp.org/xsf/people/stpeter.shtml");
  EXPECT_EQ(card.bday, "1966-08-06");
  EXPECT_EQ(card.org.name, "XMPP Standards Foundation");
  EXPECT_TRUE(card.org.units.empty());
  EXPECT_EQ(card.title, "Executive Director");
  EXPECT_EQ(card.role, "Patron Saint");
  ASSERT_EQ(card.tel.size(), 2);
  EXPECT_EQ(card.tel[0].uses, (VCardUses{VCardUse::work, VCardUse::voice}));
  EXPECT_EQ(card.tel[0].number, "303-308-3282");
  EXPECT_EQ(card.tel[1].number, "");
  ASSERT_EQ(card.adr.size(), 1);
  EXPECT_EQ(card.adr[0].uses, VCardUses{VCardUse::work});
  EXPECT_EQ(card.adr[0].extadd, "Suite 600");
  EXPECT_EQ(card.adr[0].street, "1899 Wynkoop Street");
  EXPECT_EQ(card.adr[0].locality, "Denver");
  EXPECT_EQ(card.adr[0].region, "CO");
  EXPECT_EQ(card.adr[0].pcode, "80202");
  EXPECT_EQ(card.adr[0].ctry, "USA");
  ASSERT_EQ(card.email.size(), 1);
  EXPECT_EQ(card.email[0].uses, (VCardUses{VCardUse::internet, VCardUse::pref}));
  EXPECT_EQ(card.email[0].userid, "stpeter@jabber.org");
  EXPECT_EQ(card.jabberid, "stpeter@jabber.org");
  EXPECT_EQ(card.desc, "\n  More information\n");
  EXPECT_EQ(card.others, "");
}

TEST(VCard, is_written_in_capitals_and_with_a_number_in_each_tel) {
  VCard card;
  card.version = "3.0";
  card.fn = "Juliet <Capulet>";
  card.n.given = "Juliet";
  card.photo = {.type = "image/png", .binval = "iVBORw0KGgo=", .extval = {}, .others = {}};
  card.org = {.name = "House of Capulet", .units = {"Daughters", "Balcony"}, .others = {}};
  card.tel = {{.uses = {VCardUse::cell}, .number = {}, .others = {}}};
  card.email = {{.uses = {}, .userid = "juliet@capulet.example", .others = {}}};
  card.adr = {{.uses = {VCardUse::home},
               .pobox = {},
               .extadd = {},
               .street = {},
               .locality = "Verona",
               .region = {},
               .pcode = {},
               .ctry = {},
               .others = {}}};
  EXPECT_EQ(
      written(card),
      "<vCard xmlns='vcard-temp' version='3.0'><FN>Juliet &lt;Capulet&gt;</FN><N><GIVEN>Juliet</GIVEN></N>"
      "<PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO>"
      "<ORG><ORGNAME>House of Capulet</ORGNAME><ORGUNIT>Daughters</ORGUNIT><ORGUNIT>Balcony</ORGUNIT></ORG>"
      "<TEL><CELL/><NUMBER/></TEL><EMAIL><USERID>juliet@capulet.example</USERID></EMAIL>"
      "<ADR><HOME/><LOCALITY>Verona</LOCALITY></ADR></vCard>");
  EXPECT_EQ(parse_vcard(document(written(card)).root()).value(), card);
}

TEST(VCard, an_empty_one_is_empty) {
  EXPECT_EQ(parsed(""), VCard());
  EXPECT_EQ(parsed("<FN/><N/><PHOTO/><ORG><ORGUNIT/></ORG><NICKNAME></NICKNAME>"), VCard());
  EXPECT_EQ(written(VCard()), "<vCard xmlns='vcard-temp'/>");
}

TEST(VCard, every_use) {
  for (std::size_t i = 0; i <= static_cast<std::size_t>(VCardUse::pref); ++i) {
    const auto use = static_cast<VCardUse>(i);
    const VCard card = parsed(fmt::format("<TEL><{}/><NUMBER>1</NUMBER></TEL>", to_string(use)));
    ASSERT_EQ(card.tel.size(), 1);
    EXPECT_EQ(card.tel[0].uses, VCardUses{use});
    EXPECT_EQ(card.tel[0].others, "");
  }
}

// What is written back has all that was read.
TEST(VCard, what_has_no_member_is_kept_where_it_stood) {
  for (const std::string_view children : {
           "<GEO><LAT>39.75</LAT><LON>-105.0</LON></GEO>",
           "<X-GADUGADU-UID xmlns='urn:x' a='1'>12<b/>3</X-GADUGADU-UID>",
           "<FN>a</FN><FN>b</FN>",
           "<FN><b>a</b></FN>",
           "<FN>a</FN><FN><b>a</b></FN>",
           "<N><GIVEN>a</GIVEN><GIVEN>b</GIVEN><X>c</X></N><N><GIVEN>d</GIVEN></N>",
           "<PHOTO><BINVAL>a</BINVAL><X/></PHOTO><PHOTO><EXTVAL>b</EXTVAL></PHOTO>",
           "<ORG><ORGNAME>a</ORGNAME><ORGUNIT>b</ORGUNIT><ORGUNIT><c/></ORGUNIT></ORG><ORG><ORGUNIT>d</"
           "ORGUNIT>"
           "</ORG>",
           "<TEL><NUMBER>1</NUMBER><NUMBER>2</NUMBER><HOME>3</HOME><TTY/></TEL>",
           "<TEL>1 &amp; 2</TEL>",
           "<EMAIL><USERID>a</USERID><X/></EMAIL>",
           "<ADR><LOCALITY>a</LOCALITY><EXTADR>b</EXTADR></ADR>",
       })
    EXPECT_EQ(rewritten(children), fmt::format("<vCard xmlns='vcard-temp'>{}</vCard>", children));
}

TEST(VCard, what_is_kept_stands_by_itself) {
  const auto card =
      parse_vcard(document("<v:vCard xmlns:v='vcard-temp' xmlns:x='urn:x'>"
                           "<v:FN>a</v:FN><x:b x:c='d'/><v:GEO><v:LAT>1</v:LAT></v:GEO></v:vCard>")
                      .root());
  ASSERT_TRUE(card);
  EXPECT_EQ(card->fn, "a");
  EXPECT_EQ(written(*card),
            "<vCard xmlns='vcard-temp'><FN>a</FN><b xmlns='urn:x' xmlns:ns0='urn:x' ns0:c='d'/>"
            "<GEO><LAT>1</LAT></GEO></vCard>");
}

TEST(VCard, the_first_that_says_something_counts) {
  const VCard card = parsed("<FN/><FN>a</FN><FN/><N/><N><GIVEN>b</GIVEN></N><N/>");
  EXPECT_EQ(card.fn, "a");
  EXPECT_EQ(card.n.given, "b");
  EXPECT_EQ(card.others, "");
}

TEST(VCard, a_change_loses_nothing) {
  VCard card =
      parsed("<FN>Juliet</FN><GENDER>f</GENDER><TEL><HOME/><NUMBER>1</NUMBER><X-NOTE>old</X-NOTE></TEL>");
  card.fn = "Juliet Capulet";
  card.tel[0].number = "2";
  EXPECT_EQ(written(card),
            "<vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN>"
            "<TEL><HOME/><NUMBER>2</NUMBER><X-NOTE>old</X-NOTE></TEL><GENDER>f</GENDER></vCard>");
}

TEST(VCard, anything_else_is_refused) {
  for (const std::string_view text : {"<vCard xmlns='vcard'/>", "<VCARD xmlns='vcard-temp'/>",
                                      "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>"}) {
    const auto card = parse_vcard(document(text).root());
    ASSERT_FALSE(card) << text;
    EXPECT_EQ(card.error().code, Errc::invalid);
  }
}

}  // namespace
}  // namespace starling::payload
