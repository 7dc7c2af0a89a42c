#include "xml/parser.h"

#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "xml/namespaces.h"

namespace starling::xml {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kHeader =
    "<?xml version='1.0'?><stream:stream to='a.example' version='1.0' xml:lang='en' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>";

std::string_view fault_name(ParseFault fault) {
  switch (fault) {
    case ParseFault::not_well_formed:
      return "not_well_formed";
    case ParseFault::restricted_xml:
      return "restricted_xml";
    case ParseFault::unsupported_encoding:
      return "unsupported_encoding";
    case ParseFault::bad_format:
      return "bad_format";
    case ParseFault::bad_namespace_prefix:
      return "bad_namespace_prefix";
    case ParseFault::policy_violation:
      return "policy_violation";
    case ParseFault::too_big:
      return "too_big";
  }
  return "?";
}

// Everything that an element says, as text.
std::string dump(const Element& element) {
  std::string out = fmt::format("({}|{}", element.ns(), element.name());
  for (const Attribute* at = element.first_attribute(); at != nullptr; at = at->next) {
    out += fmt::format(" {}|{}=[{}]", at->ns, at->name, at->value);
  }
  out += fmt::format(" \"{}\" <{}>", element.text(), element.bytes());
  for (const Element& child : element.children()) out += dump(child);
  return out + ")";
}

std::string show(const ParseEvent& event) {
  if (const auto* header = std::get_if<StreamHeader>(&event)) {
    return fmt::format("header {}|{} prefix={} content={} to={} from={} id={} version={} lang={}", header->ns,
                       header->name, header->prefix, header->content_ns, header->to, header->from, header->id,
                       header->version, header->lang);
  }
  if (const auto* document = std::get_if<Document>(&event)) {
    return dump(document->root()) + (document->self_contained() ? "" : " bound");
  }
  if (std::holds_alternative<StreamClosed>(event)) return "closed";
  if (const auto* error = std::get_if<ParseError>(&event))
    return fmt::format("error {}: {}", fault_name(error->fault), error->message);
  return "more";
}

using Events = std::vector<std::string>;

// Feeds `text` in the pieces that `cut` makes of it: it is given the offset and returns the size of the next
// piece.
template <class Cut>
Events events(std::string_view text, Cut cut, Limits limits = {}) {
  StreamParser parser(limits);
  Events seen;
  for (std::size_t at = 0; at < text.size();) {
    std::string piece(text.substr(at, cut(at)));  // a buffer of its own, so that a read past its end is seen
    at += piece.size();
    std::string_view input = piece;
    while (true) {
      ParseEvent event = parser.next(input);
      if (std::holds_alternative<NeedMore>(event)) {
        EXPECT_TRUE(input.empty());
        break;
      }
      seen.push_back(show(event));
      if (std::holds_alternative<ParseError>(event) || std::holds_alternative<StreamClosed>(event))
        return seen;
    }
  }
  return seen;
}
Events events(std::string_view text, Limits limits = {}) {
  return events(text, [](std::size_t) { return std::string_view::npos; }, limits);
}
// The events after the usual header.
Events after_header(std::string_view text, Limits limits = {}) {
  Events all = events(std::string(kHeader) + std::string(text), limits);
  EXPECT_THAT(all.front(), HasSubstr("header"));
  all.erase(all.begin());
  return all;
}
std::string fault_of(std::string_view text, Limits limits = {}) {
  Events all = events(text, limits);
  if (all.empty()) return "more";
  std::string last = all.back();
  return last.starts_with("error ") ? last.substr(6, last.find(':') - 6) : last;
}
std::string fault_in_stream(std::string_view text, Limits limits = {}) {
  return fault_of(std::string(kHeader) + std::string(text), limits);
}

Document document(std::string_view text) {
  std::string whole = std::string(kHeader) + std::string(text);
  std::string_view input = whole;
  StreamParser parser;
  EXPECT_TRUE(std::holds_alternative<StreamHeader>(parser.next(input)));
  ParseEvent event = parser.next(input);
  EXPECT_TRUE(std::holds_alternative<Document>(event)) << show(event);
  return std::move(std::get<Document>(event));
}

TEST(StreamParser, ReadsTheHeader) {
  EXPECT_THAT(
      events("<stream:stream from='j@b.example' id='i&amp;1' to='a.example' version='1.0' xml:lang='de' "
             "xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>"),
      ElementsAre(
          "header http://etherx.jabber.org/streams|stream prefix=stream content=jabber:server to=a.example "
          "from=j@b.example id=i&1 version=1.0 lang=de"));
  EXPECT_THAT(
      events("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='a'/>"),
      ElementsAre(
          HasSubstr("header urn:ietf:params:xml:ns:xmpp-framing|open prefix= content=urn:ietf:params"),
          "closed"));
}

TEST(StreamParser, AHeaderThatClosesItselfClosesTheStream) {
  EXPECT_THAT(events("<s:stream xmlns:s='http://etherx.jabber.org/streams'/> "),
              ElementsAre(HasSubstr("header"), "closed"));
}

TEST(StreamParser, ReadsStanzasAndTheEnd) {
  EXPECT_THAT(after_header(" \n<message id='1'><body>hi</body></message> <presence/>\t</stream:stream >"),
              ElementsAre("(jabber:client|message |id=[1] \"\" <<message id='1'><body>hi</body></message>>"
                          "(jabber:client|body \"hi\" <<body>hi</body>>))",
                          "(jabber:client|presence \"\" <<presence/>>)", "closed"));
}

TEST(StreamParser, LeavesWhatFollowsAnEventUntouched) {
  std::string text = std::string(kHeader) + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\x16\x03\x01";
  std::string_view input = text;
  StreamParser parser;
  ASSERT_TRUE(std::holds_alternative<StreamHeader>(parser.next(input)));
  ASSERT_TRUE(std::holds_alternative<Document>(parser.next(input)));
  EXPECT_EQ(input, "\x16\x03\x01");
  EXPECT_TRUE(parser.between_stanzas());
}

TEST(StreamParser, StartsAgainAfterReset) {
  std::string text = std::string(kHeader) + "<a/>\n" + std::string(kHeader) + "<b/>";
  std::string_view input = text;
  StreamParser parser;
  ASSERT_TRUE(std::holds_alternative<StreamHeader>(parser.next(input)));
  ASSERT_TRUE(std::holds_alternative<Document>(parser.next(input)));
  parser.reset();
  ASSERT_TRUE(std::holds_alternative<StreamHeader>(parser.next(input)));
  EXPECT_THAT(show(parser.next(input)), HasSubstr("|b "));
}

TEST(StreamParser, NothingComesAfterTheEnd) {
  StreamParser parser;
  std::string text = std::string(kHeader) + "</stream:stream>\n";
  std::string_view input = text;
  ASSERT_TRUE(std::holds_alternative<StreamHeader>(parser.next(input)));
  ASSERT_TRUE(std::holds_alternative<StreamClosed>(parser.next(input)));
  EXPECT_TRUE(std::holds_alternative<NeedMore>(parser.next(input)));
  input = "<message/>";
  EXPECT_TRUE(std::holds_alternative<ParseError>(parser.next(input)));
}

TEST(StreamParser, StaysFailedUntilReset) {
  std::string_view input = "<a></b>";
  StreamParser parser;
  ASSERT_TRUE(std::holds_alternative<StreamHeader>(parser.next(input)));
  ASSERT_TRUE(std::holds_alternative<ParseError>(parser.next(input)));
  input = kHeader;
  EXPECT_TRUE(std::holds_alternative<ParseError>(parser.next(input)));
  parser.reset();
  input = kHeader;
  EXPECT_TRUE(std::holds_alternative<StreamHeader>(parser.next(input)));
}

// One row a stream; each is fed whole, byte by byte and cut in two at every point.
const std::string_view kStreams[] = {
    ("<message to='x@y' from=\"q>'r\"><body>a&lt;b &amp;&#x20AC; c</body><x xmlns='u:1'><y "
     "a='&quot;'/>t<z/>u</x></message>"),
    ("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>  \n "
     "<presence><priority>5</priority></presence></stream:stream>"),
    "<message><body><![CDATA[a<b>]]]]><![CDATA[>&amp;]]></body></message>",
    "<message>one\r\ntwo\rthree<b/>\n four<b>\r\n</b>five</message>",
    "<message a='x\ty&#10;z\r\n'/><m b = 'c'  \n d\t=\t\"e\" ></m >",
    ("<stream:features><mechanisms "
     "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"),
    ("<p:a xmlns:p='u:1' p:b='1' b='2' xmlns:q='u:2' q:b='3'><p:c xmlns:p='u:3' p:d=''><p:e/></p:c><p:f "
     "xmlns='u:4'><g/></p:f></p:a>"),
    "<message><body>\xC3\xA4\xE2\x82\xAC\xF0\x9F\x90\xA6</body></message>",
    "<message><body>\xC3(</body></message>",
    "<message>\x01</message>",
    "<message><body></message>",
    "<message><body>x</body></message></stream:strem>",
    "<message><!-- c --></message>",
    "<message><!DOCTYPE a></message>",
    "<message><![CDAT[x]]></message>",
    "<message><?pi x?></message>",
    "<message>&nbsp;</message>",
    "<message>]]></message>",
    "<message a='<'/>",
    "<message a='1' a='2'/>",
    "<message a=1/>",
    "<a:b:c xmlns:a='u:1'/>",
    "<u:message/>",
    "<message><x u:a='1'/></message>",
    "<message/>hello<message/>",
    "<!-- c -->",
    "<?xml version='1.0'?>",
    "<![CDATA[x]]>",
    "<!DOCTYPE x>",
    "<message/><",
    "<message",
    "< message/>",
    "<message><></message>",
    "</stream:stream",
    "</stream:streamx>",
    "<message/ >",
    "</message>",
    "<\xC3\xA4 \xC3\xB6='\xC3\xBC'/>",
};

TEST(StreamParser, EventsDoNotDependOnHowTheBytesAreCut) {
  for (std::string_view body : kStreams) {
    const std::string text = std::string(kHeader) + std::string(body);
    const Events whole = events(text);
    ASSERT_FALSE(whole.empty());
    EXPECT_EQ(whole, events(text, [](std::size_t) { return 1U; })) << body;
    EXPECT_EQ(whole, events(text, [](std::size_t) { return 7U; })) << body;
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      EXPECT_EQ(whole, events(text, [cut](std::size_t at) { return at == 0 ? cut : std::string_view::npos; }))
          << body << " cut at " << cut;
    }
  }
}

