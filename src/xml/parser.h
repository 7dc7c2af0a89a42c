#pragma once
// The incremental parser of a stream (RFC 6120 section 11: no comments, processing instructions, DTDs or
// entities beyond the five), with its limits applied before anything is buffered. Own thread only, but a
// StreamParser may move between threads while no call is under way. Between two stanzas it holds no expat
// parser: those come from the thread's pool.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "xml/element.h"

namespace starling::xml {

// Trees are walked recursively, so there is a depth that no configuration exceeds.
inline constexpr std::size_t kMaxDepth = 1000;
// The name of one namespace. It is declared anew by Writer::copy() wherever it has to be, so the names in one
// element, each counted as often as it is used, are bounded by Limits::element_bytes as well.
inline constexpr std::size_t kMaxNamespaceBytes = 512;

struct Limits {
  std::size_t element_bytes = 262144;  // one top-level element, tags included
  std::size_t depth = 100;             // of elements below the stream's root; never more than kMaxDepth
  std::size_t attributes = 100;        // of one element, namespace declarations included
  std::size_t children = 10000;        // elements in one top-level element, at any depth
};

// For what was accepted before: stored data, and what we wrote ourselves.
inline constexpr Limits kNoLimits{SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};

// <stream:stream ...> or what the framing has in its place.
struct StreamHeader {
  std::string name, ns, prefix;
  std::string content_ns;  // the default namespace that it declares ("jabber:client", "jabber:server")
  std::string to, from, id, version, lang;
};

enum class ParseFault {
  not_well_formed,       // RFC 6120 4.9.3.13
  restricted_xml,        // 4.9.3.18: comment, processing instruction, DTD, entity
  unsupported_encoding,  // 4.9.3.22: anything but UTF-8 declared
  bad_format,            // 4.9.3.1: character data between stanzas that is no white space
  bad_namespace_prefix,  // 4.9.3.2: an undeclared prefix
  policy_violation,      // 4.9.3.14: a limit; the message says which
  too_big,               // 4.9.3.14: longer than element_bytes (XEP-0205: stanza-too-big)
};

struct NeedMore {};
struct StreamClosed {};  // </stream:stream>
struct ParseError {
  ParseFault fault;
  std::string message;
};
using ParseEvent = std::variant<NeedMore, StreamHeader, Document, StreamClosed, ParseError>;

class StreamParser {
 public:
  explicit StreamParser(Limits limits = {});
  StreamParser(StreamParser&&) noexcept;
  StreamParser& operator=(StreamParser&&) noexcept;
  ~StreamParser();

  // Consumes from the front of `input` up to and including the next event; NeedMore means that all of it was
  // taken. After a ParseError or StreamClosed only reset() helps. White space before the header and between
  // stanzas is skipped (and counted as life). What an event is made of does not depend on how the bytes were
  // cut.
  ParseEvent next(std::string_view& input);

  // A new stream begins (RFC 6120 4.3.3): an XML declaration and a header come next.
  void reset();
  void set_limits(Limits limits);  // holds from the next element on

  [[nodiscard]] bool between_stanzas() const;      // nothing of an element, tag or header is held
  [[nodiscard]] std::size_t memory_bytes() const;  // what it holds now, for the accounting of sessions

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One complete element from storage or a test, with its own namespace declarations.
Result<Document> parse(std::string_view text, Limits limits = {});
// The same under a default namespace declared outside, as a stanza cut from a stream is.
Result<Document> parse_fragment(std::string_view text, std::string_view default_ns, Limits limits = {});

}  // namespace starling::xml
