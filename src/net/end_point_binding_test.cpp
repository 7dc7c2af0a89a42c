// tls-server-end-point: which hash of which certificate (RFC 5929 4.1).
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "net/testing.h"

namespace starling::net::testing {
namespace {

struct Identity {
  CertificatePtr certificate;
  KeyPtr key;
};

// For example.org, signed by itself with `hash` (nullptr: the key's own way).
Identity make_identity(EVP_PKEY* key, const EVP_MD* hash, bool pss = false) {
  Identity made{CertificatePtr(X509_new()), KeyPtr(key)};
  X509* const certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("example.org"), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_set_pubkey(certificate, key);
  const std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>> signing(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;
  EXPECT_EQ(EVP_DigestSignInit(signing.get(), &options, hash, nullptr, key), 1);
  if (pss) EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
  EXPECT_GT(X509_sign_ctx(certificate, signing.get()), 0) << openssl_reason();
  return made;
}

std::string digest(const Identity& identity, const EVP_MD* hash) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  EXPECT_EQ(X509_digest(identity.certificate.get(), hash, out.data(), &size), 1);
  return {out.begin(), out.begin() + size};
}

TEST(EndPointBinding, is_the_hash_of_the_signature) {
  for (const EVP_MD* hash : {EVP_sha256(), EVP_sha384(), EVP_sha512(), EVP_sha224()}) {
    const Identity one = make_identity(EVP_EC_gen("P-256"), hash);
    EXPECT_EQ(end_point_binding(one.certificate.get()), digest(one, hash)) << EVP_MD_get0_name(hash);
  }
  const Identity pss = make_identity(EVP_RSA_gen(2048), EVP_sha384(), true);
  EXPECT_EQ(end_point_binding(pss.certificate.get()), digest(pss, EVP_sha384()));
}

TEST(EndPointBinding, is_of_sha256_where_the_signature_has_a_weak_hash) {
  const Identity sha1 = make_identity(EVP_EC_gen("P-256"), EVP_sha1());
  EXPECT_EQ(end_point_binding(sha1.certificate.get()), digest(sha1, EVP_sha256()));
  const Identity md5 = make_identity(EVP_RSA_gen(2048), EVP_md5());
  EXPECT_EQ(end_point_binding(md5.certificate.get()), digest(md5, EVP_sha256()));
}

TEST(EndPointBinding, is_not_defined_without_a_hash) {
  const Identity edwards = make_identity(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), nullptr);
  EXPECT_EQ(end_point_binding(edwards.certificate.get()), "");
  EXPECT_EQ(end_point_binding(nullptr), "");
}

// And it is that of the certificate that SNI chose.
TEST(EndPointBinding, is_the_same_on_both_sides) {
  CertificateDirectory directory;
  const Identity identity = make_identity(EVP_EC_gen("P-384"), EVP_sha384());
  const CertificateFiles ours{directory.file("a.crt"), directory.file("a.key")};
  std::FILE* out = std::fopen(ours.certificate.c_str(), "w");
  PEM_write_X509(out, identity.certificate.get());
  std::fclose(out);
  out = std::fopen(ours.key.c_str(), "w");
  PEM_write_PrivateKey(out, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(out);
  const CertificateFiles other = directory.certificate({"other.example"});

  // It names no domain by subjectAltName, so it is shown to those alone whom no other certificate covers.
  for (const bool ours_first : {true, false}) {
    const auto context =
        TlsContext::make_server(ours_first ? std::vector{ours, other} : std::vector{other, ours});
    ASSERT_TRUE(context) << context.error().message;
    for (const char* name : {"other.example", "example.net"}) {
      Reactor reactor;
      const Ends ends = connect_loopback();
      Owner client(ends.client);
      Owner server(ends.server);
      client.stream->attach(reactor, client);
      server.stream->attach(reactor, server);
      ASSERT_TRUE(server.stream->start_tls_server(*context));
      ASSERT_TRUE(client.stream->start_tls_client(*TlsContext::make_client({}, true), name));
      ASSERT_TRUE(turn_until(reactor, [&] { return client.stream->tls() && server.stream->tls(); }));
      settle(reactor);
      const std::string& binding = server.stream->tls()->end_point_binding;
      EXPECT_EQ(binding, client.stream->tls()->end_point_binding);
      const bool shows_ours = name == std::string_view("example.net") && ours_first;
      EXPECT_EQ(binding == digest(identity, EVP_sha384()), shows_ours) << name;
      EXPECT_EQ(binding.size(), shows_ours ? 48U : 32U) << name;
    }
  }
}

}  // namespace
}  // namespace starling::net::testing
