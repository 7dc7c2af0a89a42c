#pragma once
// Control (XEP-0325 version 0.5.1): parameters that are set in a device, and what it says to that. A command
// in a message is never answered; in an IQ of type set it is, by <setResponse/> in the result or by an error
// with <paramError/> in it (3.1). The form that <getForm/> asks for is a data form by itself (3.3). Plain
// data; any thread.
//
// Read and written beside the schema: the response codes and errors inside <setResponse/> that earlier
// versions had and that slixmpp waits for, even in an IQ of type error. Known gaps: no conversion of a
// sensor's values into a parameter's (table 3).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "payload/data_form.h"
#include "payload/iot.h"
#include "stanza/error.h"

namespace starling::payload {

struct ControlParameter {
  std::string name;
  IotValue value;  // of any type but enum_, numeric and time_span
  bool operator==(const ControlParameter&) const = default;
};

struct ControlSet {
  std::vector<IotNode> nodes;                // none: the device itself
  std::vector<ControlParameter> parameters;  // their order may matter (3.2.11)
  std::optional<DataForm> form;              // a submission, in place of parameters (3.3.3)
  IotTokens tokens;
  std::string lang;  // wanted of texts in the answer (6.2)
  bool operator==(const ControlSet&) const = default;
};

struct ControlGetForm {
  std::vector<IotNode> nodes;
  IotTokens tokens;
  std::string lang;
  bool operator==(const ControlGetForm&) const = default;
};

// What is wrong with one parameter.
struct ControlParamError {
  std::string var;
  std::string text;  // for a person
  bool operator==(const ControlParamError&) const = default;
};

// In place of these, the document now has conditions of stanza errors (5.1).
enum class ControlCode : std::uint8_t {
  ok,
  not_found,
  insufficient_privileges,
  locked,
  not_implemented,
  form_error,
  other_error,
};
std::string_view to_string(ControlCode code);  // "InsufficientPrivileges"
// The condition of table 2 for a failure, and the code for a condition.
Condition condition_of(ControlCode failure);
ControlCode code_of(Condition condition);

// An empty one says that all was done as it was asked for (3.1.2).
struct ControlSetResponse {
  std::optional<ControlCode> code;
  std::vector<IotNode> nodes;           // what the command was narrowed to, or what failed
  std::vector<std::string> parameters;  // the same, names
  std::vector<ControlParamError> errors;
  bool operator==(const ControlSetResponse&) const = default;
};

// The error is `invalid`: another element, or what the schema requires is missing. A parameter of a type that
// nobody knows is one too, since nothing shall be done by halves.
Result<ControlSet> parse_control_set(const xml::Element& set);
Result<ControlGetForm> parse_control_get_form(const xml::Element& get_form);
// A code that is not known is other_error.
Result<ControlSetResponse> parse_control_set_response(const xml::Element& set_response);
// Of the children of a stanza's <error/>.
std::vector<ControlParamError> parse_control_param_errors(const xml::Element& error);

// Each writes the whole element; of <paramError/>, for StanzaError::application.
void write(xml::Writer& writer, const ControlSet& set);
void write(xml::Writer& writer, const ControlGetForm& get_form);
void write(xml::Writer& writer, const ControlSetResponse& response);
void write(xml::Writer& writer, const ControlParamError& error);

}  // namespace starling::payload
