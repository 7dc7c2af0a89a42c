// The roster's own requests: RFC 6121 section 2.
#include <charconv>
#include <set>

#include "server/shard.h"
#include "server/users/user.h"
#include "xml/namespaces.h"

namespace starling::server {
namespace {
constexpr std::size_t kMaxName = 1023, kMaxGroups = 50;  // bytes of a name or group; groups of one item
constexpr std::size_t kMaxItem = 4096;                   // bytes of name and groups together
}  // namespace

void User::roster_get(UserSession& session, const Stanza& request) {
  session.interested_ = true;  // 2.2
  remember(session);
  const auto asked = request.payload()->attribute("ver");
  std::uint64_t known = 0;
  bool difference = false;
  if (asked && !asked->empty()) {
    const auto [end, problem] = std::from_chars(asked->data(), asked->data() + asked->size(), known);
    difference = problem == std::errc() && end == asked->data() + asked->size() && roster_.knows(known);
  }
  std::string out;
  xml::Writer writer(out, ns::client);
  writer.open("iq")
      .attribute("type", "result")
      .attribute("id", request.id())
      .attribute("to", session.jid().text());
  if (!difference) {
    writer.open("query", ns::roster);
    if (asked) writer.attribute("ver", std::to_string(roster_.version()));
    for (const auto& [contact, item] : roster_.items())
      if (item.listed) Roster::write_item(writer, item);
    writer.close().close();
  } else {  // an empty result, then a push for each item that changed since, oldest first
    writer.close();
    session.send_text(out);
    std::vector<const RosterItem*> changed;
    for (const auto& [contact, item] : roster_.items())
      if (item.version > known && (item.listed || item.removed)) changed.push_back(&item);
    std::ranges::sort(changed, {}, [](const RosterItem* item) { return item->version; });
    for (const RosterItem* item : changed) push(session, Roster::push(*item));
    return;
  }
  session.send_text(out);
}

Task<std::expected<std::string, StanzaError>> User::roster_set(StanzaPtr request) {
  const auto bad = [](Condition condition, std::string text) {
    return std::unexpected(StanzaError{condition, std::move(text)});
  };
  if (!exists()) co_return bad(Condition::service_unavailable, "The account is being removed");
  const xml::Element& query = *request->payload();
  const xml::Element* element = query.first_child();
  // 2.1.5, 2.3.3: exactly one item.
  if (element == nullptr || element->next_sibling() != nullptr || !element->is("item", ns::roster))
    co_return bad(Condition::bad_request, "A roster set carries exactly one <item/>");
  auto contact = Jid::parse(element->attribute("jid").value_or(""));
  if (!contact)
    co_return bad(Condition::bad_request, "The item's jid is no address: " + contact.error().message);
  const Jid bare = contact->to_bare();
  RosterItem item = item_for(bare);

  if (element->attribute("subscription") == "remove") {  // 2.5
    if (!item.listed) co_return bad(Condition::item_not_found, "That contact is not in the roster");
    const Subscription before = item.subscription;
    item.listed = false;
    item.subscription = {.pending_in = false};
    item.request.clear();
    if (before.to || before.pending_out) reply_for_user(Type::unsubscribe, bare);
    if (before.from || before.pending_in) {
      for (const auto& one : sessions_)
        if (one->available() && before.from)
          shard_.route({.stanza = std::make_shared<const Stanza>(
                            Stanza::make(Kind::presence, Type::unavailable, one->jid(), bare, {}, {})),
                        .to = bare});
      reply_for_user(Type::unsubscribed, bare);
    }
  } else {  // 2.3, 2.4
    if (bare == jid_) co_return bad(Condition::not_allowed, "The roster does not hold its own user");
    std::set<std::string_view> groups;
    item.groups.clear();
    for (const xml::Element& group : element->children()) {
      if (!group.is("group", ns::roster)) continue;
      if (group.text().empty() || group.text().size() > kMaxName)
        co_return bad(Condition::not_acceptable, "A group's name has 1 to 1023 bytes");
      if (!groups.insert(group.text()).second)
        co_return bad(Condition::bad_request, "The item names a group twice");
      item.groups.emplace_back(group.text());
    }
    std::size_t bytes = element->attribute("name").value_or("").size();
    for (const std::string_view group : groups) bytes += group.size();
    if (bytes > kMaxItem)
      co_return bad(Condition::not_acceptable, "An item's name and groups have at most 4096 bytes together");
    if (groups.size() > kMaxGroups)
      co_return bad(Condition::not_acceptable, "An item is in at most 50 groups");
    item.name = element->attribute("name").value_or("");
    if (item.name.size() > kMaxName)
      co_return bad(Condition::not_acceptable, "The item's name has at most 1023 bytes");
    if (!item.listed && roster_.listed_count() >= shard_.config().limits.roster_items)
      co_return bad(Condition::resource_constraint, "The roster is full");
    item.listed = true;
  }
  storage::Batch batch;
  if (roster_.put(jid_.text(), item, batch))
    push(roster_.find(bare.bare()) != nullptr ? *roster_.find(bare.bare()) : item);
  ++writes_in_flight_;
  auto done = co_await shard_.store().commit(std::move(batch));
  --writes_in_flight_;
  if (!done) {
    roster_.forget_history();
    co_return bad(Condition::internal_server_error, "The roster could not be stored");
  }
  co_return std::string();
}

}  // namespace starling::server
