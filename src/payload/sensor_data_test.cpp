#include "payload/sensor_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using enum SensorFlag;

Result<SensorMessage> parse(std::string_view text) { return parse_sensor_message(document(text).root()); }

template <class T>
T parse_as(std::string_view text) {
  auto message = parse(text);
  if (!message) throw std::invalid_argument(message.error().message);
  return std::get<T>(std::move(*message));
}

SensorField temperature(std::string value, std::string unit, SensorFlags flags) {
  SensorField field;
  field.name = "Temperature";
  field.value = {IotType::numeric, std::move(value)};
  field.unit = std::move(unit);
  field.flags = flags;
  return field;
}

SensorFields one_reading(std::int32_t seqnr, std::string node, std::string when, SensorField field) {
  SensorFields fields;
  fields.seqnr = seqnr;
  fields.done = true;
  fields.nodes = {{.node = {.node_id = std::move(node), .source_id = {}, .cache_type = {}},
                   .timestamps = {{.value = std::move(when), .fields = {std::move(field)}}}}};
  return fields;
}

// The stanza that a sensor of SleekXMPP sent in the lab, as its log shows it.
constexpr std::string_view kLab =
    "<fields xmlns=\"urn:xmpp:iot:sensordata\" done=\"true\" seqnr=\"1\"><node nodeId=\"1020\">"
    "<timestamp value=\"2023-04-04T17:02:17\"><numeric value=\"26\" momentary=\"true\" name=\"Temperature\" "
    "unit=\"C\" automaticReadout=\"true\" /></timestamp></node></fields>";

TEST(SensorData, the_stanza_of_the_lab_is_read_field_by_field) {
  const auto fields = parse_as<SensorFields>(kLab);
  EXPECT_TRUE(fields.done);
  EXPECT_EQ(fields.seqnr, 1);
  ASSERT_EQ(fields.nodes.size(), 1);
  EXPECT_EQ(fields.nodes[0].node.node_id, "1020");
  ASSERT_EQ(fields.nodes[0].timestamps.size(), 1);
  EXPECT_EQ(fields.nodes[0].timestamps[0].value, "2023-04-04T17:02:17");
  ASSERT_EQ(fields.nodes[0].timestamps[0].fields.size(), 1);
  const SensorField& field = fields.nodes[0].timestamps[0].fields[0];
  EXPECT_EQ(to_string(field.value.type), "numeric");
  EXPECT_EQ(field.value.text, "26");
  EXPECT_EQ(field.value.number(), 26.0);
  EXPECT_EQ(field.name, "Temperature");
  EXPECT_EQ(field.unit, "C");
  EXPECT_EQ(field.flags, (SensorFlags{momentary, automatic_readout}));
}

TEST(SensorData, the_stanza_of_the_lab_is_written) {
  const auto fields =
      one_reading(1, "1020", "2023-04-04T17:02:17", temperature("26", "C", {momentary, automatic_readout}));
  EXPECT_EQ(parse_as<SensorFields>(kLab), fields);
  EXPECT_EQ(written(fields),
            "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='true'><node nodeId='1020'>"
            "<timestamp value='2023-04-04T17:02:17'><numeric name='Temperature' momentary='true' "
            "automaticReadout='true' value='26' unit='C'/></timestamp></node></fields>");
}

TEST(SensorData, the_request_of_the_lab) {
  const auto request =
      parse_as<SensorRequest>("<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true' />");
  EXPECT_EQ(request.seqnr, 1);
  EXPECT_EQ(request.kinds, SensorFlags{momentary});
  EXPECT_EQ(written(request), "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/>");
  const auto accepted = parse_as<SensorAccepted>("<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='1' />");
  EXPECT_EQ(written(accepted), "<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>");
}

