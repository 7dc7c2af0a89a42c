#include "server/archive_ids.h"

#include <algorithm>

namespace starling::server {
namespace {

constexpr std::size_t kIdBytes = sizeof(std::uint64_t);
constexpr std::string_view kDigits = "0123456789abcdef";

}  // namespace

ArchiveIds::ArchiveIds(std::string_view secret)
    : cipher_(crypto::hmac(crypto::Hash::sha256, secret, "ids of archived messages")) {}

std::string ArchiveIds::seal(std::uint64_t id) {
  crypto::BlockCipher::Block block{};
  for (std::size_t i = 0; i < kIdBytes; ++i) block.at(i) = static_cast<std::uint8_t>(id >> (8 * i));
  cipher_.encrypt(block);
  std::string text;
  text.reserve(2 * block.size());
  for (const std::uint8_t byte : block) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<std::uint64_t> ArchiveIds::open(std::string_view text) {
  crypto::BlockCipher::Block block{};
  if (text.size() != 2 * block.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = kDigits.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    block.at(i / 2) = static_cast<std::uint8_t>(block.at(i / 2) << 4 | digit);
  }
  cipher_.decrypt(block);
  if (!std::all_of(block.begin() + kIdBytes, block.end(), [](std::uint8_t byte) { return byte == 0; }))
    return std::nullopt;
  std::uint64_t id = 0;
  for (std::size_t i = 0; i < kIdBytes; ++i) id |= std::uint64_t{block.at(i)} << (8 * i);
  return id;
}

}  // namespace starling::server
