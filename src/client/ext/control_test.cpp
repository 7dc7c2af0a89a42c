#include "client/ext/control.h"

#include <gmock/gmock.h>

#include "client/ext/testing.h"

namespace starling::client {
namespace {

using payload::IotType;
using payload::IotValue;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::string_view kBob = "bob@example.org/orchard";

std::string set_xml(std::string_view content) {
  return fmt::format("<set xmlns='urn:xmpp:iot:control'>{}</set>", content);
}
std::string param(std::string_view type, std::string_view name, std::string_view value) {
  return fmt::format("<{} name='{}' value='{}'/>", type, name, value);
}

// A dimmer, and another one that only can be switched.
struct Device {
  explicit Device(Bench& on) : control(on.client->use<Control>()) {
    add("1020").parameters = {
        {.name = "FadeTime",
         .type = IotType::int_,
         .label = "Fade time (ms)",
         .min = "0",
         .max = "4095",
         .get = [] { return "300"; },
         .set = set("1020 FadeTime")},
        {.name = "Power", .type = IotType::boolean, .get = [] { return "false"; }, .set = set("1020 Power")},
        {.name = "Level",
         .type = IotType::double_,
         .min = "-1.5",
         .max = "1.5",
         .group = "light",
         .set = set("1020 Level")},
        {.name = "Count",
         .type = IotType::long_,
         .min = "-9007199254740993",
         .max = "9007199254740993",
         .set = set("1020 Count")},
        {.name = "Mode", .type = IotType::string, .options = {"day", "night"}, .set = set("1020 Mode")},
        {.name = "Color", .type = IotType::color, .set = set("1020 Color")},
        {.name = "Locked",
         .type = IotType::string,
         .set = [](const IotValue&) -> Result<void> {
           return fail(Errc::conflict, "Somebody else has it.");
         }},
        {.name = "Broken",
         .type = IotType::string,
         .set = [](const IotValue&) -> Result<void> { return fail(Errc::io, "It burns."); }},
        {.name = "Fixed", .type = IotType::string, .set = {}},
    };
    add("1021").parameters = {{.name = "Power", .type = IotType::boolean, .set = set("1021 Power")}};
    control.allow = [](const Jid& who) { return who.local() != "mallory"; };
  }
  Control::Node& add(std::string id) {
    return control.add_node({.node_id = std::move(id), .source_id = {}, .cache_type = {}});
  }
  std::function<Result<void>(const IotValue&)> set(std::string name) {
    return [this, name = std::move(name)](const IotValue& value) -> Result<void> {
      done.push_back(name + "=" + value.text);
      return {};
    };
  }
  Control& control;
  std::vector<std::string> done;
};

struct Alone {
  Alone() : device(bench) { bench.log_in(); }
  std::string says(const std::string& content, std::string_view from = kBob) {
    return ask(bench, from, "set", set_xml(content));
  }
  Bench bench;
  Device device;
};

const std::string kDimmer = "<node nodeId='1020'/>";

TEST(Control, SetsWhatItIsTold) {
  Alone one;
  int changes = 0;
  one.device.control.changed([&](const Jid& who, const payload::ControlSet&) {
    EXPECT_EQ(who.text(), kBob);
    ++changes;
  });
  EXPECT_EQ(one.says(param("boolean", "Power", "true")),
            "<iq to='bob@example.org/orchard' type='result' id='asked'>"
            "<setResponse xmlns='urn:xmpp:iot:control' responseCode='OK'/></iq>");
  EXPECT_THAT(one.device.done, ElementsAre("1020 Power=true", "1021 Power=true"));
  one.device.done.clear();
  one.says(kDimmer + param("double", "Level", "1.5") + param("int", "FadeTime", "0") +
           param("string", "Mode", "day") + param("color", "Color", "3399FF") +
           param("long", "Count", "9007199254740993"));
  EXPECT_THAT(one.device.done, ElementsAre("1020 Level=1.5", "1020 FadeTime=0", "1020 Mode=day",
                                           "1020 Color=3399FF", "1020 Count=9007199254740993"));
  EXPECT_EQ(changes, 2);
  EXPECT_THAT(one.says(""), HasSubstr("responseCode='OK'"));
  EXPECT_THAT(one.device.control.info().features, ElementsAre("urn:xmpp:iot:control"));
}

TEST(Control, SetsAllOrNothing) {
  struct Case {
    std::string content;
    std::string_view error, code, var, text;
  };
  const Case cases[] = {
      {param("boolean", "Foo", "true"), "<error type='cancel'><item-not-found", "NotFound", "Foo",
       "There is no such parameter."},
      // Not on all of the nodes (3.4.3).
      {param("int", "FadeTime", "1"), "item-not-found", "NotFound", "FadeTime",
       "There is no such parameter."},
      {kDimmer + param("int", "Power", "1"), "<error type='modify'><bad-request", "FormError", "Power",
       "Invalid parameter type: it is boolean."},
      {kDimmer + param("boolean", "Power", "maybe"), "bad-request", "FormError", "Power",
       "not of the type boolean"},
      {kDimmer + param("int", "FadeTime", "4096"), "bad-request", "FormError", "FadeTime", "more than 4095"},
      {kDimmer + param("int", "FadeTime", "-1"), "bad-request", "FormError", "FadeTime", "less than 0"},
      {kDimmer + param("int", "FadeTime", "99999999999"), "bad-request", "FormError", "FadeTime",
       "not of the type int"},
      {kDimmer + param("long", "Count", "9007199254740994"), "bad-request", "FormError", "Count",
       "more than"},
      {kDimmer + param("long", "Count", "-9007199254740994"), "bad-request", "FormError", "Count",
       "less than"},
      {kDimmer + param("double", "Level", "1.51"), "bad-request", "FormError", "Level", "more than 1.5"},
      {kDimmer + param("double", "Level", "-2"), "bad-request", "FormError", "Level", "less than -1.5"},
      {kDimmer + param("double", "Level", "NaN"), "bad-request", "FormError", "Level",
       "Invalid parameter value"},
      {kDimmer + param("double", "Level", "-INF"), "bad-request", "FormError", "Level", "less than"},
      {kDimmer + param("string", "Mode", "dusk"), "bad-request", "FormError", "Mode",
       "not one of day, night"},
      {kDimmer + param("color", "Color", "blue"), "bad-request", "FormError", "Color",
       "not of the type color"},
  };
  for (const auto& [content, error, code, var, text] : cases) {
    Alone one;
    const auto answer = one.says(content + param("boolean", "Power", "true"));
    EXPECT_EQ(attribute_of(answer, "type"), "error") << content;
    EXPECT_THAT(answer, HasSubstr(fmt::format("<setResponse xmlns='urn:xmpp:iot:control' responseCode='{}'>"
                                              "<parameter name='{}'/><error var='{}'>",
                                              code, var, var)))
        << content;
    EXPECT_THAT(answer, HasSubstr(error)) << content;
    EXPECT_THAT(answer, HasSubstr(fmt::format("<paramError xmlns='urn:xmpp:iot:control' var='{}'>", var)))
        << content;
    EXPECT_THAT(answer, HasSubstr(text)) << content;
    EXPECT_THAT(one.device.done, IsEmpty()) << content;
  }
}

TEST(Control, NamesAllThatIsWrong) {
  Alone one;
  const auto answer =
      one.says(kDimmer + param("boolean", "Power", "maybe") + param("boolean", "Foo", "true"));
  EXPECT_THAT(answer, HasSubstr("<bad-request"));
  EXPECT_THAT(
      answer,
      HasSubstr("<paramError xmlns='urn:xmpp:iot:control' var='Power'>Invalid parameter value: not of "
                "the type boolean.</paramError><paramError xmlns='urn:xmpp:iot:control' "
                "var='Foo'>There is no such parameter.</paramError>"));
}

TEST(Control, SaysWhenADeviceRefuses) {
  Alone one;
  EXPECT_THAT(one.says(kDimmer + param("string", "Locked", "x")), HasSubstr("<error type='wait'><conflict"));
  EXPECT_THAT(one.says(kDimmer + param("string", "Broken", "x")), HasSubstr("<internal-server-error"));
  EXPECT_THAT(one.says(kDimmer + param("string", "Fixed", "x")), HasSubstr("<feature-not-implemented"));
  EXPECT_THAT(one.says(kDimmer + param("boolean", "Power", "true") + param("string", "Broken", "x")),
              HasSubstr("responseCode='OtherError'><node nodeId='1020'/><parameter name='Broken'/>"
                        "<error var='Broken'>It burns.</error>"));
  EXPECT_THAT(one.device.done, ElementsAre("1020 Power=true"));
}

TEST(Control, TakesNoNonsense) {
  Alone one;
  EXPECT_THAT(one.says("<node nodeId='7'/>"), HasSubstr("There is no node 7."));
  EXPECT_THAT(one.says("<node nodeId='1020' sourceId='x'/>"), HasSubstr("item-not-found"));
  for (const auto& content :
       {std::string("<node/>"), param("numeric", "Power", "1"), param("beam", "Power", "up"),
        std::string("<boolean value='true'/>"), std::string("<boolean name='Power'/>"),
        std::string("<x xmlns='jabber:x:data' type='beam'/>"),
        std::string("<x xmlns='jabber:x:data' type='cancel'/>")})
    EXPECT_THAT(one.says(content), HasSubstr("<bad-request")) << content;
  EXPECT_THAT(one.device.done, IsEmpty());
}

TEST(Control, IsForThoseWhoMay) {
  Alone one;
  EXPECT_THAT(one.says(param("boolean", "Power", "true"), "mallory@example.net/x"),
              HasSubstr("<error type='cancel'><forbidden"));
  EXPECT_THAT(ask(one.bench, "mallory@example.net/x", "get", "<getForm xmlns='urn:xmpp:iot:control'/>"),
              HasSubstr("<error type='cancel'><forbidden"));
  one.device.control.allow = {};  // then for ourselves alone
  EXPECT_THAT(one.says(param("boolean", "Power", "true")), HasSubstr("forbidden"));
  EXPECT_THAT(one.device.done, IsEmpty());
  EXPECT_THAT(one.says(param("boolean", "Power", "true"), "alice@example.org/phone"),
              HasSubstr("responseCode='OK'"));
}

TEST(Control, AnswersNoMessages) {
  Alone one;
  const auto send = [&](std::string_view start, std::string_view from, const std::string& content) {
    one.bench.server_sends(fmt::format("<message{} from='{}'>{}</message>", start, from, set_xml(content)));
  };
  const auto power = param("boolean", "Power", "true");
  send("", kBob, power);
  EXPECT_THAT(one.device.done, SizeIs(2));
  send(" type='set'", kBob, power);  // as slixmpp sends it
  EXPECT_THAT(one.device.done, SizeIs(4));
  send("", "mallory@example.net/x", power);
  send("", kBob, param("boolean", "Foo", "true"));
  send(" type='error'", kBob, power);
  send(" type='groupchat'", kBob, power);
  EXPECT_THAT(one.device.done, SizeIs(4));
  EXPECT_THAT(sent(one.bench), IsEmpty());
  EXPECT_EQ(one.bench.logged("was not carried out: item-not-found; Foo: There is no such parameter."), 1u);
}

TEST(Control, HasAForm) {
  Alone one;
  const auto get = [&](std::string_view nodes) {
    return ask(one.bench, kBob, "get",
               fmt::format("<getForm xmlns='urn:xmpp:iot:control'>{}</getForm>", nodes));
  };
  const auto form = get(kDimmer);
  EXPECT_THAT(form, HasSubstr("<title>1020</title>"));
  EXPECT_THAT(form, HasSubstr("label='Fade time (ms)'"));
  EXPECT_THAT(form, HasSubstr("<value>300</value>"));
  EXPECT_THAT(form, HasSubstr("datatype='xs:int'><range min='0' max='4095'/>"));
  EXPECT_THAT(form, HasSubstr("<parameterGroup xmlns='urn:xmpp:iot:control' name='light'/>"));
  EXPECT_THAT(form, HasSubstr("<option><value>night</value></option>"));
  const auto both = get("");
  EXPECT_THAT(both, HasSubstr("<title>1020, 1021</title>"));
  EXPECT_THAT(both, HasSubstr("var='Power'"));
  EXPECT_THAT(both, Not(HasSubstr("FadeTime")));
  one.device.control.title = "Lights";
  EXPECT_THAT(get(""), HasSubstr("<title>Lights</title>"));
  EXPECT_THAT(get("<node nodeId='7'/>"), HasSubstr("item-not-found"));
  EXPECT_THAT(get("<node/>"), HasSubstr("bad-request"));
}

TEST(Control, TakesItsFormBack) {
  Alone one;
  std::vector<payload::ControlParameter> changed;
  one.device.control.changed([&](const Jid&, const payload::ControlSet& set) { changed = set.parameters; });
  const std::string form =
      "<x type='submit' xmlns='jabber:x:data'><field var='xdd session' type='hidden'><value>1</value></field>"
      "<field var='FadeTime'><value>{}</value></field><field var='Power'><value>1</value></field></x>";
  EXPECT_THAT(one.says(kDimmer + fmt::format(fmt::runtime(form), 500)), HasSubstr("responseCode='OK'"));
  EXPECT_THAT(one.device.done, ElementsAre("1020 FadeTime=500", "1020 Power=1"));
  EXPECT_THAT(changed, ElementsAre(payload::ControlParameter{"FadeTime", {IotType::int_, "500"}},
                                   payload::ControlParameter{"Power", {IotType::boolean, "1"}}));
  EXPECT_THAT(one.says(kDimmer + fmt::format(fmt::runtime(form), 5000)),
              HasSubstr("var='FadeTime'>Invalid parameter value: more than 4095."));
  EXPECT_THAT(
      one.says(kDimmer +
               "<x type='submit' xmlns='jabber:x:data'><field var='Foo'><value>1</value></field></x>"),
      HasSubstr("var='Foo'>There is no such parameter."));
  EXPECT_THAT(one.device.done, SizeIs(2));
}

// --- both sides ---

struct Both {
  Both() : device(pair.bob), controller(pair.alice.client->use<Controller>()) { pair.log_in(); }
  Outcome<payload::ControlSetResponse> set(const payload::ControlSet& command) {
    std::optional<Outcome<payload::ControlSetResponse>> outcome;
    pair.alice.in_turn(
        [&] { controller.set(jid(kBob), command).then([&](auto got) { outcome.emplace(std::move(got)); }); });
    pair.settle();
    return std::move(outcome).value();
  }
  Pair pair;
  Device device;
  Controller& controller;
};

TEST(Controller, SetsParameters) {  // R156
  Both both;
  EXPECT_TRUE(both.set({.parameters = {{"Power", {IotType::boolean, "true"}}}}));
  EXPECT_THAT(both.device.done, ElementsAre("1020 Power=true", "1021 Power=true"));
  const auto unknown = both.set({.parameters = {{"Foo", {IotType::boolean, "true"}}}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message(), "item-not-found: Foo: There is no such parameter.");
  const auto two =
      both.set({.nodes = {{.node_id = "1020", .source_id = {}, .cache_type = {}}},
                .parameters = {{"Mode", {IotType::string, "x"}}, {"Power", {IotType::int_, "1"}}}});
  EXPECT_EQ(two.error().message(),
            "bad-request: Mode: Invalid parameter value: not one of day, night.; Power: Invalid parameter "
            "type: it is "
            "boolean.");
  both.pair.alice.in_turn([&] {
    EXPECT_TRUE(both.controller.command(jid(kBob), {.parameters = {{"Power", {IotType::boolean, "false"}}}}));
  });
  both.pair.settle();
  EXPECT_EQ(both.device.done.back(), "1021 Power=false");
}

TEST(Controller, KnowsTheTypesOfAForm) {
  Both both;
  std::optional<Outcome<payload::DataForm>> form;
  both.pair.alice.in_turn([&] {
    both.controller.get_form(jid(kBob), {.nodes = {{.node_id = "1020", .source_id = {}, .cache_type = {}}}})
        .then([&](Outcome<payload::DataForm> got) { form.emplace(std::move(got)); });
  });
  both.pair.settle();
  ASSERT_TRUE(form && form->has_value());
  std::vector<std::string> types;
  for (const auto& field : (*form)->fields) {
    EXPECT_TRUE(field.not_same) << field.var;
    types.emplace_back(to_string(Controller::type_of(field).value()));
  }
  EXPECT_THAT(types, ElementsAre("int", "boolean", "double", "long", "string", "color", "string", "string",
                                 "string"));
  EXPECT_FALSE(Controller::type_of({.var = "x"}));
}

TEST(Controller, UnderstandsWhatEarlierVersionsSay) {
  struct Case {
    std::string type, payload, message;  // of an error; empty: all is well
  };
  const std::string response = "<setResponse xmlns='urn:xmpp:iot:control' responseCode=";
  const Case cases[] = {
      {"result", "<setResponse xmlns='urn:xmpp:iot:control'/>", ""},
      {"result", response + "'OK'/>", ""},
      {"result", "", ""},
      {"result", "<query xmlns='jabber:iq:version'/>",
       "bob@example.org/orchard: this is no response of XEP-0325"},
      {"error",
       response +
           "'NotFound'><parameter name='Foo'/><error var='Output'>Invalid field Foo</error></setResponse>",
       "item-not-found: Foo: Invalid field Foo"},
      {"error",
       response + "'NotFound'><node nodeId='7'/><error var='Output'>Invalid nodeId 7</error></setResponse>",
       "item-not-found: Output: Invalid nodeId 7"},
      {"error", response + "'OtherError'/>", "internal-server-error"},
      {"error", response + "'?'><error>Oh.</error></setResponse>", "internal-server-error: Oh."},
      {"error", error_xml("cancel", "service-unavailable"), "service-unavailable"},
  };
  for (const auto& [type, payload, message] : cases) {
    Bench bench;
    bench.log_in();
    const payload::ControlSet command{.parameters = {{"Foo", {IotType::int_, "1"}}}};
    const auto got =
        bench.outcome([&] { return bench.client->use<Controller>().set(jid(kBob), command); }, payload, type);
    EXPECT_EQ(got ? "" : got.error().message(), message) << payload;
  }
}

TEST(Controller, KnowsWhatIsNoForm) {
  for (const auto* payload : {"", "<x xmlns='jabber:x:data'/>", "<y xmlns='jabber:x:data' type='form'/>"}) {
    Bench bench;
    bench.log_in();
    EXPECT_EQ(bench.failure([&] { return bench.client->use<Controller>().get_form(jid(kBob)); }, payload),
              RequestError::Kind::malformed)
        << payload;
  }
}

}  // namespace
}  // namespace starling::client
