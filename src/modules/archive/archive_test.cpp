// XEP-0313, XEP-0441, XEP-0359 and XEP-0424 on the whole server in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/test_host.h"
#include "xml/namespaces.h"

namespace starling {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::string_view kMam = "urn:xmpp:mam:2";
constexpr std::string_view kRsm = "http://jabber.org/protocol/rsm";
constexpr std::string_view kIds = "urn:xmpp:sid:0";

// What a query brought.
struct Answer {
  std::vector<std::string> bodies;  // or "(tombstone)"
  std::vector<std::string> ids, results;
  std::string first, last, count;
  bool complete = false;
  std::string error;  // its condition
};

class ArchiveTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  static server::Config config() { return TestHost::default_config(); }

  static std::string field(std::string_view name, std::string_view value) {
    return fmt::format("<field var='{}'><value>{}</value></field>", name, value);
  }
  static std::string filter(const std::string& fields) {
    return fmt::format("<x xmlns='jabber:x:data' type='submit'>{}{}</x>", field("FORM_TYPE", kMam), fields);
  }
  static std::string page(std::string_view inner) {
    return fmt::format("<set xmlns='{}'>{}</set>", kRsm, inner);
  }

  static Answer query(TestClient& client, std::string_view inner = {}, std::string_view attributes = {}) {
    client.take();
    client.send(
        fmt::format("<iq type='set' id='q'><query xmlns='{}' {}>{}</query></iq>", kMam, attributes, inner));
    Answer answer;
    for (const std::string& text : client.stanzas()) {
      const auto document = xml::parse_fragment(text, ns::client).value();
      const xml::Element& root = document.root();
      if (root.name() == "message") {
        const xml::Element* result = root.child("result", kMam);
        answer.results.push_back(text);
        answer.ids.emplace_back(*result->attribute("id"));
        const xml::Element* message = result->child_in("urn:xmpp:forward:0")->child("message", ns::client);
        const xml::Element* body = message->child("body", ns::client);
        answer.bodies.emplace_back(body != nullptr ? body->text() : "(tombstone)");
      } else if (const xml::Element* fin = root.child("fin", kMam)) {
        answer.complete = fin->attribute("complete") == "true";
        const xml::Element* set = fin->child("set", kRsm);
        const auto text_of = [&](std::string_view name) {
          const xml::Element* child = set->child(name, kRsm);
          return child != nullptr ? std::string(child->text()) : std::string();
        };
        answer.first = text_of("first");
        answer.last = text_of("last");
        answer.count = text_of("count");
      } else if (const xml::Element* error = root.child("error", ns::client)) {
        answer.error = error->first_child()->name();
      }
    }
    return answer;
  }

  void say(TestClient& from, std::string_view to, std::string_view body, std::string_view more = {}) {
    from.send(fmt::format("<message to='{}' type='chat'><body>{}</body>{}</message>", to, body, more));
    host.advance(Milliseconds(1000));
  }
  TestClient& available(std::string_view jid) {
    TestClient& client = host.login(jid);
    client.send("<presence/>");
    client.take();
    return client;
  }
  static std::string id_in(const std::string& message, std::string_view by) {
    const auto document = xml::parse_fragment(message, ns::client).value();
    for (const xml::Element& child : document.root().children())
      if (child.is("stanza-id", kIds) && child.attribute("by") == by)
        return std::string(*child.attribute("id"));
    return {};
  }

  TestHost host{config(), GetParam()};
  TestClient& romeo = available("romeo@localhost/orchard");
  TestClient& juliet = available("juliet@localhost/balcony");
};
INSTANTIATE_TEST_SUITE_P(Shards, ArchiveTest, ::testing::Values(1, 3));

