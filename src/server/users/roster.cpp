#include "server/users/roster.h"

#include <charconv>

#include "base/log.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::server {
namespace {

constexpr std::size_t kMaxMarks = 200;  // of removed items; beyond it an old client gets the whole roster

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string_view subscription_name(const Subscription& subscription) {
  if (subscription.to) return subscription.from ? "both" : "to";
  return subscription.from ? "from" : "none";
}

bool same_for_user(const RosterItem& a, const RosterItem& b) {
  const auto seen = [](Subscription s) {
    s.pending_in = false;
    return s;
  };
  return a.name == b.name && a.groups == b.groups && seen(a.subscription) == seen(b.subscription);
}

// The stored form is the item as the user sees it, plus what only the server knows.
std::string encode(const RosterItem& item) {
  std::string out;
  xml::Writer writer(out, ns::roster);
  writer.open("item").attribute("ver", std::to_string(item.version));
  if (item.removed) writer.attribute("removed", "1");
  if (item.listed) writer.attribute("listed", "1");
  writer.attribute_if("name", item.name).attribute("subscription", subscription_name(item.subscription));
  if (item.subscription.pending_out) writer.attribute("ask", "subscribe");
  if (item.subscription.approved) writer.attribute("approved", "true");
  for (const std::string& group : item.groups) writer.leaf("group", group);
  if (item.subscription.pending_in) writer.open("request", ns::client).raw(item.request).close();
  writer.close();
  return out;
}

Result<RosterItem> decode(const std::string& contact, const std::string& value) {
  auto jid = Jid::parse(contact);
  if (!jid) return fail(Errc::corrupt, fmt::format("roster item '{}': {}", contact, jid.error().message));
  auto document = xml::parse_fragment(value, ns::roster, xml::kNoLimits);
  if (!document)
    return fail(Errc::corrupt, fmt::format("roster item '{}': {}", contact, document.error().message));
  const xml::Element& element = document->root();
  const auto get = [&](std::string_view name) {
    return element.attribute(name).value_or(std::string_view());
  };
  RosterItem item{
      .contact = std::move(*jid), .name = std::string(get("name")), .version = number(get("ver"))};
  item.removed = !get("removed").empty();
  item.listed = !get("listed").empty();
  const std::string_view subscription = get("subscription");
  item.subscription.to = subscription == "to" || subscription == "both";
  item.subscription.from = subscription == "from" || subscription == "both";
  item.subscription.pending_out = !get("ask").empty();
  item.subscription.approved = get("approved") == "true";
  for (const xml::Element& child : element.children()) {
    if (child.is("group", ns::roster)) item.groups.emplace_back(child.text());
    if (child.is("request", ns::client)) {
      item.subscription.pending_in = true;
      item.request = child.inner_bytes();
    }
  }
  return item;
}

}  // namespace

Roster Roster::load(const storage::Entries& items, const storage::Entries& meta) {
  Roster roster;
  for (const auto& [key, value] : meta) {
    const std::size_t space = value.find(' ');
    roster.version_ = number(value);
    if (space != std::string::npos) roster.floor_ = number(std::string_view(value).substr(space + 1));
  }
  for (const auto& [contact, value] : items) {
    auto item = decode(contact, value);
    if (!item) {  // one contact that cannot be read must not keep the user out
      log::error("{}", item.error().message);
      continue;
    }
    roster.listed_ += item->listed ? 1 : 0;
    roster.pending_ += item->subscription.pending_in ? 1 : 0;
    roster.items_.emplace(contact, std::move(*item));
  }
  return roster;
}

const RosterItem* Roster::find(std::string_view contact) const {
  const auto found = items_.find(contact);
  return found == items_.end() ? nullptr : &found->second;
}

Subscription Roster::subscription(std::string_view contact) const {
  const RosterItem* item = find(contact);
  return item != nullptr ? item->subscription : Subscription{};
}

bool Roster::put(const std::string& owner, RosterItem item, storage::Batch& batch) {
  const std::string key = item.contact.text();
  const RosterItem* before = find(key);
  const bool was_listed = before != nullptr && before->listed;
  listed_ = listed_ + std::size_t{item.listed} - std::size_t{was_listed};
  pending_ = pending_ + std::size_t{item.subscription.pending_in} -
             std::size_t{before != nullptr && before->subscription.pending_in};
  if (item.listed) {
    item.removed = false;
  } else if (was_listed) {  // leaves a mark
    item.removed = true;
    item.name.clear();
    item.groups.clear();
  }
  const bool new_mark = item.removed && was_listed;
  const bool stamped = item.listed ? !was_listed || !same_for_user(*before, item) : was_listed;
  if (stamped) item.version = ++version_;

  if (!item.listed && !item.removed && !item.subscription.pending_in) {  // nothing to remember
    items_.erase(key);
    batch.emplace_back(storage::DeleteValue{owner, std::string(kKind), key});
  } else {
    batch.emplace_back(storage::PutValue{owner, std::string(kKind), key, encode(item)});
    items_.insert_or_assign(key, std::move(item));
  }

  // Too many marks: forget the oldest, and differences from before it.
  std::size_t marks = 0;
  auto oldest = items_.end();
  if (new_mark) {
    for (auto at = items_.begin(); at != items_.end(); ++at) {
      if (!at->second.removed) continue;
      ++marks;
      if (oldest == items_.end() || at->second.version < oldest->second.version) oldest = at;
    }
  }
  if (marks > kMaxMarks) {
    floor_ = oldest->second.version;
    if (!oldest->second.subscription.pending_in) {
      batch.emplace_back(storage::DeleteValue{owner, std::string(kKind), oldest->first});
      items_.erase(oldest);
    } else {
      oldest->second.removed = false;
      batch.emplace_back(storage::PutValue{owner, std::string(kKind), oldest->first, encode(oldest->second)});
    }
  }
  if (stamped)
    batch.emplace_back(
        storage::PutValue{owner, std::string(kMetaKind), "", fmt::format("{} {}", version_, floor_)});
  return stamped;
}

void Roster::write_item(xml::Writer& writer, const RosterItem& item) {
  writer.open("item").attribute("jid", item.contact.text());
  if (!item.listed) {
    writer.attribute("subscription", "remove").close();
    return;
  }
  writer.attribute_if("name", item.name).attribute("subscription", subscription_name(item.subscription));
  if (item.subscription.pending_out) writer.attribute("ask", "subscribe");
  if (item.subscription.approved) writer.attribute("approved", "true");
  for (const std::string& group : item.groups) writer.leaf("group", group);
  writer.close();
}

std::string Roster::push(const RosterItem& item) {
  std::string out;
  xml::Writer writer(out, ns::client);
  writer.open("query", ns::roster).attribute("ver", std::to_string(item.version));
  write_item(writer, item);
  writer.close();
  return out;
}

}  // namespace starling::server
