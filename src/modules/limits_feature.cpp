// XEP-0478 Stream Limits Advertisement (3.1): how large a stanza may be, and after what silence the client is
// pinged, told once the client has logged in. The limits themselves are enforced by the stream and its
// connection. Known gaps: the smaller limits before login are not told.
#include "server/module.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

class LimitsFeature final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "limits_feature",
            .summary = "tells clients the limits of their stream",
            .specifications = {{"XEP-0478", "0.2.0"}},
            .host_features = {},
            .account_features = {}};
  }

  void attach(Registry& registry) override {
    registry.stream_feature(
        {.name = "limits",
         .advertise =
             [&context = registry.context()](const stream::View& view, xml::Writer& writer) {
               if (!view.authenticated) return;
               const Config::Limits& limits = context.config().limits;
               writer.open("limits", ns::stream_limits)
                   .leaf("max-bytes", std::to_string(limits.stanza_bytes))
                   .leaf("idle-seconds", std::to_string(limits.idle_ping_seconds))
                   .close();
             },
         .claims = {}});
  }
};

}  // namespace

std::unique_ptr<Module> limits_feature() { return std::make_unique<LimitsFeature>(); }

}  // namespace starling::modules
