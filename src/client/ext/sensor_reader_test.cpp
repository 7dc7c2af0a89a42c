#include "client/ext/sensor_reader.h"

#include <gmock/gmock.h>

#include "client/ext/sensor.h"
#include "client/ext/testing.h"

namespace starling::client {
namespace {

using payload::IotType;
using payload::SensorFlag;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Reading = SensorReader::Reading;
using Kind = RequestError::Kind;

constexpr std::string_view kDevice = "bob@example.org/orchard";
const payload::SensorRequest kMomentary{.kinds = {SensorFlag::momentary}};

std::string field(std::string_view name, std::string_view value,
                  std::string_view flags = " momentary='true'") {
  return fmt::format("<numeric name='{}' value='{}' unit='C'{}/>", name, value, flags);
}
std::string fields(std::string_view content, std::string_view attributes = " seqnr='1'",
                   std::string_view at = "2026-01-01T00:00:00Z") {
  return fmt::format(
      "<fields xmlns='urn:xmpp:iot:sensordata'{}><node nodeId='1020'><timestamp "
      "value='{}'>{}</timestamp></node></fields>",
      attributes, at, content);
}
std::string element(std::string_view name, std::string_view attributes = " seqnr='1'",
                    std::string_view content = {}) {
  return fmt::format("<{} xmlns='urn:xmpp:iot:sensordata'{}>{}</{}>", name, attributes, content, name);
}

// A reader that has asked.
struct Reader {
  explicit Reader(payload::SensorRequest what = kMomentary, bool read_now = true)
      : reader(bench.client->use<SensorReader>()), request(std::move(what)) {
    bench.log_in();
    if (read_now) read();
  }
  void read() {
    bench.in_turn([&] {
      auto readout = reader.read(
          jid(kDevice), request,
          {.accepted = [this](bool queued) { log.emplace_back(queued ? "queued" : "accepted"); },
           .started = [this] { log.emplace_back("started"); },
           .fields =
               [this](const payload::SensorFields& part) {
                 log.emplace_back("fields");
                 for (const auto& node : part.nodes)
                   for (const auto& timestamp : node.timestamps)
                     for (const auto& one : timestamp.fields)
                       log.push_back(fmt::format("{}={}", one.name, one.value.text));
               },
           .failure =
               [this](const payload::SensorFailure& failure) { log.push_back(failure.errors.at(0).text); }});
      seqnr = readout.seqnr;
      std::move(readout.result).then([this](Outcome<Reading> got) {
        outcome.emplace(std::move(got));
        log.emplace_back("end");
      });
    });
    const auto stanzas = sent(bench);
    asked = stanzas.empty() ? std::string() : stanzas.back();
  }
  void says(std::string_view content, std::string_view from = kDevice, std::string_view type = "normal") {
    bench.server_sends(fmt::format("<message from='{}' type='{}'>{}</message>", from, type, content));
  }
  void accepts(std::string_view attributes = " seqnr='1'") {
    answer(bench, asked, "result", element("accepted", attributes));
  }
  std::vector<std::string> take_log() { return std::exchange(log, {}); }

