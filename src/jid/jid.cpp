#include "jid/jid.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "jid/domain.h"
#include "jid/precis.h"

namespace starling {
namespace {

constexpr std::size_t kMaxPartBytes = 1023;  // RFC 7622 3.2, 3.3, 3.4
constexpr std::size_t kMaxAddressBytes = 3 * kMaxPartBytes + 2;

// What an ASCII byte becomes in a part; 0 for one that plain ASCII cannot settle: either it is not allowed,
// or it is no ASCII.
using ByteMap = std::array<char, 256>;

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr bool is_excluded_from_local(char c) {
  return std::string_view("\"&'/:<>@").contains(c);
}  // RFC 7622 3.3.1

constexpr ByteMap kLocalBytes = [] {
  ByteMap map{};
  for (int c = 0x21; c <= 0x7E; ++c) {
    const char byte = static_cast<char>(c);
    if (!is_excluded_from_local(byte)) map[static_cast<std::size_t>(c)] = to_lower(byte);
  }
  return map;
}();

constexpr ByteMap kDomainBytes = [] {
  ByteMap map{};
  for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")) {
    map[static_cast<unsigned char>(c)] = to_lower(c);
  }
  return map;
}();

// Appends `text` as `map` has it; false, with `out` as it was, when a byte has no mapping.
bool append_mapped(std::string& out, std::string_view text, const ByteMap& map) {
  const std::size_t before = out.size();
  const std::size_t after = before + text.size();
  bool settled = true;
  // libstdc++ 12 passes the new capacity for the size when the string has to grow.
  out.resize_and_overwrite(after, [&](char* bytes, std::size_t) {
    char* to = bytes + before;
    for (const char c : text) {
      const char mapped = map[static_cast<unsigned char>(c)];
      settled &= mapped != 0;
      *to++ = mapped;
    }
    return settled ? after : before;
  });
  return settled;
}

bool is_ascii(std::string_view text) {
  unsigned char all = 0;
  for (const char c : text) all |= static_cast<unsigned char>(c);
  return all < 0x80;
}

bool is_printable_ascii(std::string_view text) {
  bool all = true;
  for (const char c : text) all &= c >= 0x20 && c <= 0x7E;
  return all;
}

std::unexpected<Error> refuse(std::string_view part, std::string_view why) {
  return fail(Errc::invalid, fmt::format("the {} of the address is not valid: {}", part, why));
}

Result<> check_size(std::string_view part, std::size_t size) {
  if (size == 0) return refuse(part, "it is empty");
  if (size > kMaxPartBytes) return refuse(part, "it is longer than 1023 bytes");
  return {};
}

Result<> append_prepared(std::string& out, std::string_view part, const Result<std::string>& prepared) {
  if (!prepared) return refuse(part, prepared.error().message);
  if (auto sized = check_size(part, prepared->size()); !sized) return sized;
  out += *prepared;
  return {};
}

constexpr std::string_view kLocal = "localpart";
constexpr std::string_view kDomain = "domainpart";
constexpr std::string_view kResource = "resourcepart";

Result<> append_local(std::string& out, std::string_view text) {
  if (auto sized = check_size(kLocal, text.size()); !sized) return sized;
  if (append_mapped(out, text, kLocalBytes)) return {};
  const auto prepared = precis::username_case_mapped(text);
  if (prepared) {
    const auto excluded = std::ranges::find_if(*prepared, is_excluded_from_local);
    if (excluded != prepared->end())
      return refuse(kLocal, fmt::format("'{}' is not allowed in it", *excluded));
  }
  return append_prepared(out, kLocal, prepared);
}

// Internationalised names and IPv6 literals apart, one pass. An IPv4 address is a name like any other here.
Result<> append_domain(std::string& out, std::string_view text) {
  if (auto sized = check_size(kDomain, text.size()); !sized) return sized;
  if (text.front() == '[') return append_prepared(out, kDomain, normalise_ipv6_literal(text));
  const std::size_t before = out.size();
  if (append_mapped(out, text, kDomainBytes)) {
    if (out.back() == '.') out.pop_back();  // RFC 7622 3.2
    const std::string_view name = std::string_view(out).substr(before);
    if (const std::string_view fault = fault_in_labels(name); !fault.empty()) return refuse(kDomain, fault);
    if (!name.contains("xn--")) return {};
    out.resize(before);
  } else if (is_ascii(text)) {
    return refuse(kDomain, "a character in it is not allowed");
  }
  return append_prepared(out, kDomain, domain_to_unicode(text));
}

Result<> append_opaque(std::string& out, std::string_view text) {
  if (is_printable_ascii(text)) {
    out += text;
    return {};
  }
  const auto prepared = precis::opaque_string(text);
  if (!prepared) return std::unexpected(prepared.error());
  out += *prepared;
  return {};
}

Result<> append_resource(std::string& out, std::string_view text) {
  if (auto sized = check_size(kResource, text.size()); !sized) return sized;
  const std::size_t before = out.size();
  if (auto appended = append_opaque(out, text); !appended) return refuse(kResource, appended.error().message);
  if (out[before] == ' ') return refuse(kResource, "it begins with a space");  // RFC 7622 3.5, example 18
  return check_size(kResource, out.size() - before);
}

// One part by itself, by the function that appends it.
Result<std::string> prepare(std::string_view text, Result<> (*append)(std::string&, std::string_view)) {
  std::string out;
  out.reserve(std::min(text.size(), kMaxPartBytes));
  if (auto appended = append(out, text); !appended) return std::unexpected(std::move(appended.error()));
  return out;
}

}  // namespace

