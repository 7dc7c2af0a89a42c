#include "xml/writer.h"

#include <array>
#include <cstdint>

#include <fmt/format.h>

#include "xml/namespaces.h"

namespace starling::xml {
namespace {

enum : std::uint8_t { kPlain, kBoth, kAttribute };  // which of the two escapes a byte

constexpr std::array<std::uint8_t, 256> kEscaped = [] {
  std::array<std::uint8_t, 256> table{};
  for (int c = 0; c < 0x20; ++c) table[c] = kBoth;
  table['\t'] = table['\n'] = kAttribute;  // a parser makes spaces of them there (XML 1.0, 3.3.3)
  table['&'] = table['<'] = table['>'] = kBoth;
  table['\''] = kAttribute;
  return table;
}();

std::string_view replacement(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '\'':
      return "&apos;";
    case '\t':
      return "&#9;";
    case '\n':
      return "&#10;";
    case '\r':
      return "&#13;";
    default:
      return "\xEF\xBF\xBD";
  }
}

template <bool attribute>
void escape(std::string& out, std::string_view text) {
  std::size_t from = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::uint8_t what = kEscaped[static_cast<unsigned char>(text[at])];
    if (what == kPlain || (!attribute && what == kAttribute)) continue;
    out.append(text, from, at - from).append(replacement(text[at]));
    from = at + 1;
  }
  out.append(text, from);
}

}  // namespace

void escape_text(std::string& out, std::string_view text) { escape<false>(out, text); }
void escape_attribute(std::string& out, std::string_view value) { escape<true>(out, value); }

void Writer::push(Open open) {
  if (depth_ < kNear) {
    near_[depth_] = open;
  } else {
    far_.push_back(open);
  }
  ++depth_;
}

void Writer::end_start_tag() {
  if (in_start_tag_) out_ += '>';
  in_start_tag_ = false;
}

Writer& Writer::open(std::string_view name) { return open(name, default_ns()); }

Writer& Writer::open(std::string_view name, std::string_view ns) {
  const bool declare = ns != default_ns();
  end_start_tag();
  out_ += '<';
  out_ += name;
  in_start_tag_ = true;
  push({name, ns});
  if (declare) attribute("xmlns", ns);
  return *this;
}

Writer& Writer::attribute(std::string_view name, std::string_view value) {
  out_ += ' ';
  out_ += name;
  out_ += "='";
  escape_attribute(out_, value);
  out_ += '\'';
  return *this;
}

Writer& Writer::attribute_if(std::string_view name, std::string_view value) {
  return value.empty() ? *this : attribute(name, value);
}

Writer& Writer::text(std::string_view value) {
  if (value.empty()) return *this;
  end_start_tag();
  escape_text(out_, value);
  return *this;
}

Writer& Writer::raw(std::string_view xml) {
  if (xml.empty()) return *this;
  end_start_tag();
  out_ += xml;
  return *this;
}

// Character data stands in the copy byte for byte and where it stood between the children: it means the same
// everywhere.
Writer& Writer::copy(const Element& element) {
  if (element.ns() == ns::xml) {  // which no tag may declare
    open(std::string_view(element.prefix().data(), element.prefix().size() + 1 + element.name().size()));
  } else {
    open(element.name(), element.ns());
  }
  std::size_t prefixes = 0;
  for (const Attribute* at = element.first_attribute(); at != nullptr; at = at->next) {
    if (at->ns.empty()) {
      attribute(at->name, at->value);
    } else if (at->ns == ns::xml) {
      attribute(fmt::format("xml:{}", at->name), at->value);
    } else {
      attribute(fmt::format("xmlns:ns{}", prefixes), at->ns);
      attribute(fmt::format("ns{}:{}", prefixes++, at->name), at->value);
    }
  }
  return copy_content(element).close();
}

// Character data stands in the copy byte for byte and where it stood between the children: it means the same
// everywhere.
Writer& Writer::copy_content(const Element& element) {
  std::string_view rest = element.inner_bytes();
  for (const Element& child : element.children()) {
    const auto before = static_cast<std::size_t>(child.bytes().data() - rest.data());
    raw(rest.substr(0, before));
    copy(child);
    rest.remove_prefix(before + child.bytes().size());
  }
  return raw(rest);
}

Writer& Writer::close() {
  const Open& open = at(depth_);
  if (in_start_tag_) {
    out_ += "/>";
    in_start_tag_ = false;
  } else {
    out_ += "</";
    out_ += open.name;
    out_ += '>';
  }
  if (depth_ > kNear) far_.pop_back();
  --depth_;
  return *this;
}

}  // namespace starling::xml