TEST_P(ArchiveTest, HasWhatBothSidesSaid) {  // 3, 3.3.1
  say(romeo, "juliet@localhost", "one");
  say(juliet, "romeo@localhost/orchard", "two");
  say(romeo, "juliet@localhost/balcony", "three");
  for (TestClient* client : {&romeo, &juliet}) {
    const Answer answer = query(*client);
    EXPECT_THAT(answer.bodies, ElementsAre("one", "two", "three"));
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(answer.first, answer.ids.front());
    EXPECT_EQ(answer.last, answer.ids.back());
  }
  EXPECT_EQ(query(romeo).ids, query(juliet).ids);
}

TEST_P(ArchiveTest, ResultsAreAsTheyWereReceived) {  // 4.2
  romeo.send(
      "<message to='juliet@localhost' type='chat' id='a1' xml:lang='en'><body>&lt;hi&gt;</body>"
      "<x xmlns='u:r:n' a='b'><y/></x></message>");
  const Answer answer = query(juliet, {}, "queryid='f27'");
  ASSERT_THAT(answer.results, SizeIs(1));
  EXPECT_THAT(
      answer.results[0],
      AllOf(HasSubstr("<message from='juliet@localhost' to='juliet@localhost/balcony'>"),
            HasSubstr("<result xmlns='urn:xmpp:mam:2' queryid='f27' id='"),
            HasSubstr("<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='"),
            HasSubstr("<message xmlns='jabber:client' from='romeo@localhost/orchard' to='juliet@localhost' "
                      "id='a1' type='chat' xml:lang='en'><body>&lt;hi&gt;</body>"
                      "<x xmlns='u:r:n' a='b'><y/></x></message></forwarded></result></message>")));
}

TEST_P(ArchiveTest, WhoGetsAMessageIsToldItsId) {  // 3.5
  say(romeo, "juliet@localhost", "live");
  const auto live = juliet.stanzas();
  ASSERT_THAT(live, SizeIs(1));
  const Answer answer = query(juliet);
  ASSERT_THAT(answer.ids, SizeIs(1));
  EXPECT_EQ(id_in(live[0], "juliet@localhost"), answer.ids[0]);
  // And from the tail it is the same.
  juliet.disconnect();
  host.settle();
  say(romeo, "juliet@localhost", "later");
  TestClient& again = host.login("juliet@localhost/garden");
  again.send("<presence/>");
  std::string late;
  for (const std::string& text : again.stanzas())
    if (text.contains("later")) late = text;
  EXPECT_EQ(id_in(late, "juliet@localhost"), query(again).ids.at(1));
}

TEST_P(ArchiveTest, NobodySpeaksForTheArchive) {  // XEP-0359 3, rule 2
  const std::string forged =
      "<stanza-id xmlns='urn:xmpp:sid:0' by='juliet@localhost' id='forged'/>"
      "<stanza-id xmlns='urn:xmpp:sid:0' by='JULIET@localhost' id='forged2'/>";
  const std::string honest =
      "<stanza-id xmlns='urn:xmpp:sid:0' by='room@elsewhere' id='theirs'/>"
      "<origin-id xmlns='urn:xmpp:sid:0' id='mine'/>";
  say(romeo, "juliet@localhost", "x", forged + honest);
  const auto got = juliet.stanzas();
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_THAT(got[0], AllOf(Not(HasSubstr("forged")), HasSubstr("theirs"), HasSubstr("mine")));
  EXPECT_THAT(query(juliet).results.at(0), AllOf(Not(HasSubstr("forged")), HasSubstr("theirs")));
  // Nor does a sender forge one of their own archive.
  say(romeo, "juliet@localhost", "y", "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@localhost' id='forged'/>");
  EXPECT_THAT(query(romeo).results.at(1), Not(HasSubstr("forged")));
}

