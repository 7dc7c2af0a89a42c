#pragma once
// TLS policy (RFC 7590, XEP-0368): 1.2 and 1.3, no compression, no renegotiation, no early data, ALPN
// xmpp-client, one certificate per domain chosen by SNI.
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/service.h"

struct ssl_ctx_st;
struct ssl_st;

namespace starling::net {

// A certificate chain and its key, as read from files.
struct CertificateFiles {
  std::string certificate;  // PEM, leaf first
  std::string key;          // PEM, without passphrase
};

struct CertificateStatus {
  std::vector<std::string> names;  // DNS names that it proves, as written (also wildcards), and IP addresses
  std::chrono::system_clock::time_point not_after;
  std::chrono::system_clock::time_point not_before;
  bool self_signed = false;
};

// What a client has found out of the server it talks to.
struct TlsPeer {
  CertificateStatus certificate;
  // Why the certificate is not to be trusted, for a person: what was expected, what was found, what to do.
  // Empty when it is good. The handshake fails for it, unless the context is insecure.
  std::string refusal;
};

// An immutable set of contexts; a reload makes a new one, and connections that hold the old one keep it. Any
// thread.
class TlsContext {
 public:
  enum class Use { starttls, direct };

  // `files` in order of preference; the first whose names cover the SNI name is used, the first of all
  // without SNI or for a name that none covers. A client that offers ALPN has to offer xmpp-client (XEP-0368,
  // RFC 7301 3.2). Refuses a file that is missing or unreadable or no PEM, and a key that does not fit: the
  // error names the file. An expired certificate is taken with a warning, since refusing it would take the
  // server down.
  static Result<std::shared_ptr<TlsContext>> make_server(const std::vector<CertificateFiles>& files);
  // `ca_file` (may be empty) is trusted beside the system's; insecure takes any certificate. For direct TLS
  // the service is offered by ALPN.
  static Result<std::shared_ptr<TlsContext>> make_client(std::string_view ca_file, bool insecure,
                                                         Use use = Use::starttls,
                                                         Service service = Service::client);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  [[nodiscard]] const std::vector<CertificateStatus>& certificates() const { return status_; }
  // A new SSL object, to be freed by the caller; this context outlives its handshake. `domain` (ASCII form,
  // or an IP address) is what the certificate must prove, and the SNI; a `tls_name` is sent in its place, and
  // may be proved in its place (XEP-0487 2.2).
  [[nodiscard]] Result<ssl_st*> new_server() const;
  [[nodiscard]] Result<ssl_st*> new_client(std::string_view domain, std::string_view tls_name = {}) const;

 private:
  TlsContext() = default;
  static int choose_certificate(ssl_st* ssl, int* alert, void* context);
  std::vector<ssl_ctx_st*> contexts_;      // server: one a certificate; client: one
  std::vector<CertificateStatus> status_;  // server: of each context
  Service service_ = Service::client;      // client: what it looks for
};

// Reads what a certificate file says of itself, without its key.
Result<CertificateStatus> read_certificate_status(const std::string& certificate_file);

// Makes (or renews, when less than 30 days are left or the names differ) a self-signed P-256 certificate for
// `domains` (ASCII form; IP addresses too) in `directory`/tls, valid for a year; files of mode 0600 in a
// directory of mode 0700, written beside and renamed. Returns the files.
Result<CertificateFiles> ensure_self_signed(const std::vector<std::string>& domains,
                                            std::string_view directory,
                                            std::chrono::system_clock::time_point now);

}  // namespace starling::net
