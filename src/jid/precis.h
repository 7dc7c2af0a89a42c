#pragma once
// The PRECIS framework (RFC 8264) and the two profiles that addresses and passwords use (RFC 8265). The
// general case, for text with anything beyond ASCII; callers deal with plain ASCII themselves. Any thread.
#include <string>
#include <string_view>

#include "base/error.h"

namespace starling::precis {

enum class Class {
  identifier,  // RFC 8264 4.2
  freeform,    // RFC 8264 4.3
};

// UTF-8 to code points; the error is about malformed UTF-8.
Result<std::u32string> decode(std::string_view utf8);

// Whether every code point is allowed in the class, contextual rules (RFC 5892 appendix A) included.
Result<> check(Class string_class, std::u32string_view text);

// RFC 8265 3.3 and 4.2. The answer is stable: applying the profile to it gives it again (RFC 8264 7). May be
// empty.
Result<std::string> username_case_mapped(std::string_view text);
Result<std::string> opaque_string(std::string_view text);

}  // namespace starling::precis
