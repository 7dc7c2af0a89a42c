#pragma once
// What the tests of payloads share.
#include <stdexcept>
#include <string>
#include <string_view>

#include "xml/parser.h"
#include "xml/writer.h"

namespace starling::payload {

// A test's own XML, which is well-formed.
inline xml::Document document(std::string_view text) {
  auto parsed = xml::parse(text);
  if (!parsed) throw std::invalid_argument(parsed.error().message);
  return std::move(*parsed);
}

template <class T>
std::string written(const T& payload) {
  std::string out;
  xml::Writer writer(out);
  write(writer, payload);
  return out;
}

}  // namespace starling::payload