TEST(StreamParser, LimitsStrikeAtTheSameByteHoweverTheBytesAreCut) {
  const Limits limits{.element_bytes = 200, .depth = 3, .attributes = 4, .children = 5};
  for (std::string_view body :
       {"<a><b><c/></b></a>", "<a><b><c><d/></c></b></a>", "<a b='' c='' d='' e=''/>",
        "<a b='' c='' d='' e='' f=''/>", "<a><b/><b/><b/><b/><b/></a>", "<a><b/><b/><b/><b/><b/><b/></a>"}) {
    const std::string text = std::string(kHeader) + std::string(body);
    EXPECT_EQ(events(text, limits), events(text, [](std::size_t) { return 1U; }, limits)) << body;
  }
  for (std::string_view body : {"<a>", "<a b='", "<a b", "<", "<a><![CDATA[", "<a>&", "<a></"}) {
    const std::string text = std::string(kHeader) + std::string(body) + std::string(300, 'x');
    EXPECT_EQ(events(text, limits), events(text, [](std::size_t) { return 1U; }, limits)) << body;
  }
}

TEST(StreamParser, BoundsWhatACopyWouldDeclare) {
  const Limits limits{.element_bytes = 400};
  const std::string ns(150, 'n');
  auto verdict = [&](std::string_view content) {
    const std::string text = fmt::format("{}<a xmlns:p='{}'>{}</a>", kHeader, ns, content);
    const Events whole = events(text, limits);
    EXPECT_EQ(whole, events(text, [](std::size_t) { return 1U; }, limits)) << content;
    return whole.back().find("make more than 400 bytes") == std::string::npos;
  };
  EXPECT_TRUE(verdict("<b p:x=''/><b p:x=''/>"));
  EXPECT_FALSE(verdict("<b p:x=''/><b p:x=''/><b p:x=''/>"));
  EXPECT_TRUE(verdict("<p:b><p:c/><p:c/><p:c/></p:b>"));  // declared once for all of them
  EXPECT_FALSE(verdict("<p:b/><p:b/><p:b/>"));
}

