#pragma once
// The two services that XMPP offers over TCP, and what each is called where peers are looked for and checked.
#include <cstdint>
#include <string_view>

namespace starling::net {

enum class Service { client, server };

// RFC 6120 3.2.1 (SRV), 13.7.1.2.1 (SRV-ID, with an underscore before it), XEP-0368 3 (ALPN).
constexpr std::string_view service_name(Service service) {
  return service == Service::client ? "xmpp-client" : "xmpp-server";
}
// XEP-0368 3: the SRV records of direct TLS.
constexpr std::string_view direct_service_name(Service service) {
  return service == Service::client ? "xmpps-client" : "xmpps-server";
}
// RFC 6120 3.2.2
constexpr std::uint16_t default_port(Service service) { return service == Service::client ? 5222 : 5269; }

}  // namespace starling::net
