// XEP-0049 Private XML Storage: get and set by the account's owner (2.3), one value for each name and
// namespace of a top element. What was never stored is answered with the empty element that was asked for.
// Bookmarks (XEP-0048 before version 1.2) are stored this way by older clients. Known gaps: reserved
// namespaces are not refused (2.3 leaves that open); bookmarks are not converted (XEP-0411).
#include "modules/refuse.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

constexpr std::string_view kKind = "private";

std::string key_of(const xml::Element& element) {
  return fmt::format("{{{}}}{}", element.ns(), element.name());
}

bool has_own_namespace(const xml::Element& element) {
  return !element.ns().empty() && element.ns() != ns::private_xml && element.ns() != ns::client;
}

class PrivateXml final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "private_xml",
            .summary = "keeps XML for an account's own clients, bookmarks for example",
            .specifications = {{"XEP-0049", "1.2"}, {"XEP-0048", "1.1"}},
            .host_features = {ns::private_xml},
            .account_features = {ns::private_xml}};
  }

  void attach(Registry& registry) override {
    context_ = &registry.context();
    registry.on_slow_iq(Type::get, Target::account, Access::owner, ns::private_xml, "query",
                        [this](IqRequest request) { return get(std::move(request)); });
    registry.on_slow_iq(Type::set, Target::account, Access::owner, ns::private_xml, "query",
                        [this](IqRequest request) { return set(std::move(request)); });
  }

 private:
  Task<IqReply> get(IqRequest request) {
    const xml::Element* asked = request.payload->first_child();
    if (asked == nullptr || asked->next_sibling() != nullptr)
      co_return refuse(Condition::bad_request, "Ask for one element");
    if (!has_own_namespace(*asked))
      co_return refuse(Condition::not_acceptable, "The element needs its own namespace");
    const auto stored =
        co_await context_->store().value(request.owner().text(), std::string(kKind), key_of(*asked));
    if (!stored) co_return refuse_for_now();
    std::string answer;
    xml::Writer writer(answer, ns::client);
    writer.open("query", ns::private_xml);
    if (*stored) {
      writer.raw(**stored);
    } else {
      writer.empty_element(asked->name(), asked->ns());
    }
    writer.close();
    co_return answer;
  }

  Task<IqReply> set(IqRequest request) {
    if (request.payload->children().empty())
      co_return refuse(Condition::not_acceptable, "There is nothing to store");
    const std::string owner = request.owner().text();
    std::map<std::string, std::string> fresh;
    for (const auto& element : request.payload->children()) {
      if (!has_own_namespace(element))
        co_return refuse(Condition::not_acceptable, "An element needs its own namespace");
      std::string value;
      xml::Writer(value).copy(element);
      fresh[key_of(element)] = std::move(value);
    }
    const auto stored = co_await context_->store().values(owner, std::string(kKind));
    if (!stored) co_return refuse_for_now();
    std::size_t bytes = 0;
    for (const auto& [key, value] : fresh) bytes += key.size() + value.size();
    for (const auto& [key, value] : *stored)
      if (!fresh.contains(key)) bytes += key.size() + value.size();
    if (bytes > context_->config().limits.private_bytes)
      co_return refuse(Condition::policy_violation, "The account's private storage is full");

    storage::Batch batch;
    for (auto& [key, value] : fresh)
      batch.emplace_back(storage::PutValue{owner, std::string(kKind), key, std::move(value)});
    const auto done = co_await context_->store().commit(std::move(batch));
    if (!done) co_return refuse_for_now();
    co_return "";
  }

  Context* context_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> private_xml() { return std::make_unique<PrivateXml>(); }

}  // namespace starling::modules
