#pragma once
// Stanza errors (RFC 6120 section 8.3) and stream errors (4.9): the conditions as enums, their wire names in
// one table.
#include <optional>
#include <string>
#include <string_view>

#include "xml/writer.h"

namespace starling {

// RFC 6120 8.3.3, in its order.
enum class Condition {
  bad_request,
  conflict,
  feature_not_implemented,
  forbidden,
  gone,
  internal_server_error,
  item_not_found,
  jid_malformed,
  not_acceptable,
  not_allowed,
  not_authorized,
  policy_violation,
  recipient_unavailable,
  redirect,
  registration_required,
  remote_server_not_found,
  remote_server_timeout,
  resource_constraint,
  service_unavailable,
  subscription_required,
  undefined_condition,
  unexpected_request,
};
enum class ErrorType { auth, cancel, continue_, modify, wait };

struct StanzaError {
  Condition condition = Condition::undefined_condition;
  std::string text;               // for a person; may be empty
  std::optional<ErrorType> type;  // the RFC's for the condition when not given
  std::string
      application;  // an application-specific condition element, well-formed with its xmlns; may be empty
};

std::string_view to_string(Condition condition);  // "bad-request"
std::string_view to_string(ErrorType type);
ErrorType default_type(Condition condition);  // the type that RFC 6120 8.3.3 gives
std::optional<Condition> parse_condition(std::string_view name);

// Writes <error type='...'>...</error> in the writer's namespace. `by` (8.3.1) may be empty.
void write_error(xml::Writer& writer, const StanzaError& error, std::string_view by = {});

// RFC 6120 4.9.3, in its order.
enum class StreamCondition {
  bad_format,
  bad_namespace_prefix,
  conflict,
  connection_timeout,
  host_gone,
  host_unknown,
  improper_addressing,
  internal_server_error,
  invalid_from,
  invalid_namespace,
  invalid_xml,
  not_authorized,
  not_well_formed,
  policy_violation,
  remote_connection_failed,
  reset,
  resource_constraint,
  restricted_xml,
  see_other_host,
  system_shutdown,
  undefined_condition,
  unsupported_encoding,
  unsupported_feature,
  unsupported_stanza_type,
  unsupported_version,
};
struct StreamError {
  StreamCondition condition = StreamCondition::undefined_condition;
  std::string text;
  std::string application;
};
std::string_view to_string(StreamCondition condition);
std::optional<StreamCondition> parse_stream_condition(std::string_view name);
// Writes <stream:error>...</stream:error>; the prefix `stream` is bound by the header.
void write_stream_error(std::string& out, const StreamError& error);

}  // namespace starling
