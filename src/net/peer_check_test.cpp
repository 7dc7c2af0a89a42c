#include "net/peer_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "net/testing.h"

namespace starling::net::testing {
namespace {

using std::chrono::days;
using std::chrono::system_clock;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// What a certificate is to be like.
struct Wanted {
  std::string common_name = "example.org";
  std::string names = "DNS:example.org";  // in OpenSSL's words; empty: no such extension
  system_clock::time_point from = system_clock::now() - days{1};
  system_clock::time_point until = system_clock::now() + days{30};
  bool authority = false;
};

struct Identity {
  CertificatePtr certificate;
  KeyPtr key;
};

// Signed by `issuer`, or by itself.
Identity make_identity(const Wanted& wanted, const Identity* issuer = nullptr) {
  static long serial = 0;
  Identity made{CertificatePtr(X509_new()), KeyPtr(EVP_EC_gen("P-256"))};
  X509* const certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_NAME* const subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wanted.common_name.c_str()), -1, -1, 0);
  const Identity& signer = issuer != nullptr ? *issuer : made;
  X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
  ASN1_TIME_set(X509_getm_notBefore(certificate), system_clock::to_time_t(wanted.from));
  ASN1_TIME_set(X509_getm_notAfter(certificate), system_clock::to_time_t(wanted.until));
  X509_set_pubkey(certificate, made.key.get());
  const auto extend = [&](int kind, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    EXPECT_NE(extension, nullptr) << value;
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  };
  if (!wanted.names.empty()) extend(NID_subject_alt_name, wanted.names);
  extend(NID_basic_constraints, wanted.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  EXPECT_GT(X509_sign(certificate, signer.key.get(), EVP_sha256()), 0);
  return made;
}

std::string srv(const std::string& name) { return "otherName:1.3.6.1.5.5.7.8.7;IA5:" + name; }
std::string xmpp(const std::string& address) { return "otherName:1.3.6.1.5.5.7.8.5;UTF8:" + address; }

struct NameCase {
  std::string names;
  std::string domain;
  bool proven;
  Service service = Service::client;
};

struct Names : ::testing::TestWithParam<NameCase> {};

TEST_P(Names, prove_a_domain_or_do_not) {
  const NameCase& each = GetParam();
  const Identity identity = make_identity({.names = each.names});
  EXPECT_EQ(proves(identity.certificate.get(), each.domain, each.service), each.proven)
      << each.names << " for " << each.domain;
}

INSTANTIATE_TEST_SUITE_P(
    Of, Names,
    ::testing::Values(
        // DNS-ID
        NameCase{"DNS:example.org", "example.org", true}, NameCase{"DNS:Example.ORG", "exAMPLE.org", true},
        NameCase{"DNS:example.net,DNS:example.org", "example.org", true},
        NameCase{"DNS:example.org", "im.example.org", false},
        NameCase{"DNS:im.example.org", "example.org", false},
        NameCase{"DNS:xn--bcher-kva.example", "xn--bcher-kva.example", true},
        NameCase{"DNS:*.example.org", "im.example.org", true},
        NameCase{"DNS:*.example.org", "example.org", false},
        NameCase{"DNS:*.example.org", "a.im.example.org", false},
        NameCase{"DNS:i*.example.org", "im.example.org", false}, NameCase{"DNS:*", "localhost", false},
        NameCase{"DNS:localhost", "localhost", true},
        // common names are for reading only (RFC 9525 2)
        NameCase{"", "example.org", false}, NameCase{"DNS:example.net", "example.org", false},
        NameCase{"email:example.org", "example.org", false},
        NameCase{"URI:xmpp://example.org", "example.org", false},
        // SRV-ID
        NameCase{srv("_xmpp-client.example.org"), "example.org", true},
        NameCase{srv("_XMPP-Client.Example.org"), "example.org", true},
        NameCase{srv("_xmpp-server.example.org"), "example.org", false},
        NameCase{srv("_xmpp-server.example.org"), "example.org", true, Service::server},
        NameCase{srv("_xmpp-client.example.org"), "example.org", false, Service::server},
        NameCase{srv("_xmpp-client.*.example.org"), "im.example.org", true},
        NameCase{srv("_xmpp-client.example.org"), "im.example.org", false},
        NameCase{srv("_xmpp-client."), "example.org", false},
        NameCase{srv("example.org"), "example.org", false},
        NameCase{srv("_imap.example.org"), "example.org", false},
        // (another type of string)
        NameCase{"otherName:1.3.6.1.5.5.7.8.7;UTF8:_xmpp-client.example.org", "example.org", false},
        // XmppAddr
        NameCase{xmpp("example.org"), "Example.org", true},
        NameCase{xmpp("romeo@example.org"), "example.org", false},
        NameCase{xmpp("*.example.org"), "im.example.org", false},
        NameCase{"otherName:1.3.6.1.5.5.7.8.4;UTF8:example.org", "example.org", false},
        // addresses
        NameCase{"IP:127.0.0.1", "127.0.0.1", true}, NameCase{"IP:127.0.0.1", "127.0.0.2", false},
        NameCase{"DNS:127.0.0.1", "127.0.0.1", false}, NameCase{"IP:::1", "[::1]", true},
        NameCase{"IP:::1", "::1", true}));

struct PeerCheckTest : ::testing::Test {
  CertificateDirectory directory;
  Reactor reactor;
  Owner client;
  Owner server;
  int count = 0;