Result<Jid> Jid::parse(std::string_view text) {
  // RFC 7622 3.2: the resource goes first, since it may hold an '@'.
  const std::size_t slash = text.find('/');
  const std::string_view front = text.substr(0, slash);
  const std::size_t at = front.find('@');
  const bool has_local = at != std::string_view::npos;
  const bool has_resource = slash != std::string_view::npos;
  return assemble(has_local ? std::optional(front.substr(0, at)) : std::nullopt,
                  has_local ? front.substr(at + 1) : front,
                  has_resource ? std::optional(text.substr(slash + 1)) : std::nullopt);
}

Result<Jid> Jid::make(std::string_view local, std::string_view domain, std::string_view resource) {
  const auto unless_empty = [](std::string_view part) {
    return part.empty() ? std::nullopt : std::optional(part);
  };
  return assemble(unless_empty(local), domain, unless_empty(resource));
}

Result<Jid> Jid::assemble(std::optional<std::string_view> local, std::string_view domain,
                          std::optional<std::string_view> resource) {
  Jid jid;
  const std::size_t size =
      (local ? local->size() + 1 : 0) + domain.size() + (resource ? resource->size() + 1 : 0);
  if (size > kMaxAddressBytes) return fail(Errc::invalid, "the address is longer than 3071 bytes");
  jid.text_.reserve(size);
  if (local) {
    if (auto done = append_local(jid.text_, *local); !done) return std::unexpected(std::move(done.error()));
    jid.local_size_ = static_cast<std::uint16_t>(jid.text_.size());
    jid.text_ += '@';
  }
  if (auto done = append_domain(jid.text_, domain); !done) return std::unexpected(std::move(done.error()));
  jid.bare_size_ = static_cast<std::uint16_t>(jid.text_.size());
  if (resource) {
    jid.text_ += '/';
    if (auto done = append_resource(jid.text_, *resource); !done)
      return std::unexpected(std::move(done.error()));
  }
  return jid;
}

Jid Jid::to_bare() const {
  Jid bare_jid;
  bare_jid.text_ = bare();
  bare_jid.local_size_ = local_size_;
  bare_jid.bare_size_ = bare_size_;
  return bare_jid;
}

Jid Jid::to_domain() const {
  Jid domain_jid;
  domain_jid.text_ = domain();
  domain_jid.bare_size_ = static_cast<std::uint16_t>(domain_jid.text_.size());
  return domain_jid;
}

Result<Jid> Jid::with_resource(std::string_view resource) const {
  if (empty()) return fail(Errc::invalid, "there is no address to give a resource to");
  Jid full;
  full.text_.reserve(bare_size_ + 1U + std::min(resource.size(), kMaxPartBytes));
  full.text_ = bare();
  full.text_ += '/';
  if (auto done = append_resource(full.text_, resource); !done)
    return std::unexpected(std::move(done.error()));
  full.local_size_ = local_size_;
  full.bare_size_ = bare_size_;
  return full;
}

Result<std::string> prepare_local(std::string_view text) { return prepare(text, append_local); }
Result<std::string> prepare_domain(std::string_view text) { return prepare(text, append_domain); }
Result<std::string> prepare_resource(std::string_view text) { return prepare(text, append_resource); }

Result<std::string> prepare_password(std::string_view text) {
  std::string out;
  auto appended = append_opaque(out, text);
  if (!appended)
    return fail(Errc::invalid, fmt::format("the password is not valid: {}", appended.error().message));
  if (out.empty()) return fail(Errc::invalid, "the password is empty");
  return out;
}

}  // namespace starling
