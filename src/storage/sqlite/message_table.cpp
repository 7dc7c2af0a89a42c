#include "storage/sqlite/message_table.h"

#include <sqlite3.h>

namespace starling::storage::sqlite {
namespace {

constexpr std::size_t kMostParties = 100'000;  // remembered, some 100 bytes each

std::int64_t as_stored(std::uint64_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

Result<void> MessageTable::open(Database& database) {
  const auto prepared = database.prepare_all({
      {&find_party_, "SELECT number FROM party WHERE jid=?1"},
      {&make_party_, "INSERT INTO party (jid, floor, messages, bytes) VALUES (?1,0,0,0) RETURNING number"},
      {&append_, "INSERT INTO message VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)"},
      {&mark_sent_, "UPDATE message SET session=?3, number=?4 WHERE id=?1 AND owner=?2 AND undelivered=1"},
      {&row_, "SELECT owner, peer, kept, undelivered FROM message WHERE id=?1"},
      {&replace_, "UPDATE message SET stanza=?2 WHERE id=?1"},
      {&delivered_, "UPDATE message SET undelivered=0 WHERE id=?1 AND kept!=0"},
      {&delete_, "DELETE FROM message WHERE id=?1"},
      {&untail_, "DELETE FROM tail WHERE id=?1"},
      {&floor_, "SELECT floor FROM party WHERE number=?1"},
      {&raise_floor_, "UPDATE party SET floor=max(floor,?2) WHERE number=?1"},
      {&expire_, "UPDATE meta SET value=?1 WHERE name='expired_below'"},
  });
  if (!prepared) return prepared;
  const auto expired = database.integer("SELECT value FROM meta WHERE name='expired_below'");
  if (!expired) return std::unexpected(expired.error());
  const auto floor = database.integer("SELECT coalesce(max(floor),0) FROM party");
  if (!floor) return std::unexpected(floor.error());
  expired_below_ = committed_expired_below_ = static_cast<std::uint64_t>(*expired);
  highest_floor_ = std::max(expired_below_, static_cast<std::uint64_t>(*floor));
  return {};
}

Result<std::uint64_t> MessageTable::find_party(std::string_view jid) {
  if (const auto known = parties_.find(jid); known != parties_.end()) return known->second;
  Using scope(find_party_);
  const auto row = find_party_.bind(1, jid).step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return 0;
  const auto number = static_cast<std::uint64_t>(find_party_.integer(0));
  if (parties_.size() >= kMostParties) parties_.clear();
  parties_.try_emplace(std::string(jid), number);
  return number;
}

Result<std::uint64_t> MessageTable::party(std::string_view jid) {
  auto found = find_party(jid);
  if (!found || *found != 0) return found;
  std::uint64_t number = 0;
  {
    Using scope(make_party_);
    const auto row = make_party_.bind(1, jid).step();
    if (!row) return std::unexpected(row.error());
    number = static_cast<std::uint64_t>(make_party_.integer(0));
  }
  parties_.try_emplace(std::string(jid), number);
  return number;
}

Result<void> MessageTable::append(std::uint64_t id, const Append& append) {
  const auto& message = append.message;
  const auto owner = party(message.owner);
  if (!owner) return std::unexpected(owner.error());
  const auto peer = party(message.peer);
  if (!peer) return std::unexpected(peer.error());
  const auto bytes = static_cast<std::uint32_t>(message.stanza.size());
  if (append.for_owner) appended_.entries.push_back({*owner, id, *peer, bytes});
  if (append.for_peer && !(append.for_owner && *owner == *peer))
    appended_.entries.push_back({*peer, id, *owner, bytes});
  if (append.for_owner || append.for_peer) appended_.stamps.push_back({id, message.stamp_ms});
  if (message.undelivered) appended_.undelivered.push_back(id);
  return append_.bind(1, as_stored(id))
      .bind(2, as_stored(*owner))
      .bind(3, as_stored(*peer))
      .bind(4, message.stamp_ms)
      .bind(5, std::int64_t{message.undelivered})
      .bind(6, (append.for_owner ? kForOwner : 0) | (append.for_peer ? kForPeer : 0))
      .bind(7, as_stored(message.session))
      .bind(8, std::int64_t{message.number})
      .bind_blob(9, message.stanza)
      .run();
}

Result<void> MessageTable::mark_sent(const MarkSent& mark) {
  const auto owner = find_party(mark.owner);
  if (!owner) return std::unexpected(owner.error());
  return mark_sent_.bind(1, as_stored(mark.id))
      .bind(2, as_stored(*owner))
      .bind(3, as_stored(mark.session))
      .bind(4, std::int64_t{mark.number})
      .run();
}

Result<void> MessageTable::replace(const ReplaceStanza& replace) {
  const auto account = find_party(replace.account);
  if (!account) return std::unexpected(account.error());
  bool kept = false;
  {
    Using scope(row_);
    const auto row = row_.bind(1, as_stored(replace.id)).step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    const auto bits = row_.integer(2);
    kept = (row_.integer(0) == as_stored(*account) && (bits & kForOwner) != 0) ||
           (row_.integer(1) == as_stored(*account) && (bits & kForPeer) != 0);
  }
  if (!kept) return {};
  const auto still = keeps(*account, replace.id);
  if (!still) return std::unexpected(still.error());
  if (!*still) return {};
  return replace_.bind(1, as_stored(replace.id)).bind_blob(2, replace.stanza).run();
}

Result<std::uint64_t> MessageTable::floor(std::uint64_t account) {
  Using scope(floor_);
  const auto row = floor_.bind(1, as_stored(account)).step();
  if (!row) return std::unexpected(row.error());
  return *row ? static_cast<std::uint64_t>(floor_.integer(0)) : 0;
}

Result<bool> MessageTable::keeps(std::uint64_t account, std::uint64_t id) {
  if (id >= highest_floor_) return true;
  if (id < expired_below_) return false;
  const auto lowest = floor(account);
  if (!lowest) return std::unexpected(lowest.error());
  return id >= *lowest;
}

Result<void> MessageTable::release(std::uint64_t id) {
  if (id <= tail_listed_)
    if (auto done = untail_.bind(1, as_stored(id)).run(); !done) return done;
  if (auto done = delivered_.bind(1, as_stored(id)).run(); !done) return done;
  return delivered_.changes() != 0 && id >= highest_floor_ ? Result<void>{} : lost(id, 0);
}

Result<void> MessageTable::lost(std::uint64_t id, std::uint64_t account) {
  std::uint64_t owner = 0;
  std::uint64_t peer = 0;
  std::int64_t kept = 0;
  {
    Using scope(row_);
    const auto row = row_.bind(1, as_stored(id)).step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    owner = static_cast<std::uint64_t>(row_.integer(0));
    peer = static_cast<std::uint64_t>(row_.integer(1));
    kept = row_.integer(2);
    // Undelivered and to be kept by an archive: release() decides again. One that no archive was to keep
    // comes here from release() alone.
    if (row_.integer(3) != 0 && kept != 0) return {};
  }
  for (const auto& [bit, keeper] : {std::pair{kForOwner, owner}, std::pair{kForPeer, peer}}) {
    if ((kept & bit) == 0 || keeper == account) continue;
    const auto still = keeps(keeper, id);
    if (!still) return std::unexpected(still.error());
    if (*still) return {};
  }
  return delete_.bind(1, as_stored(id)).run();
}

Result<void> MessageTable::raise_floor(std::uint64_t account, std::uint64_t id) {
  highest_floor_ = std::max(highest_floor_, id);
  return raise_floor_.bind(1, as_stored(account)).bind(2, as_stored(id)).run();
}

Result<void> MessageTable::expire_below(std::uint64_t id) {
  if (id <= expired_below_) return {};
  expired_below_ = id;
  highest_floor_ = std::max(highest_floor_, id);
  return expire_.bind(1, as_stored(id)).run();
}

void MessageTable::committed() {
  committed_expired_below_ = expired_below_;
  appended_.entries.clear();
  appended_.stamps.clear();
  appended_.undelivered.clear();
}

void MessageTable::rolled_back() {
  expired_below_ = committed_expired_below_;
  parties_.clear();  // some of the numbers were made by what is undone
  appended_ = {};
}

}  // namespace starling::storage::sqlite