TEST_P(ArchiveTest, PagesForward) {  // XEP-0059 2.1, 2.2
  for (const char* body : {"1", "2", "3", "4", "5"}) say(romeo, "juliet@localhost", body);
  Answer answer = query(juliet, page("<max>2</max>"));
  EXPECT_THAT(answer.bodies, ElementsAre("1", "2"));
  EXPECT_FALSE(answer.complete);
  answer = query(juliet, page(fmt::format("<max>2</max><after>{}</after>", answer.last)));
  EXPECT_THAT(answer.bodies, ElementsAre("3", "4"));
  EXPECT_FALSE(answer.complete);
  answer = query(juliet, page(fmt::format("<max>2</max><after>{}</after>", answer.last)));
  EXPECT_THAT(answer.bodies, ElementsAre("5"));
  EXPECT_TRUE(answer.complete);
  answer = query(juliet, page(fmt::format("<max>2</max><after>{}</after>", answer.last)));
  EXPECT_THAT(answer.bodies, IsEmpty());
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.first, "");
}

TEST_P(ArchiveTest, PagesBackward) {  // 2.3, 2.5; XEP-0313 4.3.3, 4.3.4
  for (const char* body : {"1", "2", "3", "4", "5"}) say(romeo, "juliet@localhost", body);
  Answer answer = query(juliet, page("<max>2</max><before/>"));
  EXPECT_THAT(answer.bodies, ElementsAre("4", "5"));
  EXPECT_FALSE(answer.complete);
  answer = query(juliet, page(fmt::format("<max>2</max><before>{}</before>", answer.first)));
  EXPECT_THAT(answer.bodies, ElementsAre("2", "3"));
  const std::string second = answer.first;
  answer = query(juliet, page(fmt::format("<max>2</max><before>{}</before>", second)) + "<flip-page/>");
  EXPECT_THAT(answer.bodies, ElementsAre("1"));
  EXPECT_TRUE(answer.complete);
  answer = query(juliet, page("<max>3</max><before/>") + "<flip-page/>");
  EXPECT_THAT(answer.bodies, ElementsAre("5", "4", "3"));
  EXPECT_EQ(answer.first, answer.ids.back());
  EXPECT_EQ(answer.last, answer.ids.front());
}

TEST_P(ArchiveTest, CountsForMaxZero) {  // 2.7
  EXPECT_EQ(query(juliet, page("<max>0</max>")).count, "0");
  EXPECT_TRUE(query(juliet, page("<max>0</max>")).complete);
  EXPECT_EQ(query(juliet).count, "0");
  for (const char* body : {"1", "2", "3"}) say(romeo, "juliet@localhost", body);
  const Answer answer = query(juliet, page("<max>0</max>"));
  EXPECT_EQ(answer.count, "3");
  EXPECT_FALSE(answer.complete);
  EXPECT_THAT(answer.bodies, IsEmpty());
  EXPECT_EQ(query(juliet, filter(field("with", "romeo@localhost")) + page("<max>0</max>")).count, "3");
  EXPECT_EQ(query(juliet, filter(field("with", "nobody@localhost")) + page("<max>0</max>")).count, "0");
}

TEST_P(ArchiveTest, IdsThatAreNotThereAreErrors) {  // 4.1.3, 4.3.2
  say(romeo, "juliet@localhost", "x");
  const std::string id = query(juliet).first;
  std::string other = id;
  other[0] = other[0] == 'a' ? 'b' : 'a';
  for (const std::string& wrong : {other, std::string("nonsense"), std::string()}) {
    EXPECT_EQ(query(juliet, page(fmt::format("<after>{}</after>", wrong))).error, "item-not-found") << wrong;
    for (const char* name : {"before-id", "after-id", "ids"})
      EXPECT_EQ(query(juliet, filter(field(name, wrong))).error, "item-not-found") << name << ' ' << wrong;
  }
  EXPECT_EQ(query(juliet, page(fmt::format("<before>{}</before>", other))).error, "item-not-found");
  // One that is another account's.
  available("nurse@localhost/house");
  TestClient& nurse = available("nurse@localhost/garden");
  EXPECT_EQ(query(nurse, page(fmt::format("<after>{}</after>", id))).error, "item-not-found");
}

