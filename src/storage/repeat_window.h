#pragma once
// The fingerprints of the messages that were stored lately, to know one that comes again: within kRepeatMs
// and kMostRepeats. Some 100 bytes each. Any thread.
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace starling::storage {

class RepeatWindow {
 public:
  // The id of the message with this fingerprint.
  [[nodiscard]] std::optional<std::uint64_t> find(const std::string& fingerprint,
                                                  std::int64_t stamp_ms) const;
  // Ids ascend from call to call, or nearly so.
  void add(const std::string& fingerprint, std::uint64_t id, std::int64_t stamp_ms);
  // Takes back the last additions.
  void undo(std::size_t additions);
  // Messages below this id were forgotten.
  [[nodiscard]] std::uint64_t forgotten_below() const;

 private:
  struct Known {
    std::uint64_t id;
    std::int64_t stamp_ms;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Known> known_;
  std::deque<const std::pair<const std::string, Known>*> order_;  // of known_, oldest first
  std::uint64_t forgotten_below_ = 0;
};

}  // namespace starling::storage
