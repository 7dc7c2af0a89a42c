#include "client/ext/disco.h"

#include <algorithm>

#include "xml/namespaces.h"

namespace starling::client {
namespace {

constexpr std::size_t kMostCached = 1000;
constexpr std::size_t kLargestCached = 16384;  // bytes of the answer

std::string query(std::string_view ns, std::string_view node) {
  std::string out;
  xml::Writer(out, ns::client).open("query", ns).attribute_if("node", node).close();
  return out;
}

Outcome<std::vector<DiscoItem>> read_items(const StanzaPtr& answer) {
  const auto* query = answer->child("query", ns::disco_items);
  if (query == nullptr) return malformed("the answer has no list of items");
  std::vector<DiscoItem> items;
  for (const auto& child : query->children()) {
    if (!child.is("item", ns::disco_items)) continue;
    auto jid = Jid::parse(child.attribute("jid").value_or(""));
    if (!jid) continue;
    items.push_back({*std::move(jid), std::string(child.attribute("node").value_or("")),
                     std::string(child.attribute("name").value_or(""))});
  }
  return items;
}

}  // namespace

Disco::Disco(Client& client) : client_(client), cache_(kMostCached) {
  for (const auto ns : {ns::disco_info, ns::disco_items})
    client.on_request(Type::get, "query", ns,
                      [this, ns](const Stanza& iq, const Responder& respond) { answer(iq, respond, ns); });
  client.on.presence_unavailable([this](const Stanza& presence) { forget(presence.from()); });
  client.on_session_over([this] { cache_.clear(); });
}

Extension::Info Disco::info() const {
  return {"XEP-0030",
          "Service Discovery",
          {ns::disco_info, ns::disco_items},
          "2.5.0",
          "asks what others are and can do, and tells it of us"};
}

Request<payload::DiscoInfo> Disco::info(const Jid& of, std::string_view node) {
  if (const auto* known = node.empty() ? cache_.find(of.text()) : nullptr) {
    client_.trace(Trace::debug, "Disco info of <" + of.text() + "> from the cache.");
    Request<payload::DiscoInfo> request;
    request.resolver()(*known);
    return request;
  }
  return ask(of, node).map(
      [](Answer answer) -> Outcome<payload::DiscoInfo> { return std::move(answer.info); });
}

Request<Disco::Answer> Disco::ask(const Jid& of, std::string_view node) {
  const bool remember = node.empty() && (of.is_full() || of.is_domain());
  return client_.request(Type::get, of, query(ns::disco_info, node))
      .map([this, of, remember](const StanzaPtr& stanza) -> Outcome<Answer> {
        const auto* query = stanza->child("query", ns::disco_info);
        if (query == nullptr) return malformed("the answer says nothing of what it is about");
        auto info = payload::parse_disco_info(*query);
        const bool well_formed = info.has_value();
        if (!well_formed) info = payload::parse_disco_info(*query, payload::Repeated::dropped);
        if (!info) return malformed(std::move(info.error().message));
        Answer answer{*std::move(info), well_formed};
        if (remember && query->bytes().size() <= kLargestCached) {
          client_.trace(Trace::debug, "Caching disco info result from <" + of.text() + ">.");
          cache_.put(of.text(), answer.info);
        }
        client_.raise(disco_info, of, answer.info);
        return answer;
      });
}

Request<std::vector<DiscoItem>> Disco::items(const Jid& of, std::string_view node) {
  return client_.request(Type::get, of, query(ns::disco_items, node)).map(read_items);
}

void Disco::set_identity(std::string category, std::string type, std::string name) {
  identities_ = {{std::move(category), std::move(type), {}, std::move(name)}};
}

void Disco::add_feature(std::string feature) { features_.push_back(std::move(feature)); }

payload::DiscoInfo Disco::own() const {
  payload::DiscoInfo own{identities_, features_, {}};
  if (own.identities.empty()) own.identities.push_back({"client", "bot", {}, {}});
  for (const auto& extension : client_.extensions())
    own.features.insert(own.features.end(), extension.features.begin(), extension.features.end());
  std::ranges::sort(own.features);
  const auto repeated = std::ranges::unique(own.features);
  own.features.erase(repeated.begin(), repeated.end());
  return own;
}

void Disco::answer(const Stanza& iq, const Responder& respond, std::string_view ns) const {
  const auto node = iq.payload()->attribute("node").value_or("");
  const bool about_us = ns == ns::disco_info;
  client_.trace(Trace::debug, std::string("Received disco ") + (about_us ? "info" : "items") +
                                  " query from <" + iq.from().text() + "> to <" + iq.to().text() + ">.");
  std::optional<Node> found;
  if (node.empty()) {
    found.emplace();
    if (about_us) found->info = own();
    if (about_us && identities_.empty())
      client_.trace(Trace::debug, "No identity found for this entity. Using default client identity.");
  }
  for (std::size_t i = 0; !found && i < nodes_.size(); ++i) found = nodes_[i](iq.from(), node);
  if (!found) return respond.error({Condition::item_not_found, {}, {}, {}});

  std::string out;
  xml::Writer writer(out, ns::client);
  writer.open("query", ns).attribute_if("node", node);
  if (about_us) {
    payload::write(writer, found->info);
  } else {
    for (const auto& item : found->items)
      writer.open("item")
          .attribute("jid", item.jid.text())
          .attribute_if("node", item.node)
          .attribute_if("name", item.name)
          .close();
  }
  writer.close();
  respond.result(out);
}

}  // namespace starling::client
