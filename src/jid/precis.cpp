#include "jid/precis.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

namespace starling::precis {
namespace {

enum class Property { valid, freeform_only, contextual, disallowed };

// ICU's tables are in the library's own data; that they cannot be had is a broken installation, not a bad
// address.
const icu::Normalizer2& nfc() {
  static const icu::Normalizer2* const instance = [] {
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* found = icu::Normalizer2::getNFCInstance(status);
    if (U_FAILURE(status)) throw std::runtime_error("ICU has no NFC data");
    return found;
  }();
  return *instance;
}

const icu::Normalizer2& nfkc() {
  static const icu::Normalizer2* const instance = [] {
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* found = icu::Normalizer2::getNFKCInstance(status);
    if (U_FAILURE(status)) throw std::runtime_error("ICU has no NFKC data");
    return found;
  }();
  return *instance;
}

bool in_gc(char32_t c, std::uint32_t mask) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & mask) != 0; }

bool is_arabic_digit(char32_t c) { return c >= 0x660 && c <= 0x669; }
bool is_extended_arabic_digit(char32_t c) { return c >= 0x6F0 && c <= 0x6F9; }

// RFC 5892 2.6
std::optional<Property> exception(char32_t c) {
  if (is_arabic_digit(c) || is_extended_arabic_digit(c)) return Property::contextual;
  switch (c) {
    case 0x00DF:
    case 0x03C2:
    case 0x06FD:
    case 0x06FE:
    case 0x0F0B:
    case 0x3007:
      return Property::valid;
    case 0x00B7:
    case 0x0375:
    case 0x05F3:
    case 0x05F4:
    case 0x30FB:
      return Property::contextual;
    case 0x0640:
    case 0x07FA:
    case 0x302E:
    case 0x302F:
    case 0x3031:
    case 0x3032:
    case 0x3033:
    case 0x3034:
    case 0x3035:
    case 0x303B:
      return Property::disallowed;
    default:
      return std::nullopt;
  }
}

bool is_old_hangul_jamo(char32_t c) {
  switch (u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_HANGUL_SYLLABLE_TYPE)) {
    case U_HST_LEADING_JAMO:
    case U_HST_VOWEL_JAMO:
    case U_HST_TRAILING_JAMO:
      return true;
    default:
      return false;
  }
}

bool has_compatibility_form(char32_t c) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeString text(static_cast<UChar32>(c));
  const bool same = nfkc().isNormalized(text, status) || nfkc().normalize(text, status) == text;
  return !same;
}

// RFC 8264 8, in its order.
Property property_of(char32_t c) {
  constexpr std::uint32_t kLetterDigits =
      U_GC_LL_MASK | U_GC_LU_MASK | U_GC_LO_MASK | U_GC_ND_MASK | U_GC_LM_MASK | U_GC_MN_MASK | U_GC_MC_MASK;
  constexpr std::uint32_t kOtherLetterDigits = U_GC_LT_MASK | U_GC_NL_MASK | U_GC_NO_MASK | U_GC_ME_MASK;
  const auto cp = static_cast<UChar32>(c);

  if (const auto known = exception(c)) return *known;
  if (in_gc(c, U_GC_CN_MASK)) return Property::disallowed;  // unassigned, or a noncharacter
  if (c >= 0x21 && c <= 0x7E) return Property::valid;
  if (c == 0x200C || c == 0x200D) return Property::contextual;
  if (is_old_hangul_jamo(c)) return Property::disallowed;
  if (u_hasBinaryProperty(cp, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) return Property::disallowed;
  if (in_gc(c, U_GC_CC_MASK)) return Property::disallowed;
  if (has_compatibility_form(c)) return Property::freeform_only;
  if (in_gc(c, kLetterDigits)) return Property::valid;
  if (in_gc(c, kOtherLetterDigits | U_GC_ZS_MASK | U_GC_S_MASK | U_GC_P_MASK)) return Property::freeform_only;
  return Property::disallowed;
}

bool in_script(char32_t c, UScriptCode script) {
  UErrorCode status = U_ZERO_ERROR;
  return uscript_getScript(static_cast<UChar32>(c), &status) == script && U_SUCCESS(status);
}

int joining_type(char32_t c) { return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_JOINING_TYPE); }

bool follows_virama(std::u32string_view text, std::size_t at) {
  constexpr int kVirama = 9;
  return at > 0 && u_getCombiningClass(static_cast<UChar32>(text[at - 1])) == kVirama;
}

