#pragma once
// What clients see of the ids of messages: opaque, so that nobody can guess another, nor tell how many there
// are (XEP-0313 3, XEP-0359 3 and 6). One thread.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"

namespace starling::server {

class ArchiveIds {
 public:
  // The same secret, the same names.
  explicit ArchiveIds(std::string_view secret);

  [[nodiscard]] std::string seal(std::uint64_t id);
  // Nothing for what seal() never returned.
  [[nodiscard]] std::optional<std::uint64_t> open(std::string_view text);

 private:
  crypto::BlockCipher cipher_;
};

}  // namespace starling::server
