// XEP-0012 Last Activity: how long the server runs (section 5), and since when an account is offline and with
// what words it left (section 3), for those who get its presence. Known gaps: a request to a full JID goes to
// the client, which answers for itself (section 4).
#include "modules/refuse.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

std::string answer(std::int64_t seconds, std::string_view status = {}) {
  std::string text;
  xml::Writer(text, ns::client)
      .open("query", ns::last)
      .attribute("seconds", std::to_string(std::max<std::int64_t>(seconds, 0)))
      .text(status)
      .close();
  return text;
}

template <class Clock, class Duration>
std::int64_t in_seconds(std::chrono::time_point<Clock, Duration> since,
                        std::chrono::time_point<Clock, Duration> now) {
  return std::chrono::floor<std::chrono::seconds>(now - since).count();
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
                     return answer(in_seconds(context.started_at(), context.loop().now()));
                   });
    registry.on_iq(Type::get, Target::account, Access::anyone, ns::last, "query",
                   [&context](const IqRequest& request) -> IqReply {
                     const Account& account = *request.account;
                     if (!account.trusts(request.stanza->from())) return refuse(Condition::forbidden);
                     if (!account.sessions().empty()) return answer(0);
                     if (account.record().last_seen == 0)
                       return refuse(Condition::item_not_found, "The account was never used");
                     const WallTime left{std::chrono::seconds(account.record().last_seen)};
                     return answer(in_seconds(left, context.loop().wall()), account.record().last_status);
                   });
  }
};

}  // namespace

std::unique_ptr<Module> last() { return std::make_unique<Last>(); }

}  // namespace starling::modules