  Bench bench{[] {
    Options options;
    options.ping_after = options.keepalive = Milliseconds{0};
    return options;
  }()};
  SensorReader& reader;
  payload::SensorRequest request;
  std::int32_t seqnr = 0;
  std::string asked;
  std::vector<std::string> log;
  std::optional<Outcome<Reading>> outcome;
};

TEST(SensorReader, ReadsAsInTheLab) {
  Reader one;
  EXPECT_THAT(one.asked, HasSubstr("<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/>"));
  one.accepts();
  one.says(fields(field("Temperature", "26", " momentary='true' automaticReadout='true'"),
                  " seqnr='1' done='true'"));
  EXPECT_THAT(one.take_log(), ElementsAre("accepted", "fields", "Temperature=26", "end"));
  ASSERT_TRUE(one.outcome->has_value());
  const auto& node = (*one.outcome)->nodes.at(0);
  EXPECT_EQ(node.node.node_id, "1020");
  EXPECT_EQ(node.timestamps.at(0).fields.at(0).unit, "C");
  one.read();
  EXPECT_EQ(one.seqnr, 2);
}

TEST(SensorReader, ReadsFromADevice) {
  Pair pair;
  auto& sensor = pair.bob.client->use<Sensor>();
  sensor.settings.fields_per_message = 1;
  for (const auto* id : {"1", "2"}) {
    auto& node = sensor.add_node({.node_id = id, .source_id = {}, .cache_type = {}});
    node.add_field({.name = "Temperature", .value = {IotType::numeric, "20.50"}, .unit = "°C"});
    node.add_field({.name = "Door", .value = {IotType::boolean, "true"}});
  }
  pair.log_in();
  std::optional<Outcome<Reading>> got;
  pair.alice.in_turn([&] {
    std::move(pair.alice.client->use<SensorReader>().read(jid(kDevice), kMomentary).result)
        .then([&](Outcome<Reading> reading) { got = std::move(reading); });
  });
  pair.settle();
  ASSERT_TRUE(got && got->has_value());
  ASSERT_THAT((*got)->nodes, SizeIs(4));
  EXPECT_EQ((*got)->nodes[2].node.node_id, "2");
  EXPECT_EQ((*got)->nodes[2].timestamps[0].fields[0].value, (payload::IotValue{IotType::numeric, "20.50"}));
  EXPECT_EQ((*got)->nodes[2].timestamps[0].fields[0].unit, "°C");
  EXPECT_THAT((*got)->problems, IsEmpty());
}

TEST(SensorReader, HearsOfWhatIsQueued) {
  Reader one({.when = "2026-01-01T01:00:00Z"});
  one.accepts(" seqnr='1' queued='true'");
  one.bench.loop.advance(Milliseconds{3'600'000});
  one.says(element("started"));
  one.says(fields(field("A", "1")));
  one.says(fields(field("B", "2")));
  one.says(element("failure", " seqnr='1'",
                   "<error nodeId='2' timestamp='2026-01-01T01:00:00Z'>Timeout.</error>"));
  one.bench.loop.advance(Milliseconds{29'000});
  EXPECT_FALSE(one.outcome);
  one.says(element("done"));
  EXPECT_THAT(one.take_log(),
              ElementsAre("queued", "started", "fields", "A=1", "fields", "B=2", "Timeout.", "end"));
  EXPECT_THAT((*one.outcome)->nodes, SizeIs(2));
  EXPECT_EQ((*one.outcome)->problems.at(0).node.node_id, "2");
}

TEST(SensorReader, LosesNothingThatComesBeforeTheAnswer) {
  Reader one;
  one.says(fields(field("A", "1")));
  one.accepts();
  one.says(fields(field("B", "2"), " seqnr='1' done='true'"));
  EXPECT_THAT(one.take_log(), ElementsAre("fields", "A=1", "accepted", "fields", "B=2", "end"));

  one.read();  // all of it
  one.says(fields(field("C", "3"), " seqnr='2' done='true'"));
  one.accepts(" seqnr='2'");
  EXPECT_THAT(one.take_log(), ElementsAre("fields", "C=3", "end"));

  one.read();  // and never an answer
  one.bench.loop.advance(Milliseconds{20'000});
  one.says(fields(field("D", "4"), " seqnr='3'"));
  one.bench.loop.advance(Milliseconds{20'000});
  one.says(element("done", " seqnr='3'"));
  EXPECT_THAT(one.take_log(), ElementsAre("fields", "D=4", "end"));
}

TEST(SensorReader, TakesOnlyWhatItAskedFor) {
  Reader one({.kinds = {SensorFlag::momentary, SensorFlag::historical},
              .fields = {"A", "B"},
              .from = "2026-01-01T00:00:00Z",
              .to = "2026-01-01T12:00:00Z"});
  one.accepts();
  const auto end = fields(field("A", "no"), " seqnr='1' done='true'");
  one.says(end, "bob@example.org/other");
  one.says(end, "bob@example.org");
  one.says(end, "mallory@example.net/x");
  one.says(end, kDevice, "error");
  one.says(fields(field("A", "no"), " seqnr='2' done='true'"));
  one.says(fields(field("A", "no"), " seqnr='one' done='true'"));
  one.says(fields(field("A", "no"), ""));
  one.says("<fields xmlns='urn:example:x' seqnr='1' done='true'/>");
  EXPECT_THAT(one.take_log(), ElementsAre("accepted"));
  one.says(fields(field("A", "1") + field("B", "2", " peak='true'") + field("C", "3")));
  one.says(fields(field("A", "4", " historicalHour='true'"), " seqnr='1'", "2025-12-31T23:59:59Z"));
  one.says(fields(field("A", "5", " historicalHour='true'"), " seqnr='1'", "2026-01-01T10:00:00Z"));
  one.says(fields(field("A", "6", " historicalHour='true'"), " seqnr='1'", "2026-01-01T12:00:01Z"));
  one.says(fields(field("A", "7"), " seqnr='1'", "2027-01-01T00:00:00Z"));
  EXPECT_THAT(one.take_log(),
              ElementsAre("fields", "A=1", "fields", "fields", "A=5", "fields", "fields", "A=7"));
  one.says(element("done"));
  EXPECT_THAT((*one.outcome)->nodes, SizeIs(3));
}

TEST(SensorReader, IsRefused) {
  struct Case {
    std::string payload, message;
  };
  const Case cases[] = {
      {"<error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
       "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Access denied.</text></error>",
       "forbidden: Access denied."},
      {element("rejected", " seqnr='1'", "<error>Invalid nodeId 7</error>"),
       "not-acceptable: Invalid nodeId 7"},
      {element("rejected", " seqnr='1'", "<error>Busy</error>") + error_xml("wait", "resource-constraint"),
       "resource-constraint: Busy"},
      {error_xml("cancel", "service-unavailable"), "service-unavailable"},
      {element("rejected", ""), "not-acceptable"},
      {"", "undefined-condition"},
  };
  for (const auto& [payload, message] : cases) {
    Reader one;
    answer(one.bench, one.asked, "error", payload);
    ASSERT_TRUE(one.outcome) << payload;
    EXPECT_EQ(one.outcome->error().kind, Kind::refused);
    EXPECT_EQ(one.outcome->error().message(), message);
  }
}

TEST(SensorReader, KnowsANonsensicalAnswer) {
  for (const auto& payload :
       {element("done"), element("accepted", ""), element("accepted", " seqnr='1' queued='?'"),
        std::string("<query xmlns='jabber:iq:version'/>")}) {
    Reader one;
    answer(one.bench, one.asked, "result", payload);
    ASSERT_TRUE(one.outcome) << payload;
    EXPECT_EQ(one.outcome->error().kind, Kind::malformed) << payload;
  }
  Reader one;  // an empty result says yes, too
  answer(one.bench, one.asked, "result");
  EXPECT_THAT(one.log, ElementsAre("accepted"));
}

TEST(SensorReader, DoesNotWaitForEver) {
  Reader silent;
  silent.bench.loop.advance(Milliseconds{30'000});
  ASSERT_TRUE(silent.outcome);
  EXPECT_EQ(silent.outcome->error().message(), "no answer from bob@example.org/orchard within 30 s");

  Reader dies;
  dies.accepts();
  dies.bench.loop.advance(Milliseconds{29'000});
  dies.says(
      element("failure", " seqnr='1'", "<error nodeId='2' timestamp='2026-01-01T01:00:00Z'>Timeout</error>"));
  dies.bench.loop.advance(Milliseconds{29'999});
  EXPECT_FALSE(dies.outcome);
  dies.bench.loop.advance(Milliseconds{1});
  ASSERT_TRUE(dies.outcome);
  EXPECT_EQ(dies.outcome->error().kind, Kind::timed_out);
  EXPECT_EQ(
      dies.outcome->error().message(),
      "bob@example.org/orchard did not end the readout: nothing came for 30 s after it said \"Timeout\"");
}

TEST(SensorReader, TellsADeviceToStopThatWouldReadOnInVain) {
  const auto cancel = HasSubstr("<cancel xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>");
  Reader late;
  late.accepts();
  late.bench.loop.advance(Milliseconds{30'000});
  ASSERT_TRUE(late.outcome);
  EXPECT_THAT(sent(late.bench), ElementsAre(cancel));

  Reader closes;
  closes.accepts();
  closes.bench.in_turn([&] { closes.bench.client->close(); });
  EXPECT_THAT(sent(closes.bench), ElementsAre(cancel));
}

TEST(SensorReader, WaitsLongerForWhatIsQueued) {
  Reader one({.when = "2026-01-01T01:00:00Z"});
  one.accepts(" seqnr='1' queued='true'");
  one.bench.loop.advance(Milliseconds{3'600'000 + 599'999});
  EXPECT_FALSE(one.outcome);
  one.bench.loop.advance(Milliseconds{1});
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().kind, Kind::timed_out);
}

TEST(SensorReader, ReportsADeviceThatGoesOfflineInOneLine) {
  Reader one;
  one.accepts();
  one.bench.server_sends("<presence type='unavailable' from='bob@example.org/other'/>");
  EXPECT_FALSE(one.outcome);
  one.bench.server_sends("<presence type='unavailable' from='bob@example.org/orchard'/>");
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().message(),
            "recipient-unavailable: bob@example.org/orchard went offline in the middle of the readout");
  one.says(fields(field("A", "1"), " seqnr='1' done='true'"));
  EXPECT_THAT(one.log, ElementsAre("accepted", "end"));
}

TEST(SensorReader, EndsWithTheSession) {
  Reader one;
  one.accepts();
  one.bench.in_turn([&] { one.bench.servers.back()->drop(); });
  one.bench.loop.advance(Milliseconds{1});
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().kind, Kind::disconnected);
  EXPECT_EQ(one.outcome->error().message(), "the connection was lost in the middle of the readout");
  one.outcome.reset();
  one.read();  // without a session
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().kind, Kind::disconnected);
}

TEST(SensorReader, Cancels) {
  Reader one;
  one.accepts(" seqnr='1' queued='true'");
  one.says(fields(field("A", "1")));
  std::optional<Outcome<void>> cancelled;
  const auto cancel = [&] {
    cancelled.reset();
    one.bench.in_turn(
        [&] { one.reader.cancel(1).then([&](Outcome<void> done) { cancelled = std::move(done); }); });
    const auto stanzas = sent(one.bench);
    return stanzas.empty() ? std::string() : stanzas.back();
  };
  auto stanza = cancel();
  EXPECT_EQ(attribute_of(stanza, "type"), "get");
  EXPECT_THAT(stanza, HasSubstr("<cancel xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>"));
  answer(one.bench, stanza, "error", error_xml("cancel", "item-not-found"));
  ASSERT_TRUE(cancelled);
  EXPECT_FALSE(cancelled->has_value());
  EXPECT_FALSE(one.outcome);

  stanza = cancel();
  answer(one.bench, stanza, "result", element("cancelled"));
  EXPECT_TRUE(cancelled && cancelled->has_value());
  ASSERT_TRUE(one.outcome && one.outcome->has_value());
  EXPECT_TRUE((*one.outcome)->cancelled);
  EXPECT_THAT((*one.outcome)->nodes, SizeIs(1));

  EXPECT_EQ(cancel(), "");
  EXPECT_EQ(cancelled->error().message(), "item-not-found: the readout is over");
}

TEST(SensorReader, IsNotFlooded) {
  Reader one(kMomentary, false);
  one.reader.settings.most_fields = 10;
  one.read();
  one.accepts();
  for (int i = 0; i < 4; ++i) one.says(fields(field("A", "1") + field("B", "2")));
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().message(), "bob@example.org/orchard sends more than 10 fields");
  EXPECT_THAT(sent(one.bench).back(), HasSubstr("<cancel "));

  one.outcome.reset();
  one.read();
  for (int i = 0; i < 11; ++i) one.says(element("fields", " seqnr='2'"));
  EXPECT_TRUE(one.outcome);

  one.outcome.reset();
  one.read();
  std::string errors;
  for (int i = 0; i < 11; ++i) errors += "<error nodeId='1' timestamp='2026-01-01T00:00:00'>x</error>";
  one.says(element("failure", " seqnr='3'", errors));
  EXPECT_TRUE(one.outcome);
}

TEST(SensorReader, IsNotFloodedByFewLongFields) {
  Reader one(kMomentary, false);
  one.reader.settings.most_bytes = 10'000;
  one.read();
  one.accepts();
  one.says(fields(field("A", std::string(6'000, '1'))));
  EXPECT_FALSE(one.outcome);
  one.says(fields(field("A", std::string(6'000, '1'))));
  ASSERT_TRUE(one.outcome);
  EXPECT_EQ(one.outcome->error().message(), "bob@example.org/orchard sends more than 10000 bytes");
  EXPECT_THAT(sent(one.bench).back(), HasSubstr("<cancel "));
}

TEST(SensorReader, EndsEachReadoutWhateverOneOfThemThrows) {
  Reader one;
  one.accepts();
  int told = 0;
  one.bench.in_turn([&] {
    for (int i = 0; i < 2; ++i)
      one.reader.read(jid(kDevice), kMomentary).result.then([&](const auto&) {
        ++told;
        throw std::runtime_error("no more");
      });
  });
  answer(one.bench, sent(one.bench).at(0), "result", element("accepted", " seqnr='2'"));
  one.bench.in_turn([&] { one.bench.servers.back()->drop(); });
  EXPECT_EQ(told, 2);
  EXPECT_TRUE(one.outcome);
  EXPECT_THROW(one.bench.core->take_outcome(), std::runtime_error);
}

TEST(SensorReader, MayBeCancelledFromACallback) {
  Reader one(kMomentary, false);
  std::vector<std::string> order;
  std::int32_t seqnr = 0;
  one.bench.in_turn([&] {
    auto readout =
        one.reader.read(jid(kDevice), kMomentary, {.fields = [&](const auto&) {
                          order.emplace_back("fields");
                          one.bench.servers.back()->drop();
                          one.reader.cancel(seqnr).then([&](const auto&) { order.emplace_back("cancel"); });
                          one.bench.client->close();
                        }});
    seqnr = readout.seqnr;
    std::move(readout.result).then([&](const auto&) { order.emplace_back("end"); });
  });
  one.says(fields(field("A", "1"), " seqnr='1' done='true'"));
  EXPECT_THAT(order, ElementsAre("fields", "end", "cancel"));
}

}  // namespace
}  // namespace starling::client
