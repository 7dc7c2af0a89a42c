#pragma once
// The documents that the server and the client library implement: docs/specs.md, made from what modules and
// extensions say of themselves and from the table of what the rooms below them implement.
#include <string>

namespace starling::cli {

std::string specs_markdown();

}  // namespace starling::cli
