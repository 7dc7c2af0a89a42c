// SASL and resource binding on the receiving side: every failure of RFC 6120 6.5, waiting for answers, bind,
// session.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stream/test_peers.h"

namespace starling::stream {
namespace {

using namespace std::string_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

std::string failure(std::string_view condition) {
  return fmt::format("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{}/>", condition);
}
std::string sasl_element(std::string_view name, std::string_view text = {}) {
  return fmt::format("<{} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</{}>", name, text, name);
}
std::string raw_auth(std::string_view mechanism, std::string_view text) {
  return fmt::format("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{}'>{}</auth>", mechanism,
                     text);
}
constexpr std::string_view kSuccess = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

// A fresh stream with its header exchanged.
ServerPeer opened(const Settings& settings, bool encrypted = true) {
  auto server = encrypted ? ServerPeer::encrypted(settings) : ServerPeer(settings);
  server.feed(kHeader);
  return server;
}
std::string answer(const Settings& settings, std::string_view input, bool encrypted = true) {
  return opened(settings, encrypted).feed(input);
}

TEST(Login, ByPlain) {
  const auto settings = server_settings();
  auto server = opened(settings);
  EXPECT_EQ(server.feed(plain("alice", "secret")), kSuccess);
  EXPECT_THAT(server.events, testing::ElementsAre("check-password alice@example.org",
                                                  "authenticated alice@example.org PLAIN"));
  EXPECT_EQ(server.machine.jid().text(), "alice@example.org");
  ASSERT_TRUE(server.machine.view().authenticated);
  EXPECT_EQ(server.machine.view().account->text(), "alice@example.org");
}

TEST(Login, GivesANewStreamWithANewId) {
  const auto settings = server_settings();
  auto server = opened(settings);
  const auto before = server.machine.stream_id();
  server.feed(plain("alice", "secret"));
  server.feed(kHeader);
  EXPECT_NE(server.machine.stream_id(), before);
}

TEST(Login, OnTheDomainOfTheStream) {
  const auto settings = server_settings();
  auto server = ServerPeer::encrypted(settings);
  server.accounts["alice@other.example"] = {"different"};
  server.feed(header("to='other.example' version='1.0'"));
  EXPECT_THAT(server.feed(plain("alice", "secret")), StartsWith(failure("not-authorized")));
  EXPECT_EQ(server.feed(plain("alice", "different")), kSuccess);
  EXPECT_EQ(server.machine.jid().text(), "alice@other.example");
}

TEST(Login, WithoutInitialResponse) {
  const auto settings = server_settings();
  auto server = opened(settings);
  EXPECT_EQ(server.feed(raw_auth("PLAIN", "")), "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
  EXPECT_EQ(server.feed(sasl_element("response", crypto::base64_encode("\0alice\0secret"s))), kSuccess);
}

TEST(Login, AnotherAuthReplacesTheOneUnderWay) {  // RFC 6120 6.4.2
  const auto settings = server_settings();
  auto server = opened(settings);
  EXPECT_THAT(server.feed(auth("SCRAM-SHA-1", "n,,n=alice,r=abc")), StartsWith("<challenge "));
  EXPECT_EQ(server.feed(plain("alice", "secret")), kSuccess);
}

// --- RFC 6120 6.5, in its order ---

TEST(SaslFailure, Aborted) {
  const auto settings = server_settings();
  auto server = opened(settings);
  server.feed(auth("SCRAM-SHA-1", "n,,n=alice,r=abc"));
  EXPECT_EQ(server.feed("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
            failure("aborted") + "</failure>");
  EXPECT_EQ(server.last(), "auth-failed  SCRAM-SHA-1 aborted");
  EXPECT_THAT(server.feed(sasl_element("response", "AAAA")), StartsWith(failure("malformed-request")));
  EXPECT_EQ(server.feed(plain("alice", "secret")), kSuccess);
}

TEST(SaslFailure, AccountDisabled) {
  const auto settings = server_settings();
  auto server = opened(settings);
  server.accounts["alice@example.org"].disabled = true;
  EXPECT_THAT(server.feed(plain("alice", "wrong")), StartsWith(failure("not-authorized")));
  EXPECT_THAT(server.feed(plain("alice", "secret")), StartsWith(failure("account-disabled")));
}

TEST(SaslFailure, OfTheOwner) {  // credentials-expired, mechanism-too-weak and temporary-auth-failure
  const auto settings = server_settings();
  for (const auto condition : {sasl::Failure::credentials_expired, sasl::Failure::mechanism_too_weak,
                               sasl::Failure::temporary_auth_failure}) {
    for (const auto& request : {plain("alice", "secret"), auth("SCRAM-SHA-256", "n,,n=alice,r=abc")}) {
      auto server = opened(settings);
      server.answers = false;
      server.feed(request);
      EXPECT_TRUE(server.waiting);
      server.machine.give_up_auth(condition, "come back later");
      EXPECT_EQ(server.take(),
                failure(sasl::to_string(condition)) + "<text xml:lang='en'>come back later</text></failure>");
      server.run();
      EXPECT_THAT(server.last(), EndsWith(sasl::to_string(condition)));
      server.machine.give_check(true, false);  // too late
      EXPECT_EQ(server.take(), "");
    }
  }
}

TEST(SaslFailure, EncryptionRequired) {
  auto settings = server_settings();
  EXPECT_THAT(answer(settings, plain("alice", "secret"), false), StartsWith(failure("encryption-required")));
  EXPECT_THAT(answer(settings, auth("SCRAM-SHA-1", "n,,n=alice,r=abc"), false),
              StartsWith(failure("encryption-required")));
  settings.tls = TlsPolicy::optional;
  EXPECT_THAT(answer(settings, plain("alice", "secret"), false), StartsWith(failure("encryption-required")));
  EXPECT_THAT(answer(settings, auth("SCRAM-SHA-1", "n,,n=alice,r=abc"), false), StartsWith("<challenge "));
  settings.plain_without_tls = true;
  EXPECT_EQ(answer(settings, plain("alice", "secret"), false), kSuccess);
}

TEST(SaslFailure, IncorrectEncoding) {
  const auto settings = server_settings();
  for (const std::string_view text :
       {"AGFsaWNlAHNlY3JldA", "AGFs aWNlAHNlY3JldA==", "AGFsaWNlAHNlY3JldA==\n", "!!!!",
        "A===", "==", "AGFsaWNlAHNlY3JldB=="})  // the last: padding bits that are not zero
    EXPECT_EQ(answer(settings, raw_auth("PLAIN", text)), failure("incorrect-encoding") + "</failure>")
        << text;
  auto server = opened(settings);
  server.feed(auth("SCRAM-SHA-1", "n,,n=alice,r=abc"));
  EXPECT_EQ(server.feed(sasl_element("response", "!!!!")), failure("incorrect-encoding") + "</failure>");
}

TEST(SaslFailure, InvalidAuthzid) {  // a password of one's own must never open somebody else's session
  const auto settings = server_settings();
  auto server = opened(settings);
  EXPECT_EQ(server.feed(plain("alice", "secret", "bob@example.org")),
            failure("invalid-authzid") + "</failure>");
  EXPECT_FALSE(server.machine.view().authenticated);
  EXPECT_EQ(server.feed(auth("SCRAM-SHA-1", "n,a=bob@example.org,n=alice,r=abc")),
            failure("invalid-authzid") + "</failure>");
  EXPECT_EQ(server.feed(plain("alice", "secret", "alice@example.org")), kSuccess);
}

TEST(SaslFailure, InvalidMechanism) {
  const auto settings = server_settings();
  EXPECT_EQ(answer(settings, auth("CRAM-MD5", "x")), failure("invalid-mechanism") + "</failure>");
  EXPECT_EQ(answer(settings, auth("plain", "x")), failure("invalid-mechanism") + "</failure>");
  EXPECT_EQ(answer(settings, sasl_element("auth", "AAAA")), failure("invalid-mechanism") + "</failure>");
  auto server = ServerPeer(settings);  // no binding, no -PLUS
  server.machine.assume_tls({});
  server.feed(kHeader);
  EXPECT_EQ(server.feed(auth("SCRAM-SHA-1-PLUS", "p=tls-exporter,,n=alice,r=abc")),
            failure("invalid-mechanism") + "</failure>");
}

TEST(SaslFailure, MalformedRequest) {
  const auto settings = server_settings();
  for (const auto& input : {raw_auth("PLAIN", "="), auth("PLAIN", "no NUL"), raw_auth("PLAIN", "<x/>"),
                            sasl_element("response", "AAAA"), sasl_element("challenge"),
                            sasl_element("success"), auth("SCRAM-SHA-1", "m=x,n,,n=alice,r=abc")})
    EXPECT_THAT(answer(settings, input), StartsWith(failure("malformed-request"))) << input;
}

TEST(SaslFailure, NotAuthorizedIsTheSameForEveryReason) {
  const auto settings = server_settings();
  const auto refused = failure("not-authorized") + "</failure>";
  EXPECT_EQ(answer(settings, plain("alice", "wrong")), refused);
  EXPECT_EQ(answer(settings, plain("nobody", "secret")), refused);
  EXPECT_EQ(answer(settings, plain("no such@name", "secret")), refused);
}

TEST(SaslFailure, TheAccountIsNamedForTheLog) {
  const auto settings = server_settings();
  auto server = opened(settings);
  server.feed(plain("alice", "wrong"));
  EXPECT_EQ(server.last(), "auth-failed alice@example.org PLAIN not-authorized");
}

TEST(SaslFailure, TooManyEndTheStream) {
  auto settings = server_settings();
  settings.max_auth_failures = 3;
  auto server = opened(settings);
  server.feed(plain("alice", "1"));
  server.feed(plain("alice", "2"));
  EXPECT_FALSE(server.machine.output_closed());
  const auto output = server.feed(plain("alice", "3") + plain("alice", "secret"));
  EXPECT_THAT(output, StartsWith(failure("not-authorized")));
  EXPECT_THAT(output, HasSubstr("<stream:error><policy-violation "));
  EXPECT_THAT(output, EndsWith("</stream:stream>"));
  ASSERT_GE(server.events.size(), 2U);
  EXPECT_EQ(server.events[server.events.size() - 2], "auth-failed alice@example.org PLAIN not-authorized");
  EXPECT_EQ(server.last(), "failed policy-violation");
}

TEST(Login, MustAgreeWithFromOfAnEncryptedHeader) {  // RFC 6120 6.4.6
  const auto settings = server_settings();
  auto server = ServerPeer::encrypted(settings);
  server.feed(header("to='example.org' from='bob@example.org' version='1.0'"));
  server.feed(plain("alice", "secret"));
  EXPECT_EQ(server.last(), "failed invalid-from");
  EXPECT_FALSE(server.machine.view().authenticated);
}

TEST(Login, ADowngradeIsNoticed) {  // "y": the client saw no -PLUS, and we offered it
  const auto settings = server_settings();
  EXPECT_THAT(answer(settings, auth("SCRAM-SHA-256", "y,,n=alice,r=abc")),
              StartsWith(failure("not-authorized")));
  auto without = server_settings();
  without.mechanisms = without.mechanisms.subspan(2);
  EXPECT_THAT(answer(without, auth("SCRAM-SHA-256", "y,,n=alice,r=abc")), StartsWith("<challenge "));
}

// --- waiting ---

TEST(Waiting, LeavesTheInputWhereItIs) {
  const auto settings = server_settings();
  auto server = opened(settings);
  server.answers = false;
  EXPECT_EQ(server.feed(plain("alice", "secret") + std::string(kHeader)), "");
  EXPECT_TRUE(server.waiting);
  EXPECT_EQ(server.unread(), kHeader.size());
  server.machine.give_keys({}, true, false);  // not what was asked for
  server.machine.bound(Jid::parse("alice@example.org/x").value());
  EXPECT_EQ(server.take(), "");
  server.machine.give_check(true, false);
  EXPECT_EQ(server.take(), kSuccess);
  server.run();
  EXPECT_THAT(server.take(), HasSubstr("<bind "));
}

TEST(Waiting, EndsWithTheStream) {
  const auto settings = server_settings();
  auto server = opened(settings);
  server.answers = false;
  server.feed(plain("alice", "secret"));
  server.machine.fail({StreamCondition::connection_timeout, {}, {}});
  server.take();
  server.machine.give_check(true, false);
  server.run();
  EXPECT_EQ(server.take(), "");
  EXPECT_FALSE(server.machine.view().authenticated);

  auto closing = opened(settings);
  closing.answers = false;
  closing.feed(plain("alice", "secret"));
  closing.machine.close();
  EXPECT_EQ(closing.take(), "</stream:stream>");
  closing.machine.give_check(true, false);
  EXPECT_EQ(closing.take(), "");
}

// --- a mechanism of one's own (R11) ---

class Shibboleth final : public sasl::ServerMechanism {
 public:
  explicit Shibboleth(const sasl::Channel& channel) : domain_(channel.domain) {}
  sasl::Step respond(std::optional<std::string_view> data) override {
    if (!data) return sasl::Challenge{"say it"};
    if (*data != "shibboleth") return sasl::Failed{sasl::Failure::not_authorized, {}, {}};
    return sasl::Success{Jid::make("gileadite", domain_).value(), "pass"};
  }

 private:
  std::string domain_;
};

TEST(Login, ByAMechanismAddedToTheTable) {
  const std::array<sasl::Mechanism, 1> table = {
      {{.name = "SHIBBOLETH",
        .server = [](const sasl::Channel& channel) { return std::make_unique<Shibboleth>(channel); }}}};
  auto settings = server_settings();
  settings.mechanisms = table;
  auto server = ServerPeer::encrypted(settings);
  EXPECT_THAT(
      server.feed(kHeader),
      HasSubstr("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SHIBBOLETH</mechanism>"
                "</mechanisms>"));
  EXPECT_EQ(server.feed(raw_auth("SHIBBOLETH", "")),
            sasl_element("challenge", crypto::base64_encode("say it")));
  EXPECT_THAT(server.feed(sasl_element("response", crypto::base64_encode("sibboleth"))),
              StartsWith(failure("not-authorized")));
  EXPECT_EQ(server.feed(auth("SHIBBOLETH", "shibboleth")),
            sasl_element("success", crypto::base64_encode("pass")));
  EXPECT_EQ(server.machine.jid().text(), "gileadite@example.org");
}

class Foreigner final : public sasl::ServerMechanism {
 public:
  sasl::Step respond(std::optional<std::string_view>) override {
    return sasl::Success{Jid::parse("alice@elsewhere.example").value(), {}};
  }
};

TEST(Login, NoMechanismGivesAnAccountOfAnotherDomain) {
  const std::array<sasl::Mechanism, 1> table = {
      {{.name = "FOREIGN", .server = [](const sasl::Channel&) { return std::make_unique<Foreigner>(); }}}};
  auto settings = server_settings();
  settings.mechanisms = table;
  EXPECT_EQ(answer(settings, auth("FOREIGN", "x")), failure("not-authorized") + "</failure>");
}

// --- binding ---

std::string bound_as(std::string_view jid, std::string_view id = "b1") {
  return fmt::format(
      "<iq type='result' id='{}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{}</jid></bind></iq>",
      id, jid);
}

TEST(Bind, TheResourceAskedFor) {
  const auto settings = server_settings();
  auto server = ServerPeer::logged_in(settings);
  EXPECT_EQ(server.feed(bind("balcony")), bound_as("alice@example.org/balcony"));
  EXPECT_EQ(server.last(), "bind balcony");
  EXPECT_EQ(server.machine.jid().text(), "alice@example.org/balcony");
  EXPECT_TRUE(server.machine.view().bound);
  EXPECT_EQ(server.machine.view().domain, "example.org");
}

TEST(Bind, AResourceMadeUp) {
  const auto settings = server_settings();
  auto server = ServerPeer::logged_in(settings);
  EXPECT_EQ(server.feed(bind("")), bound_as("alice@example.org/made-up"));
  auto empty = ServerPeer::logged_in(settings);
  EXPECT_EQ(
      empty.feed(
          "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource/></bind></iq>"),
      bound_as("alice@example.org/made-up"));
}

TEST(Bind, WithRequiredInIt) {  // R20: Profanity
  const auto settings = server_settings();
  auto server = ServerPeer::logged_in(settings);
  EXPECT_EQ(server.feed("<iq id='b&amp;1' type='set'><bind "
                        "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><required/><resource>profanity"
                        "</resource></bind></iq>"),
            bound_as("alice@example.org/profanity", "b&amp;1"));
}

TEST(Bind, RefusedMayBeTriedAgain) {
  const auto settings = server_settings();
  auto server = ServerPeer::logged_in(settings);
  server.answers = false;
  server.feed(bind("x"));
  server.machine.refuse_bind({Condition::resource_constraint, {}, {}, {}});
  EXPECT_EQ(server.take(),
            "<iq type='error' id='b1'><error type='wait'><resource-constraint "
            "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
  server.answers = true;
  EXPECT_EQ(server.feed(bind("y", "b2")), bound_as("alice@example.org/y", "b2"));
}

TEST(Bind, RefusedTooOftenEndsTheStream) {  // RFC 6120 7.7.3
  const auto settings = server_settings();
  auto server = ServerPeer::logged_in(settings);
  server.answers = false;
  int tries = 0;
  for (; tries < 50 && !server.machine.output_closed(); ++tries) {
    server.feed(bind("x"));
    server.machine.refuse_bind({Condition::conflict, {}, {}, {}});
    server.run();
  }
  EXPECT_THAT(tries, testing::AllOf(testing::Ge(6), testing::Le(11)));
  EXPECT_EQ(server.last(), "failed policy-violation");
}

TEST(Bind, WithoutIdIsABadRequest) {
  const auto settings = server_settings();
  auto server = ServerPeer::logged_in(settings);
  EXPECT_THAT(server.feed("<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
              HasSubstr("<bad-request "));
}

TEST(Bind, OncePerStream) {
  const auto settings = server_settings();
  auto server = ServerPeer::bound(settings);
  EXPECT_THAT(server.feed(bind("second", "b2")),
              testing::AllOf(StartsWith("<iq type='error' id='b2'>"), HasSubstr("<not-allowed ")));
  EXPECT_EQ(server.machine.jid().text(), "alice@example.org/balcony");
  EXPECT_FALSE(server.machine.output_closed());
}

TEST(Bind, StanzasBeforeItEndTheStream) {
  const auto settings = server_settings();
  for (const std::string_view stanza :
       {"<presence/>", "<message to='bob@example.org'/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='get' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"}) {
    auto server = ServerPeer::logged_in(settings);
    server.feed(stanza);
    EXPECT_EQ(server.last(), "failed not-authorized") << stanza;
  }
}

TEST(Bind, OfAResumedSessionSendsNothing) {
  const auto settings = server_settings();
  auto server = ServerPeer::logged_in(settings);
  server.machine.bound(Jid::parse("alice@example.org/old").value());
  EXPECT_EQ(server.take(), "");
  EXPECT_EQ(server.feed("<message/>"), "");
  EXPECT_EQ(server.last(), "received <message/>");
}

TEST(LegacySession, IsAnsweredAtAnyTime) {  // R21
  const auto settings = server_settings();
  auto server = ServerPeer::bound(settings);
  const std::string request =
      "<iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
  EXPECT_EQ(server.feed(request), "<iq type='result' id='s1'/>");
  server.feed("<message/>");
  EXPECT_EQ(server.feed(request), "<iq type='result' id='s1'/>");
  EXPECT_EQ(server.feed("<iq type='set' id='s2' to='example.org'><session "
                        "xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"),
            "<iq type='result' id='s2' from='example.org'/>");
}

TEST(LegacySession, OfSomebodyElseIsAnOrdinaryStanza) {
  const auto settings = server_settings();
  auto server = ServerPeer::bound(settings);
  EXPECT_EQ(server.feed("<iq type='set' id='s2' to='bob@example.org'><session "
                        "xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"),
            "");
  EXPECT_THAT(server.last(), StartsWith("received "));
}

TEST(BoundStream, DeliversTheThreeKinds) {
  const auto settings = server_settings();
  auto server = ServerPeer::bound(settings);
  for (const std::string stanza : {"<message to='bob@example.org'><body>a &lt; b</body></message>",
                                   "<presence/>", "<iq type='get' id='1'/>"}) {
    EXPECT_EQ(server.feed(" \n" + stanza), "");
    EXPECT_EQ(server.last(), "received " + stanza);
  }
}

}  // namespace
}  // namespace starling::stream
