#pragma once
// Internal to the xml room: turns the bytes of one top-level element into a Document. A TreeBuilder holds an
// expat parser that has seen the start tag of a stream and nothing else that matters, so any stream of the
// thread can use it next.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "xml/arena.h"
#include "xml/expat.h"

namespace starling::xml {

// What a stream header declares for the elements below it.
struct Scope {
  std::string default_ns;
  std::vector<std::pair<std::string, std::string>> prefixes;  // and their namespaces
};

class TreeBuilder {
 public:
  TreeBuilder();
  // From the thread's pool, or new.
  static std::unique_ptr<TreeBuilder> acquire();
  // To the thread's pool, if it is worth keeping; between two elements only.
  static void release(std::unique_ptr<TreeBuilder> builder);

  // An element begins. `scope` must live until it ends; `raw` and `nodes` say how many bytes it will take at
  // least.
  void begin(const Limits& limits, const Scope& scope, std::size_t raw, std::size_t nodes);
  [[nodiscard]] bool busy() const { return arena_ != nullptr; }
  // The next bytes of it. False: see error(); the builder is of no further use.
  [[nodiscard]] bool feed(std::string_view bytes);
  [[nodiscard]] bool complete() const { return root_ != nullptr && frames_.empty(); }
  Document take();
  [[nodiscard]] ParseError error() const { return fault_ ? *fault_ : describe(parser_.get()); }
  [[nodiscard]] std::size_t memory_bytes() const;

  static std::size_t node_bytes(std::size_t elements, std::size_t attributes) {
    return elements * sizeof(Element) + attributes * sizeof(Attribute);
  }

 private:
  struct Piece {  // of an element's character data, after the first; always a copy
    std::string_view text;
    Piece* next = nullptr;
  };
  struct Frame {  // an open element
    Element* element = nullptr;
    Element* last_child = nullptr;
    Piece* more_pieces = nullptr;
    Piece* last_piece = nullptr;
    std::string_view default_ns;
    bool inherited_ns = true;  // default_ns comes from the stanza's start tag or from further out
    std::size_t bindings = 0;  // how many were in force outside
    std::size_t start_tag_end = 0;
  };
  struct Binding {
    std::string_view prefix, ns;
    std::size_t depth;  // of the element that declares it; 0 is the stream's header
    bool borrowed;      // still the scope's memory
  };

  static void on_start(void* self, const XML_Char* name, const XML_Char** attributes);
  static void on_end(void* self, const XML_Char* name);
  static void on_text(void* self, const XML_Char* text, int size);
  void start(std::string_view written, const XML_Char** attributes);
  void end();
  void text(std::string_view text);

  bool add_attributes(Element& element, const char* tag, const char* tag_end, std::size_t name_size,
                      const XML_Char** attributes);
  bool declare(std::string_view prefix, std::string_view ns);
  bool resolve_attributes(const Element& element);
  bool count_name(std::string_view ns);
  std::optional<std::string_view> resolve(std::string_view prefix);
  void join_text(const Frame& frame);
  void move_views(const char* from, std::size_t size);
  void fail(ParseFault fault, std::string message);
  [[nodiscard]] std::size_t position() const;  // of the current event in the element's bytes
  [[nodiscard]] std::string_view raw(std::size_t from, std::size_t to) const {
    return {arena_->raw() + from, to - from};
  }

  ParserPtr parser_;
  std::size_t parsed_ = 0;  // bytes that parser_ was fed, ever
  std::size_t start_ = 0;   // where in them the current element begins
  std::unique_ptr<Document::Arena> arena_;
  Element* root_ = nullptr;
  bool self_contained_ = true;
  std::size_t children_ = 0;
  std::size_t named_bytes_ = 0;  // of the namespaces that a copy would declare
  Limits limits_;
  std::vector<Frame> frames_;
  std::vector<Binding> bindings_;
  std::vector<Element*> to_visit_;
  std::optional<ParseError> fault_;
};

}  // namespace starling::xml
