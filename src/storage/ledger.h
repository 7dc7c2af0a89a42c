#pragma once
// Which stanzas of a sender's session have been handled (XEP-0198 section 4), when they are not handled in
// order: a message waits for the disk and what comes after it may not. Numbers count stanzas and wrap at
// 2^32, so they are compared as serial numbers (RFC 1982): up to 2^31 apart. The store keeps one for a
// session, and so may others, with the same outcome.
#include <cstdint>
#include <utility>
#include <vector>

namespace starling::storage {

class Ledger {
 public:
  // A stanza that was handled, and the one that has to be handled before it counts: all between need nothing.
  using Beyond = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  // {number, after}

  Ledger() = default;
  Ledger(std::uint32_t received, Beyond beyond) : received_(received), beyond_(std::move(beyond)) {}

  // The stanza `number` is handled, and so are all between `after`, exclusive, and it. `after` == `number`:
  // all up to it are, whatever was known. A ledger that knows nothing yet takes any such number for its
  // beginning.
  void apply(std::uint32_t number, std::uint32_t after);

  // All up to this one are handled: what the session is told as `h`.
  [[nodiscard]] std::uint32_t received() const { return received_; }
  // What is handled and waits for one before it, ascending by number.
  [[nodiscard]] const Beyond& beyond() const { return beyond_; }
  [[nodiscard]] std::vector<std::uint32_t> numbers_beyond() const;
  // Whether the stanza is handled: up to received() or within what waits.
  [[nodiscard]] bool contains(std::uint32_t number) const;

  bool operator==(const Ledger&) const = default;

 private:
  std::uint32_t received_ = 0;
  Beyond beyond_;
};

}  // namespace starling::storage