// RFC 5892 A.1: between a left- or dual-joining and a right- or dual-joining letter, transparent ones aside.
bool is_between_joining_letters(std::u32string_view text, std::size_t at) {
  std::size_t before = at;
  while (before > 0 && joining_type(text[before - 1]) == U_JT_TRANSPARENT) --before;
  if (before == 0) return false;
  const int left = joining_type(text[before - 1]);
  if (left != U_JT_LEFT_JOINING && left != U_JT_DUAL_JOINING) return false;
  std::size_t after = at + 1;
  while (after < text.size() && joining_type(text[after]) == U_JT_TRANSPARENT) ++after;
  if (after == text.size()) return false;
  const int right = joining_type(text[after]);
  return right == U_JT_RIGHT_JOINING || right == U_JT_DUAL_JOINING;
}

// RFC 5892 appendix A. `at` is a code point that property_of() calls contextual.
bool fits_context(std::u32string_view text, std::size_t at) {
  const char32_t c = text[at];
  const char32_t before = at > 0 ? text[at - 1] : U'\0';
  const char32_t after = at + 1 < text.size() ? text[at + 1] : U'\0';
  switch (c) {
    case 0x200C:
      return follows_virama(text, at) || is_between_joining_letters(text, at);
    case 0x200D:
      return follows_virama(text, at);
    case 0x00B7:
      return before == U'l' && after == U'l';
    case 0x0375:
      return in_script(after, USCRIPT_GREEK);
    case 0x05F3:
    case 0x05F4:
      return in_script(before, USCRIPT_HEBREW);
    case 0x30FB:
      return std::ranges::any_of(text, [](char32_t other) {
        return in_script(other, USCRIPT_HIRAGANA) || in_script(other, USCRIPT_KATAKANA) ||
               in_script(other, USCRIPT_HAN);
      });
    default:
      return std::ranges::none_of(text, is_arabic_digit(c) ? is_extended_arabic_digit : is_arabic_digit);
  }
}

// RFC 8265 3.3.1, rule 1. A fullwidth or halfwidth code point decomposes to exactly one.
char32_t map_width(char32_t c) {
  const int type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_DECOMPOSITION_TYPE);
  if (type != U_DT_WIDE && type != U_DT_NARROW) return c;
  icu::UnicodeString mapped;
  return nfkc().getRawDecomposition(static_cast<UChar32>(c), mapped)
             ? static_cast<char32_t>(mapped.char32At(0))
             : c;
}

void append_utf8(std::string& out, char32_t c) {
  std::array<char, U8_MAX_LENGTH> bytes;
  std::size_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, static_cast<UChar32>(c));
  out.append(bytes.data(), size);
}

