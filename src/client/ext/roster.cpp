#include "client/ext/roster.h"

#include "xml/namespaces.h"

namespace starling::client {
namespace {

using Subscription = RosterItem::Subscription;

// Unknown words count for nothing (RFC 6121 2.1.2.5).
Subscription parse_subscription(std::string_view name) {
  for (const auto subscription : {Subscription::to, Subscription::from, Subscription::both})
    if (to_string(subscription) == name) return subscription;
  return Subscription::none;
}

// Nothing without a valid address.
std::optional<RosterItem> parse_item(const xml::Element& element) {
  auto jid = Jid::parse(element.attribute("jid").value_or(""));
  if (!jid) return std::nullopt;
  const auto approved = element.attribute("approved");
  RosterItem item{.jid = *std::move(jid),
                  .name = std::string(element.attribute("name").value_or("")),
                  .groups = {},
                  .subscription = parse_subscription(element.attribute("subscription").value_or("")),
                  .ask = element.attribute("ask") == "subscribe",
                  .approved = approved == "true" || approved == "1"};
  for (const auto& child : element.children())
    if (child.is("group", ns::roster)) item.groups.emplace_back(child.text());
  return item;
}

}  // namespace

std::string_view to_string(Subscription subscription) {
  switch (subscription) {
    case Subscription::none:
      return "none";
    case Subscription::to:
      return "to";
    case Subscription::from:
      return "from";
    case Subscription::both:
      return "both";
  }
  return {};
}

Roster::Roster(Client& client) : client_(client) {
  client.on_request(Type::set, "query", ns::roster,
                    [this](const Stanza& iq, const Responder& respond) { pushed(iq, respond); });
}

Extension::Info Roster::info() const {
  return {"RFC 6121", "Roster", {}, "", "keeps the roster, asks for subscriptions and answers them"};
}

const RosterItem* Roster::find(const Jid& jid) const {
  auto found = items_.find(jid);
  if (found == items_.end()) found = items_.find(jid.to_bare());
  return found == items_.end() ? nullptr : &found->second;
}

bool Roster::sees_us(const Jid& jid) const {
  const auto* item = find(jid);
  return jid.same_bare(client_.jid()) || (item != nullptr && (item->subscription == Subscription::from ||
                                                              item->subscription == Subscription::both));
}

Request<void> Roster::get() {
  const auto& features = client_.stream_features();
  const bool versioned = !features.empty() && features.root().child("ver", ns::rosterver) != nullptr;
  std::string query;
  xml::Writer writer(query, ns::client);
  writer.open("query", ns::roster);
  if (versioned) writer.attribute("ver", version_);
  writer.close();
  return client_.request(Type::get, {}, query).map([this, versioned](const StanzaPtr& answer) {
    return got(*answer, versioned);
  });
}

Outcome<void> Roster::got(const Stanza& answer, bool versioned) {
  const auto* query = answer.child("query", ns::roster);
  std::vector<Jid> changed;
  for (const auto& [jid, item] : items_) changed.push_back(jid);
  if (query != nullptr) {
    items_.clear();
    version_ = query->attribute("ver").value_or("");
    for (const auto& child : query->children()) {
      auto item = child.is("item", ns::roster) ? parse_item(child) : std::nullopt;
      if (!item) continue;
      changed.push_back(item->jid);
      items_.insert_or_assign(changed.back(), *std::move(item));
    }
    std::ranges::sort(changed);
    const auto repeated = std::ranges::unique(changed);
    changed.erase(repeated.begin(), repeated.end());
  } else if (!versioned || answer.payload() != nullptr) {
    return malformed("the answer has no roster");
  }  // else it is as we know it (2.6.3)
  client_.raise(updated, changed);
  return {};
}

void Roster::pushed(const Stanza& iq, const Responder& respond) {
  // Nobody else may change our roster (2.1.6).
  if (!iq.from().empty() && iq.from() != client_.jid().to_bare()) {
    client_.trace(Trace::warning, "A roster push from <" + iq.from().text() + "> is refused.");
    return respond.error({Condition::service_unavailable, {}, {}, {}});
  }
  const auto& query = *iq.payload();
  const auto* element = query.first_child();
  if (element == nullptr || !element->is("item", ns::roster) || element->next_sibling() != nullptr)
    return respond.error({Condition::bad_request, "A roster push has one item", {}, {}});
  auto item = parse_item(*element);
  if (!item) return respond.error({Condition::bad_request, "The item's address is none", {}, {}});
  respond.result();
  if (const auto version = query.attribute("ver")) version_ = *version;
  const std::vector<Jid> changed{item->jid};
  if (element->attribute("subscription") == "remove") {
    items_.erase(changed.front());
  } else {
    items_.insert_or_assign(changed.front(), *std::move(item));
  }
  client_.raise(updated, changed);
}

Request<void> Roster::set(const RosterItem& item) {
  std::string query;
  xml::Writer writer(query, ns::client);
  writer.open("query", ns::roster).open("item").attribute("jid", item.jid.text());
  writer.attribute_if("name", item.name);
  for (const auto& group : item.groups) writer.leaf("group", group);
  writer.close().close();
  return client_.request(Type::set, {}, query).map(no_content);
}

Request<void> Roster::remove(const Jid& jid) {
  std::string query;
  xml::Writer(query, ns::client)
      .open("query", ns::roster)
      .open("item")
      .attribute("jid", jid.text())
      .attribute("subscription", "remove")
      .close()
      .close();
  return client_.request(Type::set, {}, query).map(no_content);
}

bool Roster::send(Type type, const Jid& to, std::string_view status) {
  std::string presence;
  xml::Writer writer(presence, ns::client);
  writer.open("presence")
      .attribute("to", to.to_bare().text())  // 3.1.1
      .attribute("type", to_string(type))
      .attribute("id", client_.next_id());
  if (!status.empty()) writer.leaf("status", status);
  writer.close();
  return client_.send_xml(presence);
}

bool Roster::subscribe(const Jid& jid, std::string_view status) { return send(Type::subscribe, jid, status); }
bool Roster::unsubscribe(const Jid& jid) { return send(Type::unsubscribe, jid); }
bool Roster::approve(const Jid& jid) { return send(Type::subscribed, jid); }
bool Roster::deny(const Jid& jid) { return send(Type::unsubscribed, jid); }
bool Roster::pre_approve(const Jid& jid) {
  const auto& features = client_.stream_features();
  if (features.empty() || features.root().child("sub", ns::pre_approval) == nullptr) return false;
  return send(Type::subscribed, jid);
}

}  // namespace starling::client
