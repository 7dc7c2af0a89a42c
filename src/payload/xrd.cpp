#include "payload/xrd.h"

#include "xml/parser.h"

namespace starling::payload {
namespace {

constexpr std::string_view kNamespace = "http://docs.oasis-open.org/ns/xri/xrd-1.0";

void skip_past(std::string_view& text, std::string_view end) {
  const auto at = text.find(end);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + end.size());
}

// Streams have no comments, so the parser refuses them. Outside of CDATA, which has no place here, "<!--"
// cannot be anything else.
std::string without_comments(std::string_view text) {
  static constexpr std::string_view kBegin = "<!--";
  std::string out;
  while (!text.empty()) {
    const auto comment = text.find(kBegin);
    out += text.substr(0, comment);
    if (comment == std::string_view::npos) break;
    text.remove_prefix(comment + kBegin.size());
    skip_past(text, "-->");
  }
  return out;
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> read_xrd(std::string_view text) {
  static constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.starts_with("<?xml ")) skip_past(text, "?>");
  const auto document = xml::parse(without_comments(text));
  if (!document) return std::unexpected(document.error());
  const xml::Element& root = document->root();
  if (!root.is("XRD", kNamespace)) return fail(Errc::invalid, "host-meta is no XRD document");
  std::vector<std::pair<std::string, std::string>> links;
  for (const xml::Element& link : root.children()) {
    const auto relation = link.attribute("rel");
    const auto url = link.attribute("href");
    if (link.is("Link", kNamespace) && relation && url) links.emplace_back(*relation, *url);
  }
  return links;
}

}  // namespace starling::payload
