#pragma once
// What attributes and texts of payloads say: the simple types of XML Schema part 2 that more than one payload
// has. What is not wholly a value of the type is nothing; white space around it does not matter. Any thread.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "xml/element.h"

namespace starling::payload {

std::string attribute(const xml::Element& element, std::string_view name);  // empty if there is none
// Of the first child of the name in the element's own namespace; empty if there is none. Points into it.
std::string_view child_text(const xml::Element& element, std::string_view name);

std::optional<bool> parse_boolean(std::string_view text);       // "true", "1", "false", "0"
std::optional<std::int32_t> parse_int(std::string_view text);   // in decimal, a sign allowed
std::optional<std::int64_t> parse_long(std::string_view text);  // the same
std::optional<double> parse_double(std::string_view text);      // "-1.5E3", "INF", "-INF", "NaN"

}  // namespace starling::payload
