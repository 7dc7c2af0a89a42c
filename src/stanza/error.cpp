#include "stanza/error.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "xml/namespaces.h"

namespace starling {
namespace {

struct ConditionInfo {
  std::string_view name;
  ErrorType type;
};
constexpr std::array kConditions = std::to_array<ConditionInfo>({
    {"bad-request", ErrorType::modify},
    {"conflict", ErrorType::cancel},
    {"feature-not-implemented", ErrorType::cancel},
    {"forbidden", ErrorType::auth},
    {"gone", ErrorType::cancel},
    {"internal-server-error", ErrorType::cancel},
    {"item-not-found", ErrorType::cancel},
    {"jid-malformed", ErrorType::modify},
    {"not-acceptable", ErrorType::modify},
    {"not-allowed", ErrorType::cancel},
    {"not-authorized", ErrorType::auth},
    {"policy-violation", ErrorType::modify},
    {"recipient-unavailable", ErrorType::wait},
    {"redirect", ErrorType::modify},
    {"registration-required", ErrorType::auth},
    {"remote-server-not-found", ErrorType::cancel},
    {"remote-server-timeout", ErrorType::wait},
    {"resource-constraint", ErrorType::wait},
    {"service-unavailable", ErrorType::cancel},
    {"subscription-required", ErrorType::auth},
    {"undefined-condition", ErrorType::cancel},
    {"unexpected-request", ErrorType::wait},
});
static_assert(kConditions.size() == static_cast<std::size_t>(Condition::unexpected_request) + 1);

constexpr std::array kErrorTypes =
    std::to_array<std::string_view>({"auth", "cancel", "continue", "modify", "wait"});
static_assert(kErrorTypes.size() == static_cast<std::size_t>(ErrorType::wait) + 1);

constexpr std::array kStreamConditions = std::to_array<std::string_view>({
    "bad-format",
    "bad-namespace-prefix",
    "conflict",
    "connection-timeout",
    "host-gone",
    "host-unknown",
    "improper-addressing",
    "internal-server-error",
    "invalid-from",
    "invalid-namespace",
    "invalid-xml",
    "not-authorized",
    "not-well-formed",
    "policy-violation",
    "remote-connection-failed",
    "reset",
    "resource-constraint",
    "restricted-xml",
    "see-other-host",
    "system-shutdown",
    "undefined-condition",
    "unsupported-encoding",
    "unsupported-feature",
    "unsupported-stanza-type",
    "unsupported-version",
});
static_assert(kStreamConditions.size() == static_cast<std::size_t>(StreamCondition::unsupported_version) + 1);

void write_text(xml::Writer& writer, std::string_view ns, std::string_view text) {
  if (!text.empty()) writer.open("text", ns).attribute("xml:lang", "en").text(text).close();
}

}  // namespace

std::string_view to_string(Condition condition) { return kConditions[std::to_underlying(condition)].name; }
ErrorType default_type(Condition condition) { return kConditions[std::to_underlying(condition)].type; }
std::string_view to_string(ErrorType type) { return kErrorTypes[std::to_underlying(type)]; }
std::string_view to_string(StreamCondition condition) {
  return kStreamConditions[std::to_underlying(condition)];
}

std::optional<Condition> parse_condition(std::string_view name) {
  const auto* at = std::ranges::find(kConditions, name, &ConditionInfo::name);
  if (at == kConditions.end()) return std::nullopt;
  return static_cast<Condition>(std::distance(kConditions.begin(), at));
}

std::optional<StreamCondition> parse_stream_condition(std::string_view name) {
  const auto* at = std::ranges::find(kStreamConditions, name);
  if (at == kStreamConditions.end()) return std::nullopt;
  return static_cast<StreamCondition>(std::distance(kStreamConditions.begin(), at));
}

void write_error(xml::Writer& writer, const StanzaError& error, std::string_view by) {
  writer.open("error")
      .attribute("type", to_string(error.type.value_or(default_type(error.condition))))
      .attribute_if("by", by);
  writer.open(to_string(error.condition), ns::stanzas).close();
  write_text(writer, ns::stanzas, error.text);
  writer.raw(error.application).close();
}

void write_stream_error(std::string& out, const StreamError& error) {
  xml::Writer writer(out);
  writer.open("stream:error").open(to_string(error.condition), ns::streams).close();
  write_text(writer, ns::streams, error.text);
  writer.raw(error.application).close();
}

}  // namespace starling
