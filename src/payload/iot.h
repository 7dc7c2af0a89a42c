#pragma once
// What sensor data (XEP-0323) and control (XEP-0325) share: how a node behind an address is named, the tokens
// of provisioning (XEP-0324), and typed values. Plain data; any thread.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

// XEP-0323 5.9, XEP-0325 5.7: what names a node; the second and third only where the first does not suffice.
struct IotNode {
  std::string node_id, source_id, cache_type;
  bool operator==(const IotNode&) const = default;
};
Result<IotNode> parse_iot_node(const xml::Element& element);  // the error is `invalid`: no nodeId
xml::Writer& write_attributes(xml::Writer& writer, const IotNode& node);

struct IotTokens {
  std::string service, device, user;
  bool operator==(const IotTokens&) const = default;
};
IotTokens parse_iot_tokens(const xml::Element& element);
xml::Writer& write_attributes(xml::Writer& writer, const IotTokens& tokens);

// XEP-0323 table 3 and the parameters of XEP-0325 3.2, by their names there. `time_span` is what earlier
// versions of XEP-0323 had for `duration`, and what slixmpp has.
enum class IotType : std::uint8_t {
  boolean,
  color,
  date,
  date_time,
  double_,
  duration,
  enum_,
  int_,
  long_,
  numeric,
  string,
  time,
  time_span,
};
std::string_view to_string(IotType type);  // "dateTime"
std::optional<IotType> parse_iot_type(std::string_view name);

// A value as it is on the wire: the number of decimals is part of what a sensor says (XEP-0323 table 3).
struct IotValue {
  IotType type = IotType::string;
  std::string text;

  [[nodiscard]] bool valid() const;  // whether the text is a value of the type

  // Nothing for values of other types, and for a text that is none of its own.
  [[nodiscard]] std::optional<bool> boolean() const;
  [[nodiscard]] std::optional<std::int64_t> integer() const;  // int_ within 32 bits, long_
  [[nodiscard]] std::optional<double> number() const;         // numeric, double_, int_, long_

  bool operator==(const IotValue&) const = default;
};

}  // namespace starling::payload