// What is written of each is byte for byte what was read.
TEST(SensorData, every_message_is_read_and_written) {
  for (const std::string_view text : {
           // XEP-0323, examples 1 to 9
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/>",
           "<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>",
           "<failure xmlns='urn:xmpp:iot:sensordata' seqnr='2' done='true'>"
           "<error nodeId='Device01' timestamp='2013-03-07T17:13:30'>Timeout.</error></failure>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='4' all='true' when='2013-03-07T19:00:00'/>",
           "<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='4' queued='true'/>",
           "<started xmlns='urn:xmpp:iot:sensordata' seqnr='4'/>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='4'><node nodeId='Device01'>"
           "<timestamp value='2013-03-07T18:00:00'><numeric name='Temperature' historicalHour='true' "
           "automaticReadout='true' value='24.5' unit='\u00b0C'/></timestamp>"
           "<timestamp value='2013-03-07T00:00:00'><numeric name='Temperature' historicalHour='true' "
           "historicalDay='true' automaticReadout='true' value='25.2' "
           "unit='\u00b0C'/></timestamp></node></fields>",
           "<done xmlns='urn:xmpp:iot:sensordata' seqnr='4'/>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='6' momentary='true'><node nodeId='Device04'/>"
           "<field name='Energy'/><field name='Power'/></req>",
           "<cancel xmlns='urn:xmpp:iot:sensordata' seqnr='8'/>",
           "<cancelled xmlns='urn:xmpp:iot:sensordata' seqnr='8'/>",
           // example 12
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='7' done='true'><node nodeId='Device05'>"
           "<timestamp value='2013-03-07T22:20:45'><numeric name='Temperature, Min' momentary='true' "
           "automaticReadout='true' value='23.4' unit='\u00b0C' module='Whatchamacallit' stringIds='1,2'/>"
           "</timestamp></node></fields>",
           // what the schema has beside
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='-5' peak='true' historicalQuarter='true' "
           "historical='true' from='2013-01-01T00:00:00' to='2013-12-31T23:59:59' serviceToken='a' "
           "deviceToken='b' userToken='c'><node nodeId='n' sourceId='s' cacheType='t'/></req>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='2147483647'><node nodeId='n' sourceId='s' "
           "cacheType='t'><timestamp value='2013-03-07T22:20:45Z'/></node><node nodeId='m'/></fields>",
           // earlier versions
           "<rejected xmlns='urn:xmpp:iot:sensordata' seqnr='3'><error>Access denied</error></rejected>",
       }) {
    const auto message = parse(text);
    ASSERT_TRUE(message) << text;
    EXPECT_EQ(written(*message), text);
  }
}

TEST(SensorData, every_type_of_value) {
  for (const std::string_view field : {
           "<boolean name='Door' status='true' value='true'/>",
           "<date name='Installed' value='2013-05-01'/>",
           "<dateTime name='Last reset' value='2013-04-02T08:00:00'/>",
           "<duration name='Uptime' value='PT3M30S'/>",
           "<enum name='State' value='on' dataType='Switch'/>",
           "<int name='Count' value='-5' writable='true'/>",
           "<long name='Total' value='500000000000000' writable='false'/>",
           "<numeric name='Temperature' value='10.00' unit='\u00b0C'/>",
           "<numeric name='Ratio' value='0.5' unit=''/>",
           "<string name='Device ID' identity='true' value='Device01'/>",
           "<time name='Alarm' value='08:00:00'/>",
           "<timeSpan name='Uptime' value='PT3H'/>",
       }) {
    const auto text = fmt::format(
        "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='n'>"
        "<timestamp value='2013-03-07T19:00:00'>{}</timestamp></node></fields>",
        field);
    const auto fields = parse_as<SensorFields>(text);
    ASSERT_EQ(fields.nodes.at(0).timestamps.at(0).fields.size(), 1) << field;
    EXPECT_TRUE(fields.nodes[0].timestamps[0].fields[0].value.valid()) << field;
    EXPECT_EQ(written(fields), text);
  }
}

TEST(SensorData, every_flag_of_a_field) {
  for (auto i = static_cast<int>(momentary); i < static_cast<int>(all); ++i) {
    const auto flag = static_cast<SensorFlag>(i);
    const auto fields = one_reading(1, "n", "2013-03-07T19:00:00", temperature("1", "C", {flag}));
    const std::string text = written(fields);
    EXPECT_THAT(text, HasSubstr(fmt::format(" {}='true'", to_string(flag))));
    EXPECT_EQ(parse_as<SensorFields>(text), fields);
  }
}

TEST(SensorData, every_kind_in_a_request) {
  for (const SensorFlag flag :
       {momentary, peak, status, computed, identity, historical_second, historical_minute, historical_hour,
        historical_day, historical_week, historical_month, historical_quarter, historical_year,
        historical_other, all, historical}) {
    SensorRequest request;
    request.kinds = {flag};
    const std::string text = written(request);
    EXPECT_THAT(text, HasSubstr(fmt::format(" {}='true'", to_string(flag))));
    EXPECT_EQ(parse_as<SensorRequest>(text), request);
  }
}