TEST(StreamParser, NamesEveryFault) {
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\n"), "not_well_formed");
  EXPECT_EQ(fault_of("\xEF\xBB\xBF<stream:stream>"), "not_well_formed");  // RFC 6120 11.6: no byte order mark
  EXPECT_EQ(fault_of("<?xml version='1.0' encoding='UTF-8'?><a>"),
            fault_of("<?xml version='1.0' encoding='utf-8'?><a>"));
  EXPECT_EQ(fault_of("<?xml version='1.0' encoding='ISO-8859-1'?><a>"), "unsupported_encoding");
  EXPECT_EQ(fault_of("<?xml version='1.0' encoding='UTF-16'?><a>"), "unsupported_encoding");
  EXPECT_EQ(fault_of("<?xml version='1.0'?><?xml version='1.0'?><a>"), "restricted_xml");
  EXPECT_EQ(fault_of("<?target x?><a>"), "restricted_xml");
  EXPECT_EQ(fault_of("<!DOCTYPE a><a>"), "restricted_xml");
  EXPECT_EQ(fault_of("<!-- x --><a>"), "restricted_xml");
  EXPECT_EQ(fault_of("</a>"), "not_well_formed");
  EXPECT_EQ(fault_of("<s:s xmlns:t='u'>"), "bad_namespace_prefix");
  EXPECT_EQ(fault_of("<s t:a='' xmlns:u='u'>"), "bad_namespace_prefix");

  EXPECT_EQ(fault_in_stream("<a><!-- x --></a>"), "restricted_xml");
  EXPECT_EQ(fault_in_stream("<a><!DOCTYPE x></a>"), "restricted_xml");
  EXPECT_EQ(fault_in_stream("<a>&unknown;</a>"), "restricted_xml");
  EXPECT_EQ(fault_in_stream("<a b='&unknown;'/>"), "restricted_xml");
  EXPECT_EQ(fault_in_stream("<a/>x<a/>"), "bad_format");
  EXPECT_EQ(fault_in_stream("<![CDATA[x]]>"), "bad_format");
  EXPECT_EQ(fault_in_stream("<x:a/>"), "bad_namespace_prefix");
  EXPECT_EQ(fault_in_stream("<a x:b=''/>"), "bad_namespace_prefix");
  EXPECT_EQ(fault_in_stream("<a><b xmlns:x='u'/><x:c/></a>"), "bad_namespace_prefix");
  EXPECT_EQ(fault_in_stream("<a></b>"), "not_well_formed");
  EXPECT_EQ(fault_in_stream("<a>\xFF</a>"), "not_well_formed");
  EXPECT_EQ(fault_in_stream("<a>\xED\xA0\x80</a>"), "not_well_formed");  // a surrogate
  EXPECT_EQ(fault_in_stream("<a>&#0;</a>"), "not_well_formed");
  EXPECT_EQ(fault_in_stream("<a>\x02</a>"), "not_well_formed");
}

