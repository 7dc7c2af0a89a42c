#pragma once
// The few primitives that streams and stores need, from OpenSSL's libcrypto. Any thread. Byte strings are
// std::string.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace starling::crypto {

enum class Hash { sha1, sha256, sha512 };

std::size_t digest_size(Hash hash);
std::string digest(Hash hash, std::string_view data);
std::string hmac(Hash hash, std::string_view key, std::string_view data);
// PBKDF2 with HMAC (RFC 5802's Hi()). Milliseconds of CPU: never on a shard.
std::string pbkdf2(Hash hash, std::string_view password, std::string_view salt, unsigned iterations);

bool constant_time_equal(std::string_view a, std::string_view b);  // time depends on the lengths alone
std::string exclusive_or(std::string_view a, std::string_view b);  // of equal length
void wipe(std::string& secret);                                    // overwrites, then clears

// AES-128, a block at a time, for names of things that are numbered: not for content. One thread.
class BlockCipher {
 public:
  using Block = std::array<std::uint8_t, 16>;
  explicit BlockCipher(std::string_view key);  // its first 16 bytes
  ~BlockCipher();
  BlockCipher(const BlockCipher&) = delete;
  BlockCipher& operator=(const BlockCipher&) = delete;
  void encrypt(Block& block);
  void decrypt(Block& block);

 private:
  struct Contexts;
  std::unique_ptr<Contexts> contexts_;
};

std::string random_bytes(std::size_t count);
// An unguessable identifier of `bits` (rounded up to 6) random bits in the URL-safe alphabet.
std::string random_id(std::size_t bits = 132);

std::string base64_encode(std::string_view data);
std::optional<std::string> base64_decode(
    std::string_view text);                     // strict RFC 4648 section 4: padded, no white space
std::string hex_encode(std::string_view data);  // lower case

}  // namespace starling::crypto
