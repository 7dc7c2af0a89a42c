// XEP-0030 Service Discovery: disco#info (3.1, 3.2) and disco#items (4.1) of the domain and of accounts.
// Accounts answer those who get their presence; anybody else hears what he hears about an account that does
// not exist (section 8; there an empty disco#items is asked for, which would only be as silent if accounts
// that do not exist answered so too, against RFC 6121 8.5.1). Known gaps: the domain has no items, as it has
// no components; no contact addresses (XEP-0157).
#include "modules/host_info.h"
#include "modules/refuse.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

std::string_view node_of(const IqRequest& request) { return request.payload->attribute("node").value_or(""); }

std::string info_answer(const payload::DiscoInfo& info, std::string_view node) {
  std::string answer;
  xml::Writer writer(answer, ns::client);
  writer.open("query", ns::disco_info).attribute_if("node", node);
  payload::write(writer, info);
  writer.close();
  return answer;
}

class Disco final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "disco",
            .summary = "tells what the domain and accounts are and can do",
            .specifications = {{"XEP-0030", "2.5.0"}},
            .host_features = {ns::disco_info, ns::disco_items},
            .account_features = {ns::disco_info, ns::disco_items}};
  }

  void attach(Registry& registry) override {
    host_ = host_info(registry.context().modules());
    account_ = account_info(registry.context().modules());
    caps_node_ = fmt::format("{}#{}", kCapsNode, payload::caps_hash(host_));

    registry.on_iq(Type::get, Target::host, Access::anyone, ns::disco_info, "query",
                   [this](const IqRequest& request) { return about_host(request); });
    registry.on_iq(Type::get, Target::host, Access::anyone, ns::disco_items, "query", host_items);
    registry.on_iq(Type::get, Target::account, Access::anyone, ns::disco_info, "query",
                   [this](const IqRequest& request) { return about_account(request); });
    registry.on_iq(Type::get, Target::account, Access::anyone, ns::disco_items, "query", account_items);
  }

 private:
  [[nodiscard]] IqReply about_host(const IqRequest& request) const {
    const std::string_view node = node_of(request);
    if (!node.empty() && node != caps_node_) return refuse(Condition::item_not_found);  // XEP-0115 6.2
    return info_answer(host_, node);
  }

  [[nodiscard]] IqReply about_account(const IqRequest& request) const {
    if (!request.account->trusts(request.stanza->from())) return refuse(Condition::service_unavailable);
    if (!node_of(request).empty()) return refuse(Condition::item_not_found);
    return info_answer(account_, {});
  }

  static IqReply host_items(const IqRequest& request) {
    if (!node_of(request).empty()) return refuse(Condition::item_not_found);
    std::string answer;
    xml::Writer(answer, ns::client).empty_element("query", ns::disco_items);
    return answer;
  }

  static IqReply account_items(const IqRequest& request) {
    if (!request.account->trusts(request.stanza->from())) return refuse(Condition::service_unavailable);
    if (!node_of(request).empty()) return refuse(Condition::item_not_found);
    std::string answer;
    xml::Writer writer(answer, ns::client);
    writer.open("query", ns::disco_items);
    for (const Session* session : request.account->sessions())
      if (session->available()) writer.open("item").attribute("jid", session->jid().text()).close();
    writer.close();
    return answer;
  }

  payload::DiscoInfo host_, account_;
  std::string caps_node_;
};

}  // namespace

std::unique_ptr<Module> disco() { return std::make_unique<Disco>(); }

}  // namespace starling::modules
