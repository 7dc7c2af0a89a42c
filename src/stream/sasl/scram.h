#pragma once
// SCRAM (RFC 5802, RFC 7677), both sides, for one hash and with or without channel binding. Internal to this
// room; the nonce is a parameter for the RFCs' test vectors and fresh in every other use.
#include <memory>
#include <string>

#include "stream/sasl/mechanism.h"

namespace starling::sasl {

struct ScramVariant {
  crypto::Hash hash;
  bool plus;
};

std::string fresh_nonce();  // 24 random bytes as printable characters

std::unique_ptr<ServerMechanism> scram_server(ScramVariant variant, const Channel& channel,
                                              std::string nonce = fresh_nonce());
std::unique_ptr<ClientMechanism> scram_client(ScramVariant variant, const Channel& channel,
                                              const Credentials& credentials, bool binding_offered,
                                              std::string nonce = fresh_nonce());

}  // namespace starling::sasl
