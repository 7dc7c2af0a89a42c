#pragma once
// Sensor data (XEP-0323 version 0.6): one struct for each message, with what the schema (section 10) gives
// it. A reader asks with <req/> in an IQ of type get and gets <accepted/> in its result; all else that the
// device has to say comes in messages, until one says that it is done (section 3). Plain data; any thread.
//
// Read beside the schema: `identification` (example 6) for `identity`; <rejected/> and `timeSpan`, which
// earlier versions had and slixmpp has. Fields of types that nobody knows are left out. Known gaps: stringIds
// (6.2) are not taken apart.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "payload/iot.h"

namespace starling::payload {

enum class SensorFlag : std::uint8_t {
  // What kind of value it is (5.6).
  momentary,
  peak,
  status,
  computed,
  identity,
  historical_second,
  historical_minute,
  historical_hour,
  historical_day,
  historical_week,
  historical_month,
  historical_quarter,
  historical_year,
  historical_other,
  // How good it is, in order of importance (5.7). No such flag at all means automatic_readout.
  missing,
  in_progress,
  automatic_estimate,
  manual_estimate,
  manual_readout,
  automatic_readout,
  time_offset,
  warning,
  error,
  signed_,
  invoiced,
  end_of_series,
  power_failure,
  invoice_confirmed,
  // In requests only (table 5): every kind, every historical kind.
  all,
  historical,
};
std::string_view to_string(SensorFlag flag);  // "automaticReadout"

class SensorFlags {
 public:
  SensorFlags() = default;
  SensorFlags(std::initializer_list<SensorFlag> flags) {
    for (const SensorFlag flag : flags) set(flag);
  }
  [[nodiscard]] bool has(SensorFlag flag) const { return (bits_ & bit(flag)) != 0; }
  void set(SensorFlag flag) { bits_ |= bit(flag); }
  bool operator==(const SensorFlags&) const = default;

 private:
  static std::uint32_t bit(SensorFlag flag) { return std::uint32_t{1} << static_cast<unsigned>(flag); }
  std::uint32_t bits_ = 0;
};

struct SensorField {
  std::string name;
  IotValue value;         // of any type but color and double_
  std::string unit;       // of numeric; may be empty (5.5)
  std::string data_type;  // of enum_
  SensorFlags flags;
  std::string module, string_ids;  // for localized names (6.2)
  std::optional<bool> writable;    // whether a control parameter has this name (5.10)
  bool operator==(const SensorField&) const = default;
};

struct SensorRequest {
  std::int32_t seqnr = 0;  // the client's own count; comes back in all that answers the request
  SensorFlags kinds;
  std::vector<IotNode> nodes;       // none: all of the device
  std::vector<std::string> fields;  // names; none: all
  std::string from, to;             // xs:dateTime: bounds of historical values
  std::string when;                 // xs:dateTime: not now
  IotTokens tokens;

  // Whether the field is of what was asked for. Devices may send more, and the client must pass over it
  // (section 3). A request without kinds leaves them to the device. Bounds in time are not looked at.
  [[nodiscard]] bool selects(const SensorField& field) const;
  bool operator==(const SensorRequest&) const = default;
};

struct SensorAccepted {
  std::int32_t seqnr = 0;
  bool queued = false;  // <started/> will come
  bool operator==(const SensorAccepted&) const = default;
};

// In an IQ of type error, in place of a stanza error: what earlier versions had.
struct SensorRejected {
  std::int32_t seqnr = 0;
  std::string error;
  bool operator==(const SensorRejected&) const = default;
};

struct SensorStarted {
  std::int32_t seqnr = 0;
  bool operator==(const SensorStarted&) const = default;
};

struct SensorFields {
  struct Timestamp {
    std::string value;  // xs:dateTime; without a zone it is that of the reader, unless he knows better (6.1)
    std::vector<SensorField> fields;
    bool operator==(const Timestamp&) const = default;
  };
  struct Node {
    IotNode node;
    std::vector<Timestamp> timestamps;
    bool operator==(const Node&) const = default;
  };
  std::int32_t seqnr = 0;
  bool done = false;  // the last message of the read-out
  std::vector<Node> nodes;
  bool operator==(const SensorFields&) const = default;
};

struct SensorFailure {
  struct Problem {
    IotNode node;
    std::string timestamp;  // xs:dateTime
    std::string text;       // for a person
    bool operator==(const Problem&) const = default;
  };
  std::int32_t seqnr = 0;
  bool done = false;
  std::vector<Problem> errors;
  bool operator==(const SensorFailure&) const = default;
};

struct SensorDone {
  std::int32_t seqnr = 0;
  bool operator==(const SensorDone&) const = default;
};

struct SensorCancel {
  std::int32_t seqnr = 0;
  bool operator==(const SensorCancel&) const = default;
};

struct SensorCancelled {
  std::int32_t seqnr = 0;
  bool operator==(const SensorCancelled&) const = default;
};

using SensorMessage = std::variant<SensorRequest, SensorAccepted, SensorRejected, SensorStarted, SensorFields,
                                   SensorFailure, SensorDone, SensorCancel, SensorCancelled>;

// Of an element of the namespace. The error is `invalid`: no message of XEP-0323, or one without what the
// schema requires, or with a flag that is neither true nor false. Values are not looked into.
Result<SensorMessage> parse_sensor_message(const xml::Element& element);

// Writes the whole element.
void write(xml::Writer& writer, const SensorRequest& request);
void write(xml::Writer& writer, const SensorAccepted& accepted);
void write(xml::Writer& writer, const SensorRejected& rejected);
void write(xml::Writer& writer, const SensorStarted& started);
void write(xml::Writer& writer, const SensorFields& fields);
void write(xml::Writer& writer, const SensorFailure& failure);
void write(xml::Writer& writer, const SensorDone& done);
void write(xml::Writer& writer, const SensorCancel& cancel);
void write(xml::Writer& writer, const SensorCancelled& cancelled);
void write(xml::Writer& writer, const SensorMessage& message);

}  // namespace starling::payload
