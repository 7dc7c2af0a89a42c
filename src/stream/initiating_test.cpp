// The initiating side, against our own receiving side and against scripted servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stream/test_peers.h"

namespace starling::stream {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Both roles, connected.
struct Pair {
  explicit Pair(Settings client_side = client_settings(), Settings server_side = server_settings())
      : client_settings_(std::move(client_side)), server_settings_(std::move(server_side)) {}
  void run(std::size_t piece = std::string::npos) {
    client.machine.start();
    pump(client, server, piece);
  }
  Settings client_settings_, server_settings_;
  Peer client{client_settings_};
  ServerPeer server{server_settings_};
};

TEST(BothRoles, LogInOverStartTls) {
  Pair pair;
  pair.run();
  EXPECT_THAT(pair.client.events,
              ElementsAre("start-tls", "authenticated alice@example.org SCRAM-SHA-256-PLUS",
                          "ready alice@example.org/balcony"));
  EXPECT_THAT(pair.server.events,
              ElementsAre("start-tls", "look-up-keys alice@example.org",
                          "authenticated alice@example.org SCRAM-SHA-256-PLUS", "bind balcony"));
  EXPECT_EQ(pair.client.machine.jid().text(), "alice@example.org/balcony");
  EXPECT_EQ(pair.client.machine.stream_id(), pair.server.machine.stream_id());
}

TEST(BothRoles, InPiecesOfEverySize) {
  for (std::size_t piece = 1; piece <= 64; piece = piece < 8 ? piece + 1 : piece * 2) {
    Pair whole, pieces;
    whole.run();
    pieces.run(piece);
    EXPECT_EQ(pieces.client.events, whole.client.events) << piece;
    EXPECT_EQ(pieces.server.events, whole.server.events) << piece;
  }
}

TEST(BothRoles, ExchangeStanzasAndClose) {
  Pair pair;
  pair.run();
  pair.client.machine.output() += "<message to='bob@example.org'><body>hi</body></message>";
  pair.server.machine.output() += "<message from='bob@example.org'><body>hello</body></message>";
  pair.client.machine.close();
  pump(pair.client, pair.server);
  EXPECT_THAT(pair.server.events,
              Contains("received <message to='bob@example.org'><body>hi</body></message>"));
  EXPECT_EQ(pair.server.last(), "closed");
  ASSERT_GE(pair.client.events.size(), 2U);  // what was under way still came (R30)
  EXPECT_EQ(pair.client.events[pair.client.events.size() - 2],
            "received <message from='bob@example.org'><body>hello</body></message>");
  EXPECT_EQ(pair.client.last(), "closed");
}

TEST(BothRoles, EveryMechanism) {
  for (const auto& mechanism : sasl::standard_mechanisms()) {
    auto settings = server_settings();
    settings.mechanisms = {&mechanism, 1};
    Pair pair(client_settings(), settings);
    pair.run();
    EXPECT_THAT(pair.client.events,
                Contains(fmt::format("authenticated alice@example.org {}", mechanism.name)));
    EXPECT_EQ(pair.client.last(), "ready alice@example.org/balcony");
  }
}

TEST(BothRoles, EveryWrongPassword) {
  for (const auto& mechanism : sasl::standard_mechanisms()) {
    auto settings = server_settings();
    settings.mechanisms = {&mechanism, 1};
    Pair pair(client_settings("alice@example.org", "wrong"), settings);
    pair.run();
    EXPECT_THAT(pair.client.events,
                Contains(fmt::format("auth-failed alice@example.org {} not-authorized", mechanism.name)));
    EXPECT_EQ(pair.client.last(), "closed");
    EXPECT_EQ(pair.server.last(), "closed");
  }
}

TEST(BothRoles, SomebodyBetweenThemIsNoticed) {  // two TLS connections instead of one
  Pair pair;
  pair.server.bindings.tls_exporter = "another connection's";
  pair.run();
  EXPECT_THAT(pair.client.events,
              Contains("auth-failed alice@example.org SCRAM-SHA-256-PLUS not-authorized"));
}

TEST(BothRoles, TheCertificateBindsWhereNothingElseDoes) {
  Pair pair;
  pair.client.bindings.tls_exporter.clear();
  pair.server.bindings.tls_exporter.clear();
  pair.run();
  EXPECT_THAT(pair.client.events, Contains("authenticated alice@example.org SCRAM-SHA-256-PLUS"));

  Pair fooled;
  fooled.client.bindings = {"", "the hash of somebody else's"};
  fooled.run();
  EXPECT_THAT(fooled.client.events,
              Contains("auth-failed alice@example.org SCRAM-SHA-256-PLUS not-authorized"));
}

TEST(BothRoles, WithoutTlsWhereBothAllowIt) {
  auto client = client_settings();
  auto server = server_settings();
  client.tls = server.tls = TlsPolicy::off;
  Pair pair(client, server);
  pair.run();
  EXPECT_THAT(pair.client.events, ElementsAre("authenticated alice@example.org SCRAM-SHA-256",
                                              "ready alice@example.org/balcony"));
}

TEST(BothRoles, DirectTls) {
  Pair pair;
  pair.client.machine.assume_tls(pair.client.bindings);
  pair.server.machine.assume_tls(pair.server.bindings);
  pair.run();
  EXPECT_THAT(pair.client.events, ElementsAre("authenticated alice@example.org SCRAM-SHA-256-PLUS",
                                              "ready alice@example.org/balcony"));
}

TEST(BothRoles, AResourceMadeUp) {
  Pair pair(client_settings("alice@example.org"));
  pair.run();
  EXPECT_EQ(pair.client.last(), "ready alice@example.org/made-up");
}

TEST(BothRoles, WithoutLogin) {
  Pair pair(client_settings("example.org", ""));
  pair.run();
  EXPECT_THAT(pair.client.events, ElementsAre("start-tls", "ready example.org"));
}

// A client that comes back to its session is asked to say what becomes of it, instead of binding (XEP-0198
// 5).
class Resuming : public testing::TestWithParam<bool> {};

TEST_P(Resuming, TakesThePlaceOfBinding) {
  const bool is_resumed = GetParam();
  auto client = client_settings();
  auto server = server_settings();
  std::string offered;
  client.features.push_back(
      {"sm",
       {},
       [](const View& view, const xml::Element&) { return view.authenticated && !view.bound; },
       [&](const xml::Element& features, std::string& output) {
         offered = features.bytes();
         output += "<resume xmlns='urn:xmpp:sm:3'/>";
         return true;
       }});
  server.features.push_back(
      {"sm",
       [](const View& view, xml::Writer& writer) {
         if (view.authenticated) writer.empty_element("sm", "urn:xmpp:sm:3");
       },
       [](const View&, const xml::Element& element) { return element.name() == "resume"; }});
  Pair pair(client, server);
  pair.run();
  EXPECT_THAT(offered, HasSubstr("<sm xmlns='urn:xmpp:sm:3'/>"));
  EXPECT_EQ(pair.server.last(), "claimed 0 <resume xmlns='urn:xmpp:sm:3'/>");
  pair.client.feed("<answer xmlns='urn:xmpp:sm:3'/>");
  EXPECT_EQ(pair.client.last(), "claimed 0 <answer xmlns='urn:xmpp:sm:3'/>");
  if (is_resumed) {
    const auto full = Jid::parse("alice@example.org/balcony").value();
    pair.client.machine.bound(full);
    pair.server.machine.bound(full);
    pair.run();
    EXPECT_FALSE(pair.server.saw("bind balcony"));
  } else {
    pair.client.machine.bind();
    pair.run();
    EXPECT_TRUE(pair.server.saw("bind balcony"));
  }
  EXPECT_EQ(pair.client.last(), "ready alice@example.org/balcony");
  pair.client.machine.bind();  // too late for either
  pair.client.machine.bound(Jid::parse("alice@example.org/other").value());
  pair.run();
  EXPECT_EQ(pair.client.last(), "ready alice@example.org/balcony");
}

INSTANTIATE_TEST_SUITE_P(IsAnswered, Resuming, testing::Bool(),
                         [](const auto& info) { return info.param ? "WithTheSession" : "ByARefusal"; });

// --- against a script ---

constexpr std::string_view kServerHeader =
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' id='x' "
    "from='example.org' version='1.0' xml:lang='en'>";
std::string offer(std::string_view features) {
  return fmt::format("{}<stream:features>{}</stream:features>", kServerHeader, features);
}
constexpr std::string_view kStartTlsOffer = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
std::string mechanisms(std::initializer_list<std::string_view> names) {
  std::string text = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
  for (const auto name : names) text += fmt::format("<mechanism>{}</mechanism>", name);
  return text + "</mechanisms>";
}
std::string bindings(std::initializer_list<std::string_view> types) {
  std::string text = "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>";
  for (const auto type : types) text += fmt::format("<channel-binding type='{}'/>", type);
  return text + "</sasl-channel-binding>";
}

const sasl::Bindings kBoth{"ekm", "hash"};

Peer started(const Settings& settings, bool encrypted = true, const sasl::Bindings& bindings = kBoth) {
  Peer client(settings);
  if (encrypted) client.machine.assume_tls(bindings);
  client.machine.start();
  client.take();
  return client;
}
// The decoded initial response to an offer, after the mechanism's name.
std::string chosen(const Settings& settings, std::string_view features, bool encrypted = true,
                   const sasl::Bindings& bindings = kBoth) {
  auto client = started(settings, encrypted, bindings);
  const auto output = client.feed(offer(features));
  const auto begin = output.find("mechanism='");
  if (begin == std::string::npos) return "";
  const auto name = output.substr(begin + 11, output.find('\'', begin + 11) - begin - 11);
  const auto text = output.substr(output.find('>') + 1, output.find("</auth>") - output.find('>') - 1);
  return name + " " + crypto::base64_decode(text).value_or("?");
}

TEST(Client, SendsItsHeader) {
  const auto settings = client_settings();
  Peer client(settings);
  client.machine.start();
  EXPECT_EQ(client.take(),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams' "
            "to='example.org' version='1.0' xml:lang='en'>");
  Peer encrypted(settings);
  encrypted.machine.assume_tls({});
  encrypted.machine.start();
  EXPECT_THAT(encrypted.take(), HasSubstr(" from='alice@example.org' "));  // not before (RFC 6120 4.7.1)
}

TEST(Client, NeverGoesOnInTheClearWhereTlsIsRequired) {
  const auto settings = client_settings();
  auto client = started(settings, false);
  const auto output = client.feed(offer(mechanisms({"PLAIN", "SCRAM-SHA-1"})));
  EXPECT_THAT(output, Not(HasSubstr("<auth")));
  EXPECT_EQ(client.last(), "failed policy-violation");
  EXPECT_THAT(client.error.text, HasSubstr("STARTTLS"));
}

TEST(Client, TakesTlsWhereItIsOffered) {
  auto settings = client_settings();
  settings.tls = TlsPolicy::optional;
  auto client = started(settings, false);
  EXPECT_EQ(client.feed(offer(std::string(kStartTlsOffer) + mechanisms({"SCRAM-SHA-1"}))), kStartTlsOffer);
  auto without = started(settings, false);
  EXPECT_THAT(without.feed(offer(mechanisms({"SCRAM-SHA-1"}))), StartsWith("<auth "));
}

TEST(Client, SaysWhenTheServerInsistsOnTls) {
  auto settings = client_settings();
  settings.tls = TlsPolicy::off;
  auto client = started(settings, false);
  client.feed(offer("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"));
  EXPECT_EQ(client.last(), "failed unsupported-feature");
}

TEST(Client, RefusesInjectedText) {
  const auto settings = client_settings();
  const std::string proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
  auto client = started(settings, false);
  client.feed(offer(kStartTlsOffer));
  client.feed(proceed + offer(mechanisms({"PLAIN"})));
  EXPECT_EQ(client.last(), "failed policy-violation");

  auto later = started(settings, false);
  later.feed(offer(kStartTlsOffer));
  later.feed(proceed);
  EXPECT_EQ(later.last(), "start-tls");
  later.finish_tls(offer(mechanisms({"PLAIN"})));
  later.run();
  EXPECT_EQ(later.last(), "failed policy-violation");
  EXPECT_THAT(later.take(), Not(HasSubstr("<auth")));
}

TEST(Client, EndsWhenTlsIsRefused) {
  const auto settings = client_settings();
  auto client = started(settings, false);
  client.feed(offer(kStartTlsOffer));
  client.feed("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
  EXPECT_THAT(client.last(), StartsWith("failed"));
}

TEST(Client, TakesTheStrongestMechanism) {
  const auto settings = client_settings();
  const auto all = mechanisms(
      {"PLAIN", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"});
  EXPECT_THAT(chosen(settings, all), StartsWith("SCRAM-SHA-256 n,,"));  // ejabberd before it knew XEP-0440
  EXPECT_THAT(chosen(settings, bindings({"tls-exporter"}) + all, true, {}),
              StartsWith("SCRAM-SHA-256 n,,"));  // no binding on this channel
  EXPECT_THAT(chosen(settings, mechanisms({"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"})),
              StartsWith("SCRAM-SHA-256 y,,"));
  EXPECT_THAT(chosen(settings, mechanisms({"PLAIN", "SCRAM-SHA-1"})), StartsWith("SCRAM-SHA-1 y,,"));
  EXPECT_THAT(chosen(settings, mechanisms({"PLAIN"})), StartsWith("PLAIN "));
  EXPECT_THAT(chosen(settings, bindings({"tls-exporter"}) + all),
              StartsWith("SCRAM-SHA-256-PLUS p=tls-exporter,,"));
  const auto both = bindings({"tls-server-end-point", "tls-exporter"}) + all;
  EXPECT_THAT(chosen(settings, both),
              StartsWith("SCRAM-SHA-256-PLUS p=tls-exporter,,"));  // XEP-0440 3, rule 7
  EXPECT_THAT(chosen(settings, both, true, {"", "hash"}),
              StartsWith("SCRAM-SHA-256-PLUS p=tls-server-end-point,,"));
  EXPECT_THAT(chosen(settings, bindings({"tls-server-end-point"}) + all),
              StartsWith("SCRAM-SHA-256-PLUS p=tls-server-end-point,,"));
  // A certificate that has none: another binding, honestly told by the mandatory one (rule 6).
  EXPECT_THAT(chosen(settings, bindings({"tls-server-end-point"}) + all, true, {"ekm", ""}),
              StartsWith("SCRAM-SHA-256 n,,"));
}

TEST(Client, NoticesAListOfBindingsThatWasTamperedWith) {  // XEP-0440 section 3, rule 6
  const auto settings = client_settings();
  auto client = started(settings);
  EXPECT_THAT(client.feed(offer(bindings({"unheard-of"}) + mechanisms({"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}))),
              Not(HasSubstr("<auth")));
  EXPECT_EQ(client.last(), "failed policy-violation");
}

TEST(Client, NeverSendsItsPasswordInTheClear) {
  auto settings = client_settings();
  settings.tls = TlsPolicy::off;
  auto client = started(settings, false);
  EXPECT_THAT(client.feed(offer(mechanisms({"PLAIN"}))), Not(HasSubstr("<auth")));
  EXPECT_EQ(client.last(), "failed unsupported-feature");
  EXPECT_THAT(client.error.text, HasSubstr("PLAIN"));
}

TEST(Client, AbortsOnAWrongServerSignature) {  // R12
  const auto settings = client_settings();
  for (const bool in_success : {true, false}) {
    auto client = started(settings);
    const auto output = client.feed(offer(mechanisms({"SCRAM-SHA-1"})));
    const auto text = output.substr(output.find('>') + 1, output.find("</auth>") - output.find('>') - 1);
    const auto message = crypto::base64_decode(text).value();
    const auto nonce = message.substr(message.find("r=") + 2);
    client.feed(fmt::format("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</challenge>",
                            crypto::base64_encode(fmt::format("r={}server,s=AAAA,i=4096", nonce))));
    const auto end =
        client.feed(fmt::format("<{0} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{1}</{0}>",
                                in_success ? "success" : "challenge", crypto::base64_encode("v=AAAA")));
    EXPECT_THAT(end, EndsWith("</stream:stream>"));
    EXPECT_THAT(client.events,
                ElementsAre("auth-failed alice@example.org SCRAM-SHA-1 aborted", "failed not-authorized"));
    EXPECT_THAT(client.auth_text, HasSubstr("signature"));
    EXPECT_FALSE(client.machine.view().authenticated);
  }
}

TEST(Client, WantsTheSignature) {  // a <success/> out of the blue proves nothing
  const auto settings = client_settings();
  auto client = started(settings);
  client.feed(offer(mechanisms({"SCRAM-SHA-1"})));
  client.feed("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
  EXPECT_EQ(client.last(), "failed not-authorized");
}

TEST(Client, TellsWhyTheLoginFailed) {
  const auto settings = client_settings();
  auto client = started(settings);
  client.feed(offer(mechanisms({"PLAIN"})));
  EXPECT_EQ(client.feed("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><account-disabled/><text "
                        "xml:lang='en'>call us</text></failure>"),
            "</stream:stream>");
  EXPECT_EQ(client.last(), "auth-failed alice@example.org PLAIN account-disabled");
  EXPECT_EQ(client.auth_text, "call us");
  client.feed("</stream:stream>");
  EXPECT_EQ(client.last(), "closed");

  auto unknown = started(settings);
  unknown.feed(offer(mechanisms({"PLAIN"})));
  unknown.feed("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><unheard-of/></failure>");
  EXPECT_EQ(unknown.last(), "auth-failed alice@example.org PLAIN not-authorized");  // RFC 6120 6.5
}

// A client that has logged in; what it sent as bind request is in `request`.
Peer logged_in(const Settings& settings, std::string_view features, std::string& id) {
  auto client = started(settings);
  client.feed(offer(mechanisms({"PLAIN"})));
  client.feed("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
  const auto request = client.feed(offer(features));
  const auto begin = request.find(" id='");
  if (begin != std::string::npos) id = request.substr(begin + 5, request.find('\'', begin + 5) - begin - 5);
  return client;
}
constexpr std::string_view kBindOffer = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
std::string bind_result(std::string_view id, std::string_view jid) {
  return fmt::format(
      "<iq type='result' id='{}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{}</jid></bind></iq>",
      id, jid);
}

TEST(Client, TakesTheAddressTheServerGives) {
  const auto settings = client_settings();
  std::string id;
  auto client = logged_in(settings, kBindOffer, id);
  client.feed(bind_result(id, "alice@example.org/another"));
  EXPECT_EQ(client.last(), "ready alice@example.org/another");
  client.feed("<presence/>");
  EXPECT_EQ(client.last(), "received <presence/>");
}

TEST(Client, AsksForASessionOnlyWhereItMust) {
  const auto settings = client_settings();
  for (const bool optional : {true, false}) {
    std::string id;
    auto client = logged_in(settings,
                            fmt::format("{}<session xmlns='urn:ietf:params:xml:ns:xmpp-session'>{}</session>",
                                        kBindOffer, optional ? "<optional/>" : ""),
                            id);
    const auto output = client.feed(bind_result(id, "alice@example.org/x"));
    if (optional) {
      EXPECT_EQ(output, "");
    } else {
      EXPECT_THAT(output, HasSubstr("<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"));
      const auto begin = output.find(" id='") + 5;
      client.feed("<message/>");  // may come any time now
      EXPECT_EQ(client.last(), "received <message/>");
      client.feed(
          fmt::format("<iq type='result' id='{}'/>", output.substr(begin, output.find('\'', begin) - begin)));
    }
    EXPECT_EQ(client.last(), "ready alice@example.org/x");
  }
}

TEST(Client, EndsWhereItCannotBind) {
  const auto settings = client_settings();
  std::string id;
  auto refused = logged_in(settings, kBindOffer, id);
  refused.feed(
      fmt::format("<iq type='error' id='{}'><error type='wait'><resource-constraint "
                  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
                  id));
  EXPECT_EQ(refused.last(), "failed undefined-condition");
  EXPECT_THAT(refused.error.text, HasSubstr("resource-constraint"));

  auto bare = logged_in(settings, kBindOffer, id);
  bare.feed(bind_result(id, "alice@example.org"));
  EXPECT_EQ(bare.last(), "failed undefined-condition");

  auto none = logged_in(settings, "", id);
  EXPECT_EQ(none.last(), "failed unsupported-feature");
}

TEST(Client, HearsTheServersErrors) {
  const auto settings = client_settings();
  auto client = started(settings, false);
  EXPECT_EQ(client.feed(std::string(kServerHeader) +
                        "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                        "</stream:error></stream:stream>"),
            "</stream:stream>");
  EXPECT_EQ(client.last(), "failed by-peer host-unknown");

  auto moved = started(settings, false);
  moved.feed(std::string(kServerHeader) +
             "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[::1]:9222"
             "</see-other-host></stream:error>");
  EXPECT_EQ(moved.last(), "failed by-peer see-other-host");
  EXPECT_EQ(moved.error.text, "[::1]:9222");
}

TEST(Client, RefusesAServerThatIsNoXmpp1Server) {
  const auto settings = client_settings();
  auto old = started(settings, false);
  old.feed(
      "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='x' "
      "from='example.org'>");
  EXPECT_EQ(old.last(), "failed unsupported-version");
  auto web = started(settings, false);
  web.feed("HTTP/1.1 400 Bad Request\r\n");
  EXPECT_EQ(web.last(), "failed not-well-formed");
}

}  // namespace
}  // namespace starling::stream
