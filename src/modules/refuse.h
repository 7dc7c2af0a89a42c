#pragma once
// How a handler says no.
#include "server/module.h"

namespace starling::modules {

inline std::unexpected<StanzaError> refuse(Condition condition, std::string text = {}) {
  return std::unexpected(
      StanzaError{.condition = condition, .text = std::move(text), .type = {}, .application = {}});
}

// When the store failed: the same request may work later, and why is the operator's business (the store logs
// it).
inline std::unexpected<StanzaError> refuse_for_now(std::string text = "The server cannot reach its storage") {
  return std::unexpected(StanzaError{.condition = Condition::internal_server_error,
                                     .text = std::move(text),
                                     .type = ErrorType::wait,
                                     .application = {}});
}

}  // namespace starling::modules
