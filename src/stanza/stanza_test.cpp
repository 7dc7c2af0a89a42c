#include "stanza/stanza.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling {
namespace {

Jid jid(std::string_view text) { return Jid::parse(text).value(); }

// As a stanza comes from a stream that declares xmlns:stream and xmlns:p.
xml::Document received(std::string_view text, std::string_view content_ns = ns::client) {
  xml::StreamParser parser;
  std::string whole = fmt::format(
      "<stream:stream xmlns='{}' xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='urn:prefixed'>{}",
      content_ns, text);
  std::string_view input = whole;
  parser.next(input);
  xml::ParseEvent event = parser.next(input);
  EXPECT_TRUE(std::holds_alternative<xml::Document>(event)) << text;
  return std::move(std::get<xml::Document>(event));
}
Stanza stanza(std::string_view text) {
  auto made = Stanza::from(received(text));
  EXPECT_TRUE(made.has_value()) << text << ": " << made.error().text;
  return std::move(*made);
}
std::string written(const Stanza& from) {
  std::string out;
  from.write(out);
  return out;
}

TEST(Stanza, ReadsAddressesIdTypeAndLanguage) {
  Stanza message = stanza(
      "<message from='a@B.example/r' to='c@d.example' id='1&amp;2' type='chat' "
      "xml:lang='de'><body>x</body></message>");
  EXPECT_TRUE(message.is(Kind::message, Type::chat));
  EXPECT_EQ(message.from(), jid("a@b.example/r"));
  EXPECT_EQ(message.to(), jid("c@d.example"));
  EXPECT_EQ(message.id(), "1&2");
  EXPECT_EQ(message.lang(), "de");
  EXPECT_EQ(message.child("body", ns::client)->text(), "x");
  EXPECT_EQ(message.inner(), "<body>x</body>");
  EXPECT_FALSE(message.is_request());
}

TEST(Stanza, KnowsEveryType) {
  const std::pair<std::string_view, Type> rows[] = {
      {"<message/>", Type::normal},
      {"<message type='normal'/>", Type::normal},
      {"<message type='chat'/>", Type::chat},
      {"<message type='groupchat'/>", Type::groupchat},
      {"<message type='headline'/>", Type::headline},
      {"<message type='error'/>", Type::error},
      {"<message type='unheard-of'/>", Type::normal},
      {"<message type='get'/>", Type::normal},
      {"<presence/>", Type::available},
      {"<presence type='unavailable'/>", Type::unavailable},
      {"<presence type='subscribe'/>", Type::subscribe},
      {"<presence type='subscribed'/>", Type::subscribed},
      {"<presence type='unsubscribe'/>", Type::unsubscribe},
      {"<presence type='unsubscribed'/>", Type::unsubscribed},
      {"<presence type='probe'/>", Type::probe},
      {"<presence type='error'/>", Type::error},
      {"<iq id='1' type='get'><a/></iq>", Type::get},
      {"<iq id='1' type='set'><a/></iq>", Type::set},
      {"<iq id='1' type='result'/>", Type::result},
      {"<iq id='1' type='error'/>", Type::error},
  };
  for (const auto& [text, type] : rows) {
    Stanza read = stanza(text);
    EXPECT_EQ(read.type(), type) << text;
    EXPECT_EQ(read.is_request(), type == Type::get || type == Type::set) << text;
  }
}

TEST(Stanza, RefusesWithTheErrorTheSenderMustGet) {
  const std::pair<std::string_view, Condition> rows[] = {
      {"<presence type='available'/>", Condition::bad_request},
      {"<presence type='unheard-of'/>", Condition::bad_request},
      {"<iq id='1'><a/></iq>", Condition::bad_request},
      {"<iq id='1' type='chat'><a/></iq>", Condition::bad_request},
      {"<iq type='get'><a/></iq>", Condition::bad_request},
      {"<iq id='1' type='get'/>", Condition::bad_request},
      {"<iq id='1' type='set'><a/><b/></iq>", Condition::bad_request},
      {"<message to='a@b@c/d' id='7'/>", Condition::jid_malformed},
      {"<message from='@b'/>", Condition::jid_malformed},
      {"<message to=''/>", Condition::jid_malformed},
      {"<other/>", Condition::bad_request},
      {"<message xmlns='urn:other'/>", Condition::bad_request},
  };
  for (const auto& [text, condition] : rows) {
    xml::Document document = received(text);
    auto made = Stanza::from(std::move(document));
    ASSERT_FALSE(made.has_value()) << text;
    EXPECT_EQ(made.error().condition, condition) << text;
    EXPECT_EQ(document.root().bytes(), text);  // NOLINT(bugprone-use-after-move): it is promised
  }
}

TEST(Stanza, WritesANewStartTagAndTheSameContent) {
  Stanza message = stanza(
      "<message to='c@d.example' id='1' type='chat' other='&lt;&apos;' p:gone='x' "
      "xml:lang='en'>a<b/>&#x41;<![CDATA[c]]></message>");
  message.set_from(jid("a@b.example/it's"));
  EXPECT_EQ(written(message),
            "<message from='a@b.example/it&apos;s' to='c@d.example' id='1' type='chat' xml:lang='en' "
            "other='&lt;&apos;'>"
            "a<b/>&#x41;<![CDATA[c]]></message>");
  std::string out = "before";
  message.write(out, jid("c@d.example/r"), "<added xmlns='u'/>");
  EXPECT_EQ(out,
            "before<message from='a@b.example/it&apos;s' to='c@d.example/r' id='1' type='chat' xml:lang='en' "
            "other='&lt;&apos;'>"
            "a<b/>&#x41;<![CDATA[c]]><added xmlns='u'/></message>");
}

TEST(Stanza, WithoutContentItsTagClosesItself) {
  EXPECT_EQ(written(stanza("<iq id='1' type='result'></iq>")), "<iq id='1' type='result'/>");
  std::string out;
  stanza("<presence/>").write(out, jid("a@b.example"), "<x/>");
  EXPECT_EQ(out, "<presence to='a@b.example'><x/></presence>");
}

TEST(Stanza, ContentThatDependsOnTheStreamIsWrittenAnew) {
  Stanza message = stanza("<message><body>a &lt; b</body> <p:x p:y='1'><z/></p:x></message>");
  EXPECT_EQ(written(message),
            "<message><body>a &lt; b</body> <x xmlns='urn:prefixed' xmlns:ns0='urn:prefixed' ns0:y='1'><z "
            "xmlns='jabber:client'/></x></message>");
  EXPECT_EQ(written(stanza("<c:message xmlns:c='jabber:client'><c:body>hi</c:body></c:message>")),
            "<message><body>hi</body></message>");
  Stanza federated = *Stanza::from(received("<message><body>x</body><p:x/></message>", ns::server));
  EXPECT_EQ(written(federated), "<message><body>x</body><x xmlns='urn:prefixed'/></message>");
  Stanza plain = *Stanza::from(received("<message><body>x</body></message>", ns::server));
  EXPECT_EQ(written(plain), "<message><body>x</body></message>");
}

TEST(Stanza, SurvivesMoves) {
  for (std::string_view text :
       {"<message id='12'><body>x</body></message>", "<message id='12'><p:b>x</p:b></message>"}) {
    Stanza first = stanza(text);
    const std::string before = written(first);
    Stanza second = std::move(first);
    Stanza third = stanza("<presence/>");
    third = std::move(second);
    StanzaPtr shared = std::make_shared<const Stanza>(std::move(third));
    EXPECT_EQ(written(*shared), before);
    EXPECT_EQ(shared->id(), "12");
  }
}

TEST(Stanza, TakesTheStreamsLanguageOnlyWithoutItsOwn) {
  Stanza message = stanza("<message/>");
  message.set_default_lang("fr");
  EXPECT_EQ(written(message), "<message xml:lang='fr'/>");
  Stanza own = stanza("<message xml:lang='en'/>");
  own.set_default_lang("fr");
  EXPECT_EQ(own.lang(), "en");
}

TEST(Stanza, IsMadeByUs) {
  Stanza iq = Stanza::make(Kind::iq, Type::result, jid("a.example"), jid("b@a.example/r"), "x'1",
                           "<ping xmlns='urn:xmpp:ping'/>", "en");
  EXPECT_EQ(written(iq),
            "<iq from='a.example' to='b@a.example/r' id='x&apos;1' type='result' xml:lang='en'><ping "
            "xmlns='urn:xmpp:ping'/></iq>");
  EXPECT_TRUE(iq.payload()->is("ping", ns::ping));
  EXPECT_EQ(iq.id(), "x'1");
  EXPECT_EQ(written(Stanza::make(Kind::presence, Type::available, {}, {}, {}, {})), "<presence/>");
  EXPECT_THROW(Stanza::make(Kind::message, Type::chat, {}, {}, {}, "<unclosed>"), std::logic_error);
}

TEST(Stanza, AnErrorReplySwapsTheAddresses) {
  Stanza cause = stanza("<iq from='a@b.example/r' to='c.example' id='1' type='get'><x xmlns='u'/></iq>");
  EXPECT_EQ(written(Stanza::error_reply(cause, {.condition = Condition::service_unavailable})),
            "<iq from='c.example' to='a@b.example/r' id='1' type='error'><error type='cancel'>"
            "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
  xml::Document refused = received("<message to='@' id='2'/>");
  Stanza reply = Stanza::error_reply(refused.root(), jid("b.example"), jid("a@b.example/r"),
                                     {.condition = Condition::jid_malformed});
  EXPECT_TRUE(reply.is(Kind::message, Type::error));
  EXPECT_EQ(reply.id(), "2");
  EXPECT_NE(reply.child("error", ns::client), nullptr);
}

TEST(Stanza, CountsWhatItHolds) {
  Stanza small = stanza("<message><body>x</body></message>");
  Stanza big = stanza("<message><body>" + std::string(10000, 'x') + "</body></message>");
  EXPECT_GT(small.memory_bytes(), 200U);
  EXPECT_LT(small.memory_bytes(), 1000U);
  EXPECT_GT(big.memory_bytes(), small.memory_bytes() + 9000);
}

}  // namespace
}  // namespace starling