TEST_P(ArchiveTest, FiltersById) {  // 4.1.3
  for (const char* body : {"1", "2", "3", "4", "5"}) say(romeo, "juliet@localhost", body);
  const auto ids = query(juliet).ids;
  const auto asked = [&](const std::string& fields, const std::string& more = {}) {
    return query(juliet, filter(fields) + more).bodies;
  };
  EXPECT_THAT(asked(field("after-id", ids[2])), ElementsAre("4", "5"));
  EXPECT_THAT(asked(field("before-id", ids[2])), ElementsAre("1", "2"));
  EXPECT_THAT(asked(field("after-id", ids[0]) + field("before-id", ids[3])), ElementsAre("2", "3"));
  EXPECT_THAT(asked(field("after-id", ids[3]) + field("before-id", ids[1])), IsEmpty());
  EXPECT_THAT(asked(field("ids", ids[3])), ElementsAre("4"));
  EXPECT_THAT(
      asked(fmt::format("<field var='ids'><value>{}</value><value>{}</value></field>", ids[3], ids[1])),
      ElementsAre("2", "4"));
  // Of the form's bound and the page's the stricter one counts.
  EXPECT_THAT(asked(field("after-id", ids[0]), page(fmt::format("<after>{}</after>", ids[2]))),
              ElementsAre("4", "5"));
  EXPECT_THAT(asked(field("after-id", ids[3]), page(fmt::format("<after>{}</after>", ids[2]))),
              ElementsAre("5"));
}

TEST_P(ArchiveTest, FiltersByParty) {  // 4.1.1
  TestClient& nurse = available("nurse@localhost/house");
  TestClient& window = available("romeo@localhost/window");
  say(romeo, "juliet@localhost", "from orchard");
  say(nurse, "juliet@localhost", "nurse");
  say(window, "juliet@localhost", "from window");
  say(juliet, "romeo@localhost/window", "to window");
  say(juliet, "juliet@localhost", "note");
  const auto with = [&](std::string_view jid) { return query(juliet, filter(field("with", jid))).bodies; };
  EXPECT_THAT(with("romeo@localhost"), ElementsAre("from orchard", "from window", "to window"));
  EXPECT_THAT(with("ROMEO@localhost"), ElementsAre("from orchard", "from window", "to window"));
  EXPECT_THAT(with("romeo@localhost/window"), ElementsAre("from window", "to window"));
  EXPECT_THAT(with("nurse@localhost"), ElementsAre("nurse"));
  EXPECT_THAT(with("juliet@localhost"), ElementsAre("note"));
  EXPECT_THAT(with("nobody@localhost"), IsEmpty());
  EXPECT_EQ(query(juliet, filter(field("with", "a@b@c"))).error, "jid-malformed");
}

TEST_P(ArchiveTest, FiltersByTime) {  // 4.1.2
  for (const char* body : {"1", "2", "3"}) say(romeo, "juliet@localhost", body);
  std::vector<std::string> stamps;
  for (const std::string& result : query(juliet).results) {
    const auto at = result.find("stamp='") + 7;
    stamps.push_back(result.substr(at, result.find('\'', at) - at));
  }
  const auto asked = [&](const std::string& fields) { return query(juliet, filter(fields)).bodies; };
  EXPECT_THAT(asked(field("start", stamps[1])), ElementsAre("2", "3"));
  EXPECT_THAT(asked(field("end", stamps[1])), ElementsAre("1", "2"));
  EXPECT_THAT(asked(field("start", stamps[1]) + field("end", stamps[1])), ElementsAre("2"));
  EXPECT_THAT(asked(field("start", "2099-01-01T00:00:00Z")), IsEmpty());
  EXPECT_EQ(query(juliet, filter(field("start", "yesterday"))).error, "bad-request");
}

