#include "xml/expat.h"

#include <new>

#include <fmt/format.h>

#include "xml/namespaces.h"

namespace starling::xml {
namespace {

constexpr std::string_view kXmlnsNamespace = "http://www.w3.org/2000/xmlns/";
// expat copies what it is fed and keeps the buffer: slices keep that small.
constexpr std::size_t kSlice = 16384;

// Newer versions wait for more bytes before they look at an unfinished token again; Debian's 2.5.0 has it as
// a security fix. We bound the size of tokens ourselves, and a peer waits for our answer to the very last
// byte.
template <class P>
void parse_at_once(P parser) {
  if constexpr (requires { XML_SetReparseDeferralEnabled(parser, XML_FALSE); }) {
    XML_SetReparseDeferralEnabled(parser, XML_FALSE);
  }
}

// May a name begin with this character? Names have colons for expat, so it has not looked.
bool starts_name(std::string_view local) {
  auto first = static_cast<unsigned char>(local[0]);
  if (first < 0x80) return (first | 0x20) >= 'a' ? (first | 0x20) <= 'z' || first == '_' : false;
  std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  std::string probe = fmt::format("<{}/>", local.substr(0, size));
  ParserPtr parser = new_parser();
  return XML_Parse(parser.get(), probe.data(), static_cast<int>(probe.size()), XML_TRUE) == XML_STATUS_OK;
}

}  // namespace

ParserPtr new_parser() {
  ParserPtr parser(XML_ParserCreate("UTF-8"));
  if (!parser) throw std::bad_alloc();
  parse_at_once(parser.get());
  return parser;
}

bool feed(XML_Parser parser, std::string_view bytes) {
  while (!bytes.empty()) {
    std::string_view slice = bytes.substr(0, kSlice);
    if (XML_Parse(parser, slice.data(), static_cast<int>(slice.size()), XML_FALSE) != XML_STATUS_OK) {
      if (XML_GetErrorCode(parser) == XML_ERROR_NO_MEMORY) throw std::bad_alloc();
      return false;
    }
    bytes.remove_prefix(slice.size());
  }
  return true;
}

ParseError describe(XML_Parser parser) {
  XML_Error code = XML_GetErrorCode(parser);
  ParseFault fault = ParseFault::not_well_formed;
  if (code == XML_ERROR_UNDEFINED_ENTITY) fault = ParseFault::restricted_xml;  // RFC 6120 11.1
  if (code == XML_ERROR_UNKNOWN_ENCODING || code == XML_ERROR_INCORRECT_ENCODING)
    fault = ParseFault::unsupported_encoding;
  return {fault, XML_ErrorString(code)};
}

std::optional<Name> split_name(std::string_view written) {
  std::size_t colon = written.find(':');
  if (colon == std::string_view::npos) return Name{{}, written};
  Name name{written.substr(0, colon), written.substr(colon + 1)};
  if (name.prefix.empty() || name.local.empty() || name.local.contains(':') || !starts_name(name.local))
    return std::nullopt;
  return name;
}

std::optional<std::string_view> declared_prefix(const Name& attribute) {
  if (attribute.prefix == "xmlns") return attribute.local;
  if (attribute.prefix.empty() && attribute.local == "xmlns") return std::string_view();
  return std::nullopt;
}

std::string_view declaration_fault(std::string_view prefix, std::string_view uri) {
  if (prefix == "xmlns") return "the prefix xmlns is declared";
  if ((prefix == "xml") != (uri == ns::xml)) return "the prefix xml and its namespace belong to each other";
  if (uri == kXmlnsNamespace) return "the namespace of xmlns is declared";
  if (!prefix.empty() && uri.empty()) return "a prefix is declared with an empty namespace";
  return {};
}

}  // namespace starling::xml
