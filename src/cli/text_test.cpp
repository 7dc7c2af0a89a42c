#include "cli/text.h"

#include <gtest/gtest.h>

namespace starling::cli {
namespace {

TEST(Text, OfOthersCannotSteerATerminal) {
  struct Case {
    std::string_view given, printable, indented, one_line;
  };
  for (const Case& c : {
           Case{"", "", "", ""},
           Case{"Gr\u00FC\u00DFe \u20AC \U0001F600", "Gr\u00FC\u00DFe \u20AC \U0001F600",
                "Gr\u00FC\u00DFe \u20AC \U0001F600", "Gr\u00FC\u00DFe \u20AC \U0001F600"},
           Case{"a\tb\nc\n", "a\tb\nc\n", "a\tb\n  c\n  ", "a\uFFFDb\uFFFDc\uFFFD"},
           Case{"a\x1B[2J\x7F\r", "a\uFFFD[2J\uFFFD\uFFFD", "a\uFFFD[2J\uFFFD\uFFFD",
                "a\uFFFD[2J\uFFFD\uFFFD"},
           Case{"\u0080\u009F\u00A0", "\uFFFD\uFFFD\u00A0", "\uFFFD\uFFFD\u00A0", "\uFFFD\uFFFD\u00A0"},
           Case{"\u2027\u2028\u202E\u202F", "\u2027\uFFFD\uFFFD\u202F", "\u2027\uFFFD\uFFFD\u202F",
                "\u2027\uFFFD\uFFFD\u202F"},
           Case{"\u2065\u2066\u2069\u206A", "\u2065\uFFFD\uFFFD\u206A", "\u2065\uFFFD\uFFFD\u206A",
                "\u2065\uFFFD\uFFFD\u206A"},
           Case{"\xC2", "\xC2", "\xC2", "\xC2"},  // cut short
           Case{"\xE2\x80", "\xE2\x80", "\xE2\x80", "\xE2\x80"},
       }) {
    EXPECT_EQ(printable(c.given), c.printable);
    EXPECT_EQ(indented(c.given), c.indented);
    EXPECT_EQ(one_line(c.given), c.one_line);
  }
}

}  // namespace
}  // namespace starling::cli
