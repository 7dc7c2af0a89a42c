#include "payload/data_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using FieldType = DataForm::FieldType;

Result<DataForm> parse(std::string_view text) { return parse_data_form(document(text).root()); }

DataForm parsed(std::string_view text) {
  auto form = parse(text);
  if (!form) throw std::invalid_argument(form.error().message);
  return std::move(*form);
}

// XEP-0004, example 2
constexpr std::string_view kBot =
    "<x xmlns='jabber:x:data' type='form'>"
    "<title>Bot Configuration</title>"
    "<instructions>Fill out this form to configure your new bot!</instructions>"
    "<field var='FORM_TYPE' type='hidden'><value>jabber:bot</value></field>"
    "<field type='fixed'><value>Section 1: Bot Info</value></field>"
    "<field var='botname' type='text-single' label='The name of your bot'/>"
    "<field var='description' type='text-multi' label='Helpful description of your bot'/>"
    "<field var='public' type='boolean' label='Public bot?'><required/></field>"
    "<field var='password' type='text-private' label='Password for special access'/>"
    "<field var='features' type='list-multi' label='What features will the bot support?'>"
    "<value>news</value><value>search</value>"
    "<option label='Contests'><value>contests</value></option>"
    "<option label='News'><value>news</value></option>"
    "<option label='Search'><value>search</value></option></field>"
    "<field var='maxsubs' type='list-single' label='Maximum number of subscribers'><value>20</value>"
    "<option label='10'><value>10</value></option><option label='None'><value>none</value></option></field>"
    "<field var='invitelist' type='jid-multi' label='People to invite'>"
    "<desc>Tell all your friends about your new bot!</desc></field>"
    "<field var='owner' type='jid-single'/></x>";

// XEP-0004, example 8
constexpr std::string_view kTable =
    "<x xmlns='jabber:x:data' type='result'><title>Joogle Search: verona</title>"
    "<reported><field var='name'/><field var='url' type='text-single' label='Address'/></reported>"
    "<item><field var='name'><value>Comune di Verona - Benvenuti nel sito ufficiale</value></field>"
    "<field var='url'><value>http://www.comune.verona.it/</value></field></item>"
    "<item><field var='name'><value>benvenuto!</value></field>"
    "<field var='url'><value>http://www.hellasverona.it/</value></field></item></x>";

TEST(DataForm, a_form_is_read_field_by_field) {
  const DataForm form = parsed(kBot);
  EXPECT_EQ(form.type, DataForm::Type::form);
  EXPECT_EQ(form.title, "Bot Configuration");
  EXPECT_THAT(form.instructions, ElementsAre("Fill out this form to configure your new bot!"));
  EXPECT_EQ(form.form_type(), "jabber:bot");
  ASSERT_EQ(form.fields.size(), 10);
  const FieldType types[] = {FieldType::hidden,     FieldType::fixed,       FieldType::text_single,
                             FieldType::text_multi, FieldType::boolean,     FieldType::text_private,
                             FieldType::list_multi, FieldType::list_single, FieldType::jid_multi,
                             FieldType::jid_single};
  for (std::size_t i = 0; i < form.fields.size(); ++i) EXPECT_EQ(form.fields[i].type, types[i]) << i;
  EXPECT_EQ(form.fields[1].var, "");
  EXPECT_EQ(form.find("botname")->label, "The name of your bot");
  EXPECT_FALSE(form.find("botname")->required);
  EXPECT_TRUE(form.find("public")->required);
  EXPECT_THAT(form.find("features")->values, ElementsAre("news", "search"));
  EXPECT_THAT(form.find("features")->options,
              ElementsAre(DataForm::Option{"Contests", "contests"}, DataForm::Option{"News", "news"},
                          DataForm::Option{"Search", "search"}));
  EXPECT_EQ(form.value("maxsubs"), "20");
  EXPECT_EQ(form.find("invitelist")->desc, "Tell all your friends about your new bot!");
  EXPECT_EQ(form.find("nothing"), nullptr);
  EXPECT_EQ(form.value("nothing"), "");
}

TEST(DataForm, a_table_is_read) {
  const DataForm form = parsed(kTable);
  EXPECT_EQ(form.type, DataForm::Type::result);
  EXPECT_THAT(form.fields, IsEmpty());
  ASSERT_EQ(form.reported.size(), 2);
  EXPECT_EQ(form.reported[1].label, "Address");
  ASSERT_EQ(form.items.size(), 2);
  EXPECT_EQ(form.items[1].at(0).value(), "benvenuto!");
}

