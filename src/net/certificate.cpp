#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/openssl.h"
#include "net/tls.h"

namespace starling::net {
namespace {

using std::chrono::system_clock;

constexpr std::size_t kMaxFileBytes = 1'048'576;
constexpr auto kValidity = std::chrono::days{365};
constexpr auto kRenewBefore = std::chrono::days{30};
constexpr auto kClockSkew = std::chrono::hours{1};  // a client's clock may be behind ours

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

Result<std::string> read_file(const std::string& path, std::string_view what) {
  const auto failed = [&](int error) {
    return fail(Errc::io, fmt::format("cannot read the {} {}: {}", what, path, std::strerror(error)));
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(errno);
  std::string content;
  std::array<char, 4096> block{};
  ssize_t count = 0;
  do {
    count = ::read(fd, block.data(), block.size());
    if (count > 0) content.append(block.data(), static_cast<std::size_t>(count));
  } while ((count > 0 || (count < 0 && errno == EINTR)) && content.size() <= kMaxFileBytes);
  const int error = errno;
  ::close(fd);
  OPENSSL_cleanse(block.data(), block.size());
  if (count < 0) return failed(error);
  if (count > 0) return failed(EFBIG);
  return content;
}

BioPtr memory_bio(std::string_view content) {
  return BioPtr(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
}

system_clock::time_point to_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return system_clock::from_time_t(::timegm(&parts));
}

std::string address_text(const ASN1_OCTET_STRING* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const int family = ASN1_STRING_length(address) == 4    ? AF_INET
                     : ASN1_STRING_length(address) == 16 ? AF_INET6
                                                         : AF_UNSPEC;
  if (family == AF_UNSPEC ||
      ::inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text) == nullptr)
    return {};
  return text;
}

bool is_address(const std::string& name) {
  in6_addr unused{};
  return ::inet_pton(AF_INET, name.c_str(), &unused) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), &unused) == 1;
}

// The names as a value of OpenSSL's extension syntax, in which a comma would begin another name.
Result<std::string> alternative_names(const std::vector<std::string>& domains) {
  std::string value;
  for (const std::string& domain : domains) {
    const bool address = is_address(domain);
    const std::string_view labels = std::string_view(domain).substr(domain.starts_with("*.") ? 2 : 0);
    const bool plain = !labels.empty() && std::ranges::all_of(labels, [](unsigned char c) {
      return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_');
    });
    if (!address && !plain)
      return fail(
          Errc::invalid,
          fmt::format("'{}' cannot be named in a certificate: write the domain in its ASCII (xn--) form",
                      domain));
    if (!value.empty()) value += ',';
    value += address ? "IP:" : "DNS:";
    value += domain;
  }
  return value;
}

bool add_extension(X509* certificate, int kind, const std::string& value) {
  using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_random_serial(X509* certificate) {
  unsigned char bytes[16];  // RFC 5280 4.1.2.2: positive, at most 20 octets
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7fU) | 0x40U);
  const std::unique_ptr<BIGNUM, Freer<BN_free>> number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

CertificatePtr sign_for(const std::vector<std::string>& domains, const std::string& names, EVP_PKEY* key,
                        system_clock::time_point now) {
  CertificatePtr made(X509_new());
  if (!made) return nullptr;
  X509* const certificate = made.get();
  X509_NAME* const subject = X509_get_subject_name(certificate);
  // The common name holds at most 64 characters (RFC 5280 A.1); nobody matches names against it.
  const std::string common = domains.front().substr(0, 64);
  const bool done =
      X509_set_version(certificate, X509_VERSION_3) == 1 && set_random_serial(certificate) &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common.data()),
                                 static_cast<int>(common.size()), -1, 0) == 1 &&
      X509_set_issuer_name(certificate, subject) == 1 &&
      ASN1_TIME_set(X509_getm_notBefore(certificate), system_clock::to_time_t(now - kClockSkew)) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate), system_clock::to_time_t(now + kValidity)) != nullptr &&
      X509_set_pubkey(certificate, key) == 1 && add_extension(certificate, NID_subject_alt_name, names) &&
      add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
      add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
      X509_sign(certificate, key, EVP_sha256()) > 0;
  if (!done) made.reset();
  return made;
}

template <class Write>
Result<std::string> to_pem(Write write) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || write(out.get()) != 1)
    return fail(Errc::io, fmt::format("cannot encode a certificate: {}", openssl_reason()));
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

// Beside, synced, renamed: a crash leaves the old file or the new one. Mode 0600.
Result<void> replace_file(const std::string& path, std::string_view content) {
  const std::string beside = path + ".new";
  const auto failed = [&](int error) {
    return fail(Errc::io, fmt::format("cannot write {}: {}", path, std::strerror(error)));
  };
  if (::unlink(beside.c_str()) != 0 && errno != ENOENT) return failed(errno);
  const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed(errno);
  bool written = true;
  while (written && !content.empty()) {
    const ssize_t count = ::write(fd, content.data(), content.size());
    if (count > 0)
      content.remove_prefix(static_cast<std::size_t>(count));
    else
      written = count < 0 && errno == EINTR;
  }
  written = written && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!written) return failed(error);
  if (::rename(beside.c_str(), path.c_str()) != 0) return failed(errno);
  return {};
}

