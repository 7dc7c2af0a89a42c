#pragma once
// Appends XML to a string. All that is built here is built with it: text and attribute values are escaped, tags are closed
// in order, a namespace is declared where it changes. Names and namespaces must outlive the Writer (they are literals).
// Any thread; no state beyond the open elements.
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "xml/element.h"

namespace starling::xml {

void escape_text(std::string& out, std::string_view text);
void escape_attribute(std::string& out, std::string_view value);  // for values in single quotes

class Writer {
 public:
  // `default_ns` is in force where `out` will be read: an element in it is written without xmlns.
  explicit Writer(std::string& out, std::string_view default_ns = {}) : out_(out) { open_[0].ns = default_ns; }

  Writer& open(std::string_view name);  // in the enclosing element's namespace
  Writer& open(std::string_view name, std::string_view ns);
  Writer& attribute(std::string_view name, std::string_view value);        // right after open(); `name` may have a prefix
  Writer& attribute_if(std::string_view name, std::string_view value);     // unless the value is empty
  Writer& text(std::string_view value);
  Writer& raw(std::string_view xml);        // well-formed content, as it is
  Writer& copy(const Element& element);     // serialises again, with what namespaces it needs
  Writer& close();
  Writer& leaf(std::string_view name) { return open(name).close(); }
  Writer& leaf(std::string_view name, std::string_view value) { return open(name).text(value).close(); }
  Writer& empty(std::string_view name, std::string_view ns) { return open(name, ns).close(); }

  [[nodiscard]] std::size_t depth() const { return depth_; }
  [[nodiscard]] std::string_view default_ns() const { return open_[depth_].ns; }

 private:
  void end_start_tag();
  struct Open {
    std::string_view name, ns;
  };
  std::string& out_;
  std::array<Open, 128> open_{};  // depth is bounded by xml::Limits on input and by our own formats on output
  std::size_t depth_ = 0;
  bool in_start_tag_ = false;
};

}  // namespace starling::xml
