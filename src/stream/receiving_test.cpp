// The receiving side: header, features, STARTTLS, stream errors, closing.
//
// Stream errors of RFC 6120 4.9.3 that cannot come from the machine itself, as they are decided by its owner
// (who sends them through fail(), tested below for one) or do not exist between client and server: conflict,
// connection-timeout, host-gone, internal-server-error, remote-connection-failed, reset, resource-constraint,
// see-other-host, system-shutdown, undefined-condition; invalid-xml needs a validating parser;
// unsupported-feature is the initiating side's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stream/test_peers.h"

namespace starling::stream {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string errored(std::string_view condition) {
  return fmt::format("<{} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", condition);
}
// The error is there, after a header of ours, and the stream is closed.
void expect_error(const Peer& peer, std::string_view output, std::string_view condition) {
  EXPECT_THAT(output, HasSubstr("<stream:stream "));
  EXPECT_THAT(output, HasSubstr("<stream:error>"));
  EXPECT_THAT(output, HasSubstr(fmt::format("<{} xmlns='urn:ietf:params:xml:ns:xmpp-streams'", condition)));
  EXPECT_THAT(output, EndsWith("</stream:error></stream:stream>"));
  EXPECT_EQ(peer.last(), fmt::format("failed {}", condition));
  EXPECT_TRUE(peer.machine.output_closed());
}

TEST(Header, IsAnsweredWithFeaturesAtOnce) {
  const auto settings = server_settings();
  ServerPeer server(settings);
  const auto output = server.feed(kHeader);
  EXPECT_EQ(output,
            fmt::format(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                "xmlns:stream='http://etherx.jabber.org/streams' id='{}' from='example.org' version='1.0' "
                "xml:lang='en'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>"
                "</starttls></stream:features>",
                server.machine.stream_id()));
  EXPECT_THAT(server.events, ElementsAre());
  EXPECT_EQ(server.machine.view().domain, "example.org");
  EXPECT_EQ(server.machine.lang(), "en");
}

TEST(Header, HasAFreshUnguessableId) {
  const auto settings = server_settings();
  ServerPeer one(settings), two(settings);
  one.feed(kHeader);
  two.feed(kHeader);
  EXPECT_NE(one.machine.stream_id(), two.machine.stream_id());
  EXPECT_GE(one.machine.stream_id().size(), 20U);
}

TEST(Header, DomainInAnyCaseAndOneOfSeveral) {
  const auto settings = server_settings();
  EXPECT_THAT(ServerPeer(settings).feed(header("to='EXAMPLE.Org' version='1.0'")),
              HasSubstr(" from='example.org' "));
  EXPECT_THAT(ServerPeer(settings).feed(header("to='other.example' version='1.0'")),
              HasSubstr(" from='other.example' "));
}

TEST(Header, SaysToWhomWhenTheClientSaidFromWhom) {
  const auto settings = server_settings();
  EXPECT_THAT(ServerPeer(settings).feed(header("to='example.org' from='alice@example.org/x' version='1.0'")),
              HasSubstr(" to='alice@example.org' "));
}

TEST(Header, VersionsFrom1AreFine) {
  const auto settings = server_settings();
  for (const std::string_view version : {"1.0", "1.1", "1.13", "01.0", "2.0", "11.0"}) {
    const auto output =
        ServerPeer(settings).feed(header(fmt::format("to='example.org' version='{}'", version)));
    EXPECT_THAT(output, HasSubstr("<stream:features>")) << version;
    EXPECT_THAT(output, HasSubstr(" version='1.0' ")) << version;
  }
}

struct Refused {
  std::string name, input, condition;
};
class RefusedHeader : public testing::TestWithParam<Refused> {};

TEST_P(RefusedHeader, GetsHeaderErrorAndClose) {
  const auto settings = server_settings();
  ServerPeer server(settings);
  const auto output = server.feed(GetParam().input);
  expect_error(server, output, GetParam().condition);
  EXPECT_THAT(output, StartsWith("<?xml version='1.0'?><stream:stream "));
  EXPECT_THAT(output, Not(HasSubstr("features")));
  EXPECT_EQ(server.feed(kHeader), "");  // nothing is parsed any more
}

INSTANTIATE_TEST_SUITE_P(
    Conditions, RefusedHeader,
    testing::Values(
        Refused{"HostUnknown", header("to='unknown.example' version='1.0'"), "host-unknown"},
        Refused{"NoTo", header("version='1.0'"), "improper-addressing"},
        Refused{"ToIsNoDomain", header("to='alice@example.org' version='1.0'"), "improper-addressing"},
        Refused{"NoVersion", header("to='example.org'"), "unsupported-version"},
        Refused{"OldVersion", header("to='example.org' version='0.9'"), "unsupported-version"},
        Refused{"ZeroVersion", header("to='example.org' version='00.9'"), "unsupported-version"},
        Refused{"NoNumber", header("to='example.org' version='one'"), "unsupported-version"},
        Refused{"HalfANumber", header("to='example.org' version='1.'"), "unsupported-version"},
        Refused{"NegativeVersion", header("to='example.org' version='-1.0'"), "unsupported-version"},
        Refused{"InvalidFrom", header("to='example.org' from='a@b@c' version='1.0'"), "invalid-from"},
        Refused{"StreamNamespace",
                "<stream:stream xmlns='jabber:client' xmlns:stream='http://wrong.example/' to='example.org' "
                "version='1.0'>",
                "invalid-namespace"},
        Refused{"ContentNamespace",
                "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
                "to='example.org' "
                "version='1.0'>",
                "invalid-namespace"},
        Refused{
            "NoContentNamespace",
            "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>",
            "invalid-namespace"},
        Refused{"OtherPrefix",
                "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' to='example.org' "
                "version='1.0'>",
                "bad-namespace-prefix"},
        Refused{"NoPrefix",
                "<stream xmlns='http://etherx.jabber.org/streams' to='example.org' version='1.0'>",
                "bad-namespace-prefix"},
        Refused{"UndeclaredPrefix", "<stream:stream xmlns='jabber:client' to='example.org' version='1.0'>",
                "bad-namespace-prefix"},
        Refused{"OtherRoot",
                "<stream:open xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
                "to='example.org' "
                "version='1.0'>",
                "bad-format"},
        Refused{"NoXml", "GET / HTTP/1.1\r\n\r\n", "not-well-formed"},
        Refused{"Encoding",
                "<?xml version='1.0' encoding='UTF-16'?>" + header("to='example.org' version='1.0'"),
                "unsupported-encoding"},
        Refused{"Comment", "<?xml version='1.0'?><!-- x -->" + header("to='example.org' version='1.0'"),
                "restricted-xml"},
        Refused{"Dtd", "<?xml version='1.0'?><!DOCTYPE a>" + header("to='example.org' version='1.0'"),
                "restricted-xml"},
        Refused{"TooLong", header("to='example.org' version='1.0' x='" + std::string(20000, 'x') + "'"),
                "policy-violation"}),
    [](const auto& test) { return test.param.name; });

TEST(Header, OfARefusalNamesNoDomainThatIsNotOurs) {  // RFC 6120 4.9.1.3
  const auto settings = server_settings();
  EXPECT_THAT(ServerPeer(settings).feed(header("to='unknown.example' version='1.0'")),
              HasSubstr(" from='' "));
  EXPECT_THAT(ServerPeer(settings).feed(header("to='example.org' from='alice@example.org'")),
              testing::AllOf(HasSubstr(" from='example.org' "), HasSubstr(" to='alice@example.org' ")));
}

TEST(Header, ALaterOneCannotMoveTheAccount) {
  const auto settings = server_settings();
  const auto after_login = [&](std::string_view attributes) {
    auto server = ServerPeer::encrypted(settings);
    server.feed(kHeader);
    server.feed(plain("alice", "secret"));
    server.feed(header(attributes));
    return server.last();
  };
  EXPECT_EQ(after_login("to='other.example' version='1.0'"), "failed host-unknown");
  EXPECT_EQ(after_login("to='example.org' from='bob@example.org' version='1.0'"), "failed invalid-from");
  EXPECT_EQ(after_login("to='example.org' from='alice@example.org/x' version='1.0'"),
            "authenticated alice@example.org PLAIN");
}

// --- features ---

std::string features(const Settings& settings, bool encrypted, sasl::Bindings bindings = {"ekm", "hash"}) {
  Machine machine(settings);
  if (encrypted) machine.assume_tls(std::move(bindings));
  std::string_view input = kHeader;
  machine.next(input);
  const auto& output = machine.output();
  return output.substr(output.find("<stream:features"));
}
constexpr std::string_view kMechanisms = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";

TEST(Features, BeforeTlsByPolicy) {
  auto settings = server_settings();
  EXPECT_EQ(features(settings, false),
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
            "</stream:features>");
  settings.tls = TlsPolicy::optional;
  EXPECT_EQ(features(settings, false),
            fmt::format("<stream:features><starttls "
                        "xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{}<mechanism>SCRAM-SHA-256</mechanism>"
                        "<mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>",
                        kMechanisms));
  settings.tls = TlsPolicy::off;
  EXPECT_THAT(features(settings, false), Not(HasSubstr("starttls")));
  settings.plain_without_tls = true;
  EXPECT_THAT(features(settings, false), HasSubstr("<mechanism>PLAIN</mechanism>"));
  settings.tls = TlsPolicy::optional;
  settings.starttls_available = false;
  EXPECT_THAT(features(settings, false), Not(HasSubstr("starttls")));
}

TEST(Features, UnderTls) {
  const auto settings = server_settings();
  EXPECT_EQ(
      features(settings, true),
      fmt::format(
          "<stream:features><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding "
          "type='tls-exporter'/><channel-binding type='tls-server-end-point'/>"
          "</sasl-channel-binding>{}<mechanism>SCRAM-SHA-256-PLUS</mechanism><mechanism>SCRAM-SHA-1-PLUS</"
          "mechanism>"
          "<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>"
          "</mechanisms></stream:features>",
          kMechanisms));
  // TLS 1.2 without extended master secret has no exporter (RFC 9266 section 2).
  EXPECT_THAT(features(settings, true, {"", "hash"}),
              HasSubstr("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
                        "<channel-binding type='tls-server-end-point'/></sasl-channel-binding>"));
  EXPECT_THAT(features(settings, true, {"ekm", ""}),
              HasSubstr("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
                        "<channel-binding type='tls-exporter'/></sasl-channel-binding>"));
  EXPECT_EQ(
      features(settings, true, {}),
      fmt::format("<stream:features>{}<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
                  "<mechanism>PLAIN</mechanism></mechanisms></stream:features>",
                  kMechanisms));
}

TEST(Features, AfterLogin) {
  const auto settings = server_settings();
  auto server = ServerPeer::encrypted(settings);
  server.feed(kHeader);
  server.feed(plain("alice", "secret"));
  const auto output = server.feed(kHeader);
  EXPECT_THAT(
      output,
      EndsWith("<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><session "
               "xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session></stream:features>"));
}

Feature registration() {
  return {"register",
          [](const View& view, xml::Writer& writer) {
            if (!view.authenticated)
              writer.open("register", "http://jabber.org/features/iq-register").close();
          },
          [](const View& view, const xml::Element& element) {
            return !view.authenticated && element.name() == "iq" &&
                   element.child("query", "jabber:iq:register") != nullptr;
          }};
}
Feature nonza() {
  return {"sm",
          [](const View& view, xml::Writer& writer) {
            if (view.authenticated) writer.open("sm", "urn:xmpp:sm:3").close();
          },
          [](const View& view, const xml::Element& element) {
            return view.authenticated && element.ns() == "urn:xmpp:sm:3";
          }};
}

TEST(Features, OfModulesAreAdvertisedAndClaimed) {
  auto settings = server_settings();
  settings.features = {registration(), nonza()};
  const std::string query = "<iq type='get' id='r1'><query xmlns='jabber:iq:register'/></iq>";

  EXPECT_THAT(features(settings, false), Not(HasSubstr("register")));  // TLS first
  EXPECT_THAT(features(settings, true),
              StartsWith("<stream:features><register xmlns='http://jabber.org/features/iq-register'/>"));
  EXPECT_THAT(features(settings, true), Not(HasSubstr("urn:xmpp:sm:3")));

  auto server = ServerPeer::encrypted(settings);
  server.feed(kHeader);
  EXPECT_EQ(server.feed(query), "");
  EXPECT_EQ(server.last(), "claimed 0 " + query);
  server.feed(plain("alice", "secret"));
  EXPECT_THAT(server.feed(kHeader), HasSubstr("<sm xmlns='urn:xmpp:sm:3'/>"));
  server.feed("<enable xmlns='urn:xmpp:sm:3'/>");
  EXPECT_EQ(server.last(), "claimed 1 <enable xmlns='urn:xmpp:sm:3'/>");
  server.feed(bind("x"));
  server.feed("<r xmlns='urn:xmpp:sm:3'/>");
  EXPECT_EQ(server.last(), "claimed 1 <r xmlns='urn:xmpp:sm:3'/>");
  server.feed(query);  // a stanza like others now
  EXPECT_EQ(server.last(), "received " + query);

  ServerPeer clear(settings);
  clear.feed(kHeader);
  expect_error(clear, std::string(kHeader) + clear.feed(query), "not-authorized");
}

// --- STARTTLS ---

TEST(StartTlsNegotiation, Proceeds) {
  const auto settings = server_settings();
  ServerPeer server(settings);
  server.feed(kHeader);
  const auto first_id = server.machine.stream_id();
  EXPECT_EQ(server.feed(kStartTlsElement), "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  EXPECT_THAT(server.events, ElementsAre("start-tls"));
  EXPECT_TRUE(server.waiting);
  server.finish_tls();
  EXPECT_TRUE(server.machine.view().encrypted);
  EXPECT_EQ(server.machine.view().domain, "");  // all that was said in the clear is forgotten
  const auto output = server.feed(kHeader);
  EXPECT_THAT(output, StartsWith("<?xml version='1.0'?><stream:stream "));
  EXPECT_THAT(output, Not(HasSubstr("starttls")));
  EXPECT_THAT(output, HasSubstr("<mechanisms"));
  EXPECT_NE(server.machine.stream_id(), first_id);
}

TEST(StartTlsNegotiation, InjectedTextIsRefused) {
  const auto settings = server_settings();
  {
    ServerPeer server(settings);
    server.feed(kHeader);
    const auto output = server.feed(std::string(kStartTlsElement) + std::string(kHeader));
    expect_error(server, std::string(kHeader) + output, "policy-violation");
    EXPECT_THAT(output, Not(HasSubstr("proceed")));
  }
  {
    ServerPeer server(settings);
    server.feed(kHeader);
    server.feed(kStartTlsElement);
    server.finish_tls(plain("alice", "secret"));
    server.run();
    expect_error(server, server.take(), "policy-violation");
    EXPECT_FALSE(server.saw("authenticated alice@example.org PLAIN"));
  }
  {
    ServerPeer server(settings);
    server.feed(kHeader);
    server.feed(kStartTlsElement);
    server.finish_tls(" ");  // not even a space
    server.run();
    EXPECT_EQ(server.last(), "failed policy-violation");
  }
}

TEST(StartTlsNegotiation, WhereItIsNotOfferedFails) {
  auto settings = server_settings();
  const std::string failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";
  {
    auto server = ServerPeer::encrypted(settings);
    server.feed(kHeader);
    EXPECT_EQ(server.feed(kStartTlsElement), failure);
    EXPECT_THAT(server.last(), StartsWith("failed"));
    EXPECT_EQ(server.feed(kHeader), "");
  }
  {
    ServerPeer server(settings);
    server.feed(kHeader);
    EXPECT_EQ(server.feed("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), failure);
  }
  settings.tls = TlsPolicy::off;
  ServerPeer server(settings);
  server.feed(kHeader);
  EXPECT_EQ(server.feed(kStartTlsElement), failure);
}

TEST(StartTlsNegotiation, NothingIsWrittenDuringTheHandshake) {
  const auto settings = server_settings();
  ServerPeer server(settings);
  server.feed(kHeader);
  server.feed(kStartTlsElement);
  server.machine.fail({StreamCondition::system_shutdown, {}, {}});
  EXPECT_EQ(server.take(), "");
  EXPECT_TRUE(server.machine.output_closed());
}

// --- stream errors in the midst ---

struct Midst {
  std::string name, input, condition;
};
class BeforeLogin : public testing::TestWithParam<Midst> {};
class Bound : public testing::TestWithParam<Midst> {};

TEST_P(BeforeLogin, IsRefused) {
  const auto settings = server_settings();
  for (const bool encrypted : {false, true}) {
    auto server = encrypted ? ServerPeer::encrypted(settings) : ServerPeer(settings);
    const auto opening = server.feed(kHeader);
    expect_error(server, opening + server.feed(GetParam().input), GetParam().condition);
  }
}
TEST_P(Bound, IsRefused) {
  const auto settings = server_settings();
  auto server = ServerPeer::bound(settings);
  expect_error(server, std::string(kHeader) + server.feed(GetParam().input), GetParam().condition);
}

const auto kAlways = testing::Values(
    Midst{"OtherElement", "<foo xmlns='urn:example'/>", "unsupported-stanza-type"},
    Midst{"OtherElementOfTheContentNamespace", "<pubsub/>", "unsupported-stanza-type"},
    Midst{"StanzaLikeOfAnotherNamespace", "<message xmlns='urn:example'/>", "unsupported-stanza-type"},
    Midst{"FeaturesFromAClient", "<stream:features/>", "unsupported-stanza-type"},
    Midst{"ServersContentNamespace", "<message xmlns='jabber:server'/>", "invalid-namespace"},
    Midst{"PrefixedStanza", "<c:message xmlns:c='jabber:client'/>", "bad-namespace-prefix"},
    Midst{"UndeclaredPrefix", "<x:foo/>", "bad-namespace-prefix"}, Midst{"Text", "hello", "bad-format"},
    Midst{"Comment", "<!-- x -->", "restricted-xml"}, Midst{"Instruction", "<?php x?>", "restricted-xml"},
    Midst{"Entity", "<message><body>&amp;&lol;</body></message>", "restricted-xml"},
    Midst{"NotWellFormed", "<message><body></message>", "not-well-formed"},
    Midst{"TooDeep",
          [] {
            std::string s;
            for (int i = 0; i < 101; ++i) s += "<a>";
            return s;
          }(),
          "policy-violation"},
    Midst{"TooBig", "<message><body>" + std::string(300000, 'x') + "</body></message>", "policy-violation"});
const auto kName = [](const auto& test) { return test.param.name; };
INSTANTIATE_TEST_SUITE_P(Always, BeforeLogin, kAlways, kName);
INSTANTIATE_TEST_SUITE_P(Always, Bound, kAlways, kName);
INSTANTIATE_TEST_SUITE_P(
    Stanzas, BeforeLogin,
    testing::Values(Midst{"Message", "<message to='bob@example.org'/>", "not-authorized"},
                    Midst{"Presence", "<presence/>", "not-authorized"},
                    Midst{"Iq", "<iq type='get' id='x'/>", "not-authorized"},
                    Midst{"Bind", bind("x"), "not-authorized"},
                    Midst{"TooBigBeforeLogin", "<message>" + std::string(12000, 'x'), "policy-violation"}),
    kName);

TEST(StreamErrors, OfThePeerEndTheStream) {
  const auto settings = server_settings();
  auto server = ServerPeer::bound(settings);
  EXPECT_EQ(
      server.feed("<stream:error><connection-timeout xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text "
                  "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>bye</text></stream:error></stream:stream>"),
      "</stream:stream>");
  EXPECT_EQ(server.last(), "failed by-peer connection-timeout");
  EXPECT_EQ(server.error.text, "bye");
}

TEST(StreamErrors, OfTheOwner) {
  const auto settings = server_settings();
  auto server = ServerPeer::bound(settings);
  server.machine.fail({StreamCondition::conflict, {}, {}});
  EXPECT_EQ(server.take(), "<stream:error>" + errored("conflict") + "</stream:error></stream:stream>");
  EXPECT_EQ(server.feed("<message/></stream:stream>"), "");
  EXPECT_THAT(server.last(), StartsWith("bind"));  // no event follows

  ServerPeer fresh(settings);
  fresh.machine.fail({StreamCondition::system_shutdown, {}, {}});
  const auto output = fresh.take();
  EXPECT_THAT(output, StartsWith("<?xml version='1.0'?><stream:stream "));
  EXPECT_THAT(output,
              EndsWith("<stream:error>" + errored("system-shutdown") + "</stream:error></stream:stream>"));
}

// --- closing ---

TEST(Closing, IsAnsweredInKindOnce) {
  const auto settings = server_settings();
  for (auto* state : {&ServerPeer::encrypted, &ServerPeer::bound}) {
    auto server = state(settings);
    if (state == &ServerPeer::encrypted) server.feed(kHeader);
    EXPECT_EQ(server.feed("</stream:stream>"), "</stream:stream>");
    EXPECT_EQ(server.last(), "closed");
    server.machine.close();
    EXPECT_EQ(server.feed("<message/>"), "");
    EXPECT_EQ(server.last(), "closed");
  }
}

TEST(Closing, StanzasUnderWayStillArrive) {
  const auto settings = server_settings();
  auto server = ServerPeer::bound(settings);
  server.machine.close();
  server.machine.close();
  EXPECT_EQ(server.take(), "</stream:stream>");
  EXPECT_TRUE(server.machine.output_closed());
  EXPECT_EQ(server.feed("<message id='last'/>"), "");
  EXPECT_EQ(server.last(), "received <message id='last'/>");
  EXPECT_EQ(server.feed("<foo xmlns='urn:example'/>"), "");  // nothing may be written any more
  EXPECT_EQ(server.feed("</stream:stream>"), "");
  EXPECT_EQ(server.last(), "closed");
}

TEST(Closing, BeforeTheHeaderOfThePeer) {
  const auto settings = server_settings();
  ServerPeer server(settings);
  server.machine.close();
  EXPECT_THAT(server.take(), EndsWith("</stream:stream>"));
  EXPECT_EQ(server.feed(std::string(kHeader) + "</stream:stream>"), "");
  EXPECT_EQ(server.last(), "closed");
}

// --- memory ---

TEST(Memory, OfAnIdleBoundMachine) {
  const auto settings = server_settings();
  auto server = ServerPeer::encrypted(settings);
  server.feed(kHeader);
  const auto negotiating = server.machine.memory_bytes();
  server.feed(plain("alice", "secret"));
  server.feed(kHeader);
  server.feed(bind("balcony"));
  std::string().swap(server.machine.output());  // the owner took it
  const auto idle = server.machine.memory_bytes();
  RecordProperty("idle_bytes", static_cast<int>(idle));
  std::cout << "idle bound machine: " << idle << " bytes; negotiating: " << negotiating << " bytes\n";
  EXPECT_LT(idle, 1024U);
  EXPECT_LT(idle, negotiating);
}

}  // namespace
}  // namespace starling::stream
