#include "net/peer_check.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/ranges.h>

#include "net/address.h"
#include "net/openssl.h"

namespace starling::net {
namespace {

// What a sentence quotes of a certificate that names a hundred domains.
constexpr std::size_t kNamesTold = 4;

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

// The value of an otherName of that kind (RFC 5280 4.2.1.6); empty when it is none.
std::string_view other_name(const GENERAL_NAME* name, int kind, int type) {
  if (name->type != GEN_OTHERNAME || OBJ_obj2nid(name->d.otherName->type_id) != kind) return {};
  const ASN1_TYPE* const value = name->d.otherName->value;
  return value != nullptr && value->type == type ? text_of(value->value.asn1_string) : std::string_view();
}
// RFC 4985 2: "_xmpp-client.example.org"
std::string_view srv_id(const GENERAL_NAME* name) { return other_name(name, NID_SRVName, V_ASN1_IA5STRING); }
// RFC 6120 13.7.1.4
std::string_view xmpp_address(const GENERAL_NAME* name) {
  return other_name(name, NID_XmppAddr, V_ASN1_UTF8STRING);
}

NamesPtr alternative_names(X509* certificate) {
  return NamesPtr(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
}

// Bytes of a stranger's certificate, fit for a terminal.
std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

std::string common_name(X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at >= 0) return printable(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))));
  const int any = X509_NAME_entry_count(name) - 1;
  return any < 0 ? "somebody without a name"
                 : printable(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, any))));
}

// Every identifier that a name could be compared with, for a person.
std::string named_by(X509* certificate, const CertificateStatus& status) {
  std::vector<std::string> all;
  for (const std::string& name : status.names) all.push_back(printable(name));
  const NamesPtr names = alternative_names(certificate);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    for (const std::string_view text : {srv_id(name), xmpp_address(name)})
      if (!text.empty() && std::ranges::find(all, text) == all.end()) all.push_back(printable(text));
  }
  if (all.empty()) return "names nobody";
  const std::size_t told = std::min(all.size(), kNamesTold);
  std::string text =
      fmt::format("is for {}", fmt::join(all.begin(), all.begin() + static_cast<long>(told), ", "));
  if (told < all.size()) text += fmt::format(" and {} others", all.size() - told);
  return text;
}

std::string date(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%d}", std::chrono::floor<std::chrono::seconds>(time));
}

// Why nobody vouches for the chain, or when it did.
std::string chain_refusal(X509_STORE_CTX* store, int error) {
  X509* const leaf = X509_STORE_CTX_get0_cert(store);
  X509* const current = X509_STORE_CTX_get_current_cert(store);
  X509* const at_fault = current != nullptr ? current : leaf;
  const std::string which = X509_STORE_CTX_get_error_depth(store) == 0
                                ? "the certificate"
                                : fmt::format("the certificate of its authority '{}'",
                                              common_name(X509_get_subject_name(at_fault)));
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("{} expired on {} (if this machine's clock is right, the server needs a new one)",
                         which, date(status_of(at_fault).not_after));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("{} is valid from {} on only (is this machine's clock right?)", which,
                         date(status_of(at_fault).not_before));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "the certificate is self-signed and nobody vouches for it (to trust it: --ca FILE)";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return fmt::format(
          "the certificate is from '{}', which this system does not trust (to trust it: --ca FILE "
          "with that authority's certificate)",
          common_name(error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ? X509_get_subject_name(at_fault)
                                                                    : X509_get_issuer_name(at_fault)));
    default:
      return fmt::format("{} is not good: {}", which, X509_verify_cert_error_string(error));
  }
}

// The connection's check, which goes with its SSL object.
int check_index() {
  static const int index = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* check, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<PeerCheck*>(check); });
  return index;
}

}  // namespace

bool covers(std::string_view pattern, std::string_view name) {
  const auto equal = [](std::string_view a, std::string_view b) {
    return std::ranges::equal(
        a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
  };
  if (pattern.starts_with("*.")) {
    const auto dot = name.find('.');
    return dot != std::string_view::npos && dot > 0 && equal(pattern.substr(1), name.substr(dot));
  }
  return equal(pattern, name);
}

bool proves(X509* certificate, std::string_view domain, Service service) {
  if (const auto address = ip_literal(domain))
    return X509_check_ip_asc(certificate, address->c_str(), 0) == 1;
  if (X509_check_host(certificate, domain.data(), domain.size(),
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                      nullptr) == 1)
    return true;
  const std::string prefix = fmt::format("_{}.", service_name(service));
  const NamesPtr names = alternative_names(certificate);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    const std::string_view srv = srv_id(name);
    if (srv.size() > prefix.size() && covers(srv.substr(0, prefix.size()), prefix) &&
        covers(srv.substr(prefix.size()), domain))
      return true;
    const std::string_view address = xmpp_address(name);
    if (!address.starts_with("*.") && covers(address, domain)) return true;
  }
  return false;
}

int check_peer(X509_STORE_CTX* store, void*) {
  auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const check = static_cast<PeerCheck*>(SSL_get_ex_data(ssl, check_index()));
  X509* const leaf = X509_STORE_CTX_get0_cert(store);
  if (check == nullptr || leaf == nullptr) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
    return 0;
  }
  check->seen = true;
  check->peer.certificate = status_of(leaf);
  std::vector<std::string> refusals;
  int error = X509_V_OK;
  if (X509_verify_cert(store) != 1) {
    error = X509_STORE_CTX_get_error(store);
    if (error == X509_V_OK) error = X509_V_ERR_UNSPECIFIED;
    refusals.push_back(chain_refusal(store, error));
  }
  const bool named = check->domain.empty() || proves(leaf, check->domain, check->service) ||
                     (!check->tls_name.empty() && proves(leaf, check->tls_name, check->service));
  if (!named) {
    if (error == X509_V_OK)
      error = ip_literal(check->domain) ? X509_V_ERR_IP_ADDRESS_MISMATCH : X509_V_ERR_HOSTNAME_MISMATCH;
    refusals.push_back(fmt::format("{} {}, not for {}", refusals.empty() ? "the certificate" : "it",
                                   named_by(leaf, check->peer.certificate), check->domain));
  }
  check->peer.refusal = fmt::format("{}", fmt::join(refusals, "; "));
  if (check->insecure) error = X509_V_OK;
  X509_STORE_CTX_set_error(store, error);
  return error == X509_V_OK ? 1 : 0;
}

Result<void> attach_check(SSL* ssl, PeerCheck check) {
  auto owned = std::make_unique<PeerCheck>(std::move(check));
  if (check_index() < 0 || SSL_set_ex_data(ssl, check_index(), owned.get()) != 1)
    return fail(Errc::io, fmt::format("cannot start TLS: {}", openssl_reason()));
  [[maybe_unused]] const PeerCheck* const given = owned.release();
  return {};
}

const PeerCheck* attached_check(const SSL* ssl) {
  return static_cast<const PeerCheck*>(SSL_get_ex_data(ssl, check_index()));
}

}  // namespace starling::net
