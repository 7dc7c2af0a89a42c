#pragma once
// What others say, made safe for a screen: terminals obey control characters, and who can begin a line can
// forge one of ours. UTF-8 in and out; any thread.
#include <string>
#include <string_view>

namespace starling::cli {

bool is_utf8(std::string_view text);

// Control characters but tab and line feed, and those that end a line or turn the direction of writing
// (U+2028 to U+202E, U+2066 to U+2069), become U+FFFD.
std::string printable(std::string_view text);
// The same, with every line but the first indented.
std::string indented(std::string_view text);
// The same on one line: tabs and line feeds become U+FFFD as well.
std::string one_line(std::string_view text);

}  // namespace starling::cli
