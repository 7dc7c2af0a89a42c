#pragma once
// Errors are values: what a peer or an operator may cause comes back as Result<T>. Exceptions are for the
// environment (out of memory, a broken invariant) and are caught in one place, the loop's turn.
#include <expected>
#include <string>
#include <string_view>

namespace starling {

enum class Errc {
  invalid,      // malformed input: bad JID, bad XML, bad option
  not_found,    // the thing asked for does not exist
  conflict,     // it exists already, or another version does
  limit,        // a configured limit was exceeded
  io,           // the environment failed: disk, socket, permission
  unavailable,  // not now: closed, shutting down, store refused
  corrupt,      // stored data is not what this version wrote
};

std::string_view to_string(Errc code);

struct Error {
  Errc code = Errc::invalid;
  std::string message;  // a sentence for a person: what was wrong, where, what to do
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace starling
