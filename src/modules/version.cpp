// XEP-0092 Software Version (section 3). The operating system is not told (section 5 of the document leaves
// that to us). Known gaps: none.
#include "base/version.h"

#include "payload/software_version.h"
#include "server/module.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

class Version final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "version",
            .summary = "tells the server's name and version",
            .specifications = {{"XEP-0092", "1.1"}},
            .host_features = {ns::version},
            .account_features = {}};
  }

  void attach(Registry& registry) override {
    registry.on_iq(
        Type::get, Target::host, Access::anyone, ns::version, "query", [](const IqRequest&) -> IqReply {
          std::string answer;
          xml::Writer writer(answer, ns::client);
          write(writer,
                payload::SoftwareVersion{.name = "Starling", .version = std::string(kVersion), .os = {}});
          return answer;
        });
  }
};

}  // namespace

std::unique_ptr<Module> version() { return std::make_unique<Version>(); }

}  // namespace starling::modules
