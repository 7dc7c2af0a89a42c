#pragma once
// A piece of the protocol beside the core: one class, one file in ext/. Its constructor takes the Client and
// registers what it handles; Client::use<E>() makes it once and returns it ever after, so an extension that
// needs another one says `client.use<Disco>()`. docs/extensions.md shows how to write one.
#include <string_view>
#include <vector>

namespace starling::client {

class Extension {
 public:
  struct Info {
    std::string_view specification;            // "XEP-0199"
    std::string_view name;                     // "XMPP Ping"
    std::vector<std::string_view> features{};  // what disco#info says of us because of it
    std::string_view version{};                // of the specification, "2.0.1"
    std::string_view summary{};                // what it does, for docs/specs.md
  };

  virtual ~Extension() = default;
  [[nodiscard]] virtual Info info() const = 0;
};

}  // namespace starling::client
