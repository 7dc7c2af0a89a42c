#pragma once
// What several mechanisms share on the receiving side. Internal to this room.
#include <memory>
#include <string_view>
#include <variant>

#include "stream/sasl/mechanism.h"

namespace starling::sasl {

// The account that a login is for: `user` is the simple user name (RFC 6120 6.3.7). An `authzid` other than
// empty must be that account's own bare JID (6.3.8): nobody acts as somebody else. A name that cannot be an
// address fails like a wrong password.
std::variant<Jid, Failed> account_for(std::string_view user, std::string_view authzid,
                                      std::string_view domain);

std::unique_ptr<ServerMechanism> plain_server(const Channel& channel);
std::unique_ptr<ClientMechanism> plain_client(const Credentials& credentials);

}  // namespace starling::sasl
