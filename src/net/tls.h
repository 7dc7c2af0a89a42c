#pragma once
// TLS policy (RFC 7590, XEP-0368): 1.2 and 1.3, no compression, no renegotiation, ALPN xmpp-client on direct TLS, one
// certificate per domain chosen by SNI.
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct ssl_ctx_st;
struct ssl_st;

namespace starling::net {

// A certificate chain and its key, as read from files.
struct CertificateFiles {
  std::string certificate;  // PEM, leaf first
  std::string key;          // PEM
};

struct CertificateStatus {
  std::vector<std::string> names;                    // DNS names that it proves
  std::chrono::system_clock::time_point not_after;
  std::chrono::system_clock::time_point not_before;
  bool self_signed = false;
};

// An immutable set of contexts; a reload makes a new one, and connections that hold the old one keep it.
class TlsContext {
 public:
  enum class Use { starttls, direct };

  // `files` in order of preference; the first whose names cover the SNI name is used, the first of all without SNI.
  // Refuses a key that does not fit, an expired or unreadable file: the error names the file.
  static Result<std::shared_ptr<TlsContext>> make_server(const std::vector<CertificateFiles>& files);
  // `ca_file` is trusted beside the system's; insecure skips the check.
  static Result<std::shared_ptr<TlsContext>> make_client(std::string_view ca_file, bool insecure);

  ~TlsContext();
  [[nodiscard]] const std::vector<CertificateStatus>& certificates() const { return status_; }
  // A new SSL object. `server_name` is the client's SNI and the name that the certificate must prove.
  Result<ssl_st*> new_server() const;
  Result<ssl_st*> new_client(std::string_view server_name) const;

 private:
  TlsContext() = default;
  std::vector<ssl_ctx_st*> contexts_;
  std::vector<CertificateStatus> status_;
};

// Makes (or renews, when less than 30 days are left or the names differ) a self-signed P-256 certificate for `domains`
// in `directory`, mode 0600, written beside and renamed. Returns the files.
Result<CertificateFiles> ensure_self_signed(const std::vector<std::string>& domains, std::string_view directory,
                                            std::chrono::system_clock::time_point now);

}  // namespace starling::net