Result<void> ensure_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail(Errc::io, fmt::format("cannot make the directory {}: {}", path, std::strerror(errno)));
}

// Whether the files are there, belong together, name exactly `domains` and last long enough.
bool still_good(const CertificateFiles& files, std::vector<std::string> domains,
                system_clock::time_point now) {
  const auto certificates = read_certificates(files.certificate);
  const auto key = certificates ? read_key(files.key) : Result<KeyPtr>(nullptr);
  if (!certificates || !key || X509_check_private_key(certificates->front().get(), key->get()) != 1) {
    ERR_clear_error();
    return false;
  }
  CertificateStatus status = status_of(certificates->front().get());
  std::ranges::sort(status.names);
  std::ranges::sort(domains);
  return status.names == domains && status.not_before <= now && status.not_after >= now + kRenewBefore;
}

}  // namespace

std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown reason";
}

Result<std::vector<CertificatePtr>> read_certificates(const std::string& path) {
  const auto content = read_file(path, "certificate");
  if (!content) return std::unexpected(content.error());
  const BioPtr in = memory_bio(*content);
  std::vector<CertificatePtr> chain;
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr))
    chain.emplace_back(certificate);
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (chain.empty() && at_end) {
    ERR_clear_error();
    return fail(Errc::invalid, fmt::format("{} holds no PEM certificate", path));
  }
  if (!at_end)
    return fail(Errc::invalid, fmt::format("{} holds a damaged certificate: {}", path, openssl_reason()));
  ERR_clear_error();
  return chain;
}

Result<KeyPtr> read_key(const std::string& path) {
  auto content = read_file(path, "key");
  if (!content) return std::unexpected(content.error());
  const BioPtr in = memory_bio(*content);
  bool asked = false;
  // Without a callback OpenSSL would ask for a passphrase on the terminal.
  const auto refuse = [](char*, int, int, void* flag) {
    *static_cast<bool*>(flag) = true;
    return -1;
  };
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, refuse, &asked));
  OPENSSL_cleanse(content->data(), content->size());
  if (key) return key;
  if (asked) {
    ERR_clear_error();
    return fail(Errc::invalid,
                fmt::format("the key {} is protected by a passphrase: store it without one", path));
  }
  return fail(Errc::invalid, fmt::format("{} holds no PEM private key: {}", path, openssl_reason()));
}

CertificateStatus status_of(X509* certificate) {
  CertificateStatus status;
  status.not_before = to_time(X509_get0_notBefore(certificate));
  status.not_after = to_time(X509_get0_notAfter(certificate));
  status.self_signed = (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    std::string text;
    if (name->type == GEN_DNS) {
      text.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                  static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      text = address_text(name->d.iPAddress);
    }
    if (!text.empty()) status.names.push_back(std::move(text));
  }
  return status;
}

std::string end_point_binding(X509* certificate) {
  int hash = NID_undef;
  if (certificate == nullptr || X509_get_signature_info(certificate, &hash, nullptr, nullptr, nullptr) != 1)
    return {};
  if (hash == NID_md5 || hash == NID_sha1) hash = NID_sha256;
  const EVP_MD* const function = EVP_get_digestbynid(hash);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (function == nullptr || X509_digest(certificate, function, digest.data(), &size) != 1) return {};
  return {digest.begin(), digest.begin() + size};
}

Result<CertificateStatus> read_certificate_status(const std::string& certificate_file) {
  const auto chain = read_certificates(certificate_file);
  if (!chain) return std::unexpected(chain.error());
  return status_of(chain->front().get());
}

Result<CertificateFiles> ensure_self_signed(const std::vector<std::string>& domains,
                                            std::string_view directory, system_clock::time_point now) {
  if (domains.empty()) return fail(Errc::invalid, "a certificate needs at least one domain");
  const std::string tls = std::string(directory) + "/tls";
  CertificateFiles files{tls + "/self-signed.crt", tls + "/self-signed.key"};
  if (still_good(files, domains, now)) return files;

  const auto names = alternative_names(domains);
  if (!names) return std::unexpected(names.error());
  if (auto made = ensure_directory(std::string(directory)); !made) return std::unexpected(made.error());
  if (auto made = ensure_directory(tls); !made) return std::unexpected(made.error());

  ERR_clear_error();
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate = key ? sign_for(domains, *names, key.get(), now) : nullptr;
  if (!certificate)
    return fail(Errc::io, fmt::format("cannot make a self-signed certificate: {}", openssl_reason()));
  auto key_pem = to_pem([&](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  const auto certificate_pem = to_pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
  if (!key_pem) return std::unexpected(key_pem.error());
  if (!certificate_pem) return std::unexpected(certificate_pem.error());
  // A crash between the two leaves a pair that does not fit, and the next start makes a new one.
  const auto key_written = replace_file(files.key, *key_pem);
  OPENSSL_cleanse(key_pem->data(), key_pem->size());
  if (!key_written) return std::unexpected(key_written.error());
  if (auto written = replace_file(files.certificate, *certificate_pem); !written)
    return std::unexpected(written.error());
  return files;
}

}  // namespace starling::net
