// XEP-0054 vcard-temp: one's own vCard (3.1, 3.2; without one the answer is an empty vCard) and that of
// others (3.3; without one the answer is the same as for an account that does not exist). Known gaps: the
// domain has no vCard; content is stored as it came, whatever is in it.
#include "modules/refuse.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

class VCard final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "vcard",
            .summary = "keeps a vCard for each account",
            .specifications = {{"XEP-0054", "1.3.0"}},
            .host_features = {ns::vcard},
            .account_features = {ns::vcard}};
  }

  void attach(Registry& registry) override {
    context_ = &registry.context();
    registry.on_slow_iq(Type::get, Target::account, Access::anyone, ns::vcard, "vCard",
                        [this](IqRequest request) { return get(std::move(request)); });
    registry.on_slow_iq(Type::set, Target::account, Access::owner, ns::vcard, "vCard",
                        [this](IqRequest request) { return set(std::move(request)); });
  }

 private:
  Task<IqReply> get(IqRequest request) {
    auto stored = co_await context_->store().value(request.owner().text(), "vcard", "");
    if (!stored) co_return refuse_for_now();
    if (*stored) co_return std::move(**stored);
    if (!request.by_owner()) co_return refuse(Condition::service_unavailable);
    std::string empty;
    xml::Writer(empty, ns::client).empty_element("vCard", ns::vcard);
    co_return empty;
  }

  Task<IqReply> set(IqRequest request) {
    std::string vcard;
    xml::Writer(vcard).copy(*request.payload);
    if (vcard.size() > context_->config().limits.private_bytes)
      co_return refuse(Condition::policy_violation, "The vCard is too large");
    storage::Batch batch;
    batch.emplace_back(storage::PutValue{request.owner().text(), "vcard", "", std::move(vcard)});
    const auto done = co_await context_->store().commit(std::move(batch));
    if (!done) co_return refuse_for_now();
    co_return "";
  }

  Context* context_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> vcard() { return std::make_unique<VCard>(); }

}  // namespace starling::modules