TEST(StreamParser, KeepsTheRulesOfNamespaces) {
  for (std::string_view bad :
       {"<a xmlns:x=''/>", "<a xmlns:xml='u'/>", "<a xmlns:xmlns='u'/>",
        "<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>", "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns:='u'/>", "<a :b=''/>", "<a: />", "<a xmlns:x='u' x:1b=''/>", "<x:1b xmlns:x='u'/>",
        "<x:\xC2\xB7 xmlns:x='u'/>", "<a xmlns:x='u' xmlns:y='u' x:b='' y:b=''/>", "<xmlns:a/>"}) {
    std::string fault = fault_in_stream(bad);
    EXPECT_TRUE(fault == "not_well_formed" || (bad == "<xmlns:a/>" && fault == "bad_namespace_prefix"))
        << bad << " " << fault;
  }
  EXPECT_THAT(after_header("<x:\xC3\xA4 xmlns:x='u' xml:lang='en'/>"),
              ElementsAre(HasSubstr("(u|\xC3\xA4 ")));
  EXPECT_THAT(after_header("<a xmlns='u'><b xmlns=''/></a>"), ElementsAre(HasSubstr("(|b ")));
}

TEST(StreamParser, AppliesLimitsBeforeAnElementIsComplete) {
  const Limits limits{.element_bytes = 220};
  for (std::string_view endless : {"<a>", "<a b='", "<a b", "<a b='' ", "<a><![CDATA[", "<a>&#", "<"}) {
    EXPECT_EQ(fault_in_stream(std::string(endless) + std::string(250, '0'), limits),
              endless == "<" || endless == "<a b='' " ? "not_well_formed" : "too_big")
        << endless;
  }
  EXPECT_EQ(fault_of("<stream:stream a='" + std::string(300, 'x'), limits), "policy_violation");
  const std::string fits = "<a>" + std::string(213, 'x') + "</a>";
  EXPECT_EQ(after_header(fits + fits, limits).size(), 2U);
  EXPECT_EQ(fault_in_stream("<a>" + std::string(214, 'x') + "</a>", limits), "too_big");
}

