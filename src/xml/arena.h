#pragma once
// Internal to the xml room: the memory of one Document. The bytes as received lie in one piece; nodes and
// copied strings come from blocks that are never moved. When the whole element is at hand, all of it is one
// allocation.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include "xml/element.h"

namespace starling::xml {

class Document::Arena {
 public:
  // `raw` bytes of text and `nodes` bytes of nodes fit before anything more is allocated.
  static std::unique_ptr<Arena> create(std::size_t raw, std::size_t nodes) {
    nodes = (nodes + alignof(Element) - 1) & ~(alignof(Element) - 1);
    return std::unique_ptr<Arena>(new (nodes + raw) Arena(raw, nodes));
  }
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  static void operator delete(void* memory) { std::free(memory); }

  // Appends received bytes. True when the earlier ones have moved; views of them must then be moved by the
  // difference.
  bool append(std::string_view bytes);
  [[nodiscard]] const char* raw() const { return raw_; }
  [[nodiscard]] std::size_t raw_size() const { return raw_size_; }

  template <class T>
  T* make() {
    static_assert(alignof(T) <= alignof(Element));
    return new (allocate(sizeof(T), alignof(T))) T();
  }
  char* allocate(std::size_t size, std::size_t alignment = 1) {
    std::size_t padding = -reinterpret_cast<std::uintptr_t>(top_) & (alignment - 1);
    if (static_cast<std::size_t>(end_ - top_) < size + padding) return allocate_block(size);
    char* at = top_ + padding;
    top_ = at + size;
    return at;
  }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* at = allocate(text.size());
    std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }
  // Makes the most recent copy() longer, in place; false when something was allocated since or the block is
  // full.
  bool extend(std::string_view& text, std::string_view more) {
    if (text.data() + text.size() != top_ || static_cast<std::size_t>(end_ - top_) < more.size())
      return false;
    std::memcpy(top_, more.data(), more.size());
    top_ += more.size();
    text = {text.data(), text.size() + more.size()};
    return true;
  }
  [[nodiscard]] std::size_t memory_bytes() const { return memory_; }

 private:
  struct Block {
    Block* next;
  };
  Arena(std::size_t raw, std::size_t nodes)
      : top_(reinterpret_cast<char*>(this + 1)),
        end_(top_ + nodes),
        raw_(end_),
        raw_capacity_(raw),
        memory_(sizeof(Arena) + nodes + raw) {}
  static void* operator new(std::size_t size, std::size_t extra) {
    void* memory = std::malloc(size + extra);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  static void operator delete(void* memory, std::size_t) { std::free(memory); }
  char* allocate_block(std::size_t size);

  char* top_;  // of the current block
  char* end_;
  char* raw_;
  std::size_t raw_size_ = 0;
  std::size_t raw_capacity_;
  std::size_t memory_;
  Block* blocks_ = nullptr;
  bool raw_apart_ = false;  // raw_ is an allocation of its own
};

}  // namespace starling::xml
