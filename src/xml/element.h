#pragma once
// A parsed stanza: one block of bytes and one read-only tree over it. Every element knows its byte range, so
// forwarding copies bytes and stripping a child leaves a range out. Nothing here is edited: what must differ
// is written anew (writer.h). A Document may move between threads; its elements live as long as it does.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace starling::xml {

struct Attribute {
  std::string_view name;    // local part
  std::string_view ns;      // empty for an attribute without prefix
  std::string_view prefix;  // as written
  std::string_view value;   // entities resolved
  const Attribute* next = nullptr;
};

class Element {
 public:
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] std::string_view ns() const { return ns_; }
  [[nodiscard]] std::string_view prefix() const { return prefix_; }
  [[nodiscard]] bool is(std::string_view name, std::string_view ns) const {
    return name_ == name && ns_ == ns;
  }

  // The attribute's value, or nothing. Without `ns`: the unprefixed attribute.
  [[nodiscard]] std::optional<std::string_view> attribute(std::string_view name,
                                                          std::string_view ns = {}) const;
  [[nodiscard]] const Attribute* first_attribute() const { return attributes_; }
  [[nodiscard]] std::string_view lang() const;  // this element's own xml:lang, or empty

  // The element's own character data, its pieces joined; entities resolved.
  [[nodiscard]] std::string_view text() const { return text_; }

  class Iterator {
   public:
    using value_type = Element;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(const Element* at = nullptr) : at_(at) {}
    const Element& operator*() const { return *at_; }
    const Element* operator->() const { return at_; }
    Iterator& operator++() {
      at_ = at_->next_sibling_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Element* at_;
  };
  struct Children {
    const Element* first;
    [[nodiscard]] Iterator begin() const { return Iterator(first); }
    [[nodiscard]] Iterator end() const {
      return Iterator();
    }  // NOLINT(readability-convert-member-functions-to-static)
    [[nodiscard]] bool empty() const { return first == nullptr; }
  };
  [[nodiscard]] Children children() const { return {first_child_}; }
  [[nodiscard]] const Element* first_child() const { return first_child_; }
  [[nodiscard]] const Element* next_sibling() const { return next_sibling_; }
  // The first child of that name, or nullptr.
  [[nodiscard]] const Element* child(std::string_view name, std::string_view ns) const;
  [[nodiscard]] const Element* child_in(std::string_view ns) const;

  // The exact bytes as received: the whole element, and what stands between its tags (empty for <a/>).
  [[nodiscard]] std::string_view bytes() const { return bytes_; }
  [[nodiscard]] std::string_view inner_bytes() const { return inner_; }

 private:
  friend class TreeBuilder;
  std::string_view name_, ns_, prefix_, text_, bytes_, inner_;
  const Attribute* attributes_ = nullptr;
  const Element* first_child_ = nullptr;
  const Element* next_sibling_ = nullptr;
};

// One top-level element with all it holds.
class Document {
 public:
  Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  [[nodiscard]] const Element& root() const { return *root_; }  // of a Document that a parser returned
  [[nodiscard]] bool empty() const { return root_ == nullptr; }
  // True when the bytes between the root's tags mean the same under any stanza start tag of a content
  // namespace: each prefix in use is declared inside, and the inherited default namespace is the stream's. If
  // false, write() the children.
  [[nodiscard]] bool self_contained() const { return self_contained_; }
  [[nodiscard]] std::size_t memory_bytes() const;  // what it allocated

 private:
  friend class TreeBuilder;
  class Arena;
  std::unique_ptr<Arena> arena_;
  const Element* root_ = nullptr;
  bool self_contained_ = true;
};

}  // namespace starling::xml
