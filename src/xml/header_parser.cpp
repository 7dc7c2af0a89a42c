#include "xml/header_parser.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "xml/namespaces.h"

namespace starling::xml {
namespace {

bool is_utf8(std::string_view encoding) {
  return std::ranges::equal(encoding, std::string_view("utf-8"),
                            [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

}  // namespace

HeaderParser::HeaderParser(const Limits& limits) : parser_(new_parser()), max_attributes_(limits.attributes) {
  XML_SetUserData(parser_.get(), this);
  XML_SetStartElementHandler(parser_.get(), on_start);
  XML_SetXmlDeclHandler(parser_.get(), on_declaration);
  XML_SetProcessingInstructionHandler(parser_.get(), on_instruction);
}

void HeaderParser::on_start(void* self, const XML_Char* name, const XML_Char** attributes) {
  static_cast<HeaderParser*>(self)->start(name, attributes);
}
void HeaderParser::on_declaration(void* self, const XML_Char* /*version*/, const XML_Char* encoding,
                                  int /*standalone*/) {
  if (encoding == nullptr || is_utf8(encoding)) return;
  static_cast<HeaderParser*>(self)->fail(ParseFault::unsupported_encoding, "the encoding is not UTF-8");
}
void HeaderParser::on_instruction(void* self, const XML_Char* /*target*/, const XML_Char* /*data*/) {
  static_cast<HeaderParser*>(self)->fail(ParseFault::restricted_xml, "a processing instruction");
}

bool HeaderParser::fail(ParseFault fault, std::string message) {
  fault_ = {fault, std::move(message)};
  XML_StopParser(parser_.get(), XML_FALSE);
  return false;
}

void HeaderParser::start(std::string_view written, const XML_Char** attributes) {
  if (fault_) return;
  const std::optional<Name> name = split_name(written);
  if (!name) {
    fail(ParseFault::not_well_formed, "the header's name is not a qualified name");
    return;
  }
  std::vector<std::pair<Name, std::string_view>> others;
  std::size_t count = 0;
  for (; *attributes != nullptr; attributes += 2) {
    if (++count > max_attributes_) {
      fail(ParseFault::policy_violation,
           fmt::format("an element has more than {} attributes", max_attributes_));
      return;
    }
    const std::optional<Name> attribute = split_name(attributes[0]);
    if (!attribute) {
      fail(ParseFault::not_well_formed, "an attribute's name is not a qualified name");
      return;
    }
    if (const std::optional<std::string_view> prefix = declared_prefix(*attribute)) {
      if (!declare(*prefix, attributes[1])) return;
    } else {
      others.emplace_back(*attribute, attributes[1]);
    }
  }
  for (const auto& [attribute_name, value] : others) {
    if (!attribute(attribute_name, value)) return;
  }
  const std::optional<std::string_view> ns = name->prefix.empty() ? scope_.default_ns : resolve(name->prefix);
  if (!ns) {
    fail(ParseFault::bad_namespace_prefix, fmt::format("the prefix {} is not declared", name->prefix));
    return;
  }
  header_.name = name->local;
  header_.prefix = name->prefix;
  header_.ns = *ns;
  header_.content_ns = scope_.default_ns;
  root_ = written;
  complete_ = true;
}

bool HeaderParser::declare(std::string_view prefix, std::string_view ns) {
  if (std::string_view what = declaration_fault(prefix, ns); !what.empty()) {
    return fail(ParseFault::not_well_formed, std::string(what));
  }
  if (ns.size() > kMaxNamespaceBytes)
    return fail(ParseFault::policy_violation,
                fmt::format("a namespace is longer than {} bytes", kMaxNamespaceBytes));
  if (prefix.empty()) {
    scope_.default_ns = ns;
  } else {
    scope_.prefixes.emplace_back(prefix, ns);
  }
  return true;
}

bool HeaderParser::attribute(const Name& name, std::string_view value) {
  if (!name.prefix.empty()) {
    const std::optional<std::string_view> ns = resolve(name.prefix);
    if (!ns)
      return fail(ParseFault::bad_namespace_prefix,
                  fmt::format("the prefix {} is not declared", name.prefix));
    if (*ns == ns::xml && name.local == "lang") header_.lang = value;
    return true;
  }
  constexpr std::array<std::pair<std::string_view, std::string StreamHeader::*>, 4> kKnown = {
      {{"to", &StreamHeader::to},
       {"from", &StreamHeader::from},
       {"id", &StreamHeader::id},
       {"version", &StreamHeader::version}}};
  for (const auto& [known, member] : kKnown) {
    if (name.local == known) header_.*member = value;
  }
  return true;
}

std::optional<std::string_view> HeaderParser::resolve(std::string_view prefix) const {
  if (prefix == "xml") return ns::xml;
  for (const auto& [declared, ns] : scope_.prefixes) {
    if (declared == prefix) return ns;
  }
  return std::nullopt;
}

}  // namespace starling::xml
