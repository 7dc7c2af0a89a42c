#pragma once
// Entity capabilities (XEP-0115) of this server and of the clients that are logged in. See caps.cpp.
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "payload/disco_info.h"
#include "server/module.h"

namespace starling::modules {

using Capabilities = std::shared_ptr<const payload::DiscoInfo>;

// Verified capabilities by their hash; the one that was not used for longest makes room.
class CapsCache {
 public:
  explicit CapsCache(std::size_t limit) : limit_(limit) {}
  [[nodiscard]] Capabilities find(std::string_view hash);  // null if it is not here
  void insert(std::string hash, Capabilities capabilities);
  [[nodiscard]] std::size_t size() const { return by_hash_.size(); }

 private:
  using Order = std::list<std::pair<std::string, Capabilities>>;
  Order order_;  // the last used first
  std::unordered_map<std::string_view, Order::iterator> by_hash_;
  std::size_t limit_;
};

class Caps final : public server::Module {
 public:
  [[nodiscard]] server::ModuleInfo info() const override;
  void attach(server::Registry& registry) override;

  // What the session's client can do; null while that is not known or not proved. One entry for each
  // available session.
  [[nodiscard]] Capabilities capabilities_of(const server::Session& session) const;

 private:
  struct Announced {
    std::string hash;
    Capabilities capabilities;
  };
  void presence_seen(const server::Session& session);
  Task<void> learn(Jid session, std::string node, std::string hash);

  server::Context* context_ = nullptr;
  std::string own_hash_;
  CapsCache cache_{1000};
  std::unordered_map<const server::Session*, Announced> announced_;
};

}  // namespace starling::modules