TEST(SensorData, flags_that_do_not_belong_are_passed_over) {
  EXPECT_EQ(parse_as<SensorRequest>("<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' signed='true'/>").kinds,
            SensorFlags{});
  const auto fields = parse_as<SensorFields>(
      "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='n'><timestamp value='t'>"
      "<numeric name='a' value='1' all='true' peak='0' status='1' x:momentary='true' xmlns:x='urn:x'/>"
      "</timestamp></node></fields>");
  EXPECT_EQ(fields.nodes[0].timestamps[0].fields[0].flags, SensorFlags{status});
}

// Typed in the shape of slixmpp's plugin, which is of an earlier version of the document.
TEST(SensorData, what_slixmpp_writes) {
  const auto fields = parse_as<SensorFields>(
      "<fields xmlns=\"urn:xmpp:iot:sensordata\" seqnr=\"1\"><node nodeId=\"1020\">"
      "<timestamp value=\"2023-04-04T17:02:17\"><numeric unit=\"C\" name=\"Temperature\" value=\"26\" "
      "momentary=\"true\" /><numeric name=\"Ratio\" value=\"1\" /><timeSpan name=\"Uptime\" value=\"PT3H\" />"
      "<enum dataType=\"Switch\" name=\"State\" value=\"on\" status=\"true\" /></timestamp></node></fields>");
  EXPECT_FALSE(fields.done);
  const auto& values = fields.nodes.at(0).timestamps.at(0).fields;
  ASSERT_EQ(values.size(), 4);
  EXPECT_EQ(values[0], temperature("26", "C", {momentary}));
  EXPECT_EQ(values[1].unit, "");
  EXPECT_EQ(values[2].value, (IotValue{IotType::time_span, "PT3H"}));
  EXPECT_EQ(values[3].data_type, "Switch");

  const auto request = parse_as<SensorRequest>(
      "<req xmlns=\"urn:xmpp:iot:sensordata\" seqnr=\"1\" when=\"2023-04-04T17:02:17\" momentary=\"true\">"
      "<node nodeId=\"1020\" /><field name=\"Temperature\" /></req>");
  EXPECT_EQ(request.when, "2023-04-04T17:02:17");
  EXPECT_THAT(request.nodes, ElementsAre(IotNode{"1020", {}, {}}));
  EXPECT_THAT(request.fields, ElementsAre("Temperature"));

  const auto failure = parse_as<SensorFailure>(
      "<failure xmlns=\"urn:xmpp:iot:sensordata\" seqnr=\"1\" done=\"true\"><error nodeId=\"1020\" "
      "timestamp=\"2023-04-04T17:02:17\">Timeout</error></failure>");
  EXPECT_TRUE(failure.done);
  ASSERT_EQ(failure.errors.size(), 1);
  EXPECT_EQ(failure.errors[0].text, "Timeout");
  EXPECT_EQ(
      parse_as<SensorRejected>(
          "<rejected xmlns=\"urn:xmpp:iot:sensordata\" seqnr=\"7\"><error>Access denied</error></rejected>"),
      (SensorRejected{7, "Access denied"}));
  EXPECT_EQ(parse_as<SensorRejected>("<rejected xmlns='urn:xmpp:iot:sensordata' seqnr='7'/>").error, "");
}

TEST(SensorData, the_attribute_of_example_6_is_identity) {
  const auto fields = parse_as<SensorFields>(
      "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='4'><node nodeId='Device01'>"
      "<timestamp value='2013-03-07T19:00:00'><string name='Device ID' identification='true' "
      "automaticReadout='true' value='Device01'/></timestamp></node></fields>");
  EXPECT_EQ(fields.nodes[0].timestamps[0].fields[0].flags, (SensorFlags{identity, automatic_readout}));
}

TEST(SensorData, what_is_missing_needs_no_value) {
  const auto fields = parse_as<SensorFields>(
      "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='4'><node nodeId='n'><timestamp value='t'>"
      "<numeric name='Temperature' missing='true'/></timestamp></node></fields>");
  EXPECT_EQ(fields.nodes[0].timestamps[0].fields[0].value.number(), std::nullopt);
  EXPECT_EQ(parse_as<SensorFields>(written(fields)), fields);
}

