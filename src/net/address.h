#pragma once
// IP addresses as texts and as the kernel has them, and names that need no lookup. Not for use outside this
// room.
#include <optional>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>

#include "net/tcp.h"

namespace starling::net {

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// The size of the address, 0 when the host is no IP address.
socklen_t to_address(const Endpoint& endpoint, Address& out);
Endpoint from_address(const Address& address);

// The address in its usual text when `host` is one ("127.0.0.1", "::1", "[::1]" as in a JID).
std::optional<std::string> ip_literal(std::string_view host);

// RFC 1123 2.1, RFC 1035 2.3.4, and the underscore of service labels: a name that cannot be read as anything
// else. A final dot is allowed.
bool is_host_name(std::string_view name);

// RFC 6761 6.3: "localhost" and all below it, in any case, with a final dot or without.
bool is_local_name(std::string_view host);

}  // namespace starling::net
