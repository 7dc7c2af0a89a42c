#include "xml/parser.h"

#include <algorithm>

#include <fmt/format.h>

#include "xml/header_parser.h"
#include "xml/namespaces.h"
#include "xml/scanner.h"
#include "xml/tree_builder.h"

namespace starling::xml {
namespace {

constexpr std::size_t kExpatBytes = 10650;  // of one expat 2.5 parser, measured

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

void skip_space(std::string_view& input) {
  std::size_t at = 0;
  while (at < input.size() && is_space(input[at])) ++at;
  input.remove_prefix(at);
}

// How nearly every stream begins; such a stream keeps no scope of its own.
const Scope& usual_scope(std::string_view content_ns) {
  static const Scope client{std::string(ns::client), {{"stream", std::string(ns::stream)}}};
  static const Scope server{std::string(ns::server), {{"stream", std::string(ns::stream)}}};
  return content_ns == ns::server ? server : client;
}

bool same(const Scope& a, const Scope& b) { return a.default_ns == b.default_ns && a.prefixes == b.prefixes; }

}  // namespace

// What an idle stream is: no expat parser, no buffer.
struct StreamParser::State {
  enum class Phase : std::uint8_t { header, open, closing, closed, failed };

  explicit State(Limits limits) : limits_(limits) {}
  ~State() { recycle(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ParseEvent next(std::string_view& input);
  ParseEvent header(std::string_view& input);
  ParseEvent element(std::string_view& input);
  ParseEvent closing(std::string_view& input);
  ParseError fail(ParseFault fault, std::string message) { return fail({fault, std::move(message)}); }
  ParseError fail(ParseError error);
  ParseError fail(Verdict verdict);
  void recycle();
  void use_scope(Scope scope);
  void restart();

  Limits limits_;
  Scanner scanner_;
  Phase phase_ = Phase::header;
  ParseFault fault_ = ParseFault::not_well_formed;  // of Phase::failed
  std::size_t seen_ = 0;  // bytes of the header or element under way; of the end tag in closing
  std::unique_ptr<TreeBuilder> builder_;  // while an element is under way
  std::unique_ptr<HeaderParser> header_;  // while a header is
  const Scope* scope_ = &usual_scope(ns::client);
  std::unique_ptr<const Scope> own_scope_;
  std::string root_;  // the name in the header's tag, as written
};

ParseEvent StreamParser::State::next(std::string_view& input) {
  switch (phase_) {
    case Phase::header:
      return header(input);
    case Phase::open:
      return element(input);
    case Phase::closing:
      return closing(input);
    case Phase::closed:
      skip_space(input);
      if (input.empty()) return NeedMore{};
      return fail(ParseFault::bad_format, "data after the end of the stream");
    case Phase::failed:
      break;
  }
  return ParseError{fault_, "the stream has failed before"};
}

ParseEvent StreamParser::State::header(std::string_view& input) {
  if (!header_) {
    skip_space(input);
    if (input.empty()) return NeedMore{};
    header_ = std::make_unique<HeaderParser>(limits_);
    seen_ = 0;
  }
  const std::string_view part =
      input.substr(0, limits_.element_bytes - std::min(seen_, limits_.element_bytes));
  std::size_t taken = 0;
  const Verdict verdict = scanner_.scan_header(part, taken);
  if (!header_->feed(part.substr(0, taken))) return fail(header_->error());
  input.remove_prefix(taken);
  seen_ += taken;
  if (verdict == Verdict::more) {
    if (input.empty()) return NeedMore{};
    return fail(ParseFault::policy_violation,
                fmt::format("the stream header is longer than {} bytes", limits_.element_bytes));
  }
  if (verdict != Verdict::complete) return fail(verdict);
  if (!header_->complete()) return fail(ParseFault::not_well_formed, "no element found");
  root_ = scanner_.self_closed() ? std::string() : header_->root();
  use_scope(header_->take_scope());
  StreamHeader result = header_->take_header();
  header_.reset();
  phase_ = scanner_.self_closed() ? Phase::closing : Phase::open;
  scanner_.restart();
  seen_ = 0;
  return result;
}

ParseEvent StreamParser::State::element(std::string_view& input) {
  if (scanner_.idle()) {
    skip_space(input);
    if (input.empty()) return NeedMore{};
    if (input[0] != '<') return fail(Verdict::outside);
    scanner_.restart();
    seen_ = 0;
  }
  const bool held = !builder_ && seen_ > 0;  // a lone "<", or "<!", of which nothing was made yet
  const std::string_view part =
      input.substr(0, limits_.element_bytes - std::min(seen_, limits_.element_bytes));
  std::size_t taken = 0;
  const Verdict verdict = scanner_.scan(part, taken);
  const std::string_view bytes = part.substr(0, taken);
  const bool too_long = verdict == Verdict::more && input.size() > taken;
  input.remove_prefix(taken);
  seen_ += taken;
  if (verdict == Verdict::closing) {
    phase_ = Phase::closing;
    seen_ = 0;
    return closing(input);
  }
  if (!scanner_.undecided()) {
    if (!builder_) {
      // All of it is at hand, as a rule: then its size is known. Else it is a guess.
      const bool whole = verdict == Verdict::complete;
      builder_ = TreeBuilder::acquire();
      builder_->begin(
          limits_, *scope_, whole ? seen_ : std::max<std::size_t>(2 * seen_, 512),
          TreeBuilder::node_bytes(scanner_.elements(), scanner_.attributes()) + (whole ? 0 : 512));
      if (held && !builder_->feed("<")) return fail(builder_->error());
    }
    if (!builder_->feed(bytes)) return fail(builder_->error());
  }
  if (verdict == Verdict::more) {
    if (!too_long) return NeedMore{};
    return fail(ParseFault::too_big,
                fmt::format("an element is longer than {} bytes", limits_.element_bytes));
  }
  if (verdict != Verdict::complete) return fail(verdict);
  if (!builder_->complete()) return fail(ParseFault::not_well_formed, "no element found");
  Document document = builder_->take();
  recycle();
  scanner_.restart();
  seen_ = 0;
  return document;
}

// The name and the '>' of the end tag; "</" was seen.
ParseEvent StreamParser::State::closing(std::string_view& input) {
  if (root_.empty()) {  // the header closed itself
    phase_ = Phase::closed;
    return StreamClosed{};
  }
  for (; !input.empty(); input.remove_prefix(1)) {
    const char c = input[0];
    if (seen_ < root_.size()) {
      if (c != root_[seen_]) return fail(ParseFault::not_well_formed, "mismatched tag");
      ++seen_;
    } else if (c == '>') {
      input.remove_prefix(1);
      phase_ = Phase::closed;
      return StreamClosed{};
    } else if (!is_space(c)) {
      return fail(ParseFault::not_well_formed, "mismatched tag");
    }
  }
  return NeedMore{};
}

ParseError StreamParser::State::fail(ParseError error) {
  builder_.reset();
  header_.reset();
  phase_ = Phase::failed;
  fault_ = error.fault;
  return error;
}

ParseError StreamParser::State::fail(Verdict verdict) {
  switch (verdict) {
    case Verdict::restricted:
      return fail(ParseFault::restricted_xml, "a comment, processing instruction or DTD");
    case Verdict::outside:
      return fail(ParseFault::bad_format, "character data between the elements of the stream");
    default:
      return fail(ParseFault::not_well_formed, "not well-formed");
  }
}

void StreamParser::State::recycle() {
  if (builder_ && !builder_->busy()) TreeBuilder::release(std::move(builder_));
  builder_.reset();
}

void StreamParser::State::use_scope(Scope scope) {
  scope_ = &usual_scope(scope.default_ns);
  own_scope_.reset();
  if (same(scope, *scope_)) return;
  own_scope_ = std::make_unique<const Scope>(std::move(scope));
  scope_ = own_scope_.get();
}

void StreamParser::State::restart() {
  builder_.reset();
  header_.reset();
  scanner_.restart();
  phase_ = Phase::header;
  seen_ = 0;
}

StreamParser::StreamParser(Limits limits) : state_(std::make_unique<State>(limits)) {}
StreamParser::StreamParser(StreamParser&&) noexcept = default;
StreamParser& StreamParser::operator=(StreamParser&&) noexcept = default;
StreamParser::~StreamParser() = default;

ParseEvent StreamParser::next(std::string_view& input) { return state_->next(input); }
void StreamParser::reset() { state_->restart(); }
void StreamParser::set_limits(Limits limits) { state_->limits_ = limits; }

bool StreamParser::between_stanzas() const {
  return !state_->builder_ && !state_->header_ && state_->scanner_.idle() &&
         state_->phase_ != State::Phase::closing;
}

std::size_t StreamParser::memory_bytes() const {
  std::size_t bytes = sizeof(State);
  if (state_->builder_) bytes += state_->builder_->memory_bytes();
  if (state_->header_) bytes += sizeof(HeaderParser) + kExpatBytes;
  if (state_->own_scope_) {
    bytes += sizeof(Scope) + state_->own_scope_->default_ns.capacity();
    for (const auto& [prefix, ns] : state_->own_scope_->prefixes)
      bytes += 2 * sizeof(std::string) + prefix.size() + ns.size();
  }
  return bytes;
}

namespace {

Result<Document> parse_alone(std::string_view text, const Scope& scope, const Limits& limits) {
  auto failure = [](const ParseError& error) {
    return starling::fail(error.fault == ParseFault::policy_violation || error.fault == ParseFault::too_big
                              ? Errc::limit
                              : Errc::invalid,
                          "XML: " + error.message);
  };
  skip_space(text);
  Scanner scanner;
  std::size_t taken = 0;
  const std::string_view part = text.substr(0, limits.element_bytes);
  const Verdict verdict = text.starts_with('<') ? scanner.scan(part, taken) : Verdict::malformed;
  if (verdict == Verdict::more && text.size() > part.size()) {
    return failure({ParseFault::too_big, fmt::format("longer than {} bytes", limits.element_bytes)});
  }
  if (verdict != Verdict::complete) return failure({ParseFault::not_well_formed, "not one whole element"});
  std::unique_ptr<TreeBuilder> builder = TreeBuilder::acquire();
  builder->begin(limits, scope, taken, TreeBuilder::node_bytes(scanner.elements(), scanner.attributes()));
  if (!builder->feed(text.substr(0, taken))) return failure(builder->error());
  if (!builder->complete()) return failure({ParseFault::not_well_formed, "no element found"});
  Document document = builder->take();
  TreeBuilder::release(std::move(builder));
  text.remove_prefix(taken);
  skip_space(text);
  if (!text.empty()) return failure({ParseFault::not_well_formed, "more than one element"});
  return document;
}

}  // namespace

Result<Document> parse(std::string_view text, Limits limits) { return parse_alone(text, Scope(), limits); }

Result<Document> parse_fragment(std::string_view text, std::string_view default_ns, Limits limits) {
  if (default_ns == ns::client || default_ns == ns::server) {
    static const Scope client{std::string(ns::client), {}};
    static const Scope server{std::string(ns::server), {}};
    return parse_alone(text, default_ns == ns::client ? client : server, limits);
  }
  return parse_alone(text, Scope{std::string(default_ns), {}}, limits);
}

}  // namespace starling::xml