TEST(SensorData, what_is_unknown_is_left_out) {
  const auto fields = parse_as<SensorFields>(
      "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='4' more='x'><x xmlns='urn:x'/><other/><node nodeId='n'>"
      "<node nodeId='inner'/><timestamp value='t'><color name='c' value='3399FF'/><double name='d' "
      "value='1'/>"
      "<float name='f' value='1'/><int xmlns='urn:x' name='i' value='1'/><int name='i' "
      "value='2'/></timestamp>"
      "<timestamp xmlns='urn:x' value='u'/></node></fields>");
  ASSERT_EQ(fields.nodes.size(), 1);
  ASSERT_EQ(fields.nodes[0].timestamps.size(), 1);
  ASSERT_EQ(fields.nodes[0].timestamps[0].fields.size(), 1);
  EXPECT_EQ(fields.nodes[0].timestamps[0].fields[0].value, (IotValue{IotType::int_, "2"}));
  EXPECT_THAT(
      parse_as<SensorFailure>("<failure xmlns='urn:xmpp:iot:sensordata' seqnr='4'><error xmlns='urn:x'/>"
                              "</failure>")
          .errors,
      IsEmpty());
}

TEST(SensorData, a_value_that_is_none_is_kept_as_it_came) {
  const auto fields = parse_as<SensorFields>(
      "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='4'><node nodeId='n'><timestamp value='yesterday'>"
      "<numeric name='Temperature' value='warm'/></timestamp></node></fields>");
  const SensorField& field = fields.nodes[0].timestamps[0].fields[0];
  EXPECT_EQ(field.value.text, "warm");
  EXPECT_FALSE(field.value.valid());
  EXPECT_EQ(field.value.number(), std::nullopt);
}

TEST(SensorData, what_is_refused) {
  for (const std::string_view text : {
           "<req xmlns='urn:xmpp:iot:control' seqnr='1'/>",
           "<request xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>",
           "<req xmlns='urn:xmpp:iot:sensordata'/>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr=''/>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='one'/>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='2147483648'/>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='yes'/>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' all=''/>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node sourceId='s'/></req>",
           "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1'><field/></req>",
           "<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='1' queued='maybe'/>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='maybe'/>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node/></fields>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='n'><timestamp/></node></fields>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='n'><timestamp value='t'>"
           "<int value='1'/></timestamp></node></fields>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='n'><timestamp value='t'>"
           "<int name='i'/></timestamp></node></fields>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='n'><timestamp value='t'>"
           "<int name='i' value='1' peak='2'/></timestamp></node></fields>",
           "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='n'><timestamp value='t'>"
           "<int name='i' value='1' writable='2'/></timestamp></node></fields>",
           "<failure xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='2'/>",
           "<failure xmlns='urn:xmpp:iot:sensordata' seqnr='1'><error>Timeout.</error></failure>",
           "<done xmlns='urn:xmpp:iot:sensordata'/>",
       }) {
    const auto message = parse(text);
    ASSERT_FALSE(message) << text;
    EXPECT_EQ(message.error().code, Errc::invalid);
  }
}

TEST(SensorData, a_request_selects_the_union_of_its_kinds) {
  SensorRequest request;
  const auto selects = [&request](SensorFlags asked, SensorFlags has) {
    request.kinds = asked;
    return request.selects(temperature("1", "C", has));
  };
  EXPECT_TRUE(selects({momentary}, {momentary, automatic_readout}));
  EXPECT_FALSE(selects({momentary}, {status, automatic_readout}));
  EXPECT_FALSE(selects({momentary}, {automatic_readout}));
  EXPECT_TRUE(selects({momentary, peak}, {peak}));
  EXPECT_TRUE(selects({momentary}, {momentary, historical_hour}));
  EXPECT_TRUE(selects({all}, {}));
  EXPECT_TRUE(selects({}, {status}));
  EXPECT_TRUE(selects({historical}, {historical_other}));
  EXPECT_FALSE(selects({historical}, {momentary}));
  // Table 4
  EXPECT_TRUE(selects({historical_second}, {historical_year}));
  EXPECT_TRUE(selects({historical_month}, {historical_quarter}));
  EXPECT_TRUE(selects({historical_day}, {historical_week}));
  EXPECT_FALSE(selects({historical_week}, {historical_year}));
  EXPECT_FALSE(selects({historical_year}, {historical_quarter}));
  EXPECT_FALSE(selects({historical_second}, {historical_other}));
}

TEST(SensorData, a_request_selects_the_fields_that_it_names) {
  SensorRequest request;
  request.kinds = {momentary};
  request.fields = {"Energy", "Power"};
  SensorField field = temperature("1", "W", {momentary});
  EXPECT_FALSE(request.selects(field));
  field.name = "Power";
  EXPECT_TRUE(request.selects(field));
  field.flags = {status};
  EXPECT_FALSE(request.selects(field));
}

}  // namespace
}  // namespace starling::payload