TEST(StreamParser, CountsDepthAttributesAndChildren) {
  const Limits limits{.depth = 3, .attributes = 2, .children = 3};
  StreamParser parser;
  parser.set_limits(limits);
  std::string_view input = kHeader;
  ASSERT_TRUE(std::holds_alternative<ParseError>(
      [&] { return StreamParser(limits).next(input); }()));  // seven attributes
  auto fault = [&](std::string_view text) {
    parser.reset();
    parser.set_limits({});
    input = kHeader;
    parser.next(input);
    parser.set_limits(limits);
    ParseEvent event = parser.next(text);
    return std::holds_alternative<ParseError>(event) ? std::get<ParseError>(event).message : std::string();
  };
  EXPECT_EQ(fault("<a><b><c/></b></a>"), "");
  EXPECT_EQ(fault("<a><b><c><d/></c></b></a>"), "elements are nested deeper than 3");
  EXPECT_EQ(fault("<a b='' c=''/>"), "");
  EXPECT_EQ(fault("<a b='' c='' d=''/>"), "an element has more than 2 attributes");
  EXPECT_EQ(fault("<a xmlns:x='u' xmlns='v' d=''/>"), "an element has more than 2 attributes");
  EXPECT_EQ(fault("<a><b/><b/><b/></a>"), "");
  EXPECT_EQ(fault("<a><b/><b><b/></b><b/></a>"), "more than 3 elements in one");
}

TEST(StreamParser, ManyPrefixesInScopeAreRefused) {
  std::string text;
  for (int depth = 0; depth < 5; ++depth) {
    text += "<a";
    for (int i = 0; i < 60; ++i) text += fmt::format(" xmlns:p{}x{}='u'", depth, i);
    text += ">";
  }
  EXPECT_EQ(fault_in_stream(text), "policy_violation");
}

TEST(StreamParser, LongNamespacesAreRefused) {
  const std::string longest(512, 'u');
  document(fmt::format("<a xmlns:x='{0}'><b xmlns='{0}'/></a>", longest));
  EXPECT_EQ(fault_in_stream(fmt::format("<a xmlns:x='{}u'/>", longest)), "policy_violation");
  EXPECT_EQ(fault_in_stream(fmt::format("<a><b xmlns='{}u'/></a>", longest)), "policy_violation");
  EXPECT_EQ(fault_of(fmt::format("<s xmlns:x='{}u'>", longest)), "policy_violation");
  EXPECT_EQ(fault_of(fmt::format("<s xmlns='{}u'>", longest)), "policy_violation");
}

TEST(StreamParser, AnIdleStreamHoldsNoParser) {
  StreamParser parser;
  std::string_view input = kHeader;
  parser.next(input);
  const std::size_t idle = parser.memory_bytes();
  EXPECT_LE(idle, 150U);
  EXPECT_TRUE(parser.between_stanzas());
  input = "<message><bo";
  parser.next(input);
  EXPECT_FALSE(parser.between_stanzas());
  EXPECT_GT(parser.memory_bytes(), 10000U);
  input = "dy/></message> ";
  EXPECT_TRUE(std::holds_alternative<Document>(parser.next(input)));
  EXPECT_EQ(parser.memory_bytes(), idle);
  EXPECT_TRUE(parser.between_stanzas());
  input = " <";
  parser.next(input);
  EXPECT_FALSE(parser.between_stanzas());
  EXPECT_EQ(parser.memory_bytes(), idle);
}