TEST(DataForm, what_was_read_is_written) {
  for (const std::string_view text : {
           kBot,
           kTable,
           std::string_view("<x xmlns='jabber:x:data' type='cancel'/>"),
           std::string_view(
               "<x xmlns='jabber:x:data' type='submit'><field var='search_request' type='text-single'>"
               "<value>verona</value></field></x>"),
           // XEP-0325, examples 15 and 28
           std::string_view("<x xmlns='jabber:x:data' type='form'><title>Dimmer</title>"
                            "<field var='FadeTimeMilliseconds' type='text-single' label='Fade Time (ms):'>"
                            "<desc>Time in milliseconds used to fade the light to the desired "
                            "level.</desc><value>300</value>"
                            "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:int'>"
                            "<range min='0' max='4095'/></validate><notSame xmlns='urn:xmpp:xdata:dynamic'/>"
                            "<parameterGroup xmlns='urn:xmpp:iot:control' name='direction'/></field>"
                            "<field var='Name' type='text-single'><validate "
                            "xmlns='http://jabber.org/protocol/xdata-validate' "
                            "datatype='xs:string'><basic/></validate></field>"
                            "</x>"),
       })
    EXPECT_EQ(written(parsed(text)), text);
}

TEST(DataForm, a_control_form_of_xep_0325_tells_types_and_bounds) {
  const DataForm form = parsed(
      "<x type='form' xmlns='jabber:x:data' xmlns:xdv='http://jabber.org/protocol/xdata-validate' "
      "xmlns:xdl='http://jabber.org/protocol/xdata-layout' xmlns:xdd='urn:xmpp:xdata:dynamic'>"
      "<title>Dimmer</title><xdl:page label='Output'><xdl:fieldref var='OutputPercent'/></xdl:page>"
      "<field var='xdd session' type='hidden'><value>325ED0F3-9A9A-45A4-9634-4E0D41C5EA06</value></field>"
      "<field var='OutputPercent' type='text-single' label='Output (%):'><value>100</value>"
      "<xdv:validate datatype='xs:int'><xdv:range min='0' "
      "max='100'/></xdv:validate><xdd:notSame/></field></x>");
  ASSERT_EQ(form.fields.size(), 2);
  const DataForm::Field& field = form.fields[1];
  EXPECT_EQ(field.datatype, "xs:int");
  EXPECT_EQ(field.min, "0");
  EXPECT_EQ(field.max, "100");
  EXPECT_TRUE(field.not_same);
  EXPECT_EQ(parsed(written(form)), form);
}

TEST(DataForm, what_is_refused) {
  for (const std::string_view text :
       {"<x xmlns='jabber:x:data'/>", "<x xmlns='jabber:x:data' type=''/>",
        "<x xmlns='jabber:x:data' type='Form'/>", "<x xmlns='jabber:x:data' type='error'/>",
        "<x xmlns='jabber:x:oob' type='form'/>", "<query xmlns='jabber:x:data' type='form'/>"}) {
    const auto form = parse(text);
    ASSERT_FALSE(form) << text;
    EXPECT_EQ(form.error().code, Errc::invalid);
  }
}

TEST(DataForm, what_nobody_can_fill_in_or_knows_is_left_out) {
  const DataForm form = parsed(
      "<x xmlns='jabber:x:data' type='form'><field type='text-single'><value>a</value></field>"
      "<field><value>b</value></field><field xmlns='urn:x' var='c'/><other/>"
      "<field var='d' type='list-single'><option "
      "label='x'>y</option><option/><option><value>z</value></option>"
      "<media xmlns='urn:xmpp:media-element'><uri type='image/png'>cid:1</uri></media></field></x>");
  ASSERT_EQ(form.fields.size(), 1);
  EXPECT_THAT(form.fields[0].options, ElementsAre(DataForm::Option{"", "z"}));
}

TEST(DataForm, a_type_that_is_not_understood_is_text) {
  const DataForm form =
      parsed("<x xmlns='jabber:x:data' type='form'><field var='a' type='color'/><field var='b'/></x>");
  EXPECT_EQ(form.find("a")->type, FieldType::text_single);
  EXPECT_EQ(form.find("b")->type, std::nullopt);
}

