// The stream parser: the same bytes must give the same events however they are cut, byte ranges must lie
// where they should, and what the writer copies must read back as the same tree. The first byte of an input
// says how to cut the rest.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "xml/namespaces.h"
#include "xml/parser.h"
#include "xml/writer.h"

namespace starling::xml {
namespace {

constexpr std::string_view kHeader =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='urn:p'>";
constexpr Limits kLimits{.element_bytes = 4096, .depth = 20, .attributes = 12, .children = 200};

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

bool inside(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// Everything that an element says but its bytes.
void dump(std::string& out, const Element& element) {
  fmt::format_to(std::back_inserter(out), "({}|{}", element.ns(), element.name());
  for (const Attribute* at = element.first_attribute(); at != nullptr; at = at->next) {
    fmt::format_to(std::back_inserter(out), " {}|{}=[{}]", at->ns, at->name, at->value);
  }
  fmt::format_to(std::back_inserter(out), " \"{}\"", element.text());
  for (const Element& child : element.children()) dump(out, child);
  out += ')';
}

void check_ranges(const Element& element) {
  check(element.bytes().starts_with('<') && element.bytes().ends_with('>'),
        "an element's bytes are not its tags");
  check(inside(element.inner_bytes(), element.bytes()), "content lies outside its element");
  const char* after = element.inner_bytes().data();
  for (const Element& child : element.children()) {
    check(inside(child.bytes(), element.inner_bytes()), "a child lies outside its parent");
    check(child.bytes().data() >= after, "children overlap");
    after = child.bytes().data() + child.bytes().size();
    check_ranges(child);
  }
}

void check_copy(const Document& document, const std::string& tree) {
  std::string copy;
  Writer(copy, ns::client).copy(document.root());
  Result<Document> again = parse_fragment(copy, ns::client, {1 << 20, 100, 100, 10000});
  check(again.has_value(), "a copy does not parse");
  std::string tree_of_copy;
  dump(tree_of_copy, again->root());
  check(tree == tree_of_copy, "a copy is another tree");
  if (!document.self_contained()) return;
  // Then the content is as good under a start tag that declares nothing but the content namespace.
  const std::string_view ns = document.root().ns() == ns::server ? ns::server : ns::client;
  std::string moved = fmt::format("<m xmlns='{}'>{}</m>", ns, document.root().inner_bytes());
  Result<Document> elsewhere = parse(moved, {1 << 20, 100, 100, 10000});
  check(elsewhere.has_value(), "self-contained content does not parse by itself");
  std::string original;
  std::string there;
  for (const Element& child : document.root().children()) dump(original, child);
  for (const Element& child : elsewhere->root().children()) dump(there, child);
  check(original == there, "self-contained content means something else elsewhere");
}

std::string events(std::string_view text, unsigned cut) {
  StreamParser parser(kLimits);
  std::string seen;
  unsigned random = cut;
  while (!text.empty()) {
    random = random * 1103515245 + 12345;
    const std::size_t size = cut == 0 ? text.size() : cut < 128 ? cut : 1 + (random >> 16) % 17;
    const std::string piece(text.substr(0, size));
    text.remove_prefix(piece.size());
    std::string_view input = piece;
    while (true) {
      ParseEvent event = parser.next(input);
      if (std::holds_alternative<NeedMore>(event)) {
        check(input.empty(), "more is wanted, but not all was taken");
        break;
      }
      if (const auto* header = std::get_if<StreamHeader>(&event)) {
        seen += fmt::format("header {} {} {} {} {}\n", header->name, header->ns, header->content_ns,
                            header->to, header->lang);
      } else if (const auto* document = std::get_if<Document>(&event)) {
        std::string tree;
        dump(tree, document->root());
        check(document->root().bytes().size() <= kLimits.element_bytes, "an element is too long");
        check_ranges(document->root());
        if (cut == 0) check_copy(*document, tree);
        seen += tree;
        seen += document->root().bytes();
        seen += document->self_contained() ? "\n" : " bound\n";
      } else if (const auto* error = std::get_if<ParseError>(&event)) {
        return seen + fmt::format("error {} {}\n", static_cast<int>(error->fault), error->message);
      } else {
        return seen + "closed\n";
      }
    }
  }
  return seen;
}

}  // namespace
}  // namespace starling::xml

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // An odd first byte leaves the header to the input.
  const unsigned how = data[0];
  std::string text((how & 1) != 0 ? std::string_view() : starling::xml::kHeader);
  text.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = starling::xml::events(text, 0);
  starling::xml::check(whole == starling::xml::events(text, 1), "fed byte by byte, it is something else");
  starling::xml::check(whole == starling::xml::events(text, how < 2 ? 2 : how),
                       "fed in pieces, it is something else");
  return 0;
}
