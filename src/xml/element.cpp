#include "xml/element.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "xml/arena.h"
#include "xml/namespaces.h"

namespace starling::xml {

std::optional<std::string_view> Element::attribute(std::string_view name, std::string_view ns) const {
  for (const Attribute* at = attributes_; at != nullptr; at = at->next) {
    if (at->name == name && at->ns == ns) return at->value;
  }
  return std::nullopt;
}

std::string_view Element::lang() const { return attribute("lang", ns::xml).value_or(std::string_view()); }

const Element* Element::child(std::string_view name, std::string_view ns) const {
  for (const Element& at : children()) {
    if (at.is(name, ns)) return &at;
  }
  return nullptr;
}

const Element* Element::child_in(std::string_view ns) const {
  for (const Element& at : children()) {
    if (at.ns() == ns) return &at;
  }
  return nullptr;
}

Document::Document() = default;
Document::~Document() = default;
Document::Document(Document&& other) noexcept
    : arena_(std::move(other.arena_)),
      root_(std::exchange(other.root_, nullptr)),
      self_contained_(std::exchange(other.self_contained_, true)) {}
Document& Document::operator=(Document&& other) noexcept {
  arena_ = std::move(other.arena_);
  root_ = std::exchange(other.root_, nullptr);
  self_contained_ = std::exchange(other.self_contained_, true);
  return *this;
}

std::size_t Document::memory_bytes() const { return arena_ ? arena_->memory_bytes() : 0; }

Document::Arena::~Arena() {
  while (blocks_ != nullptr) std::free(std::exchange(blocks_, blocks_->next));
  if (raw_apart_) std::free(raw_);
}

bool Document::Arena::append(std::string_view bytes) {
  bool moved = false;
  if (raw_capacity_ - raw_size_ < bytes.size()) {
    std::size_t capacity = std::max(2 * raw_capacity_, raw_size_ + bytes.size());
    char* bigger = static_cast<char*>(std::malloc(capacity));
    if (bigger == nullptr) throw std::bad_alloc();
    std::memcpy(bigger, raw_, raw_size_);
    if (raw_apart_) {
      std::free(raw_);
      memory_ -= raw_capacity_;
    }
    raw_ = bigger;
    raw_capacity_ = capacity;
    raw_apart_ = true;
    memory_ += capacity;
    moved = true;
  }
  std::memcpy(raw_ + raw_size_, bytes.data(), bytes.size());
  raw_size_ += bytes.size();
  return moved;
}

char* Document::Arena::allocate_block(std::size_t size) {
  // In proportion to what is there already, so that a big element takes few blocks and a small one wastes
  // little.
  std::size_t room = std::max(size, std::clamp<std::size_t>(memory_ / 2, 1024, 65536));
  char* memory = static_cast<char*>(std::malloc(sizeof(Block) + room));
  if (memory == nullptr) throw std::bad_alloc();
  blocks_ = new (memory) Block{blocks_};
  memory_ += sizeof(Block) + room;
  top_ = memory + sizeof(Block) + size;
  end_ = memory + sizeof(Block) + room;
  return memory + sizeof(Block);
}

}  // namespace starling::xml
