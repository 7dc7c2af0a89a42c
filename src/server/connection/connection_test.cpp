// A connection from accept to close, on the whole server in memory: limits, timers, and input cut anywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto.h"
#include "support/test_host.h"

namespace starling {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::string_view kHeader =
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";

std::string plain(std::string_view user, std::string_view password) {
  const std::string data = std::string(1, '\0').append(user).append(1, '\0').append(password);
  return fmt::format("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
                     crypto::base64_encode(data));
}

// A whole session, pipelined: login, binding, presence, a message to oneself, the end.
std::string whole_session() {
  return fmt::format(
      "{0}{1}{0}<iq type='set' id='b'><bind "
      "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"
      "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>"
      "<message to='romeo@localhost' type='chat' id='m'><body>\xc3\xa9</body></message><iq type='get' id='p' "
      "to='localhost'><ping "
      "xmlns='urn:xmpp:ping'/></iq></stream:stream>",
      kHeader, plain("romeo", "romeo"));
}

// Stream ids, and the names of archived messages, are all that differs.
std::string without_ids(std::string text) {
  for (const std::string_view id : {"'http://etherx.jabber.org/streams' id='", "by='romeo@localhost' id='"})
    for (std::size_t at = 0; (at = text.find(id, at)) != std::string::npos; at += id.size())
      text.erase(at + id.size(), text.find('\'', at + id.size()) - at - id.size());
  return text;
}

std::string answer_to(const std::vector<std::string_view>& pieces) {
  TestHost host;
  host.add_account("romeo@localhost");
  TestClient& client = host.connect();
  for (const std::string_view piece : pieces) client.send(piece);
  EXPECT_TRUE(client.closed());
  return without_ids(client.take());
}

// A long text that differs somewhere is shown from there on.
void expect_same(const std::string& got, const std::string& expected, std::size_t cut) {
  const auto at = static_cast<std::size_t>(std::ranges::mismatch(got, expected).in1 - got.begin());
  EXPECT_EQ(got.substr(std::min(at, got.size())), expected.substr(std::min(at, expected.size())))
      << "cut at " << cut;
}

TEST(ConnectionTest, InputMayBeCutAnywhere) {
  const std::string all = whole_session();
  const std::string whole = answer_to({all});
  EXPECT_THAT(whole, AllOf(HasSubstr("<body>\xc3\xa9</body>"), HasSubstr("urn:xmpp:features:rosterver"),
                           HasSubstr("</stream:stream>")));
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < all.size(); ++i) bytes.push_back(std::string_view(all).substr(i, 1));
  expect_same(answer_to(bytes), whole, 0);
  for (std::size_t cut = 1; cut < all.size(); cut += 7)
    expect_same(answer_to({std::string_view(all).substr(0, cut), std::string_view(all).substr(cut)}), whole,
                cut);
}

TEST(ConnectionTest, PipelinedIntoAnotherShardNothingIsLost) {
  for (const std::size_t shards : {2, 3, 5}) {
    TestHost host(TestHost::default_config(), shards);
    host.add_account("romeo@localhost");
    for (int i = 0; i < 5; ++i) {
      TestClient& client = host.connect();
      client.send(whole_session());
      EXPECT_TRUE(client.closed());
      EXPECT_THAT(client.take(), AllOf(HasSubstr("<body>\xc3\xa9</body>"), HasSubstr("</stream:stream>")));
    }
  }
}

TEST(ConnectionTest, LoginThatTakesTooLongEndsWithConnectionTimeout) {
  TestHost host;
  TestClient& client = host.connect();
  client.open();
  host.advance(seconds(50));
  EXPECT_FALSE(client.closed());
  host.advance(seconds(20));
  EXPECT_THAT(client.take(), HasSubstr("connection-timeout"));
  EXPECT_TRUE(client.closed());
}

TEST(ConnectionTest, TooManyBytesBeforeLogin) {
  TestHost host;
  TestClient& client = host.connect();
  client.open();
  for (int i = 0; i < 100 && !client.closed(); ++i) client.send(std::string(1000, ' '));
  EXPECT_THAT(client.take(), HasSubstr("policy-violation"));
  EXPECT_TRUE(client.closed());
}

