#pragma once
// Extensible Resource Descriptors, as far as host-meta needs them (RFC 6415 3, XEP-0156 2): which link
// relations lead where. Any thread.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace starling::payload {

// The relation and URL of each Link that has both, in their order. The document may begin with an XML
// declaration (of UTF-8) and hold comments; it may not hold a DTD.
Result<std::vector<std::pair<std::string, std::string>>> read_xrd(std::string_view text);

}  // namespace starling::payload
