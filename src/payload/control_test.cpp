#include "payload/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::invalid_argument(result.error().message);
  return std::move(*result);
}

ControlSet parsed_set(std::string_view text) { return must(parse_control_set(document(text).root())); }
ControlGetForm parsed_get_form(std::string_view text) {
  return must(parse_control_get_form(document(text).root()));
}
ControlSetResponse parsed_response(std::string_view text) {
  return must(parse_control_set_response(document(text).root()));
}

// XEP-0325, examples 4 to 13
TEST(Control, every_type_of_parameter) {
  const struct {
    IotType type;
    std::string_view element;
  } table[] = {
      {IotType::boolean, "<boolean name='Output' value='true'/>"},
      {IotType::int_, "<int name='Output' value='50000'/>"},
      {IotType::long_, "<long name='Output' value='500000000000000'/>"},
      {IotType::string, "<string name='Row1' value='Temperature: 21.4 \u00b0C'/>"},
      {IotType::double_, "<double name='4-20mA' value='8.192'/>"},
      {IotType::date, "<date name='TariffStartDate' value='2013-05-01'/>"},
      {IotType::time, "<time name='Alarm Time' value='08:00:00'/>"},
      {IotType::date_time, "<dateTime name='Alarm Time' value='2013-04-02T08:00:00'/>"},
      {IotType::duration, "<duration name='Alarm Duration' value='PT3M30S'/>"},
      {IotType::color, "<color name='Color' value='3399FF'/>"},
  };
  for (const auto& [type, element] : table) {
    const auto text = fmt::format("<set xmlns='urn:xmpp:iot:control'>{}</set>", element);
    const ControlSet set = parsed_set(text);
    ASSERT_EQ(set.parameters.size(), 1) << element;
    EXPECT_EQ(set.parameters[0].value.type, type) << element;
    EXPECT_TRUE(set.parameters[0].value.valid()) << element;
    EXPECT_EQ(written(set), text);
  }
}

// Examples 14, 20 and 17, and what the schema has beside.
TEST(Control, commands_are_read_and_written) {
  for (const std::string_view text : {
           "<set xmlns='urn:xmpp:iot:control'><int name='FadeTimeMilliseconds' value='500'/>"
           "<int name='OutputPercent' value='10'/></set>",
           "<set xmlns='urn:xmpp:iot:control'><node nodeId='DigitalOutput1'/><node nodeId='DigitalOutput2'/>"
           "<boolean name='Output' value='false'/></set>",
           "<set xmlns='urn:xmpp:iot:control' xml:lang='en'><x xmlns='jabber:x:data' type='submit'>"
           "<field var='xdd session' type='hidden'><value>325ED0F3</value></field>"
           "<field var='OutputPercent' type='text-single'><value>10</value></field></x></set>",
           "<set xmlns='urn:xmpp:iot:control' serviceToken='a' deviceToken='b' userToken='c'>"
           "<node nodeId='n' sourceId='s' cacheType='t'/></set>",
       })
    EXPECT_EQ(written(parsed_set(text)), text);
}

TEST(Control, a_form_is_asked_for) {
  for (const std::string_view text : {
           "<getForm xmlns='urn:xmpp:iot:control' xml:lang='en'/>",
           "<getForm xmlns='urn:xmpp:iot:control' xml:lang='en'><node nodeId='DigitalOutput1'/>"
           "<node nodeId='DigitalOutput2'/></getForm>",
           "<getForm xmlns='urn:xmpp:iot:control' serviceToken='a' deviceToken='b' userToken='c'/>",
       })
    EXPECT_EQ(written(parsed_get_form(text)), text);
}

TEST(Control, an_empty_response_says_that_all_was_done) {
  const auto response = parsed_response("<setResponse xmlns='urn:xmpp:iot:control'/>");
  EXPECT_EQ(response, ControlSetResponse());
  EXPECT_EQ(written(response), "<setResponse xmlns='urn:xmpp:iot:control'/>");
}

TEST(Control, a_response_names_what_the_command_was_narrowed_to) {
  constexpr std::string_view kText =
      "<setResponse xmlns='urn:xmpp:iot:control'><node nodeId='DigitalOutput1'/><parameter name='Output'/>"
      "</setResponse>";
  const auto response = parsed_response(kText);
  EXPECT_THAT(response.nodes, ElementsAre(IotNode{"DigitalOutput1", {}, {}}));
  EXPECT_THAT(response.parameters, ElementsAre("Output"));
  EXPECT_EQ(written(response), kText);
}