TEST_P(ArchiveTest, RefusesWhatItDoesNotKnow) {  // 4.1.5
  EXPECT_EQ(query(juliet, filter(field("{http://example.com/}search", "x"))).error,
            "feature-not-implemented");
  EXPECT_EQ(query(juliet, "<x xmlns='jabber:x:data' type='submit'/>").error, "bad-request");
  EXPECT_EQ(query(juliet, page("<index>0</index>")).error, "feature-not-implemented");
  EXPECT_EQ(query(juliet, page("<max>many</max>")).error, "bad-request");
  juliet.send(fmt::format("<iq type='set' id='f' to='romeo@localhost'><query xmlns='{}'/></iq>", kMam));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(AllOf(HasSubstr("type='error'"), HasSubstr("forbidden"))));
}

TEST_P(ArchiveTest, TellsItsFields) {  // 4.1.5
  juliet.take();
  juliet.send(fmt::format("<iq type='get' id='f'><query xmlns='{}'/></iq>", kMam));
  const auto got = juliet.stanzas();
  ASSERT_THAT(got, SizeIs(1));
  for (const char* name : {"with", "start", "end", "before-id", "after-id", "ids"})
    EXPECT_THAT(got[0], HasSubstr(fmt::format("var='{}'", name)));
  EXPECT_THAT(got[0], AllOf(HasSubstr("<open/>"), Not(HasSubstr("<required"))));
}

TEST_P(ArchiveTest, TellsItsEnds) {  // 5
  juliet.take();
  juliet.send(fmt::format("<iq type='get' id='m'><metadata xmlns='{}'/></iq>", kMam));
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("<metadata xmlns='urn:xmpp:mam:2'/>")));
  say(romeo, "juliet@localhost", "1");
  say(romeo, "juliet@localhost", "2");
  const auto ids = query(juliet).ids;
  juliet.send(fmt::format("<iq type='get' id='m'><metadata xmlns='{}'/></iq>", kMam));
  EXPECT_THAT(juliet.stanzas(),
              ElementsAre(AllOf(HasSubstr(fmt::format("<start id='{}' timestamp='", ids[0])),
                                HasSubstr(fmt::format("<end id='{}' timestamp='", ids[1])))));
}

TEST_P(ArchiveTest, KeepsWhatIsWorthReading) {  // 6.1; XEP-0334
  const auto send = [&](std::string_view type, std::string_view content) {
    romeo.send(fmt::format("<message to='juliet@localhost/balcony' type='{}'>{}</message>", type, content));
  };
  send("chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>");
  send("headline", "<body>news</body>");
  send("groupchat", "<body>room</body>");
  send("error", "<body>oops</body>");
  send("chat", "<body>secret</body><no-store xmlns='urn:xmpp:hints'/>");
  send("chat", "<body>secret</body><no-permanent-store xmlns='urn:xmpp:hints'/>");
  send("normal", "<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>");
  EXPECT_THAT(query(juliet).bodies, IsEmpty());
  send("normal", "<body>letter</body>");
  send("chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/><store xmlns='urn:xmpp:hints'/>");
  send("chat", "<received xmlns='urn:xmpp:receipts' id='1'/>");
  EXPECT_THAT(query(juliet).bodies, SizeIs(3));
  // What nobody accepted is in nobody's archive.
  say(romeo, "nobody@localhost", "lost");
  EXPECT_THAT(query(romeo).bodies, SizeIs(3));
}

TEST_P(ArchiveTest, KeepsAMessageOnceForAllClients) {  // 6.1.1
  TestClient& garden = available("juliet@localhost/garden");
  garden.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
  garden.take();
  say(romeo, "juliet@localhost/balcony", "x");
  EXPECT_THAT(query(juliet).bodies, ElementsAre("x"));
  const auto copies = garden.stanzas();
  ASSERT_THAT(copies, SizeIs(1));
  EXPECT_THAT(copies[0], HasSubstr(fmt::format("by='juliet@localhost' id='{}'", query(juliet).first)));
}

