#include "base/crypto.h"

#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace starling::crypto {
namespace {

const EVP_MD* md(Hash hash) {
  switch (hash) {
    case Hash::sha1:
      return EVP_sha1();
    case Hash::sha256:
      return EVP_sha256();
    case Hash::sha512:
      return EVP_sha512();
  }
  return nullptr;
}

const unsigned char* bytes(std::string_view data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}
unsigned char* bytes(std::string& data) { return reinterpret_cast<unsigned char*>(data.data()); }

}  // namespace

std::size_t digest_size(Hash hash) { return static_cast<std::size_t>(EVP_MD_get_size(md(hash))); }

std::string digest(Hash hash, std::string_view data) {
  std::string out(digest_size(hash), '\0');
  if (EVP_Digest(data.data(), data.size(), bytes(out), nullptr, md(hash), nullptr) != 1)
    throw std::runtime_error("libcrypto cannot compute a digest");
  return out;
}

std::string hmac(Hash hash, std::string_view key, std::string_view data) {
  std::string out(digest_size(hash), '\0');
  unsigned size = 0;
  if (HMAC(md(hash), key.data(), static_cast<int>(key.size()), bytes(data), data.size(), bytes(out), &size) ==
      nullptr)
    throw std::runtime_error("libcrypto cannot compute an HMAC");
  return out;
}

std::string pbkdf2(Hash hash, std::string_view password, std::string_view salt, unsigned iterations) {
  std::string out(digest_size(hash), '\0');
  if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt),
                        static_cast<int>(salt.size()), static_cast<int>(iterations), md(hash),
                        static_cast<int>(out.size()), bytes(out)) != 1)
    throw std::runtime_error("libcrypto cannot derive a key");
  return out;
}

struct BlockCipher::Contexts {
  using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
  Context encrypt{EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
  Context decrypt{EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};

  static void run(const Context& context, Block& block) {
    int size = 0;
    if (EVP_CipherUpdate(context.get(), block.data(), &size, block.data(), static_cast<int>(block.size())) !=
        1)
      throw std::runtime_error("libcrypto cannot run AES");
  }
};

BlockCipher::BlockCipher(std::string_view key) : contexts_(std::make_unique<Contexts>()) {
  if (key.size() < sizeof(Block)) throw std::invalid_argument("a key of 16 bytes is needed");
  const auto set_up = [&](const Contexts::Context& context, int encrypts) {
    return context &&
           EVP_CipherInit_ex(context.get(), EVP_aes_128_ecb(), nullptr, bytes(key), nullptr, encrypts) == 1 &&
           EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1;
  };
  if (!set_up(contexts_->encrypt, 1) || !set_up(contexts_->decrypt, 0))
    throw std::runtime_error("libcrypto cannot set up AES");
}

BlockCipher::~BlockCipher() = default;

void BlockCipher::encrypt(Block& block) { Contexts::run(contexts_->encrypt, block); }
void BlockCipher::decrypt(Block& block) { Contexts::run(contexts_->decrypt, block); }

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string exclusive_or(std::string_view a, std::string_view b) {
  std::string out(a);
  for (std::size_t i = 0; i < out.size() && i < b.size(); ++i) out[i] = static_cast<char>(out[i] ^ b[i]);
  return out;
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  if (RAND_bytes(bytes(out), static_cast<int>(count)) != 1)
    throw std::runtime_error("the system gives no random bytes");
  return out;
}

std::string random_id(std::size_t bits) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out = random_bytes((bits + 5) / 6);
  for (char& c : out) c = kAlphabet[static_cast<unsigned char>(c) & 63U];
  return out;
}

std::string base64_encode(std::string_view data) {
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends with NUL
  const int size = EVP_EncodeBlock(bytes(out), bytes(data), static_cast<int>(data.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.empty()) return std::string();
  // EVP_DecodeBlock skips white space and takes '=' anywhere; both are refused first (RFC 6120
  // section 6.4.2).
  std::size_t padding = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool digit =
        (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
    if (c == '=' && i + 2 >= text.size()) {
      ++padding;
    } else if (!digit || padding > 0) {
      return std::nullopt;
    }
  }
  std::string out(text.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(bytes(out), bytes(text), static_cast<int>(text.size())) < 0) return std::nullopt;
  out.resize(out.size() - padding);
  return out;
}

std::string hex_encode(std::string_view data) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(data.size() * 2);
  for (const char c : data) {
    out += kDigits[static_cast<unsigned char>(c) >> 4U];
    out += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

}  // namespace starling::crypto
