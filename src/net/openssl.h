#pragma once
// Owners of OpenSSL's objects, and its last reason. Not for use outside this room.
#include <memory>
#include <string>
#include <vector>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "net/tls.h"

namespace starling::net {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using BioPtr = std::unique_ptr<BIO, Freer<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

// What OpenSSL complained of last, and forgets it.
std::string openssl_reason();

// The certificates of a PEM file, leaf first: at least one.
Result<std::vector<CertificatePtr>> read_certificates(const std::string& path);
Result<KeyPtr> read_key(const std::string& path);
CertificateStatus status_of(X509* certificate);
// The data of the channel binding tls-server-end-point (RFC 5929 4.1); empty where that is not defined, and
// without a certificate.
std::string end_point_binding(X509* certificate);

}  // namespace starling::net