// Examples 3 and 18
TEST(Control, an_error_says_which_parameter_is_wrong) {
  const auto error = document(
      "<error xmlns='jabber:client' type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
      "<paramError xmlns='urn:xmpp:iot:control' var='Output'>Invalid parameter type.</paramError>"
      "<paramError xmlns='urn:x' var='Other'/></error>");
  EXPECT_THAT(parse_control_param_errors(error.root()),
              ElementsAre(ControlParamError{"Output", "Invalid parameter type."}));
  const auto plain = document(
      "<error xmlns='jabber:client' type='cancel'><forbidden "
      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
  EXPECT_THAT(parse_control_param_errors(plain.root()), IsEmpty());

  std::string out;
  xml::Writer writer(out, "jabber:client");
  write_error(writer, {.condition = Condition::bad_request,
                       .text = {},
                       .type = {},
                       .application = written(ControlParamError{"Output", "Invalid parameter type."})});
  EXPECT_EQ(
      out,
      "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
      "<paramError xmlns='urn:xmpp:iot:control' var='Output'>Invalid parameter type.</paramError></error>");
}

// Typed in the shape of slixmpp's plugin, which is of an earlier version of the document.
TEST(Control, what_slixmpp_writes) {
  const auto set = parsed_set(
      "<set xmlns=\"urn:xmpp:iot:control\"><node nodeId=\"1020\" /><boolean name=\"Power\" value=\"true\" />"
      "<int name=\"Level\" value=\"5\" /></set>");
  EXPECT_THAT(set.nodes, ElementsAre(IotNode{"1020", {}, {}}));
  ASSERT_EQ(set.parameters.size(), 2);
  EXPECT_EQ(set.parameters[0].name, "Power");
  EXPECT_EQ(set.parameters[0].value.boolean(), true);
  EXPECT_EQ(set.parameters[1].value.integer(), 5);

  const auto failed = parsed_response(
      "<setResponse xmlns=\"urn:xmpp:iot:control\" responseCode=\"NotFound\"><node nodeId=\"1020\" />"
      "<parameter name=\"Power\" /><error var=\"Output\">Invalid field Power</error></setResponse>");
  EXPECT_EQ(failed.code, ControlCode::not_found);
  EXPECT_THAT(failed.parameters, ElementsAre("Power"));
  EXPECT_THAT(failed.errors, ElementsAre(ControlParamError{"Output", "Invalid field Power"}));
  EXPECT_EQ(parsed_response(written(failed)), failed);

  ControlSetResponse done;
  done.code = ControlCode::ok;
  EXPECT_EQ(written(done), "<setResponse xmlns='urn:xmpp:iot:control' responseCode='OK'/>");
}

TEST(Control, response_codes_and_conditions) {
  const struct {
    std::string_view name;
    Condition condition;
    ControlCode code;
  } table[] = {
      {"NotFound", Condition::item_not_found, ControlCode::not_found},
      {"InsufficientPrivileges", Condition::forbidden, ControlCode::insufficient_privileges},
      {"Locked", Condition::conflict, ControlCode::locked},
      {"NotImplemented", Condition::feature_not_implemented, ControlCode::not_implemented},
      {"FormError", Condition::bad_request, ControlCode::form_error},
      {"OtherError", Condition::internal_server_error, ControlCode::other_error},
  };
  for (const auto& [name, condition, code] : table) {
    EXPECT_EQ(to_string(code), name);
    EXPECT_EQ(condition_of(code), condition) << name;
    EXPECT_EQ(code_of(condition), code) << name;
    EXPECT_EQ(
        parsed_response(fmt::format("<setResponse xmlns='urn:xmpp:iot:control' responseCode='{}'/>", name))
            .code,
        code);
  }
  EXPECT_EQ(code_of(Condition::gone), ControlCode::other_error);
  EXPECT_EQ(parsed_response("<setResponse xmlns='urn:xmpp:iot:control' responseCode='Burnt'/>").code,
            ControlCode::other_error);
}

TEST(Control, what_is_refused) {
  for (const std::string_view text : {
           "<set xmlns='urn:xmpp:iot:sensordata'/>",
           "<reset xmlns='urn:xmpp:iot:control'/>",
           "<set xmlns='urn:xmpp:iot:control'><boolean value='true'/></set>",
           "<set xmlns='urn:xmpp:iot:control'><boolean name='Output'/></set>",
           "<set xmlns='urn:xmpp:iot:control'><int name='a' value='1'/><float name='b' value='1.5'/></set>",
           "<set xmlns='urn:xmpp:iot:control'><numeric name='a' value='1'/></set>",
           "<set xmlns='urn:xmpp:iot:control'><enum name='a' value='1'/></set>",
           "<set xmlns='urn:xmpp:iot:control'><timeSpan name='a' value='PT1S'/></set>",
           "<set xmlns='urn:xmpp:iot:control'><node/><int name='a' value='1'/></set>",
           "<set xmlns='urn:xmpp:iot:control'><x xmlns='jabber:x:data'/></set>",
       }) {
    const auto set = parse_control_set(document(text).root());
    ASSERT_FALSE(set) << text;
    EXPECT_EQ(set.error().code, Errc::invalid);
  }
  EXPECT_FALSE(parse_control_get_form(document("<set xmlns='urn:xmpp:iot:control'/>").root()));
  EXPECT_FALSE(
      parse_control_get_form(document("<getForm xmlns='urn:xmpp:iot:control'><node/></getForm>").root()));
  EXPECT_FALSE(parse_control_set_response(document("<set xmlns='urn:xmpp:iot:control'/>").root()));
  EXPECT_FALSE(parse_control_set_response(
      document("<setResponse xmlns='urn:xmpp:iot:control'><node/></setResponse>").root()));
  EXPECT_FALSE(parse_control_set_response(
      document("<setResponse xmlns='urn:xmpp:iot:control'><parameter/></setResponse>").root()));
}

TEST(Control, what_is_of_other_namespaces_is_passed_over) {
  const auto set = parsed_set(
      "<set xmlns='urn:xmpp:iot:control'><x xmlns='urn:x'/><int xmlns='urn:x' name='a' value='1'/></set>");
  EXPECT_EQ(set, ControlSet());
}

}  // namespace
}  // namespace starling::payload
