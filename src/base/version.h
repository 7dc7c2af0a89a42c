#pragma once
#include <string_view>

namespace starling {

// The project's version in CMakeLists.txt; CMake compares them.
inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace starling