TEST(StreamParser, StreamsInterleaveOnOneThread) {
  std::vector<StreamParser> parsers;
  for (int i = 0; i < 20; ++i) {
    parsers.emplace_back();
    std::string header = fmt::format("<s{0}:stream xmlns='jabber:client' xmlns:s{0}='u:{0}'>", i);
    std::string_view input = header;
    ASSERT_TRUE(std::holds_alternative<StreamHeader>(parsers.back().next(input)));
  }
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      std::string start = fmt::format("<s{0}:a><b{0}>{0}", i);
      std::string_view input = start;
      ASSERT_TRUE(std::holds_alternative<NeedMore>(parsers[i].next(input)));
    }
    for (int i = 0; i < 20; ++i) {
      std::string rest = fmt::format("</b{0}></s{0}:a>", i);
      std::string_view input = rest;
      ParseEvent event = parsers[i].next(input);
      EXPECT_THAT(show(event),
                  HasSubstr(fmt::format(
                      "(u:{0}|a \"\" <<s{0}:a><b{0}>{0}</b{0}></s{0}:a>>(jabber:client|b{0} \"{0}\"", i)));
    }
  }
  for (int i = 0; i < 20; ++i) {
    std::string end = fmt::format("</s{}:stream>", i);
    std::string_view input = end;
    EXPECT_TRUE(std::holds_alternative<StreamClosed>(parsers[i].next(input)));
  }
}

TEST(StreamParser, MovesBetweenThreadsInTheMiddleOfAStanza) {
  StreamParser parser;
  std::string_view input = kHeader;
  parser.next(input);
  input = "<message><body>first";
  parser.next(input);
  std::string seen;
  std::thread([moved = std::move(parser), &seen]() mutable {
    std::string_view rest = " second</body></message><presence/>";
    seen = show(moved.next(rest));
    seen += show(moved.next(rest));
  }).join();
  EXPECT_THAT(seen, HasSubstr("|body \"first second\""));
  EXPECT_THAT(seen, HasSubstr("|presence "));
}

TEST(StreamParser, ADocumentOutlivesItsStream) {
  ParseEvent event;
  {
    StreamParser parser;
    std::string text = "<x:stream xmlns='urn:some:default' xmlns:x='urn:some:prefix'><x:a><b x:c='d'/></x:a>";
    std::string_view input = text;
    parser.next(input);
    event = parser.next(input);
  }
  EXPECT_EQ(show(event),
            "(urn:some:prefix|a \"\" <<x:a><b x:c='d'/></x:a>>(urn:some:default|b urn:some:prefix|c=[d] \"\" "
            "<<b x:c='d'/>>)) bound");
}

TEST(StreamParser, ReadsMoreThanAParserMayKeep) {
  StreamParser parser;
  std::string_view input = kHeader;
  parser.next(input);
  const std::string stanza = "<message><body>" + std::string(200000, 'x') + "</body></message>";
  for (int i = 0; i < 20; ++i) {
    input = stanza;
    ParseEvent event = parser.next(input);
    ASSERT_TRUE(std::holds_alternative<Document>(event));
    EXPECT_EQ(std::get<Document>(event).root().first_child()->text().size(), 200000U);
  }
}

TEST(StreamParser, MixedContentIsJoinedInLinearMemory) {
  std::string stanza = "<message>";
  for (int i = 0; i < 9999; ++i) stanza += "x<b/>&amp;";
  stanza += "</message>";
  Document parsed = document(stanza);
  EXPECT_EQ(parsed.root().text().size(), 2U * 9999);
  EXPECT_LT(parsed.memory_bytes(), 4'000'000U);
}

TEST(Document, ATypicalStanzaIsOneAllocation) {
  const std::string_view stanza =
      "<message from='juliet@example.com/balcony' id='ktx72v49' to='romeo@example.net' type='chat' "
      "xml:lang='en'>"
      "<body>Art thou not Romeo, and a Montague?</body><active "
      "xmlns='http://jabber.org/protocol/chatstates'/>"
      "<request xmlns='urn:xmpp:receipts'/></message>";
  // The bytes, four elements, seven attributes and the arena itself; a second block would add a thousand.
  EXPECT_LT(document(stanza).memory_bytes(),
            stanza.size() + 4 * sizeof(Element) + 7 * sizeof(Attribute) + 150);
}