TEST(ConnectionTest, AnIdleClientIsPingedAndADeadOneDropped) {  // R33
  TestHost host;
  TestClient& juliet = host.login("juliet@localhost/balcony");
  TestClient& romeo = host.login("romeo@localhost/orchard");
  host.advance(seconds(310));
  const auto pings = juliet.stanzas();
  ASSERT_THAT(pings, ElementsAre(AllOf(HasSubstr("urn:xmpp:ping"), HasSubstr("from='localhost'"))));
  EXPECT_THAT(romeo.stanzas(), SizeIs(1));
  romeo.send(" ");  // R31: any byte is a sign of life
  host.advance(seconds(70));
  EXPECT_TRUE(juliet.closed());
  EXPECT_THAT(juliet.take(), HasSubstr("connection-timeout"));
  EXPECT_FALSE(romeo.closed());
  EXPECT_THAT(romeo.stanzas(), IsEmpty());
}

TEST(ConnectionTest, AFloodingSessionIsSlowedAndOthersAreNot) {  // R87
  server::Config config = TestHost::default_config();
  config.limits.rate = true;
  config.limits.stanzas_per_second = 10;
  TestHost host(config);
  TestClient& flood = host.login("romeo@localhost/orchard");
  TestClient& calm = host.login("juliet@localhost/balcony");
  std::string many;
  for (int i = 0; i < 200; ++i)
    many += fmt::format("<iq type='get' id='i{}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>", i);
  flood.send(many);
  const std::size_t at_once = flood.stanzas().size();
  EXPECT_GE(at_once, 15U);
  EXPECT_LE(at_once, 25U);  // two seconds' worth
  calm.send("<iq type='get' id='c' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
  EXPECT_THAT(calm.stanzas(), SizeIs(1));
  host.advance(seconds(5));
  const std::size_t later = flood.stanzas().size();
  EXPECT_GE(later, 40U);
  EXPECT_LE(later, 60U);
  host.advance(seconds(20));
  EXPECT_EQ(at_once + later + flood.stanzas().size(), 200U);  // slowed, not refused
}

TEST(ConnectionTest, BytesPerSecondSlowASessionToo) {
  server::Config config = TestHost::default_config();
  config.limits.rate = true;
  config.limits.bytes_per_second = 1000;
  TestHost host(config);
  TestClient& client = host.login("romeo@localhost/orchard");
  for (int i = 0; i < 10; ++i)
    client.send(fmt::format("<iq type='get' id='i{}' to='localhost'><ping xmlns='urn:xmpp:ping'/>{}</iq>", i,
                            std::string(990, ' ')));
  const std::size_t at_once = client.stanzas().size();
  EXPECT_LT(at_once, 5U);
  host.advance(seconds(20));
  EXPECT_EQ(at_once + client.stanzas().size(), 10U);
}

TEST(ConnectionTest, FailedLoginsSlowTheNextAndARightPasswordIsNeverRefused) {
  server::Config config = TestHost::default_config();
  config.limits.rate = true;
  TestHost host(config);
  host.add_account("romeo@localhost");
  for (int i = 0; i < 4; ++i) {
    TestClient& client = host.connect();
    client.open();
    client.send(plain("romeo", "wrong"));
    host.advance(seconds(10));
    EXPECT_THAT(client.take(), HasSubstr("not-authorized"));
    client.disconnect();
  }
  TestClient& client = host.connect();
  client.open();
  client.take();
  client.send(plain("romeo", "romeo"));
  EXPECT_THAT(client.take(), IsEmpty());  // it waits
  host.advance(seconds(9));
  EXPECT_THAT(client.take(), HasSubstr("<success"));
}

TEST(ConnectionTest, UnknownUserAndWrongPasswordAreAlike) {
  TestHost host;
  host.add_account("romeo@localhost");
  std::vector<std::string> answers;
  for (const std::string_view user : {"romeo", "nobody"}) {
    TestClient& client = host.connect();
    client.open();
    client.take();
    client.send(plain(user, "wrong"));
    answers.push_back(client.take());
  }
  EXPECT_THAT(answers[0], HasSubstr("not-authorized"));
  EXPECT_EQ(answers[0], answers[1]);
  // SCRAM: the salt of a user that does not exist is made up, and the same each time.
  const auto salt = [&](std::string_view user) {
    TestClient& client = host.connect();
    client.open();
    client.take();
    client.send(
        fmt::format("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{}</auth>",
                    crypto::base64_encode(fmt::format("n,,n={},r=abcdefghijklmnop", user))));
    const std::string answer = client.take();
    const auto from = answer.find('>') + 1;
    const std::string challenge =
        crypto::base64_decode(answer.substr(from, answer.rfind("</") - from)).value_or("");
    const auto at = challenge.find(",s=");
    return challenge.substr(at, challenge.find(',', at + 1) - at);
  };
  EXPECT_EQ(salt("nobody"), salt("nobody"));
  EXPECT_NE(salt("nobody"), salt("nobody2"));
  EXPECT_EQ(salt("nobody").size(), salt("romeo").size());
}

TEST(ConnectionTest, TheSameResourceAgainEndsTheOlderSession) {  // RFC 6120 7.7.2.2
  TestHost host;
  TestClient& watcher = host.login("romeo@localhost/watcher");
  watcher.send("<presence/>");
  TestClient& older = host.login("romeo@localhost/r");
  older.send("<presence/>");
  watcher.take();
  TestClient& newer = host.login("romeo@localhost/r");
  newer.send("<presence/>");
  EXPECT_THAT(older.take(), AllOf(HasSubstr("<conflict"), HasSubstr("</stream:stream>")));
  EXPECT_TRUE(older.closed());
  EXPECT_FALSE(newer.closed());
  const auto seen = watcher.stanzas();
  ASSERT_THAT(seen, SizeIs(2));  // the older one leaves before the newer one comes
  EXPECT_THAT(seen[0], HasSubstr("unavailable"));
  EXPECT_THAT(seen[1], Not(HasSubstr("unavailable")));
}

TEST(ConnectionTest, SessionsOfAnAccountAreLimited) {
  server::Config config = TestHost::default_config();
  config.limits.sessions_per_account = 2;
  TestHost host(config);
  host.login("romeo@localhost/a");
  host.login("romeo@localhost/b");
  EXPECT_THROW(host.login("romeo@localhost/c"), std::runtime_error);
  EXPECT_NO_THROW(host.login("romeo@localhost/a"));  // replaces
}

TEST(ConnectionTest, ASessionSpeaksOnlyForItself) {  // R44
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  TestClient& juliet = host.login("juliet@localhost/balcony");
  romeo.send(
      "<message from='romeo@localhost' to='juliet@localhost/balcony' id='m'><body>Hi</body></message>");
  EXPECT_THAT(juliet.stanzas(), ElementsAre(HasSubstr("from='romeo@localhost/orchard'")));
  romeo.send(
      "<message from='tybalt@localhost' to='juliet@localhost/balcony' id='m'><body>Hi</body></message>");
  EXPECT_THAT(romeo.take(), HasSubstr("invalid-from"));
  EXPECT_TRUE(romeo.closed());
  EXPECT_THAT(juliet.stanzas(), IsEmpty());
}

TEST(ConnectionTest, StanzasThatAreNoneAreAnsweredAndTheStreamGoesOn) {
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  romeo.send("<message to='@@' id='m1'/>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(AllOf(HasSubstr("jid-malformed"), HasSubstr("id='m1'"))));
  romeo.send("<iq type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("bad-request")));
  romeo.send("<iq type='get' id='e' to='localhost'/>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("bad-request")));
  romeo.send("<iq type='get' id='x' to='localhost'><a xmlns='urn:b'/></iq>");
  EXPECT_THAT(romeo.stanzas(), ElementsAre(HasSubstr("service-unavailable")));
  romeo.send("<message to='a@elsewhere.example' id='m2'><body>Hi</body></message>");
  EXPECT_THAT(romeo.stanzas(),
              ElementsAre(AllOf(HasSubstr("remote-server-not-found"), HasSubstr("id='m2'"))));
}

TEST(ConnectionTest, AConnectionThatDiesAtAnyByteDisturbsNobody) {
  const std::string all = whole_session();
  TestHost host;
  TestClient& other = host.login("juliet@localhost/balcony");
  host.add_account("romeo@localhost");
  for (std::size_t cut = 0; cut < all.size(); cut += 11) {
    TestClient& client = host.connect();
    client.send(std::string_view(all).substr(0, cut));
    client.disconnect();
  }
  other.send("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
  EXPECT_THAT(other.stanzas(), ElementsAre(HasSubstr("type='result'")));
  EXPECT_EQ(host.core().shard(0).connections().size(), 1U);
}

TEST(ConnectionTest, ThousandRequestsAtOnceHaveThousandAnswers) {  // R54
  TestHost host;
  TestClient& romeo = host.login("romeo@localhost/orchard");
  std::string all;
  for (int i = 0; i < 1000; ++i)
    all += i % 3 == 0
               ? fmt::format(
                     "<iq type='set' id='i{}'><query xmlns='jabber:iq:private'><a "
                     "xmlns='urn:a'>{}</a></query></iq>",
                     i, i)
               : fmt::format("<iq type='get' id='i{}' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>", i);
  romeo.send(all);
  const auto got = romeo.stanzas();
  ASSERT_THAT(got, SizeIs(1000));
  for (std::size_t i = 0; i < got.size(); ++i)  // a wait holds back the stream, so the order is kept as well
    EXPECT_THAT(got[i], AllOf(HasSubstr(fmt::format("id='i{}'", i)), HasSubstr("type='result'")));
}

TEST(ConnectionTest, EveryRequestIsAnsweredExactlyOnce) {  // R53
  server::Config config = TestHost::default_config();
  config.registration.open = true;
  TestHost host(config, 2);
  TestClient& romeo = host.login("romeo@localhost/orchard");
  host.login("juliet@localhost/balcony");
  romeo.send("<presence/>");
  romeo.take();
  int id = 0;
  std::map<std::string, int> expected;
  for (const std::string_view to :
       {"", "romeo@localhost", "juliet@localhost", "nobody@localhost", "juliet@localhost/gone", "localhost",
        "localhost/x", "elsewhere.example", "a@elsewhere.example", "@", "romeo@localhost/gone"})
    for (const std::string_view payload :
         {"", "<a xmlns='urn:a'/>", "<a xmlns='urn:a'/><b xmlns='urn:a'/>", "text",
          "<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='jabber:iq:roster'/>",
          "<query xmlns='jabber:iq:roster'><item jid='x@y'/></query>", "<query xmlns='jabber:iq:private'/>",
          "<query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query>", "<vCard xmlns='vcard-temp'/>",
          "<query xmlns='http://jabber.org/protocol/disco#info'/>",
          "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>",
          "<query xmlns='jabber:iq:version'/>", "<time xmlns='urn:xmpp:time'/>",
          "<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:register'/>",
          "<query xmlns='jabber:iq:register'><username>z</username></query>",
          "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>",
          "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"})
      for (const std::string_view type : {"get", "set", "result", "error", "other", ""}) {
        const std::string name = fmt::format("i{}", ++id);
        expected[name] = type == "result" || type == "error" ? 0 : 1;
        romeo.send(fmt::format("<iq{}{} id='{}'>{}</iq>", to.empty() ? "" : fmt::format(" to='{}'", to),
                               type.empty() ? "" : fmt::format(" type='{}'", type), name, payload));
        ASSERT_FALSE(romeo.closed()) << name << " " << to << " " << type << " " << payload;
      }
  host.settle();
  std::map<std::string, int> answered;
  for (const std::string& one : romeo.stanzas()) {
    const auto at = one.find(" id='") + 5;
    if (one.starts_with("<iq") && one.find("type='set'") == std::string::npos)
      ++answered[one.substr(at, one.find('\'', at) - at)];
  }
  for (const auto& [name, count] : expected) EXPECT_EQ(answered[name], count) << name;
}

TEST(ConnectionTest, ASessionThatAnswersPingsIdlesForHours) {  // R1
  TestHost host;
  TestClient& juliet = host.login("juliet@localhost/balcony");
  for (int i = 0; i < 12 * 12; ++i) {  // twelve hours
    host.advance(std::chrono::minutes(5));
    for (const std::string& one : juliet.stanzas()) {
      const auto at = one.find("id='") + 4;
      juliet.send(fmt::format("<iq type='result' id='{}'/>", one.substr(at, one.find('\'', at) - at)));
    }
    ASSERT_FALSE(juliet.closed()) << i;
  }
}

TEST(ConnectionTest,
     TheExchangeOfTheProfanityLabHasTheSameGrammar) {  // R12: the first and last message as captured there
  TestHost host;
  TestClient& client = host.connect();
  client.open();
  client.take();
  client.send(
      "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>"
      "biwsbj1zZXJnaW8scj0yOElFQUFBQUFBQWJsU1ZhQUFBQUFBPT0=</auth>");
  const std::string answer = client.take();
  ASSERT_THAT(answer, HasSubstr("<challenge"));
  const auto from = answer.find('>') + 1;
  const auto challenge = crypto::base64_decode(answer.substr(from, answer.rfind("</") - from));
  ASSERT_TRUE(challenge);
  EXPECT_TRUE(challenge->starts_with("r=28IE")) << *challenge;
  EXPECT_THAT(*challenge, AllOf(HasSubstr(",s="), HasSubstr(",i=4096")));
  client.send(
      "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
      "Yz1iaXdzLHI9MjhJRUFBQUFBQUFibFNWYUFBQUFBQT09MTNjYzJiNGEtZTM2Ny00YTYwLWI2ODYtOTE1NGFlYThiNzY0LHA9b0NCb0"
      "FGUGZzMSt3cTZ1Q3Ft"
      "cFVOL1liV3hvPQ==</response>");
  EXPECT_THAT(client.take(), HasSubstr("not-authorized"));  // another server's nonce
}

}  // namespace
}  // namespace starling
