#include "net/address.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include <arpa/inet.h>

namespace starling::net {
namespace {

constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabel && std::ranges::all_of(label, [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '_');
  });
}

}  // namespace

socklen_t to_address(const Endpoint& endpoint, Address& out) {
  std::memset(&out, 0, sizeof out);
  if (::inet_pton(AF_INET, endpoint.host.c_str(), &out.v4.sin_addr) == 1) {
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(endpoint.port);
    return sizeof out.v4;
  }
  if (::inet_pton(AF_INET6, endpoint.host.c_str(), &out.v6.sin6_addr) == 1) {
    out.v6.sin6_family = AF_INET6;
    out.v6.sin6_port = htons(endpoint.port);
    return sizeof out.v6;
  }
  return 0;
}

Endpoint from_address(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.any.sa_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
    return {text, ntohs(address.v6.sin6_port)};
  }
  ::inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
  return {text, ntohs(address.v4.sin_port)};
}

std::optional<std::string> ip_literal(std::string_view host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  Address address{};
  const Endpoint endpoint{std::string(host)};
  if (to_address(endpoint, address) == 0) return std::nullopt;
  if (bracketed && address.any.sa_family != AF_INET6) return std::nullopt;
  return from_address(address).host;
}

bool is_host_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kMaxName) return false;
  for (;;) {
    const auto dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

bool is_local_name(std::string_view host) {
  static constexpr std::string_view kName = "localhost";
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() < kName.size()) return false;
  const std::string_view rest = host.substr(0, host.size() - kName.size());
  return (rest.empty() || rest.ends_with('.')) &&
         std::ranges::equal(host.substr(rest.size()), kName,
                            [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
}

}  // namespace starling::net
