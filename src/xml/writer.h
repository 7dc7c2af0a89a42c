#pragma once
// Appends XML to a string. All that is built here is built with it: text and attribute values are escaped,
// tags are closed in order, a namespace is declared where it changes. Names and namespaces must outlive the
// Writer (they are literals). Any thread; no state beyond the open elements.
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "xml/element.h"

namespace starling::xml {

// The text reads back as it was, line ends and "]]>" included. Control characters, which XML cannot hold,
// become U+FFFD; other than that `text` must be UTF-8.
void escape_text(std::string& out, std::string_view text);
void escape_attribute(std::string& out, std::string_view value);  // for values in single quotes

class Writer {
 public:
  // `default_ns` is in force where `out` will be read: an element in it is written without xmlns.
  explicit Writer(std::string& out, std::string_view default_ns = {}) : out_(out), outer_ns_(default_ns) {}

  Writer& open(std::string_view name);  // in the enclosing element's namespace
  Writer& open(std::string_view name, std::string_view ns);
  Writer& attribute(std::string_view name,
                    std::string_view value);  // right after open(); `name` may have a prefix
  Writer& attribute_if(std::string_view name, std::string_view value);  // unless the value is empty
  Writer& text(std::string_view value);
  Writer& raw(std::string_view xml);             // well-formed content, as it is
  Writer& copy(const Element& element);          // serialises again, with what namespaces it needs
  Writer& copy_content(const Element& element);  // the same for what stands between its tags
  Writer& close();
  Writer& leaf(std::string_view name) { return open(name).close(); }
  Writer& leaf(std::string_view name, std::string_view value) { return open(name).text(value).close(); }
  Writer& empty_element(std::string_view name, std::string_view ns) { return open(name, ns).close(); }

  [[nodiscard]] std::size_t depth() const { return depth_; }
  [[nodiscard]] std::string_view default_ns() const { return depth_ == 0 ? outer_ns_ : at(depth_).ns; }

 private:
  struct Open {
    std::string_view name, ns;
  };
  void end_start_tag();
  // Most of what we write is shallow; depth is bounded by xml::Limits on input and by our own formats on
  // output.
  static constexpr std::size_t kNear = 8;
  [[nodiscard]] const Open& at(std::size_t depth) const {
    return depth <= kNear ? near_[depth - 1] : far_[depth - kNear - 1];
  }
  void push(Open open);

  std::string& out_;
  std::string_view outer_ns_;
  std::array<Open, kNear> near_;
  std::vector<Open> far_;
  std::size_t depth_ = 0;
  bool in_start_tag_ = false;
};

}  // namespace starling::xml
