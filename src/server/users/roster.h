#pragma once
// A user's roster (RFC 6121 section 2) in memory and in the store. One version counter per roster; every
// change stamps the item that changed, and a removed item leaves a mark, so that a client with an older
// version gets the difference alone (2.6). On its account's shard.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/users/subscription.h"
#include "storage/store.h"
#include "xml/writer.h"

namespace starling::server {

struct RosterItem {
  Jid contact;  // bare
  std::string name;
  std::vector<std::string> groups;
  Subscription subscription;
  std::uint64_t version = 0;
  bool removed = false;  // a mark of what was
  std::string request;   // the inner XML of the contact's unanswered subscribe

  // In the list that the user sees: put there by the user or by a subscription, and there until the user
  // removes it. Not listed are marks, and contacts that only asked (RFC 6121 A.1).
  bool listed = false;
};

class Roster {
 public:
  static constexpr std::string_view kKind = "roster";
  static constexpr std::string_view kMetaKind = "roster.meta";  // key "": the version counter and its floor

  static Roster load(const storage::Entries& items, const storage::Entries& meta);

  [[nodiscard]] const RosterItem* find(std::string_view contact) const;
  [[nodiscard]] Subscription subscription(std::string_view contact) const;
  [[nodiscard]] const std::map<std::string, RosterItem, std::less<>>& items() const { return items_; }
  [[nodiscard]] std::size_t listed_count() const { return listed_; }
  [[nodiscard]] std::size_t pending_count() const {
    return pending_;
  }  // requests that the user has not answered
  [[nodiscard]] std::uint64_t version() const { return version_; }
  // Whether the changes since `version` are all known.
  [[nodiscard]] bool knows(std::uint64_t version) const { return version >= floor_ && version <= version_; }

  // Puts the item in place, stamps it with a new version if the user sees a difference, and adds the writes
  // to `batch`. True if it was stamped: a push is due.
  bool put(const std::string& owner, RosterItem item, storage::Batch& batch);

  // The store may lag behind after a failed write: differences from before now are no longer given.
  void forget_history() { floor_ = ++version_; }

  // <item .../> as the user sees it (2.1.2).
  static void write_item(xml::Writer& writer, const RosterItem& item);
  // The payload of a roster push (2.1.6).
  [[nodiscard]] static std::string push(const RosterItem& item);

 private:
  std::map<std::string, RosterItem, std::less<>> items_;
  std::uint64_t version_ = 0;
  std::size_t listed_ = 0, pending_ = 0;
  std::uint64_t floor_ = 0;  // differences are complete from here on
};

}  // namespace starling::server
