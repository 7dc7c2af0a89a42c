// XEP-0202 Entity Time (sections 2 and 3), in the format of XEP-0082. The offset is always that of UTC: where
// the server stands is nobody's business (section 6). Known gaps: none.
#include "payload/entity_time.h"

#include "server/module.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

class EntityTime final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "entity_time",
            .summary = "tells the server's time",
            .specifications = {{"XEP-0202", "2.0"}, {"XEP-0082", "1.1.1"}},
            .host_features = {ns::time},
            .account_features = {}};
  }

  void attach(Registry& registry) override {
    registry.on_iq(Type::get, Target::host, Access::anyone, ns::time, "time",
                   [&loop = registry.context().loop()](const IqRequest&) -> IqReply {
                     std::string answer;
                     xml::Writer writer(answer, ns::client);
                     write(writer, payload::EntityTime{.utc = loop.wall()});
                     return answer;
                   });
  }
};

}  // namespace

std::unique_ptr<Module> entity_time() { return std::make_unique<EntityTime>(); }

}  // namespace starling::modules
