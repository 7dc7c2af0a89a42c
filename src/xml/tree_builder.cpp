#include "xml/tree_builder.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include <fmt/format.h>

#include "xml/namespaces.h"

namespace starling::xml {
namespace {

constexpr std::size_t kParserBytes = 10650;  // of an expat 2.5 parser, measured
constexpr std::size_t kRetireAfter =
    1 << 20;  // expat never forgets a name that it has seen: a hostile peer sends new ones
constexpr std::size_t kPoolSize = 8;       // a thread seldom has more elements half received at once
constexpr std::size_t kMaxPrefixes = 256;  // in scope at once; they are searched one by one
constexpr std::string_view kPrimer = "<s>";

struct Pool {
  std::vector<std::unique_ptr<TreeBuilder>> idle;
  Pool() { idle.reserve(kPoolSize); }
  ~Pool();
};
thread_local bool pool_is_gone = false;
thread_local Pool pool;
Pool::~Pool() { pool_is_gone = true; }

bool is_content_ns(std::string_view ns) { return ns == ns::client || ns == ns::server; }

// Namespaces that live for ever, so that most stanzas need no copy of theirs.
std::string_view interned(std::string_view ns) {
  for (std::string_view known : {ns::client, ns::server, ns::stream}) {
    if (ns == known) return known;
  }
  return {};
}

void shift(std::string_view& view, const char* from, const char* from_end, const char* to) {
  std::less_equal<> before;
  if (view.data() != nullptr && before(from, view.data()) && before(view.data(), from_end)) {
    view = {to + (view.data() - from), view.size()};
  }
}

}  // namespace

TreeBuilder::TreeBuilder() : parser_(new_parser()) {
  xml::feed(parser_.get(), kPrimer);
  parsed_ = kPrimer.size();
  XML_SetUserData(parser_.get(), this);
  XML_SetElementHandler(parser_.get(), on_start, on_end);
  XML_SetCharacterDataHandler(parser_.get(), on_text);
}

std::unique_ptr<TreeBuilder> TreeBuilder::acquire() {
  if (pool_is_gone || pool.idle.empty()) return std::make_unique<TreeBuilder>();
  std::unique_ptr<TreeBuilder> builder = std::move(pool.idle.back());
  pool.idle.pop_back();
  return builder;
}

void TreeBuilder::release(std::unique_ptr<TreeBuilder> builder) {
  if (builder->parsed_ > kRetireAfter || pool_is_gone || pool.idle.size() == kPoolSize) return;
  pool.idle.push_back(std::move(builder));
}

void TreeBuilder::begin(const Limits& limits, const Scope& scope, std::size_t raw_bytes, std::size_t nodes) {
  arena_ = Document::Arena::create(raw_bytes, nodes);
  start_ = parsed_;
  root_ = nullptr;
  self_contained_ = true;
  children_ = 0;
  named_bytes_ = 0;
  limits_ = limits;
  bindings_.clear();
  for (const auto& [prefix, ns] : scope.prefixes) bindings_.push_back({prefix, ns, 0, true});
  frames_.clear();
  // The stream's own frame: what the root inherits.
  std::string_view default_ns = interned(scope.default_ns);
  if (default_ns.empty()) default_ns = arena_->copy(scope.default_ns);
  frames_.push_back({.default_ns = default_ns, .bindings = bindings_.size()});
}

bool TreeBuilder::feed(std::string_view bytes) {
  const char* before = arena_->raw();
  std::size_t size = arena_->raw_size();
  if (arena_->append(bytes)) move_views(before, size);
  parsed_ += bytes.size();
  return xml::feed(parser_.get(), raw(size, size + bytes.size())) && !fault_;
}

Document TreeBuilder::take() {
  Document document;
  document.arena_ = std::move(arena_);
  document.root_ = std::exchange(root_, nullptr);
  document.self_contained_ = self_contained_;
  return document;
}

std::size_t TreeBuilder::memory_bytes() const {
  return sizeof(*this) + kParserBytes + frames_.capacity() * sizeof(Frame) +
         bindings_.capacity() * sizeof(Binding) + (arena_ ? arena_->memory_bytes() : 0);
}

void TreeBuilder::on_start(void* self, const XML_Char* name, const XML_Char** attributes) {
  static_cast<TreeBuilder*>(self)->start(name, attributes);
}
void TreeBuilder::on_end(void* self, const XML_Char* /*name*/) { static_cast<TreeBuilder*>(self)->end(); }
void TreeBuilder::on_text(void* self, const XML_Char* text, int size) {
  static_cast<TreeBuilder*>(self)->text({text, static_cast<std::size_t>(size)});
}

// Calls for the token at hand may still follow, so handlers look at fault_ first.
void TreeBuilder::fail(ParseFault fault, std::string message) {
  fault_ = {fault, std::move(message)};
  XML_StopParser(parser_.get(), XML_FALSE);
}

std::size_t TreeBuilder::position() const {
  return static_cast<std::size_t>(XML_GetCurrentByteIndex(parser_.get())) - start_;
}

void TreeBuilder::start(std::string_view written, const XML_Char** attributes) {
  if (fault_) return;
  const std::size_t depth = frames_.size();  // the root's is 1
  if (depth > std::min(limits_.depth, kMaxDepth)) {
    return fail(ParseFault::policy_violation,
                fmt::format("elements are nested deeper than {}", limits_.depth));
  }
  if (depth > 1 && ++children_ > limits_.children) {
    return fail(ParseFault::policy_violation, fmt::format("more than {} elements in one", limits_.children));
  }
  const std::size_t at = position();
  const std::size_t tag_end = at + static_cast<std::size_t>(XML_GetCurrentByteCount(parser_.get()));
  const std::optional<Name> name = split_name(raw(at + 1, at + 1 + written.size()));
  if (!name) return fail(ParseFault::not_well_formed, "an element's name is not a qualified name");

  auto* element = arena_->make<Element>();
  const Frame& outer = frames_.back();
  frames_.push_back({.element = element,
                     .default_ns = outer.default_ns,
                     .inherited_ns = outer.inherited_ns,
                     .bindings = bindings_.size(),
                     .start_tag_end = tag_end});
  element->prefix_ = name->prefix;
  element->name_ = name->local;
  element->bytes_ = raw(at, tag_end);  // its end follows
  if (!add_attributes(*element, arena_->raw() + at, arena_->raw() + tag_end, written.size(), attributes))
    return;
  if (!resolve_attributes(*element)) return;
  if (name->prefix.empty()) {
    const Frame& frame = frames_.back();
    element->ns_ = frame.default_ns;
    // What inherits the content namespace of its stanza goes along with it, "jabber:server" to
    // "jabber:client".
    const bool content = depth > 1 && frame.default_ns == root_->ns_ && is_content_ns(root_->ns_);
    if (depth > 1 && frame.inherited_ns && !content) self_contained_ = false;
  } else {
    const std::optional<std::string_view> ns = resolve(name->prefix);
    if (!ns) return;
    element->ns_ = *ns;
  }

  if (depth == 1) {
    root_ = element;
  } else {
    Frame& parent = frames_[depth - 1];
    if (element->ns_ != parent.element->ns_ && !count_name(element->ns_)) return;
    (parent.last_child == nullptr ? parent.element->first_child_ : parent.last_child->next_sibling_) =
        element;
    parent.last_child = element;
  }
}

// Names and most values are views of the tag's own bytes, so the tag is walked along with what expat made of
// it.
bool TreeBuilder::add_attributes(Element& element, const char* tag, const char* tag_end,
                                 std::size_t name_size, const XML_Char** attributes) {
  const char* p = tag + 1 + name_size;
  Attribute* last = nullptr;
  for (std::size_t count = 0; *attributes != nullptr; attributes += 2) {
    if (++count > limits_.attributes) {
      fail(ParseFault::policy_violation,
           fmt::format("an element has more than {} attributes", limits_.attributes));
      return false;
    }
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') ++p;
    const std::string_view written(p, std::strlen(attributes[0]));
    p += written.size();
    while (*p != '"' && *p != '\'') ++p;
    const char* begin = p + 1;
    p = static_cast<const char*>(std::memchr(begin, *p, static_cast<std::size_t>(tag_end - begin)));
    std::string_view value(begin, static_cast<std::size_t>(p - begin));
    ++p;
    const std::optional<Name> name = split_name(written);
    if (!name) {
      fail(ParseFault::not_well_formed, "an attribute's name is not a qualified name");
      return false;
    }
    if (const std::optional<std::string_view> prefix = declared_prefix(*name)) {
      if (!declare(*prefix, attributes[1])) return false;
      continue;
    }
    // Entities and white space are as expat resolved them.
    if (std::strncmp(attributes[1], value.data(), value.size()) != 0 || attributes[1][value.size()] != '\0') {
      value = arena_->copy(attributes[1]);
    }
    auto* attribute = arena_->make<Attribute>();
    attribute->name = name->local;
    attribute->prefix = name->prefix;
    attribute->value = value;
    (last == nullptr ? element.attributes_ : last->next) = attribute;
    last = attribute;
  }
  return true;
}

bool TreeBuilder::declare(std::string_view prefix, std::string_view ns) {
  if (std::string_view what = declaration_fault(prefix, ns); !what.empty()) {
    fail(ParseFault::not_well_formed, std::string(what));
    return false;
  }
  if (ns.size() > kMaxNamespaceBytes) {
    fail(ParseFault::policy_violation,
         fmt::format("a namespace is longer than {} bytes", kMaxNamespaceBytes));
    return false;
  }
  const std::size_t depth = frames_.size() - 1;
  std::string_view kept = interned(ns);
  if (kept.empty()) kept = arena_->copy(ns);
  if (prefix.empty()) {
    frames_.back().default_ns = kept;
    frames_.back().inherited_ns = depth <= 1;
    return true;
  }
  if (bindings_.size() >= kMaxPrefixes) {
    fail(ParseFault::policy_violation,
         fmt::format("more than {} prefixes are declared at once", kMaxPrefixes));
    return false;
  }
  bindings_.push_back({arena_->copy(prefix), kept, depth, false});
  return true;
}

std::optional<std::string_view> TreeBuilder::resolve(std::string_view prefix) {
  if (prefix == "xml") return ns::xml;
  for (auto binding = bindings_.rbegin(); binding != bindings_.rend(); ++binding) {
    if (binding->prefix != prefix) continue;
    if (binding->borrowed) {
      std::string_view known = interned(binding->ns);
      binding->ns = known.empty() ? arena_->copy(binding->ns) : known;
      binding->borrowed = false;
    }
    if (binding->depth <= 1 && frames_.size() > 2) self_contained_ = false;
    return binding->ns;
  }
  fail(ParseFault::bad_namespace_prefix, fmt::format("the prefix {} is not declared", prefix));
  return std::nullopt;
}

// A copy declares a namespace wherever it differs from the one around, a prefix costs the sender two bytes.
bool TreeBuilder::count_name(std::string_view ns) {
  named_bytes_ += ns.size();
  if (named_bytes_ <= limits_.element_bytes) return true;
  fail(ParseFault::policy_violation,
       fmt::format("the namespaces of an element's names make more than {} bytes", limits_.element_bytes));
  return false;
}

bool TreeBuilder::resolve_attributes(const Element& element) {
  for (const Attribute* at = element.attributes_; at != nullptr; at = at->next) {
    if (at->prefix.empty()) continue;
    const std::optional<std::string_view> ns = resolve(at->prefix);
    if (!ns) return false;
    for (const Attribute* other = element.attributes_; other != at; other = other->next) {
      if (other->name == at->name && other->ns == *ns) {
        fail(ParseFault::not_well_formed, "duplicate attribute");
        return false;
      }
    }
    if (!count_name(*ns)) return false;
    const_cast<Attribute*>(at)->ns = *ns;  // ours until take()
  }
  return true;
}

void TreeBuilder::text(std::string_view text) {
  if (fault_ || frames_.size() < 2) return;
  Frame& frame = frames_.back();
  const std::size_t at = position();
  const char* here = arena_->raw() + at;
  // Character data that is what was received needs no copy; an entity or a line end that was normalised does.
  const bool as_received =
      at + text.size() <= arena_->raw_size() && std::memcmp(here, text.data(), text.size()) == 0;
  // Most elements have one piece, which stands in the element at once.
  std::string_view& last = frame.last_piece == nullptr ? frame.element->text_ : frame.last_piece->text;
  if (last.empty()) {
    last = as_received ? std::string_view(here, text.size()) : arena_->copy(text);
  } else if (as_received && last.data() + last.size() == here) {
    last = {last.data(), last.size() + text.size()};
  } else if (!arena_->extend(last, text)) {
    auto* piece = arena_->make<Piece>();
    piece->text = arena_->copy(text);
    (frame.last_piece == nullptr ? frame.more_pieces : frame.last_piece->next) = piece;
    frame.last_piece = piece;
  }
}

void TreeBuilder::end() {
  if (fault_ || frames_.size() < 2) return;
  Frame& frame = frames_.back();
  const std::size_t at = position();
  const std::size_t end = at + static_cast<std::size_t>(XML_GetCurrentByteCount(parser_.get()));
  Element& element = *frame.element;
  const char* begin = element.bytes_.data();
  element.bytes_ = {begin, static_cast<std::size_t>(arena_->raw() + end - begin)};
  element.inner_ = raw(frame.start_tag_end, at);
  join_text(frame);
  bindings_.resize(frame.bindings, {});
  frames_.pop_back();
  if (frames_.size() == 1) frames_.clear();
}

void TreeBuilder::join_text(const Frame& frame) {
  if (frame.more_pieces == nullptr) return;
  std::string_view& text = frame.element->text_;
  std::size_t size = text.size();
  for (const Piece* piece = frame.more_pieces; piece != nullptr; piece = piece->next)
    size += piece->text.size();
  char* const joined = arena_->allocate(size);
  char* to = std::copy(text.begin(), text.end(), joined);
  for (const Piece* piece = frame.more_pieces; piece != nullptr; piece = piece->next) {
    to = std::copy(piece->text.begin(), piece->text.end(), to);
  }
  text = {joined, size};
}

// The received bytes moved to a bigger place, and with them what everything points at.
void TreeBuilder::move_views(const char* from, std::size_t size) {
  auto move = [from, from_end = from + size, to = arena_->raw()](std::string_view& view) {
    shift(view, from, from_end, to);
  };
  if (root_ != nullptr) to_visit_.push_back(root_);
  while (!to_visit_.empty()) {
    Element* element = to_visit_.back();
    to_visit_.pop_back();
    for (std::string_view* view :
         {&element->name_, &element->prefix_, &element->text_, &element->bytes_, &element->inner_}) {
      move(*view);
    }
    for (const Attribute* at = element->attributes_; at != nullptr; at = at->next) {
      auto* attribute = const_cast<Attribute*>(at);
      move(attribute->name);
      move(attribute->prefix);
      move(attribute->value);
    }
    for (const Element* child = element->first_child_; child != nullptr; child = child->next_sibling_) {
      to_visit_.push_back(const_cast<Element*>(child));
    }
  }
}

}  // namespace starling::xml