TEST(Document, ByteRangesAreExact) {
  Document parsed = document("<message  a = 'b' ><x><y/> t </x>&lt;<z></z ></message >");
  const Element& root = parsed.root();
  EXPECT_EQ(root.bytes(), "<message  a = 'b' ><x><y/> t </x>&lt;<z></z ></message >");
  EXPECT_EQ(root.inner_bytes(), "<x><y/> t </x>&lt;<z></z >");
  EXPECT_EQ(root.first_child()->bytes(), "<x><y/> t </x>");
  EXPECT_EQ(root.first_child()->inner_bytes(), "<y/> t ");
  EXPECT_EQ(root.first_child()->first_child()->bytes(), "<y/>");
  EXPECT_EQ(root.first_child()->first_child()->inner_bytes(), "");
  EXPECT_EQ(root.first_child()->next_sibling()->bytes(), "<z></z >");
  EXPECT_EQ(root.text(), "<");
}

TEST(Document, KnowsWhetherItsContentDependsOnTheStream) {
  auto bound = [](std::string_view text) { return !document(text).self_contained(); };
  EXPECT_FALSE(bound("<message><body>x</body></message>"));
  EXPECT_FALSE(bound("<message xmlns='jabber:client'><body xml:lang='en'>x</body></message>"));
  EXPECT_FALSE(bound("<message><p:x xmlns:p='u' p:a=''/><y xmlns='v'><z/></y></message>"));
  EXPECT_FALSE(bound(
      "<stream:features><a xmlns='u'/></stream:features>"));      // the prefix is on the outermost tag alone
  EXPECT_FALSE(bound("<message xmlns:p='u'><body/></message>"));  // declared, not used
  EXPECT_TRUE(bound("<message xmlns:p='u'><p:x/></message>"));
  EXPECT_TRUE(bound("<message xmlns:p='u'><x p:a=''/></message>"));
  EXPECT_TRUE(bound("<message><stream:x/></message>"));
  EXPECT_TRUE(bound("<message xmlns='u'><x/></message>"));
  EXPECT_FALSE(bound("<message xmlns='u'><x xmlns='v'/></message>"));
  EXPECT_TRUE(bound("<message><x xmlns='v'><stream:y/></x></message>"));
  // Content of one kind of stream in a root of another, or of none, would change its namespace.
  EXPECT_TRUE(bound("<stream:x xmlns='jabber:server'><y/></stream:x>"));
  EXPECT_FALSE(bound("<message xmlns='jabber:server'><body/></message>"));
}

TEST(Element, FindsAttributesAndChildren) {
  Document parsed =
      document("<message id='1' xml:lang='en' xmlns:p='u' p:id='2'><a xmlns='v'/><b/><b c=''/></message>");
  const Element& root = parsed.root();
  EXPECT_EQ(root.attribute("id"), "1");
  EXPECT_EQ(root.attribute("id", "u"), "2");
  EXPECT_EQ(root.attribute("lang"), std::nullopt);
  EXPECT_EQ(root.attribute("xmlns"), std::nullopt);
  EXPECT_EQ(root.lang(), "en");
  EXPECT_EQ(root.child("a", ns::client), nullptr);
  EXPECT_EQ(root.child("a", "v"), root.child_in("v"));
  EXPECT_EQ(root.child("b", ns::client)->bytes(), "<b/>");
  EXPECT_EQ(std::ranges::distance(root.children().begin(), root.children().end()), 3);
}

TEST(Parse, TakesOneElement) {
  Result<Document> parsed = parse(" <a xmlns='u'><p:b xmlns:p='v'/></a>\n");
  ASSERT_TRUE(parsed.has_value());
  EXPECT_TRUE(parsed->root().is("a", "u"));
  EXPECT_TRUE(parse("<a/>")->root().is("a", ""));
  EXPECT_TRUE(parse_fragment("<a><b/></a>", ns::client)->root().first_child()->is("b", ns::client));
  EXPECT_TRUE(parse_fragment("<a/>", "urn:other")->root().is("a", "urn:other"));
}

TEST(Parse, RefusesEverythingElse) {
  for (std::string_view bad :
       {"", " ", "x", "<a>", "<a/><b/>", "<a/>x", "</a>", "<!-- x --><a/>", "<a></b>", "<p:a/>", "<"}) {
    Result<Document> parsed = parse(bad);
    ASSERT_FALSE(parsed.has_value()) << bad;
    EXPECT_EQ(parsed.error().code, Errc::invalid);
  }
  EXPECT_EQ(parse("<a>xxxxxxxx</a>", {.element_bytes = 10}).error().code, Errc::limit);
  EXPECT_EQ(parse("<a><b/></a>", {.depth = 1}).error().code, Errc::limit);
}

}  // namespace
}  // namespace starling::xml
