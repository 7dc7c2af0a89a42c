#pragma once
// Internal to the xml room: the start of a stream, that is an XML declaration, if any, and one start tag.
// Streams have three of these in their life, so each has an expat parser of its own.
#include <cstddef>
#include <optional>
#include <string_view>

#include "xml/expat.h"
#include "xml/tree_builder.h"

namespace starling::xml {

class HeaderParser {
 public:
  explicit HeaderParser(const Limits& limits);
  HeaderParser(const HeaderParser&) = delete;
  HeaderParser& operator=(const HeaderParser&) = delete;

  [[nodiscard]] bool feed(std::string_view bytes) { return xml::feed(parser_.get(), bytes) && !fault_; }
  [[nodiscard]] ParseError error() const { return fault_ ? *fault_ : describe(parser_.get()); }
  // After the start tag's last byte.
  [[nodiscard]] bool complete() const { return complete_; }
  StreamHeader take_header() { return std::move(header_); }
  Scope take_scope() { return std::move(scope_); }
  [[nodiscard]] const std::string& root() const { return root_; }  // the tag's name as written

 private:
  static void on_start(void* self, const XML_Char* name, const XML_Char** attributes);
  static void on_declaration(void* self, const XML_Char* version, const XML_Char* encoding, int standalone);
  static void on_instruction(void* self, const XML_Char* target, const XML_Char* data);
  void start(std::string_view written, const XML_Char** attributes);
  bool declare(std::string_view prefix, std::string_view ns);
  bool attribute(const Name& name, std::string_view value);
  [[nodiscard]] std::optional<std::string_view> resolve(std::string_view prefix) const;
  bool fail(ParseFault fault, std::string message);

  ParserPtr parser_;
  std::size_t max_attributes_;
  bool complete_ = false;
  StreamHeader header_;
  Scope scope_;
  std::string root_;
  std::optional<ParseError> fault_;
};

}  // namespace starling::xml
