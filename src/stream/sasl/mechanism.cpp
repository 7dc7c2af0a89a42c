#include "stream/sasl/mechanism.h"

#include "stream/sasl/detail.h"
#include "stream/sasl/scram.h"

namespace starling::sasl {
namespace {

constexpr std::array<std::string_view, 11> kFailures = {
    "aborted",
    "account-disabled",
    "credentials-expired",
    "encryption-required",
    "incorrect-encoding",
    "invalid-authzid",
    "invalid-mechanism",
    "malformed-request",
    "mechanism-too-weak",
    "not-authorized",
    "temporary-auth-failure",
};

std::string_view label(crypto::Hash hash) {
  switch (hash) {
    case crypto::Hash::sha1:
      return "SHA-1";
    case crypto::Hash::sha256:
      return "SHA-256";
    case crypto::Hash::sha512:
      return "SHA-512";
  }
  return {};
}

Mechanism scram(std::string_view name, int strength, crypto::Hash hash, bool plus) {
  const ScramVariant variant{hash, plus};
  return {.name = name,
          .strength = strength,
          .binds_channel = plus,
          .server = [variant](const Channel& channel) { return scram_server(variant, channel); },
          .client =
              [variant](const Channel& channel, const Credentials& credentials, bool binding_offered) {
                return scram_client(variant, channel, credentials, binding_offered);
              }};
}

Mechanism plain() {
  return {.name = "PLAIN",
          .strength = 10,
          .needs_encryption = true,
          .server = [](const Channel& channel) { return plain_server(channel); },
          .client = [](const Channel&, const Credentials& credentials,
                       bool) { return plain_client(credentials); }};
}

}  // namespace

std::string_view to_string(Failure failure) { return kFailures[static_cast<std::size_t>(failure)]; }

std::optional<Failure> parse_failure(std::string_view name) {
  for (std::size_t i = 0; i < kFailures.size(); ++i)
    if (kFailures[i] == name) return static_cast<Failure>(i);
  return std::nullopt;
}

std::string_view Bindings::of(std::string_view type) const {
  if (type == kBindingTypes[0]) return tls_exporter;
  if (type == kBindingTypes[1]) return tls_server_end_point;
  return {};
}

ScramKeys derive_keys(crypto::Hash hash, std::string_view password, std::string_view salt,
                      unsigned iterations) {
  std::string salted = crypto::pbkdf2(hash, password, salt, iterations);
  std::string client_key = crypto::hmac(hash, salted, "Client Key");
  ScramKeys keys{.salt = std::string(salt),
                 .stored_key = crypto::digest(hash, client_key),
                 .server_key = crypto::hmac(hash, salted, "Server Key"),
                 .iterations = iterations};
  crypto::wipe(salted);
  crypto::wipe(client_key);
  return keys;
}

ScramKeys decoy_keys(crypto::Hash hash, std::string_view server_secret, std::string_view bare_jid) {
  const auto made_up = [&](std::string_view purpose) {
    return crypto::hmac(hash, server_secret, fmt::format("decoy {} {} {}", purpose, label(hash), bare_jid));
  };
  return {.salt = made_up("salt").substr(0, kSaltBytes),
          .stored_key = made_up("stored key"),
          .server_key = made_up("server key"),
          .iterations = kIterations};
}

Step ServerMechanism::keys(const ScramKeys&, bool, bool) {
  return Failed{Failure::temporary_auth_failure, {}, {}};
}
Step ServerMechanism::checked(bool, bool) { return Failed{Failure::temporary_auth_failure, {}, {}}; }

std::variant<Jid, Failed> account_for(std::string_view user, std::string_view authzid,
                                      std::string_view domain) {
  auto account = Jid::make(user, domain);
  if (!account || account->local().empty()) return Failed{Failure::not_authorized, {}, std::string(user)};
  if (!authzid.empty()) {
    const auto acting_as = Jid::parse(authzid);
    if (!acting_as || *acting_as != *account) return Failed{Failure::invalid_authzid, {}, account->text()};
  }
  return *std::move(account);
}

std::span<const Mechanism> standard_mechanisms() {
  static const std::array<Mechanism, 5> table = {
      scram("SCRAM-SHA-256-PLUS", 50, crypto::Hash::sha256, true),
      scram("SCRAM-SHA-1-PLUS", 40, crypto::Hash::sha1, true),
      scram("SCRAM-SHA-256", 30, crypto::Hash::sha256, false),
      scram("SCRAM-SHA-1", 20, crypto::Hash::sha1, false),
      plain(),
  };
  return table;
}

}  // namespace starling::sasl
