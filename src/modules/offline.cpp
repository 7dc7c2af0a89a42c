// XEP-0160 Best Practices for Handling Offline Messages (section 3), RFC 6121 8.5.2.2.1, and the hints
// <store/> and <no-store/> of XEP-0334: decides which messages wait for a user who is away. Keeping and
// delivering them is the server's work; a message that nobody keeps goes back to its sender. Known gaps: what
// is advertised (section 4) follows the configuration at the start, what is done follows every reload.
#include "server/module.h"
#include "stanza/chat_state.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

bool worth_keeping(const Stanza& message) {
  if (message.type() != Type::normal && message.type() != Type::chat) return false;
  if (message.child("no-store", ns::hints) != nullptr) return false;
  return has_content(message) || message.child("store", ns::hints) != nullptr;
}

class Offline final : public Module {
 public:
  explicit Offline(bool enabled) : enabled_(enabled) {}

  [[nodiscard]] ModuleInfo info() const override {
    ModuleInfo info{.name = "offline",
                    .summary = "decides which messages are kept for a user who is away",
                    .specifications = {{"XEP-0160", "1.0.1"}, {"XEP-0334", "1.0.0"}},
                    .host_features = {},
                    .account_features = {}};
    if (enabled_) info.host_features.push_back(ns::offline);
    return info;
  }

  void attach(Registry& registry) override {
    registry.absent([&context = registry.context()](const Account&, const Stanza& message) {
      if (context.config().offline.enabled && worth_keeping(message)) return Keep::yes;
      // Whoever types to somebody who is away is not to be told so at every key.
      return is_only_chat_state(message) ? Keep::drop : Keep::no;
    });
  }

 private:
  bool enabled_;
};

}  // namespace

std::unique_ptr<Module> offline(const Config& config) {
  return std::make_unique<Offline>(config.offline.enabled);
}

}  // namespace starling::modules
