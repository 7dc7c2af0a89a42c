#include "client/ext/sensor.h"

#include <gmock/gmock.h>

#include "client/ext/testing.h"

namespace starling::client {
namespace {

using payload::IotType;
using payload::SensorFlag;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::string_view kBob = "bob@example.org/1020";

std::string req(std::string_view attributes = " momentary='true'", std::string_view content = {},
                int seqnr = 1) {
  return fmt::format("<req xmlns='urn:xmpp:iot:sensordata' seqnr='{}'{}>{}</req>", seqnr, attributes,
                     content);
}
std::string cancel(int seqnr = 1) {
  return fmt::format("<cancel xmlns='urn:xmpp:iot:sensordata' seqnr='{}'/>", seqnr);
}

// The device of the lab: a thermometer that goes up by one with each read.
struct Device {
  Device()
      : sensor(bench.client->use<Sensor>()),
        node(sensor.add_node({.node_id = "1020", .source_id = {}, .cache_type = {}})) {
    node.add_field({.name = "Temperature", .value = {IotType::numeric, ""}, .unit = "C"});
    node.refresh = [this](Sensor::Node& of, const Sensor::Names& wanted, const Sensor::Done& done) {
      names = wanted;
      EXPECT_TRUE(of.set("Temperature", std::to_string(++temperature)));
      done({});
    };
    bench.log_in();
  }
  // The first is the answer to the IQ.
  std::vector<std::string> says(std::string_view payload, std::string_view from = kBob) {
    ask(bench, from, "get", payload);
    return sent(bench);
  }
  std::vector<std::string> after(Milliseconds time) {
    bench.loop.advance(time);
    return sent(bench);
  }

