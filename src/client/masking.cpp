#include "client/masking.h"

#include <array>
#include <vector>

#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::client {
namespace {

constexpr auto kSecretElements =
    std::to_array<std::string_view>({"password", "digest", "key", "token", "secret", "initial-response"});

bool is_secret(const xml::Element& element) {
  if (element.ns() == ns::sasl)
    return element.name() == "auth" || element.name() == "challenge" || element.name() == "response" ||
           element.name() == "success";
  return std::ranges::find(kSecretElements, element.name()) != kSecretElements.end();
}

bool is_secret_field(const xml::Element& element) {
  if (!element.is("field", ns::data_forms)) return false;
  return element.attribute("type") == "text-private" ||
         element.attribute("var").value_or("").find("password") != std::string_view::npos;
}

void collect(const xml::Element& element, bool inside, std::vector<std::string_view>& secrets) {
  if ((inside && element.name() == "value") || is_secret(element)) {
    if (!element.inner_bytes().empty()) secrets.push_back(element.inner_bytes());
    return;
  }
  for (const auto& child : element.children()) collect(child, is_secret_field(element), secrets);
}

}  // namespace

std::string mask_secrets(std::string_view xml) {
  if (xml.starts_with("<?xml") || xml.starts_with("<stream:stream") || xml.starts_with("</") || xml == " ")
    return std::string(xml);
  // <stream:features/> and <stream:error/> borrow their prefix from the stream, and hold no secrets.
  if (xml.starts_with("<stream:")) return std::string(xml);
  const auto parsed = xml::parse_fragment(xml, ns::client, xml::kNoLimits);
  if (!parsed) return fmt::format("({} bytes that are no single element)", xml.size());
  std::vector<std::string_view> secrets;
  collect(parsed->root(), false, secrets);
  const std::string_view all = parsed->root().bytes();
  std::string masked;
  std::size_t at = 0;
  for (const std::string_view secret : secrets) {
    const auto from = static_cast<std::size_t>(secret.data() - all.data());
    masked.append(all.substr(at, from - at)).append("***");
    at = from + secret.size();
  }
  return masked.append(all.substr(at));
}

}  // namespace starling::client
