// XEP-0012 Last Activity: how long the server runs (section 5), and since when an account is offline and with
// what words it left (section 3), for those who get its presence. Known gaps: a request to a full JID goes to
// the client, which answers for itself (section 4).
#include "modules/refuse.h"
#include "payload/last_activity.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

std::string answer(std::chrono::nanoseconds ago, std::string_view status = {}) {
  using std::chrono::seconds;
  std::string text;
  xml::Writer writer(text, ns::client);
  write(writer, payload::LastActivity{.ago = std::max(std::chrono::floor<seconds>(ago), seconds(0)),
                                      .status = std::string(status)});
  return text;
}

class Last final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "last",
            .summary = "tells since when an account is offline, and the server's uptime",
            .specifications = {{"XEP-0012", "2.0"}},
            .host_features = {ns::last},
            .account_features = {ns::last}};
  }

  void attach(Registry& registry) override {
    Context& context = registry.context();
    registry.on_iq(Type::get, Target::host, Access::anyone, ns::last, "query",
                   [&context](const IqRequest&) -> IqReply {
                     return answer(context.loop().now() - context.started_at());
                   });
    registry.on_iq(Type::get, Target::account, Access::anyone, ns::last, "query",
                   [&context](const IqRequest& request) -> IqReply {
                     const Account& account = *request.account;
                     if (!account.trusts(request.stanza->from())) return refuse(Condition::forbidden);
                     if (!account.sessions().empty()) return answer(std::chrono::seconds(0));
                     if (account.record().last_seen == 0)
                       return refuse(Condition::item_not_found, "The account was never used");
                     const WallTime left{std::chrono::seconds(account.record().last_seen)};
                     return answer(context.loop().wall() - left, account.record().last_status);
                   });
  }
};

}  // namespace

std::unique_ptr<Module> last() { return std::make_unique<Last>(); }

}  // namespace starling::modules
