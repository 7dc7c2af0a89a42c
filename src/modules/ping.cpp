// XEP-0199 XMPP Ping: 4.2 for the domain and the user's own account. Pings to a full JID (4.4) reach the
// client like any request. Known gaps: none.
#include "modules/refuse.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

class Ping final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "ping",
            .summary = "answers pings to the domain and to one's own account",
            .specifications = {{"XEP-0199", "2.0.1"}},
            .host_features = {ns::ping},
            .account_features = {ns::ping}};
  }

  void attach(Registry& registry) override {
    registry.on_iq(Type::get, Target::host, Access::anyone, ns::ping, "ping",
                   [](const IqRequest&) -> IqReply { return ""; });
    // An answer tells a stranger that the account exists.
    registry.on_iq(Type::get, Target::account, Access::anyone, ns::ping, "ping",
                   [](const IqRequest& request) -> IqReply {
                     if (!request.account->trusts(request.stanza->from()))
                       return refuse(Condition::service_unavailable);
                     return "";
                   });
  }
};

}  // namespace

std::unique_ptr<Module> ping() { return std::make_unique<Ping>(); }

}  // namespace starling::modules
