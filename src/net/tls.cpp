#include "net/tls.h"

#include <algorithm>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "net/address.h"
#include "net/openssl.h"
#include "net/peer_check.h"

namespace starling::net {
namespace {

// In the wire form of RFC 7301: one length-prefixed name.
constexpr unsigned char kAlpn[] = {11, 'x', 'm', 'p', 'p', '-', 'c', 'l', 'i', 'e', 'n', 't'};
constexpr unsigned char kServerAlpn[] = {11, 'x', 'm', 'p', 'p', '-', 's', 'e', 'r', 'v', 'e', 'r'};

// RFC 7590 3, RFC 9325 4.2: forward secrecy and authenticated encryption; TLS 1.3 has nothing else.
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

// A client that offers protocols but not ours is turned away (RFC 7301 3.2), so that a request meant for
// another service with our certificate does not end up here. One that offers none is not asked (XEP-0368 3).
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof kAlpn, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// What both sides share; nullptr when OpenSSL refuses.
SslContextPtr new_context(const SSL_METHOD* method) {
  SslContextPtr context(SSL_CTX_new(method));
  if (!context) return nullptr;
  SSL_CTX* const raw = context.get();
  if (SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(raw, kTls12Ciphers) != 1)
    return nullptr;
  // An EOF without close_notify is an end like any other: XMPP's streams have their own.
  SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(
      raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  return context;
}

Result<SslContextPtr> load(const CertificateFiles& files, CertificateStatus& status) {
  const auto chain = read_certificates(files.certificate);
  if (!chain) return std::unexpected(chain.error());
  const auto key = read_key(files.key);
  if (!key) return std::unexpected(key.error());
  ERR_clear_error();
  X509* const leaf = chain->front().get();
  if (X509_check_private_key(leaf, key->get()) != 1) {
    ERR_clear_error();
    return fail(Errc::invalid,
                fmt::format("the key {} does not fit the certificate {}", files.key, files.certificate));
  }
  SslContextPtr context = new_context(TLS_server_method());
  if (!context) return fail(Errc::io, fmt::format("cannot set up TLS: {}", openssl_reason()));
  bool taken = SSL_CTX_use_certificate(context.get(), leaf) == 1 &&
               SSL_CTX_use_PrivateKey(context.get(), key->get()) == 1;
  for (std::size_t i = 1; taken && i < chain->size(); ++i)
    taken = SSL_CTX_add1_chain_cert(context.get(), (*chain)[i].get()) == 1;
  if (!taken)
    return fail(Errc::invalid,
                fmt::format("cannot use the certificate {}: {}", files.certificate, openssl_reason()));

  status = status_of(leaf);
  const auto now = std::chrono::system_clock::now();
  if (status.not_after < now)
    log::warn("the certificate {} has expired: clients will refuse it", files.certificate);
  if (status.not_before > now)
    log::warn("the certificate {} is not valid yet: clients will refuse it", files.certificate);
  return context;
}

}  // namespace

int TlsContext::choose_certificate(ssl_st* ssl, int*, void* context) {
  const auto& self = *static_cast<const TlsContext*>(context);
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  for (std::size_t i = 0; i < self.status_.size(); ++i) {
    if (!std::ranges::any_of(self.status_[i].names,
                             [&](const std::string& own) { return covers(own, name); }))
      continue;
    if (i > 0) SSL_set_SSL_CTX(ssl, self.contexts_[i]);
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

Result<std::shared_ptr<TlsContext>> TlsContext::make_server(const std::vector<CertificateFiles>& files) {
  if (files.empty()) return fail(Errc::invalid, "TLS needs a certificate");
  std::shared_ptr<TlsContext> made(new TlsContext);
  for (const CertificateFiles& pair : files) {
    CertificateStatus status;
    auto context = load(pair, status);
    if (!context) return std::unexpected(context.error());
    SSL_CTX* const raw = context->get();
    SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(raw, 1);
    SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
    SSL_CTX_set_tlsext_servername_callback(raw, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(raw, made.get());
    made->contexts_.push_back(context->release());
    made->status_.push_back(std::move(status));
  }
  return made;
}

Result<std::shared_ptr<TlsContext>> TlsContext::make_client(std::string_view ca_file, bool insecure, Use use,
                                                            Service service) {
  ERR_clear_error();
  SslContextPtr context = new_context(TLS_client_method());
  if (!context) return fail(Errc::io, fmt::format("cannot set up TLS: {}", openssl_reason()));
  SSL_CTX_set_verify(context.get(), insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), check_peer, nullptr);
  if (SSL_CTX_set_default_verify_paths(context.get()) != 1) ERR_clear_error();
  if (!ca_file.empty()) {
    const std::string path(ca_file);
    const auto trusted = read_certificates(path);
    if (!trusted) return std::unexpected(trusted.error());
    X509_STORE* const store = SSL_CTX_get_cert_store(context.get());
    for (const CertificatePtr& certificate : *trusted) {
      if (X509_STORE_add_cert(store, certificate.get()) != 1)
        return fail(Errc::invalid, fmt::format("cannot trust {}: {}", path, openssl_reason()));
    }
  }
  // (returns 0 for success, unlike all the rest)
  const auto& protocol = service == Service::client ? kAlpn : kServerAlpn;
  if (use == Use::direct && SSL_CTX_set_alpn_protos(context.get(), protocol, sizeof protocol) != 0)
    return fail(Errc::io, fmt::format("cannot set up TLS: {}", openssl_reason()));
  std::shared_ptr<TlsContext> made(new TlsContext);
  made->contexts_.push_back(context.release());
  made->service_ = service;
  return made;
}

TlsContext::~TlsContext() {
  for (SSL_CTX* context : contexts_) SSL_CTX_free(context);
}

Result<ssl_st*> TlsContext::new_server() const {
  SSL* const ssl = SSL_new(contexts_.front());
  if (ssl == nullptr) return fail(Errc::io, fmt::format("cannot start TLS: {}", openssl_reason()));
  SSL_set_accept_state(ssl);
  return ssl;
}

Result<ssl_st*> TlsContext::new_client(std::string_view domain, std::string_view tls_name) const {
  const bool insecure = SSL_CTX_get_verify_mode(contexts_.front()) == SSL_VERIFY_NONE;
  if (domain.empty() && !insecure)
    return fail(Errc::invalid, "TLS needs the server's name to check its certificate");
  std::unique_ptr<SSL, Freer<SSL_free>> ssl(SSL_new(contexts_.front()));
  const std::string name(tls_name.empty() ? domain : tls_name);
  bool ready = ssl != nullptr;
  // SNI carries no addresses (RFC 6066 3).
  if (ready && !name.empty() && !ip_literal(name))
    ready = SSL_set_tlsext_host_name(ssl.get(), name.c_str()) == 1;
  if (!ready) return fail(Errc::io, fmt::format("cannot start TLS with '{}': {}", name, openssl_reason()));
  if (auto attached = attach_check(ssl.get(), {.domain = std::string(domain),
                                               .tls_name = std::string(tls_name),
                                               .service = service_,
                                               .insecure = insecure});
      !attached)
    return std::unexpected(attached.error());
  SSL_set_connect_state(ssl.get());
  return ssl.release();
}

}  // namespace starling::net