  Bench bench{[] {
    Options options;
    options.ping_after = options.keepalive = Milliseconds{0};
    return options;
  }()};
  Sensor& sensor;
  Sensor::Node& node;
  int temperature = 25;
  Sensor::Names names;
};

std::string without_id(std::string stanza) {
  const auto at = stanza.find(" id='");
  return stanza.erase(at, stanza.find('\'', at + 5) + 1 - at);
}

TEST(Sensor, AnswersAsInTheLab) {  // R153, R154
  Device device;
  for (const int value : {26, 27, 28}) {
    const auto stanzas = device.says(req());
    ASSERT_THAT(stanzas, SizeIs(2));
    EXPECT_EQ(stanzas[0],
              "<iq to='bob@example.org/1020' type='result' id='asked'>"
              "<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='1'/></iq>");
    EXPECT_EQ(
        without_id(stanzas[1]),
        fmt::format("<message to='bob@example.org/1020'>"
                    "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='true'><node nodeId='1020'>"
                    "<timestamp value='2026-01-01T00:00:00Z'><numeric name='Temperature' momentary='true' "
                    "automaticReadout='true' value='{}' unit='C'/></timestamp></node></fields></message>",
                    value));
  }
  EXPECT_THAT(device.names, ElementsAre("Temperature"));
  EXPECT_EQ(device.bench.logged("Device object started nodeId 1020"), 1u);
  EXPECT_THAT(device.sensor.info().features, ElementsAre("urn:xmpp:iot:sensordata"));
}

TEST(Sensor, RefusesWhatItCannotRead) {
  Device device;
  device.sensor.allow = [](const Jid& who) { return who.local() != "mallory"; };
  struct Case {
    std::string request;
    std::string_view from, error, text;
  };
  const Case cases[] = {
      {req(), "mallory@example.net/x", "<error type='cancel'><forbidden", "Access denied."},
      {req("", "<node nodeId='1021'/>"), kBob, "<error type='cancel'><item-not-found",
       "There is no node 1021."},
      {req("", "<node nodeId='1020' sourceId='other'/>"), kBob, "item-not-found", "There is no node 1020."},
      {req("", "<node nodeId='1020'/><node nodeId='1021'/>"), kBob, "item-not-found",
       "There is no node 1021."},
      {req("", "<field name='Humidity'/>"), kBob, "item-not-found", "There is no field Humidity."},
      {req("", "<field name='Temperature'/><field name='Humidity'/>"), kBob, "item-not-found",
       "There is no field Humidity."},
      {req(" when='tomorrow'"), kBob, "<error type='modify'><bad-request", "when: tomorrow is no time."},
      {req(" when='2026-02-01T00:00:00Z'"), kBob, "bad-request", "is too far away."},
  };
  for (const auto& [request, from, error, text] : cases) {
    const auto stanzas = device.says(request, from);
    ASSERT_THAT(stanzas, SizeIs(1)) << request;
    EXPECT_EQ(attribute_of(stanzas[0], "type"), "error");
    EXPECT_THAT(stanzas[0], HasSubstr(error)) << request;
    EXPECT_THAT(stanzas[0], HasSubstr("><rejected xmlns='urn:xmpp:iot:sensordata' seqnr='1'><error>"))
        << request;
    EXPECT_THAT(stanzas[0], HasSubstr(fmt::format("{}</error></rejected>", text))) << request;
    EXPECT_THAT(stanzas[0], HasSubstr(fmt::format("{}</text></error>", text))) << request;
  }
  for (const std::string_view nonsense :
       {"<req xmlns='urn:xmpp:iot:sensordata'/>", "<req xmlns='urn:xmpp:iot:sensordata' seqnr='one'/>",
        "<req xmlns='urn:xmpp:iot:sensordata' seqnr='99999999999'/>",
        "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='perhaps'/>",
        "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node/></req>",
        "<cancel xmlns='urn:xmpp:iot:sensordata'/>"}) {
    const auto stanzas = device.says(nonsense);
    ASSERT_THAT(stanzas, SizeIs(1)) << nonsense;
    EXPECT_THAT(stanzas[0], HasSubstr("<bad-request")) << nonsense;
  }
  EXPECT_EQ(device.temperature, 25);
}

TEST(Sensor, ReadsOnlyWhatIsAskedFor) {
  Device device;
  device.node.add_field(
      {.name = "Serial", .value = {IotType::string, "x&y"}, .flags = {SensorFlag::identity}});
  device.node.add_field({.name = "Open", .value = {IotType::boolean, "true"}});
  device.node.add_field({.name = "Not yet", .value = {IotType::numeric, ""}});
  device.node.add_field({.name = "Lost",
                         .value = {IotType::numeric, ""},
                         .flags = {SensorFlag::momentary, SensorFlag::missing}});
  auto& other = device.sensor.add_node({.node_id = "1021", .source_id = "s", .cache_type = {}});
  other.add_field({.name = "Open", .value = {IotType::boolean, "false"}});

  const auto last = [&](std::string_view attributes, std::string_view content = {}) {
    return device.says(req(attributes, content)).back();
  };
  const auto momentary = last(" momentary='true'");
  EXPECT_THAT(momentary, Not(HasSubstr("Serial")));
  EXPECT_THAT(momentary, Not(HasSubstr("Not yet")));
  EXPECT_THAT(momentary, HasSubstr("<numeric name='Lost' momentary='true' missing='true' value=''"));
  EXPECT_THAT(momentary, HasSubstr("<node nodeId='1021' sourceId='s'>"));
  EXPECT_THAT(last(" identity='true'"), HasSubstr("<string name='Serial' identity='true' value='x&amp;y'/>"));
  EXPECT_THAT(last(" all='true'"), HasSubstr("Serial"));
  EXPECT_THAT(last(""), HasSubstr("Serial"));
  const auto open = last("", "<field name='Open'/>");
  EXPECT_THAT(open, Not(HasSubstr("Temperature")));
  EXPECT_THAT(open, HasSubstr("1021"));
  EXPECT_THAT(device.names, ElementsAre("Open"));
  const auto first = last("", "<node nodeId='1020'/><node nodeId='1020'/><field name='Open'/>");
  EXPECT_THAT(first, Not(HasSubstr("1021")));
  const auto read = device.temperature;
  EXPECT_THAT(last("", "<node nodeId='1021'/>"), Not(HasSubstr("1020'>")));
  EXPECT_EQ(device.temperature, read);
  EXPECT_THAT(last(" peak='true'"),
              HasSubstr("<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='true'/>"));
}

TEST(Sensor, RemembersWhatItIsTold) {
  Device device;
  const auto now = device.bench.loop.wall();
  for (int hour = 1; hour <= 3; ++hour)
    EXPECT_TRUE(device.node.record("Temperature", now - std::chrono::hours(hour), std::to_string(10 + hour),
                                   {SensorFlag::historical_hour, SensorFlag::automatic_readout}));
  EXPECT_FALSE(device.node.record("Humidity", now, "1", {}));
  EXPECT_FALSE(device.node.set("Humidity", "1"));

  EXPECT_THAT(device.says(req()).back(), Not(HasSubstr("historicalHour")));
  EXPECT_THAT(device.says(req("")).back(), Not(HasSubstr("historicalHour")));
  const auto all = device.says(req(" all='true'")).back();
  EXPECT_THAT(all, HasSubstr("value='28'"));
  EXPECT_THAT(all,
              HasSubstr("<timestamp value='2025-12-31T21:00:00Z'><numeric name='Temperature' "
                        "historicalHour='true' automaticReadout='true' value='13' unit='C'/></timestamp>"));
  const auto some =
      device.says(req(" historical='true' from='2025-12-31T21:30:00Z' to='2025-12-31T22:30:00Z'")).back();
  EXPECT_THAT(some, HasSubstr("value='12'"));
  EXPECT_THAT(some, Not(HasSubstr("value='11'")));
  EXPECT_THAT(some, Not(HasSubstr("value='13'")));
  EXPECT_THAT(some, Not(HasSubstr("momentary")));
  EXPECT_THAT(device.says(req(" historicalDay='true'")).back(), HasSubstr("done='true'/>"));

  device.node.most_history = 2;
  device.node.record("Temperature", now, "14", {SensorFlag::historical_hour});
  const auto rest = device.says(req(" historical='true'")).back();
  EXPECT_THAT(rest, HasSubstr("value='13'"));
  EXPECT_THAT(rest, HasSubstr("value='14'"));
  EXPECT_THAT(rest, Not(HasSubstr("value='12'")));
}

TEST(Sensor, CutsWhatIsLong) {
  Device device;
  device.sensor.settings.fields_per_message = 2;
  for (int i = 0; i < 4; ++i)
    device.node.add_field({.name = fmt::format("F{}", i), .value = {IotType::int_, std::to_string(i)}});
  const auto stanzas = device.says(req());
  ASSERT_THAT(stanzas, SizeIs(4));
  EXPECT_THAT(stanzas[1], HasSubstr("F0"));
  EXPECT_THAT(stanzas[1], Not(HasSubstr("done")));
  EXPECT_THAT(stanzas[2], HasSubstr("F1"));
  EXPECT_THAT(stanzas[2], HasSubstr("F2"));
  EXPECT_THAT(stanzas[2], Not(HasSubstr("done")));
  EXPECT_THAT(stanzas[3], HasSubstr("seqnr='1' done='true'><node nodeId='1020'>"));
}

TEST(Sensor, QueuesWhatIsToBeReadLater) {
  Device device;
  auto stanzas = device.says(req(" momentary='true' when='2026-01-01T00:01:00Z'"));
  ASSERT_THAT(stanzas, SizeIs(1));
  EXPECT_THAT(stanzas[0], HasSubstr("<accepted xmlns='urn:xmpp:iot:sensordata' seqnr='1' queued='true'/>"));
  EXPECT_THAT(device.after(Milliseconds{59'999}), IsEmpty());
  stanzas = device.after(Milliseconds{1});
  ASSERT_THAT(stanzas, SizeIs(2));
  EXPECT_THAT(stanzas[0], HasSubstr("<started xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>"));
  EXPECT_THAT(stanzas[1], HasSubstr("value='26'"));
  EXPECT_THAT(stanzas[1], HasSubstr("<timestamp value='2026-01-01T00:01:00Z'>"));
  // One whose time has come is read now.
  EXPECT_THAT(device.says(req(" momentary='true' when='2025-01-01T00:00:00Z'")), SizeIs(2));
}

// A time zone for as long as it lives.
struct Zone {
  explicit Zone(const char* name) {
    if (const char* was = std::getenv("TZ")) before = was;
    set(name);
  }
  ~Zone() { set(before ? before->c_str() : nullptr); }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;
  static void set(const char* name) {
    if (name != nullptr) {
      setenv("TZ", name, 1);
    } else {
      unsetenv("TZ");
    }
    tzset();
  }
  std::optional<std::string> before;
};

TEST(Sensor, TakesTimesWithoutZoneForLocalOnes) {  // 6.1
  const Zone zone("UTC-2");                        // east, in the words of POSIX
  Device device;
  EXPECT_THAT(device.says(req(" when='2026-01-01T02:00:00'")), SizeIs(2));
  EXPECT_THAT(device.says(req(" when='2026-01-01T02:01:00'")), SizeIs(1));
  EXPECT_THAT(device.after(Milliseconds{60'000}), SizeIs(2));
}

TEST(Sensor, ForgetsWhatIsCancelled) {
  Device device;
  const auto later = req(" when='2026-01-01T00:01:00Z'");
  device.says(later);
  device.says(req(" when='2026-01-01T00:01:00Z'", {}, 2));
  device.says(later, "carol@example.org/x");  // the same number, another client
  EXPECT_THAT(device.says(cancel(3))[0], HasSubstr("item-not-found"));
  EXPECT_THAT(device.says(cancel(2), "carol@example.org/x")[0], HasSubstr("<rejected "));
  EXPECT_THAT(device.says(cancel())[0],
              HasSubstr("type='result' id='asked'><cancelled xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>"));
  EXPECT_THAT(device.says(cancel())[0], HasSubstr("item-not-found"));
  const auto stanzas = device.after(Milliseconds{60'000});
  ASSERT_THAT(stanzas, SizeIs(4));
  EXPECT_EQ(attribute_of(stanzas[0], "to"), kBob);
  EXPECT_EQ(attribute_of(stanzas[0], "seqnr"), "2");
  EXPECT_EQ(attribute_of(stanzas[2], "to"), "carol@example.org/x");
}

TEST(Sensor, ReplacesARequestOfTheSameNumber) {
  Device device;
  device.says(req(" when='2026-01-01T00:01:00Z'"));
  EXPECT_THAT(device.says(req()), SizeIs(2));
  EXPECT_THAT(device.after(Milliseconds{120'000}), IsEmpty());
}

TEST(Sensor, SaysWhatFailed) {
  Device device;
  auto& broken = device.sensor.add_node({.node_id = "broken", .source_id = {}, .cache_type = {}});
  broken.add_field({.name = "Temperature", .value = {IotType::numeric, "1"}});
  broken.refresh = [](Sensor::Node&, const Sensor::Names&, const Sensor::Done& done) {
    done(fail(Errc::io, "No answer on the bus."));
    done({});
  };
  auto& silent = device.sensor.add_node({.node_id = "silent", .source_id = {}, .cache_type = {}});
  silent.add_field({.name = "Temperature", .value = {IotType::numeric, "1"}});
  Sensor::Done kept;
  silent.refresh = [&](Sensor::Node&, const Sensor::Names&, Sensor::Done done) { kept = std::move(done); };
  auto& careless = device.sensor.add_node({.node_id = "careless", .source_id = {}, .cache_type = {}});
  careless.add_field({.name = "Temperature", .value = {IotType::numeric, "1"}});
  careless.refresh = [](Sensor::Node&, const Sensor::Names&, const Sensor::Done&) {};

  EXPECT_THAT(device.says(req()), SizeIs(1));
  const auto stanzas = device.after(device.sensor.settings.refresh_timeout);
  ASSERT_THAT(stanzas, SizeIs(2));
  EXPECT_THAT(stanzas[0],
              HasSubstr("<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'><node nodeId='1020'>"));
  EXPECT_THAT(stanzas[0], Not(HasSubstr("silent")));
  EXPECT_THAT(
      stanzas[1],
      HasSubstr(
          "<failure xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='true'>"
          "<error nodeId='broken' timestamp='2026-01-01T00:00:30Z'>No answer on the bus.</error>"
          "<error nodeId='careless' timestamp='2026-01-01T00:00:30Z'>The values could not be read.</error>"
          "<error nodeId='silent' timestamp='2026-01-01T00:00:30Z'>Timeout.</error></failure>"));
  device.bench.in_turn([&] { kept({}); });  // too late
  EXPECT_THAT(sent(device.bench), IsEmpty());
}

TEST(Sensor, WaitsForAllNodes) {
  Device device;
  auto& slow = device.sensor.add_node({.node_id = "slow", .source_id = {}, .cache_type = {}});
  slow.add_field({.name = "Temperature", .value = {IotType::numeric, ""}});
  Sensor::Done kept;
  slow.refresh = [&](Sensor::Node& of, const Sensor::Names&, Sensor::Done done) {
    of.set("Temperature", "7");
    kept = std::move(done);
  };
  EXPECT_THAT(device.says(req()), SizeIs(1));
  device.bench.in_turn([&] { kept({}); });
  const auto stanzas = sent(device.bench);
  ASSERT_THAT(stanzas, SizeIs(1));
  EXPECT_THAT(stanzas[0], HasSubstr("value='26'"));
  EXPECT_THAT(stanzas[0], HasSubstr("value='7'"));
  // Cancelled in between: what comes then is nobody's.
  device.says(req());
  EXPECT_THAT(device.says(cancel())[0], HasSubstr("<cancelled "));
  device.bench.in_turn([&] { kept({}); });
  EXPECT_THAT(sent(device.bench), IsEmpty());
}

TEST(Sensor, IsBusyWhenTooManyAsk) {
  Device device;
  device.sensor.settings.readouts = 3;
  device.sensor.settings.readouts_each = 2;
  const auto later = [&](int seqnr, std::string_view from) {
    return device.says(req(" when='2026-01-01T00:01:00Z'", {}, seqnr), from)[0];
  };
  EXPECT_THAT(later(1, kBob), HasSubstr("queued"));
  EXPECT_THAT(later(2, "bob@example.org/2"), HasSubstr("queued"));
  EXPECT_THAT(later(3, "bob@example.org/3"), HasSubstr("<error type='wait'><resource-constraint"));
  EXPECT_THAT(later(1, "carol@example.org/1"), HasSubstr("queued"));
  EXPECT_THAT(later(1, "dave@example.org/1"), HasSubstr("resource-constraint"));
  EXPECT_THAT(device.says(req(), "dave@example.org/1"),
              SizeIs(2));  // what is queued does not keep others out
}

TEST(Sensor, EndsWithItsClientWhileItReads) {
  Device device;
  Sensor::Done kept;
  device.node.refresh = [&](Sensor::Node&, const Sensor::Names&, Sensor::Done done) {
    kept = std::move(done);
  };
  device.says(req());
  device.says(req(" when='2026-01-01T00:01:00Z'", {}, 2));
  device.bench.loop.in_turn([&] {
    device.bench.client.reset();
    kept({});
  });
  device.bench.loop.advance(Milliseconds{120'000});
}

TEST(Sensor, SendsNothingWithoutASession) {
  Device device;
  device.says(req(" when='2026-01-01T00:01:00Z'"));
  device.bench.in_turn([&] { device.bench.servers.back()->fail(StreamCondition::reset); });
  auto& server = *device.bench.servers.back();
  server.bytes.clear();
  device.bench.loop.advance(Milliseconds{120'000});
  EXPECT_EQ(device.temperature, 26);
  EXPECT_EQ(server.bytes, "");
  EXPECT_EQ(device.bench.logged("<started"), 0u);
  EXPECT_EQ(device.bench.logged("<fields"), 0u);
}

TEST(Sensor, MayThrowLaterToo) {
  Device device;
  device.says(req(" when='2026-01-01T00:01:00Z'"));
  device.node.refresh = [](auto&, const auto&, const auto&) { throw std::runtime_error("no more"); };
  device.bench.loop.advance(Milliseconds{60'000});
  EXPECT_TRUE(device.bench.client->ended());
  EXPECT_THROW(device.bench.core->take_outcome(), std::runtime_error);
}

}  // namespace
}  // namespace starling::client