TEST_P(ArchiveTest, OutlivesTheServer) {
  say(romeo, "juliet@localhost", "before");
  const std::string id = query(juliet).first;
  host.restart();
  TestClient& back = available("juliet@localhost/balcony");
  say(available("romeo@localhost/orchard"), "juliet@localhost", "after");
  EXPECT_THAT(query(back).bodies, ElementsAre("before", "after"));
  EXPECT_THAT(query(back, page(fmt::format("<after>{}</after>", id))).bodies, ElementsAre("after"));
}

TEST_P(ArchiveTest, AnIdThatWasGivenOutAndNotStoredMeansAFullSynchronisation) {
  say(romeo, "juliet@localhost", "stored");
  host.faults().fail_all(true);
  say(romeo, "juliet@localhost", "lost with the server");
  const auto got = juliet.stanzas();
  ASSERT_THAT(got, SizeIs(2));
  const std::string id = id_in(got[1], "juliet@localhost");
  ASSERT_NE(id, "");
  host.restart();
  host.faults().fail_all(false);
  TestClient& back = available("juliet@localhost/balcony");
  say(available("romeo@localhost/orchard"), "juliet@localhost", "new");
  EXPECT_EQ(query(back, page(fmt::format("<after>{}</after>", id))).error, "item-not-found");
  EXPECT_THAT(query(back).bodies, ElementsAre("stored", "new"));
}

TEST_P(ArchiveTest, ARepeatIsNeitherStoredNorDeliveredAgain) {
  const std::string named = "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>";
  romeo.send("<enable xmlns='urn:xmpp:sm:3'/>");
  romeo.take();
  say(romeo, "juliet@localhost", "once", named);
  say(romeo, "juliet@localhost", "once", named);
  romeo.send("<r xmlns='urn:xmpp:sm:3'/>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("h='2'")));
  EXPECT_THAT(juliet.stanzas(), SizeIs(1));
  // Another name, other bytes or another recipient make another message.
  say(romeo, "juliet@localhost", "once", "<origin-id xmlns='urn:xmpp:sid:0' id='o2'/>");
  say(romeo, "juliet@localhost", "twice", named);
  say(romeo, "romeo@localhost", "once", named);
  say(juliet, "juliet@localhost", "once", named);
  EXPECT_THAT(query(juliet).bodies, ElementsAre("once", "once", "twice", "once"));
  host.advance(std::chrono::hours(24));
  TestClient& later = available("romeo@localhost/later");
  say(later, "juliet@localhost", "once", named);
  EXPECT_THAT(query(host.login("juliet@localhost/later")).bodies, SizeIs(5));
}

TEST_P(ArchiveTest, ARepeatThatComesAtOnceIsKnownToo) {
  TestClient& window = available("romeo@localhost/window");
  window.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
  window.take();
  const std::string once =
      "<message to='juliet@localhost' type='chat'><body>x</body><origin-id xmlns='urn:xmpp:sid:0' "
      "id='o'/></message>";
  romeo.send(once + once);
  EXPECT_THAT(juliet.stanzas(), SizeIs(1));
  EXPECT_THAT(query(juliet).bodies, ElementsAre("x"));
  window.take();
  romeo.send(once);
  EXPECT_THAT(window.stanzas(), IsEmpty());  // nor is it copied again
}

TEST_P(ArchiveTest, AQueryWaitsForWhatIsOnItsWay) {
  juliet.take();
  romeo.send(
      "<message to='juliet@localhost' type='chat'><body>x</body></message><iq type='set' id='q'><query "
      "xmlns='urn:xmpp:mam:2'/></iq>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("<body>x</body>"), HasSubstr("complete='true'")));
}

TEST_P(ArchiveTest, WithoutAStoreWhatIsThereIsNotStable) {  // 4.3.2
  host.faults().fail_all(true);
  say(romeo, "juliet@localhost", "x");
  juliet.take();
  juliet.send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("stable='false'")));
}

