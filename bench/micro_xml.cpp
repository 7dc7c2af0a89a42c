// What a typical chat message costs from bytes to tree, to stanza, and to bytes again.
#include <benchmark/benchmark.h>

#include "stanza/stanza.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling {
namespace {

constexpr std::string_view kHeader =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' "
    "version='1.0'>";
// 266 bytes.
constexpr std::string_view kChat =
    "<message to='romeo@example.net' id='ktx72v49-5cd8-4c3f' type='chat' xml:lang='en'>"
    "<body>Art thou not Romeo, and a Montague? Neither, fair saint.</body>"
    "<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>"
    "<thread>e0ffe42b28561960c6</thread></message>";

xml::StreamParser stream() {
  xml::StreamParser parser;
  std::string_view header = kHeader;
  parser.next(header);
  return parser;
}

xml::Document chat(xml::StreamParser& parser) {
  std::string_view input = kChat;
  return std::move(std::get<xml::Document>(parser.next(input)));
}

void xml_parse_chat(benchmark::State& state) {
  xml::StreamParser parser = stream();
  for (auto _ : state) benchmark::DoNotOptimize(chat(parser));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kChat.size()));
}
BENCHMARK(xml_parse_chat);

void xml_parse_chat_in_two_pieces(benchmark::State& state) {
  xml::StreamParser parser = stream();
  for (auto _ : state) {
    std::string_view first = kChat.substr(0, kChat.size() / 2);
    std::string_view second = kChat.substr(kChat.size() / 2);
    parser.next(first);
    benchmark::DoNotOptimize(parser.next(second));
  }
}
BENCHMARK(xml_parse_chat_in_two_pieces);

void xml_parse_header(benchmark::State& state) {
  xml::StreamParser parser;
  for (auto _ : state) {
    parser.reset();
    std::string_view input = kHeader;
    benchmark::DoNotOptimize(parser.next(input));
  }
}
BENCHMARK(xml_parse_header);

void xml_parse_large(benchmark::State& state) {
  std::string text = "<iq type='result' id='1'><query xmlns='jabber:iq:roster'>";
  for (int i = 0; i < 1000; ++i) {
    text +=
        "<item jid='somebody@example.com' name='Some Body' subscription='both'><group>Friends &amp; "
        "more</group></item>";
  }
  text += "</query></iq>";
  xml::StreamParser parser = stream();
  for (auto _ : state) {
    std::string_view input = text;
    benchmark::DoNotOptimize(parser.next(input));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(xml_parse_large);

void stanza_from(benchmark::State& state) {
  xml::StreamParser parser = stream();
  for (auto _ : state) benchmark::DoNotOptimize(Stanza::from(chat(parser)));
  state.SetLabel("with the parsing");
}
BENCHMARK(stanza_from);

void stanza_write(benchmark::State& state) {
  xml::StreamParser parser = stream();
  Stanza stanza = *Stanza::from(chat(parser));
  stanza.set_from(*Jid::parse("juliet@example.com/balcony"));
  const Jid to = *Jid::parse("romeo@example.net/orchard");
  std::string out;
  for (auto _ : state) {
    out.clear();
    stanza.write(out, to);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(stanza_write);

void stanza_make(benchmark::State& state) {
  const Jid from = *Jid::parse("juliet@example.com/balcony");
  const Jid to = *Jid::parse("romeo@example.net/orchard");
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        Stanza::make(Kind::iq, Type::result, from, to, "a1b2", "<ping xmlns='urn:xmpp:ping'/>"));
  }
}
BENCHMARK(stanza_make);

}  // namespace
}  // namespace starling