TEST(DataForm, values_of_a_field) {
  DataForm::Field field;
  EXPECT_EQ(field.value(), "");
  EXPECT_EQ(field.text(), "");
  EXPECT_EQ(field.boolean(), std::nullopt);
  field.values = {"1"};
  EXPECT_EQ(field.boolean(), true);
  field.values = {"false", "true"};
  EXPECT_EQ(field.boolean(), false);
  field.values = {"This bot enables you to send requests to Google", "", "It even supports Google News!"};
  EXPECT_EQ(field.text(), "This bot enables you to send requests to Google\n\nIt even supports Google News!");
}

TEST(DataForm, addresses_come_once_and_only_valid_ones) {
  DataForm::Field field;
  field.values = {"juliet@capulet.com", "@", "benvolio@montague.net", "Juliet@Capulet.com", ""};
  const auto jids = field.jids();
  ASSERT_EQ(jids.size(), 2);
  EXPECT_EQ(jids[0].text(), "juliet@capulet.com");
  EXPECT_EQ(jids[1].text(), "benvolio@montague.net");
}

// XEP-0068 4.1, 4.3
TEST(DataForm, the_form_type_is_hidden_but_in_a_submission) {
  const auto form_type = [](std::string_view type, std::string_view field) {
    return std::string(
        parsed(fmt::format("<x xmlns='jabber:x:data' type='{}'>{}</x>", type, field)).form_type());
  };
  constexpr std::string_view kHidden = "<field var='FORM_TYPE' type='hidden'><value>t</value></field>";
  constexpr std::string_view kText = "<field var='FORM_TYPE' type='text-single'><value>t</value></field>";
  constexpr std::string_view kBare = "<field var='FORM_TYPE'><value>t</value></field>";
  EXPECT_EQ(form_type("form", kHidden), "t");
  EXPECT_EQ(form_type("form", kText), "");
  EXPECT_EQ(form_type("result", kBare), "");
  EXPECT_EQ(form_type("submit", kBare), "t");
  EXPECT_EQ(form_type("submit", kHidden), "t");
  EXPECT_EQ(form_type("submit", ""), "");
  EXPECT_EQ(form_type("form", fmt::format("<field var='FORM_TYPE' type='hidden'/>{}", kHidden)), "t");
}

TEST(DataForm, a_form_is_built) {
  DataForm form = DataForm::of(DataForm::Type::submit, "jabber:bot");
  form.set("botname", {"The Jabber Google Bot"});
  form.set("features", {"news"});
  form.set("features", {"news", "search"});
  EXPECT_EQ(written(form),
            "<x xmlns='jabber:x:data' type='submit'>"
            "<field var='FORM_TYPE' type='hidden'><value>jabber:bot</value></field>"
            "<field var='botname'><value>The Jabber Google Bot</value></field>"
            "<field var='features'><value>news</value><value>search</value></field></x>");
}

TEST(DataForm, a_submission_has_what_has_values) {
  DataForm form = parsed(kBot);
  form.fields.push_back({.var = "level",
                         .type = FieldType::text_single,
                         .label = {},
                         .desc = {},
                         .required = false,
                         .values = {"100"},
                         .options = {},
                         .datatype = {},
                         .min = {},
                         .max = {},
                         .not_same = true,
                         .group = {}});
  EXPECT_EQ(written(form.submission()),
            "<x xmlns='jabber:x:data' type='submit'>"
            "<field var='FORM_TYPE' type='hidden'><value>jabber:bot</value></field>"
            "<field var='features' type='list-multi'><value>news</value><value>search</value></field>"
            "<field var='maxsubs' type='list-single'><value>20</value></field></x>");
}

TEST(DataForm, required_fields_that_are_missing) {
  const DataForm form = parsed(kBot);
  DataForm submitted = form.submission();
  EXPECT_THAT(form.missing_in(submitted), ElementsAre("public"));
  submitted.set("public", {""});
  EXPECT_THAT(form.missing_in(submitted), ElementsAre("public"));
  submitted.set("public", {"0"});
  EXPECT_THAT(form.missing_in(submitted), IsEmpty());
}

}  // namespace
}  // namespace starling::payload
