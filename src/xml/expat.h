#pragma once
// Internal to the xml room: what both users of expat (headers, elements) need. expat runs without its
// namespace mode: its parsers then know nothing of any stream and can be shared by all, and names keep the
// prefix as written.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <expat.h>

#include "xml/parser.h"

namespace starling::xml {

struct FreeParser {
  void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};
using ParserPtr = std::unique_ptr<XML_ParserStruct, FreeParser>;

ParserPtr new_parser();
bool feed(XML_Parser parser,
          std::string_view bytes);  // false: see describe(), or the handler that stopped it
ParseError describe(XML_Parser parser);

// A name as written, in its two parts.
struct Name {
  std::string_view prefix, local;
};
// Nothing when it is no QName (Namespaces in XML 1.0, section 4).
std::optional<Name> split_name(std::string_view written);

// The prefix that an attribute declares (empty for xmlns itself), or nothing if it is no declaration.
std::optional<std::string_view> declared_prefix(const Name& attribute);
// What is wrong with such a declaration, or empty (Namespaces in XML 1.0, sections 2.2, 3 and 5).
std::string_view declaration_fault(std::string_view prefix, std::string_view uri);

}  // namespace starling::xml
