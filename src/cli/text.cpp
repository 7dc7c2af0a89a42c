#include "cli/text.h"

#include "jid/precis.h"

namespace starling::cli {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The bytes of the character that `text` begins with, if no screen should get it; else 0.
std::size_t unsafe(std::string_view text) {
  const auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const auto is = [byte](std::size_t at, int first, int last) {
    return byte(at) >= first && byte(at) <= last;
  };
  if (is(0, 0, 0x1F)) return text[0] == '\n' || text[0] == '\t' ? 0 : 1;
  if (is(0, 0x7F, 0x7F)) return 1;
  if (text.size() >= 2 && is(0, 0xC2, 0xC2) && is(1, 0x80, 0x9F)) return 2;  // U+0080 to U+009F
  if (text.size() >= 3 && is(0, 0xE2, 0xE2) &&
      ((is(1, 0x80, 0x80) && is(2, 0xA8, 0xAE)) || (is(1, 0x81, 0x81) && is(2, 0xA6, 0xA9))))
    return 3;
  return 0;
}

std::string safe(std::string_view text, std::string_view line_feed, std::string_view tab) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t bytes = unsafe(text);
    if (bytes > 0) {
      out += kReplacement;
    } else if (text[0] == '\n') {
      out += line_feed;
    } else if (text[0] == '\t') {
      out += tab;
    } else {
      out += text[0];
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return out;
}

}  // namespace

bool is_utf8(std::string_view text) { return precis::decode(text).has_value(); }

std::string printable(std::string_view text) { return safe(text, "\n", "\t"); }
std::string indented(std::string_view text) { return safe(text, "\n  ", "\t"); }
std::string one_line(std::string_view text) { return safe(text, kReplacement, kReplacement); }

}  // namespace starling::cli