  CertificateFiles write(const Identity& identity, const Identity* issuer = nullptr) {
    const std::string name = directory.file(std::to_string(++count));
    CertificateFiles files{name + ".crt", name + ".key"};
    std::FILE* const chain = std::fopen(files.certificate.c_str(), "w");
    PEM_write_X509(chain, identity.certificate.get());
    if (issuer != nullptr) PEM_write_X509(chain, issuer->certificate.get());
    std::fclose(chain);
    std::FILE* const key = std::fopen(files.key.c_str(), "w");
    PEM_write_PrivateKey(key, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(key);
    return files;
  }
  struct Asking {
    std::string trusted;  // a file
    bool insecure = false;
    std::string domain = "example.org";
    std::string tls_name;
  };
  // A whole handshake, or as far as it gets; what the client has found.
  const TlsPeer& meet(const CertificateFiles& files, const Asking& asking) {
    const Ends ends = connect_loopback();
    client.error.clear();
    client.stream = std::make_unique<TcpStream>(ends.client, "127.0.0.1");
    server.stream = std::make_unique<TcpStream>(ends.server, "127.0.0.1");
    client.stream->attach(reactor, client);
    server.stream->attach(reactor, server);
    EXPECT_EQ(client.stream->tls_peer(), nullptr);
    EXPECT_TRUE(server.stream->start_tls_server(*TlsContext::make_server({files})));
    EXPECT_TRUE(client.stream->start_tls_client(*TlsContext::make_client(asking.trusted, asking.insecure),
                                                asking.domain, asking.tls_name));
    EXPECT_EQ(client.stream->tls_peer(), nullptr);
    EXPECT_TRUE(
        turn_until(reactor, [&] { return client.stream->tls() != nullptr || !client.error.empty(); }));
    settle(reactor);
    EXPECT_EQ(server.stream->tls_peer(), nullptr);
    static const TlsPeer kNone;
    return client.stream->tls_peer() != nullptr ? *client.stream->tls_peer() : kNone;
  }
  [[nodiscard]] bool through() const { return client.stream->tls() != nullptr; }
};

TEST_F(PeerCheckTest, tells_what_a_good_certificate_says) {
  const Identity authority =
      make_identity({.common_name = "House authority", .names = "", .authority = true});
  const auto until = std::chrono::floor<std::chrono::seconds>(system_clock::now() + days{3});
  const Identity leaf =
      make_identity({.names = "DNS:example.org,DNS:*.example.org", .until = until}, &authority);
  const TlsPeer& peer = meet(write(leaf), {.trusted = write(authority).certificate});
  EXPECT_TRUE(through()) << client.error;
  EXPECT_EQ(peer.refusal, "");
  EXPECT_THAT(peer.certificate.names, ElementsAre("example.org", "*.example.org"));
  EXPECT_EQ(peer.certificate.not_after, until);
  EXPECT_FALSE(peer.certificate.self_signed);
}

TEST_F(PeerCheckTest, takes_a_certificate_for_the_service_alone) {
  const auto files = write(make_identity({.names = srv("_xmpp-client.example.org")}));
  EXPECT_EQ(meet(files, {.trusted = files.certificate}).refusal, "");
  EXPECT_TRUE(through()) << client.error;
}

TEST_F(PeerCheckTest, names_both_domains_when_they_differ) {
  const auto files = write(make_identity({.names = "DNS:other.example"}));
  const TlsPeer& peer = meet(files, {.trusted = files.certificate});
  EXPECT_FALSE(through());
  EXPECT_EQ(client.error, "hostname mismatch");
  EXPECT_EQ(peer.refusal, "the certificate is for other.example, not for example.org");
  EXPECT_THAT(peer.certificate.names, ElementsAre("other.example"));
}

TEST_F(PeerCheckTest, names_every_kind_of_identifier_but_not_too_many) {
  auto files = write(make_identity(
      {.names = "DNS:a.example,IP:127.0.0.9," + srv("_xmpp-server.b.example") + "," + xmpp("c.example")}));
  EXPECT_EQ(
      meet(files, {.trusted = files.certificate}).refusal,
      "the certificate is for a.example, 127.0.0.9, _xmpp-server.b.example, c.example, not for example.org");
  files = write(make_identity({.names = "DNS:a,DNS:b,DNS:c,DNS:d,DNS:e,DNS:f"}));
  EXPECT_EQ(meet(files, {.trusted = files.certificate}).refusal,
            "the certificate is for a, b, c, d and 2 others, not for example.org");
  files = write(make_identity({.names = ""}));
  EXPECT_EQ(meet(files, {.trusted = files.certificate}).refusal,
            "the certificate names nobody, not for example.org");
}

TEST_F(PeerCheckTest, quotes_nothing_that_a_terminal_would_obey) {
  const auto files = write(make_identity({.names = xmpp("\x1b[2Jhi\x07.example")}));
  EXPECT_EQ(meet(files, {.trusted = files.certificate}).refusal,
            "the certificate is for ?[2Jhi?.example, not for example.org");
}

TEST_F(PeerCheckTest, tells_how_to_trust_a_self_signed_certificate) {
  const auto files = write(make_identity({}));
  const TlsPeer& peer = meet(files, {});
  EXPECT_FALSE(through());
  EXPECT_EQ(peer.refusal,
            "the certificate is self-signed and nobody vouches for it (to trust it: --ca FILE)");
  EXPECT_TRUE(peer.certificate.self_signed);
}

TEST_F(PeerCheckTest, names_an_authority_that_is_not_trusted) {
  const Identity authority =
      make_identity({.common_name = "Strange authority", .names = "", .authority = true});
  const Identity leaf = make_identity({}, &authority);
  for (const Identity* const sent : std::initializer_list<const Identity*>{nullptr, &authority}) {
    EXPECT_THAT(meet(write(leaf, sent), {}).refusal,
                StartsWith("the certificate is from 'Strange authority', which this system does not trust"));
    EXPECT_FALSE(through());
  }
}

TEST_F(PeerCheckTest, tells_when_it_expired_or_begins) {
  const auto day = [](int year, unsigned month, unsigned of_month) {
    return std::chrono::sys_days(std::chrono::year(year) / month / of_month);
  };
  auto files = write(make_identity({.from = day(2020, 1, 1), .until = day(2026, 1, 2)}));
  EXPECT_EQ(
      meet(files, {.trusted = files.certificate}).refusal,
      "the certificate expired on 2026-01-02 (if this machine's clock is right, the server needs a new one)");
  EXPECT_FALSE(through());
  files = write(make_identity({.from = day(2070, 3, 4), .until = day(2071, 1, 1)}));
  EXPECT_EQ(meet(files, {.trusted = files.certificate}).refusal,
            "the certificate is valid from 2070-03-04 on only (is this machine's clock right?)");

  const Identity authority = make_identity({.common_name = "Old authority",
                                            .names = "",
                                            .from = day(2020, 1, 1),
                                            .until = day(2025, 1, 1),
                                            .authority = true});
  const Identity leaf = make_identity({}, &authority);
  EXPECT_THAT(meet(write(leaf), {.trusted = write(authority).certificate}).refusal,
              StartsWith("the certificate of its authority 'Old authority' expired on 2025-01-01"));
}

TEST_F(PeerCheckTest, tells_all_that_is_wrong_at_once) {
  const auto files = write(make_identity({.names = "DNS:other.example"}));
  const TlsPeer& peer = meet(files, {});
  EXPECT_THAT(peer.refusal, StartsWith("the certificate is self-signed"));
  EXPECT_THAT(peer.refusal, EndsWith("; it is for other.example, not for example.org"));
}

TEST_F(PeerCheckTest, lets_an_insecure_client_know_what_it_does) {
  const auto files = write(make_identity({.names = "DNS:other.example"}));
  const TlsPeer& peer = meet(files, {.insecure = true});
  EXPECT_TRUE(through()) << client.error;
  EXPECT_THAT(peer.refusal, HasSubstr("not for example.org"));
  EXPECT_THAT(meet(files, {.insecure = true, .domain = ""}).refusal, Not(HasSubstr("not for")));
  EXPECT_TRUE(through());
}

// XEP-0487 2.2
TEST_F(PeerCheckTest, takes_a_name_told_by_host_meta_beside_the_domain) {
  const auto files = write(make_identity({.names = "DNS:tls.example.net"}));
  EXPECT_EQ(meet(files, {.trusted = files.certificate, .tls_name = "tls.example.net"}).refusal, "");
  ASSERT_TRUE(through());
  EXPECT_EQ(server.stream->tls()->server_name, "tls.example.net");
  const auto own = write(make_identity({}));
  EXPECT_EQ(meet(own, {.trusted = own.certificate, .tls_name = "tls.example.net"}).refusal, "");
  EXPECT_EQ(meet(files, {.trusted = files.certificate, .tls_name = "www.example.net"}).refusal,
            "the certificate is for tls.example.net, not for example.org");
}

TEST_F(PeerCheckTest, checks_an_address_as_a_jid_has_it) {
  const auto files = write(make_identity({.names = "IP:::1"}));
  EXPECT_EQ(meet(files, {.trusted = files.certificate, .domain = "[::1]"}).refusal, "");
  EXPECT_TRUE(through()) << client.error;
  EXPECT_EQ(server.stream->tls()->server_name, "");
  EXPECT_EQ(meet(files, {.trusted = files.certificate, .domain = "127.0.0.1"}).refusal,
            "the certificate is for ::1, not for 127.0.0.1");
  EXPECT_EQ(client.error, "IP address mismatch");
}

}  // namespace
}  // namespace starling::net::testing
