#include "payload/values.h"

#include <charconv>
#include <limits>

namespace starling::payload {
namespace {

// XML Schema part 2, 4.3.6: white space of all these types collapses.
std::string_view collapsed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// from_chars() knows no plus sign.
bool strip_plus(std::string_view& text) {
  if (!text.starts_with('+')) return true;
  text.remove_prefix(1);
  return !text.starts_with('-');
}

template <class T>
std::optional<T> parse_integer(std::string_view text) {
  text = collapsed(text);
  T value{};
  if (!strip_plus(text)) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string attribute(const xml::Element& element, std::string_view name) {
  return std::string(element.attribute(name).value_or(std::string_view()));
}

std::string_view child_text(const xml::Element& element, std::string_view name) {
  const xml::Element* child = element.child(name, element.ns());
  return child == nullptr ? std::string_view() : child->text();
}

std::optional<bool> parse_boolean(std::string_view text) {
  text = collapsed(text);
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return std::nullopt;
}

std::optional<std::int32_t> parse_int(std::string_view text) { return parse_integer<std::int32_t>(text); }
std::optional<std::int64_t> parse_long(std::string_view text) { return parse_integer<std::int64_t>(text); }

std::optional<double> parse_double(std::string_view text) {
  text = collapsed(text);
  if (text == "INF") return std::numeric_limits<double>::infinity();
  if (text == "-INF") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (!strip_plus(text)) return std::nullopt;
  // from_chars() takes "inf" and "nan", which are no values here.
  const std::size_t sign = text.starts_with('-') ? 1 : 0;
  if (text.size() == sign || (!is_digit(text[sign]) && text[sign] != '.')) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace starling::payload
