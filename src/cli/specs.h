#pragma once
// The documents that this server implements: docs/specs.md, made from the modules' own words and from the
// table of what the rooms below them implement.
#include <string>

namespace starling::modules {

std::string specs_markdown();

}  // namespace starling::modules