// RFC 8265 3.3.1, rule 3. By code point: PRECIS gives the final sigma no special place (RFC 7622 3.5). Only
// one code point has a lower case of two.
void append_lower_case(std::string& out, char32_t c) {
  if (c == 0x130) {
    out += "i\u0307";
  } else {
    append_utf8(out, static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
  }
}

Result<std::string> normalise(std::string text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::StringPiece piece(text.data(), static_cast<std::int32_t>(text.size()));
  if (nfc().isNormalizedUTF8(piece, status) && U_SUCCESS(status)) return text;
  std::string normal;
  icu::StringByteSink<std::string> sink(&normal);
  status = U_ZERO_ERROR;
  nfc().normalizeUTF8(0, piece, sink, nullptr, status);
  if (U_FAILURE(status)) return fail(Errc::invalid, "it cannot be normalised");
  return normal;
}

// RFC 5893 2: the six conditions, for text that has a right-to-left code point.
bool satisfies_bidi_rule(std::u32string_view text) {
  const auto direction = [](char32_t c) { return u_charDirection(static_cast<UChar32>(c)); };
  const auto is_rtl = [](UCharDirection d) {
    return d == U_RIGHT_TO_LEFT || d == U_RIGHT_TO_LEFT_ARABIC || d == U_ARABIC_NUMBER;
  };
  if (std::ranges::none_of(text, [&](char32_t c) { return is_rtl(direction(c)); })) return true;
  // A right-to-left code point cannot stand in a left-to-right label, so conditions 5 and 6 have no case
  // here.
  const UCharDirection first = direction(text.front());
  if (first != U_RIGHT_TO_LEFT && first != U_RIGHT_TO_LEFT_ARABIC) return false;
  bool european = false;
  bool arabic = false;
  for (const char32_t c : text) {
    switch (direction(c)) {
      case U_RIGHT_TO_LEFT:
      case U_RIGHT_TO_LEFT_ARABIC:
      case U_EUROPEAN_NUMBER_SEPARATOR:
      case U_COMMON_NUMBER_SEPARATOR:
      case U_EUROPEAN_NUMBER_TERMINATOR:
      case U_OTHER_NEUTRAL:
      case U_BOUNDARY_NEUTRAL:
      case U_DIR_NON_SPACING_MARK:
        break;
      case U_ARABIC_NUMBER:
        arabic = true;
        break;
      case U_EUROPEAN_NUMBER:
        european = true;
        break;
      default:
        return false;
    }
  }
  if (european && arabic) return false;
  std::size_t size = text.size();
  while (size > 0 && direction(text[size - 1]) == U_DIR_NON_SPACING_MARK) --size;
  if (size == 0) return false;
  const UCharDirection last = direction(text[size - 1]);
  return is_rtl(last) || last == U_EUROPEAN_NUMBER;
}

Result<std::string> username_case_mapped_once(std::string_view text) {
  auto decoded = decode(text);
  if (!decoded) return std::unexpected(std::move(decoded.error()));
  std::ranges::transform(*decoded, decoded->begin(), map_width);
  if (auto checked = check(Class::identifier, *decoded); !checked)
    return std::unexpected(std::move(checked.error()));
  std::string lower;
  lower.reserve(text.size());
  for (const char32_t c : *decoded) append_lower_case(lower, c);
  auto normal = normalise(std::move(lower));
  if (!normal) return normal;
  decoded = decode(*normal);
  if (!decoded) return std::unexpected(std::move(decoded.error()));
  if (!satisfies_bidi_rule(*decoded)) {
    return fail(Errc::invalid, "it mixes writing directions in a way that RFC 5893 does not allow");
  }
  return normal;
}

Result<std::string> opaque_string_once(std::string_view text) {
  const auto decoded = decode(text);
  if (!decoded) return std::unexpected(decoded.error());
  if (auto checked = check(Class::freeform, *decoded); !checked)
    return std::unexpected(std::move(checked.error()));
  std::string mapped;
  mapped.reserve(text.size());
  for (const char32_t c : *decoded) append_utf8(mapped, in_gc(c, U_GC_ZS_MASK) ? U' ' : c);
  return normalise(std::move(mapped));
}

// RFC 8264 7: case mapping and normalisation can each undo what the other did, so the rules are applied until
// nothing changes; what has not settled after that many times is refused.
Result<std::string> until_stable(std::string_view text, Result<std::string> (*once)(std::string_view)) {
  constexpr int kRounds = 4;
  auto result = once(text);
  for (int round = 1; round < kRounds && result; ++round) {
    auto again = once(*result);
    if (!again || *again == *result) return again;
    result = std::move(again);
  }
  if (!result) return result;
  return fail(Errc::invalid, "it has no stable normal form");
}

}  // namespace

Result<std::u32string> decode(std::string_view utf8) {
  std::u32string out;
  out.reserve(utf8.size());
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(utf8.data());
  const std::size_t size = utf8.size();
  for (std::size_t at = 0; at < size;) {
    UChar32 c = 0;
    U8_NEXT(bytes, at, size, c);  // NOLINT(bugprone-inc-dec-in-conditions): ICU's macro
    if (c < 0) return fail(Errc::invalid, "it is not valid UTF-8");
    out.push_back(static_cast<char32_t>(c));
  }
  return out;
}

Result<> check(Class string_class, std::u32string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    const Property property = property_of(text[at]);
    if (property == Property::valid) continue;
    if (property == Property::freeform_only && string_class == Class::freeform) continue;
    const auto number = static_cast<std::uint32_t>(text[at]);
    if (property != Property::contextual) {
      return fail(Errc::invalid, fmt::format("the character U+{:04X} is not allowed in it", number));
    }
    if (!fits_context(text, at)) {
      return fail(Errc::invalid, fmt::format("the character U+{:04X} is not allowed in this place", number));
    }
  }
  return {};
}

Result<std::string> username_case_mapped(std::string_view text) {
  return until_stable(text, username_case_mapped_once);
}

Result<std::string> opaque_string(std::string_view text) { return until_stable(text, opaque_string_once); }

}  // namespace starling::precis