TEST_P(ArchiveTest, TimesMayBeBeyondAllMessages) {
  say(romeo, "juliet@localhost", "x");
  EXPECT_THAT(
      query(juliet, filter(field("end", "9999-12-31T23:59:59Z") + field("start", "0001-01-01T00:00:00Z")))
          .bodies,
      ElementsAre("x"));
  EXPECT_THAT(query(juliet, filter(field("start", "9999-12-31T23:59:59Z"))).bodies, IsEmpty());
  EXPECT_THAT(query(juliet, filter(field("end", "0001-01-01T00:00:00Z"))).bodies, IsEmpty());
}

TEST_P(ArchiveTest, ARepeatIsKnownAfterARestart) {
  const std::string named = "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>";
  say(romeo, "juliet@localhost", "once", named);
  host.restart();
  TestClient& back = available("juliet@localhost/balcony");
  say(available("romeo@localhost/elsewhere"), "juliet@localhost", "once", named);
  EXPECT_THAT(back.stanzas(), IsEmpty());
  EXPECT_THAT(query(back).bodies, ElementsAre("once"));
}

// --- retraction (XEP-0424) ---

TEST_P(ArchiveTest, ARetractedMessageBecomesATombstone) {  // 4
  romeo.send("<message to='juliet@localhost' type='chat' id='m1'><body>oops</body></message>");
  say(romeo, "juliet@localhost", "fine");
  const std::string retraction =
      "<retract id='m1' xmlns='urn:xmpp:message-retract:1'/><store xmlns='urn:xmpp:hints'/>";
  // Only its sender can.
  juliet.send(fmt::format("<message to='romeo@localhost' type='chat' id='r0'>{}</message>", retraction));
  EXPECT_THAT(query(juliet).bodies, ElementsAre("oops", "fine", "(tombstone)"));  // the last one has no body
  romeo.send(fmt::format("<message to='juliet@localhost' type='chat' id='r1'>{}<body>gone</body></message>",
                         retraction));
  for (TestClient* client : {&romeo, &juliet}) {
    const Answer answer = query(*client);
    EXPECT_THAT(answer.bodies, ElementsAre("(tombstone)", "fine", "(tombstone)", "gone"));
    EXPECT_THAT(
        answer.results[0],
        AllOf(Not(HasSubstr("oops")), HasSubstr("id='m1'"), HasSubstr("from='romeo@localhost/orchard'"),
              HasSubstr("<retracted xmlns='urn:xmpp:message-retract:1' id='r1' stamp='")));
  }
}

// --- preferences (XEP-0441) ---

class ArchivePreferencesTest : public ArchiveTest {
 protected:
  std::string ask(TestClient& client) {
    client.take();
    client.send(fmt::format("<iq type='get' id='p'><prefs xmlns='{}'/></iq>", kMam));
    return client.stanzas().at(0);
  }
  std::string set(TestClient& client, std::string_view by_default, std::string_view lists = {}) {
    client.take();
    client.send(fmt::format("<iq type='set' id='p'><prefs xmlns='{}' default='{}'>{}</prefs></iq>", kMam,
                            by_default, lists));
    return client.stanzas().at(0);
  }
};
INSTANTIATE_TEST_SUITE_P(Shards, ArchivePreferencesTest, ::testing::Values(1, 3));

TEST_P(ArchivePreferencesTest, AreSetAndStay) {  // 2.1
  EXPECT_THAT(ask(juliet),
              HasSubstr("<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>"));
  const std::string wanted =
      "<always><jid>romeo@localhost</jid></always><never><jid>montague@localhost/x</jid></never>";
  EXPECT_THAT(set(juliet, "roster", wanted), HasSubstr(wanted));
  host.restart();
  EXPECT_THAT(ask(available("juliet@localhost/balcony")),
              HasSubstr(fmt::format("<prefs xmlns='urn:xmpp:mam:2' default='roster'>{}</prefs>", wanted)));
}

