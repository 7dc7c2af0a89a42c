#include "jid/domain.h"

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unicode/bytestream.h>
#include <unicode/idna.h>
#include <unicode/stringpiece.h>

#include "jid/precis.h"

namespace starling {
namespace {

const icu::IDNA& idna() {
  static const std::unique_ptr<const icu::IDNA> instance = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<const icu::IDNA> made(
        icu::IDNA::createUTS46Instance(UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_CHECK_CONTEXTO |
                                           UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE,
                                       status));
    if (U_FAILURE(status)) throw std::runtime_error("ICU has no IDNA data");
    return made;
  }();
  return *instance;
}

icu::StringPiece piece_of(std::string_view text) {
  return {text.data(), static_cast<std::int32_t>(text.size())};
}

// "ab--cd" is taken: such names exist, and only "xn--" means anything. The length of a whole name is the
// resolver's concern.
constexpr std::uint32_t kTolerated = UIDNA_ERROR_HYPHEN_3_4 | UIDNA_ERROR_DOMAIN_NAME_TOO_LONG;

std::string_view explain(std::uint32_t errors) {
  if (errors & UIDNA_ERROR_EMPTY_LABEL) return "a label is empty";
  if (errors & UIDNA_ERROR_LABEL_TOO_LONG) return "a label is longer than 63 bytes";
  if (errors & (UIDNA_ERROR_LEADING_HYPHEN | UIDNA_ERROR_TRAILING_HYPHEN))
    return "a label begins or ends with a hyphen";
  if (errors & (UIDNA_ERROR_PUNYCODE | UIDNA_ERROR_INVALID_ACE_LABEL))
    return "a label beginning xn-- is no A-label";
  if (errors & UIDNA_ERROR_BIDI) return "it mixes writing directions in a way that RFC 5893 does not allow";
  return "a character in it is not allowed";
}

std::unexpected<Error> refuse(std::string_view why) { return fail(Errc::invalid, std::string(why)); }

Result<std::string> to_ascii(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  icu::IDNAInfo info;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  idna().nameToASCII_UTF8(piece_of(text), sink, info, status);
  if (U_FAILURE(status)) return refuse("it is no domain name");
  if (const std::uint32_t errors = info.getErrors() & ~kTolerated) return refuse(explain(errors));
  return out;
}

Result<std::string> to_unicode(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  icu::IDNAInfo info;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  idna().nameToUnicodeUTF8(piece_of(text), sink, info, status);
  if (U_FAILURE(status)) return refuse("it is no domain name");
  if (const std::uint32_t errors = info.getErrors() & ~kTolerated) return refuse(explain(errors));
  return out;
}

bool is_ascii_name_character(char32_t c) {
  return (c >= U'a' && c <= U'z') || (c >= U'0' && c <= U'9') || c == U'-' || c == U'_';
}

// UTS 46 lets symbols and most of ASCII through; IDNA2008 does not (RFC 5892). Its table for what is beyond
// ASCII and has been mapped is that of the PRECIS identifier class.
Result<> check_labels(std::string_view name) {
  const auto decoded = precis::decode(name);
  if (!decoded) return std::unexpected(decoded.error());
  std::u32string_view rest = *decoded;
  while (true) {
    const std::size_t dot = rest.find(U'.');
    const std::u32string_view label = rest.substr(0, dot);
    for (const char32_t c : label) {
      if (c < 0x80 && !is_ascii_name_character(c)) {
        return fail(Errc::invalid, fmt::format("the character U+{:04X} is not allowed in it",
                                               static_cast<std::uint32_t>(c)));
      }
    }
    if (auto checked = precis::check(precis::Class::identifier, label); !checked) return checked;
    if (dot == std::u32string_view::npos) return {};
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace

Result<std::string> domain_to_ascii(std::string_view prepared) { return to_ascii(prepared); }

Result<std::string> domain_to_unicode(std::string_view text) {
  if (auto decoded = precis::decode(text); !decoded) return std::unexpected(std::move(decoded.error()));
  auto name = to_unicode(text);
  if (!name) return name;
  // The dots of other scripts are mapped by now. What is stripped is one separator; another makes an empty
  // label.
  if (name->ends_with('.')) name->pop_back();
  if (auto checked = check_labels(*name); !checked) return std::unexpected(std::move(checked.error()));

  // An A-label must be the one spelling of its U-label ("xn--foo-" is none of "foo"), and both are one name.
  auto ascii = to_ascii(text);
  if (!ascii) return ascii;
  if (ascii->ends_with('.')) ascii->pop_back();
  if (const std::string_view fault = fault_in_labels(*ascii); !fault.empty()) return refuse(fault);
  const auto back = to_ascii(*name);
  if (!back) return back;
  if (*ascii != *back) return refuse("a label beginning xn-- is no A-label");
  return name;
}

std::string_view fault_in_labels(std::string_view name) {
  constexpr std::size_t kMaxLabelBytes = 63;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (label.empty()) return "a label is empty";
    if (label.size() > kMaxLabelBytes) return "a label is longer than 63 bytes";
    if (label.front() == '-' || label.back() == '-') return "a label begins or ends with a hyphen";
    if (dot == std::string_view::npos) return {};
    name.remove_prefix(dot + 1);
  }
}

Result<std::string> normalise_ipv6_literal(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> digits{};
  in6_addr address{};
  const bool bracketed = text.starts_with('[') && text.ends_with(']') && text.size() - 2 < digits.size();
  if (!bracketed) return refuse("it is no IPv6 address in brackets");
  text.substr(1, text.size() - 2).copy(digits.data(), digits.size() - 1);
  if (text.contains('\0') || inet_pton(AF_INET6, digits.data(), &address) != 1) {
    return refuse("it is no IPv6 address in brackets");
  }
  inet_ntop(AF_INET6, &address, digits.data(), digits.size());
  return fmt::format("[{}]", digits.data());
}

}  // namespace starling
