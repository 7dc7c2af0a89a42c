#pragma once
// Whether a certificate proves to be the peer that was asked for: its chain, its dates, and its names by RFC
// 6120 13.7.1.2, RFC 6125 6 and RFC 9525 (no common names; a wildcard is the whole leftmost label). What is
// wrong is told in a sentence for a person. Not for use outside this room.
//
// Gaps: revocation (CRL, OCSP) and DANE are not asked about; the XmppAddr of an internationalised domain is
// not compared with its A-labels (its DNS-ID and SRV-ID are).
#include <string>
#include <string_view>

#include <openssl/ssl.h>

#include "base/error.h"
#include "net/service.h"
#include "net/tls.h"

namespace starling::net {

// RFC 9525 6.3: a wildcard is the whole leftmost label and stands for exactly one.
bool covers(std::string_view pattern, std::string_view name);

// DNS-ID, SRV-ID or XmppAddr of `domain` (ASCII), or the IP address that it is.
bool proves(X509* certificate, std::string_view domain, Service service);

struct PeerCheck {
  std::string domain;    // what the certificate is to prove; empty (insecure only): anything
  std::string tls_name;  // or this one (XEP-0487 2.2), when not empty
  Service service = Service::client;
  bool insecure = false;  // what is found is told and not acted upon
  TlsPeer peer;           // filled in by the handshake
  bool seen = false;      // ... which has come to the certificate
};

// For SSL_CTX_set_cert_verify_callback(): checks by what attach_check() gave the connection.
int check_peer(X509_STORE_CTX* store, void*);
Result<void> attach_check(SSL* ssl, PeerCheck check);
// nullptr for a connection without a check, as a server's.
const PeerCheck* attached_check(const SSL* ssl);

}  // namespace starling::net