TEST_P(ArchivePreferencesTest, RefuseNonsense) {
  EXPECT_THAT(set(juliet, "sometimes"), HasSubstr("bad-request"));
  EXPECT_THAT(set(juliet, "always", "<never><jid>@</jid></never>"), HasSubstr("jid-malformed"));
  EXPECT_THAT(ask(juliet), HasSubstr("default='always'"));
}

TEST_P(ArchivePreferencesTest, Decide) {  // 2.1.1 to 2.3
  set(juliet, "never");
  say(romeo, "juliet@localhost", "1");
  EXPECT_THAT(query(juliet).bodies, IsEmpty());
  EXPECT_THAT(query(romeo).bodies, ElementsAre("1"));  // that is his affair
  for (const std::string& text : juliet.stanzas()) EXPECT_THAT(text, Not(HasSubstr("stanza-id")));

  set(juliet, "never", "<always><jid>romeo@localhost</jid></always>");
  say(romeo, "juliet@localhost", "2");
  say(juliet, "romeo@localhost", "3");
  EXPECT_THAT(query(juliet).bodies, ElementsAre("2", "3"));

  set(juliet, "always", "<never><jid>romeo@localhost/orchard</jid></never>");
  say(romeo, "juliet@localhost", "4");
  say(juliet, "romeo@localhost", "5");  // not to that resource
  EXPECT_THAT(query(juliet).bodies, ElementsAre("2", "3", "5"));

  set(juliet, "roster");
  say(romeo, "juliet@localhost", "6");
  EXPECT_THAT(query(juliet).bodies, ElementsAre("2", "3", "5"));
  juliet.send(
      "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='romeo@localhost'/></query></iq>");
  say(romeo, "juliet@localhost", "7");
  EXPECT_THAT(query(juliet).bodies, ElementsAre("2", "3", "5", "7"));
}

// --- with offline messages or without (XEP-0160) ---

TEST(ArchiveAndOffline, WorkWithoutEachOther) {
  for (const bool archive : {true, false})
    for (const bool offline : {true, false}) {
      SCOPED_TRACE(fmt::format("archive {} offline {}", archive, offline));
      server::Config config = TestHost::default_config();
      config.archive.by_default = archive ? server::Archiving::always : server::Archiving::never;
      config.offline.enabled = offline;
      TestHost host(config);
      host.add_account("juliet@localhost");
      TestClient& romeo = host.login("romeo@localhost/orchard");
      romeo.send("<message to='juliet@localhost' type='chat'><body>hello</body></message>");
      const auto bounced = romeo.stanzas();
      EXPECT_THAT(bounced, SizeIs(archive || offline ? 0 : 1));
      TestClient& juliet = host.login("juliet@localhost/balcony");
      juliet.send("<presence/>");
      std::string all;
      for (const std::string& text : juliet.stanzas()) all += text;
      EXPECT_EQ(all.contains("hello"), offline);
      EXPECT_EQ(all.contains("stanza-id"), offline && archive);
      juliet.send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
      std::string found;
      for (const std::string& text : juliet.stanzas()) found += text;
      EXPECT_EQ(found.contains("hello"), archive);
    }
}

TEST(ArchiveAndOffline, WhatTheTailHasNoRoomForIsInTheArchive) {
  server::Config config = TestHost::default_config();
  config.limits.offline_messages = 1;
  TestHost host(config);
  host.add_account("juliet@localhost");
  TestClient& romeo = host.login("romeo@localhost/orchard");
  for (const char* body : {"first", "second"})
    romeo.send(fmt::format("<message to='juliet@localhost' type='chat'><body>{}</body></message>", body));
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
  TestClient& juliet = host.login("juliet@localhost/balcony");
  juliet.send("<presence/>");
  std::string all;
  for (const std::string& text : juliet.stanzas()) all += text;
  EXPECT_THAT(all, AllOf(HasSubstr("first"), Not(HasSubstr("second"))));
  juliet.send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
  EXPECT_THAT(juliet.stanzas(), SizeIs(3));
}

}  // namespace
}  // namespace starling
