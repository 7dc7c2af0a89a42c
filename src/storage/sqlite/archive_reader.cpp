#include "storage/sqlite/archive_reader.h"

#include <limits>

#include "storage/detail.h"
#include "storage/sqlite/message_table.h"

namespace starling::storage::sqlite {
namespace {

constexpr auto kLastId = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

std::int64_t as_stored(std::uint64_t value) { return static_cast<std::int64_t>(std::min(value, kLastId)); }

std::unexpected<Error> not_there(const std::string& account) {
  return fail(Errc::not_found, fmt::format("The archive of {} has no such message.", account));
}

}  // namespace

Result<void> ArchiveReader::prepare(Database& database) {
  if (prepared_) return {};
  auto done = database.prepare_all({
      {&begin_, "BEGIN"},
      {&end_, "COMMIT"},
      {&party_, "SELECT number FROM party WHERE jid=?1"},
      {&jid_, "SELECT jid FROM party WHERE number=?1"},
      {&account_, "SELECT floor, messages FROM party WHERE number=?1"},
      {&expired_, "SELECT value FROM meta WHERE name='expired_below'"},
      {&find_, "SELECT other FROM archive WHERE account=?1 AND id=?2"},
      {&ascending_, "SELECT id FROM archive WHERE account=?1 AND id>=?2 AND id<=?3 ORDER BY id"},
      {&descending_, "SELECT id FROM archive WHERE account=?1 AND id>=?2 AND id<=?3 ORDER BY id DESC"},
      {&ascending_with_,
       "SELECT id FROM correspondence WHERE account=?1 AND id>=?2 AND id<=?3 AND other=?4 ORDER BY id"},
      {&descending_with_,
       "SELECT id FROM correspondence WHERE account=?1 AND id>=?2 AND id<=?3 AND other=?4 ORDER BY id DESC"},
      {&message_, "SELECT owner, peer, stamp_ms, undelivered, kept, stanza FROM message WHERE id=?1"},
      {&count_beyond_, "SELECT count(*) FROM archive WHERE account=?1 AND id>?2"},
  });
  prepared_ = done.has_value();
  return done;
}

Result<std::uint64_t> ArchiveReader::party(const std::string& jid) {
  Using scope(party_);
  const auto row = party_.bind(1, jid).step();
  if (!row) return std::unexpected(row.error());
  return *row ? static_cast<std::uint64_t>(party_.integer(0)) : 0;
}

Result<std::string> ArchiveReader::jid_of(std::uint64_t party) {
  Using scope(jid_);
  const auto row = jid_.bind(1, as_stored(party)).step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return fail(Errc::corrupt, "A stored message is of a party that is not stored.");
  return jid_.string(0);
}

// What is recent is looked at first: what leaves it meanwhile is in the index that the transaction sees.
Result<void> ArchiveReader::look_up(Archive& archive) {
  archive.recent = recent_.view(archive.account);
  if (auto begun = begin_.run(); !begun) return begun;
  Using account_scope(account_);
  const auto row = account_.bind(1, as_stored(archive.account)).step();
  if (!row) return std::unexpected(row.error());
  if (*row) {
    archive.floor = static_cast<std::uint64_t>(account_.integer(0));
    archive.counted = static_cast<std::size_t>(std::max<std::int64_t>(account_.integer(1), 0));
  }
  Using expired_scope(expired_);
  const auto expired = expired_.step();
  if (!expired) return std::unexpected(expired.error());
  if (*expired) archive.floor = std::max(archive.floor, static_cast<std::uint64_t>(expired_.integer(0)));
  return {};
}

// The other party of a message that is in the archive.
Result<std::optional<std::uint64_t>> ArchiveReader::find(const Archive& archive, std::uint64_t id) {
  if (id < archive.floor) return std::nullopt;
  if (id > archive.recent.indexed) {
    const auto& entries = archive.recent.entries;
    const auto found = std::ranges::lower_bound(entries, id, {}, &ArchiveEntry::id);
    return found != entries.end() && found->id == id ? std::optional(found->other) : std::nullopt;
  }
  Using scope(find_);
  const auto row = find_.bind(1, as_stored(archive.account)).bind(2, as_stored(id)).step();
  if (!row) return std::unexpected(row.error());
  return *row ? std::optional(static_cast<std::uint64_t>(find_.integer(0))) : std::nullopt;
}

Result<void> ArchiveReader::visit_ids(const Archive& archive, const Span& span,
                                      std::vector<std::uint64_t> ids, const Visit& visit) {
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  if (span.from_end) std::ranges::reverse(ids);
  for (const auto id : ids) {
    if (id < span.first || id > span.last) continue;
    const auto other = find(archive, id);
    if (!other) return std::unexpected(other.error());
    if (!*other || (span.other != 0 && **other != span.other)) continue;
    const auto more = visit(id);
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
  }
  return {};
}

Result<void> ArchiveReader::visit_recent(const Archive& archive, const Span& span, const Visit& visit,
                                         bool& going) {
  const auto& entries = archive.recent.entries;
  for (std::size_t at = 0; at < entries.size() && going; ++at) {
    const auto& entry = entries[span.from_end ? entries.size() - 1 - at : at];
    if (entry.id < span.first || entry.id > span.last || entry.id >= archive.recent.unsettled ||
        (span.other != 0 && entry.other != span.other))
      continue;
    auto more = visit(entry.id);
    if (!more) return std::unexpected(std::move(more.error()));
    going = *more;
  }
  return {};
}

Result<void> ArchiveReader::visit_index(const Archive& archive, const Span& span, const Visit& visit,
                                        bool& going) {
  Statement& ids = span.other == 0 ? (span.from_end ? descending_ : ascending_)
                                   : (span.from_end ? descending_with_ : ascending_with_);
  Using scope(ids);
  ids.bind(1, as_stored(archive.account))
      .bind(2, as_stored(span.first))
      .bind(3, as_stored(std::min(span.last, archive.recent.indexed)));
  if (span.other != 0) ids.bind(4, as_stored(span.other));
  while (going) {
    const auto row = ids.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    auto more = visit(static_cast<std::uint64_t>(ids.integer(0)));
    if (!more) return std::unexpected(std::move(more.error()));
    going = *more;
  }
  return {};
}

Result<void> ArchiveReader::take(const Archive& archive, std::uint64_t id, const ArchiveQuery& query,
                                 std::vector<ArchivedMessage>& messages) {
  Using scope(message_);
  const auto row = message_.bind(1, as_stored(id)).step();
  if (!row) return std::unexpected(row.error());
  if (!*row) return {};
  const auto owner = static_cast<std::uint64_t>(message_.integer(0));
  const auto peer = static_cast<std::uint64_t>(message_.integer(1));
  const std::int64_t stamp_ms = message_.integer(2);
  const std::int64_t kept = message_.integer(4);
  if (!(owner == archive.account && (kept & kForOwner) != 0) &&
      !(peer == archive.account && (kept & kForPeer) != 0))
    return fail(Errc::corrupt, fmt::format("The stored message {} is not of the archive that lists it.", id));
  if (stamp_ms < query.start_ms.value_or(stamp_ms) || stamp_ms > query.end_ms.value_or(stamp_ms)) return {};
  const auto stanza = message_.bytes(5);
  if (query.with.contains('/') && !detail::is_between(stanza, query.with)) return {};
  auto owner_jid = jid_of(owner);
  if (!owner_jid) return std::unexpected(std::move(owner_jid.error()));
  auto peer_jid = jid_of(peer);
  if (!peer_jid) return std::unexpected(std::move(peer_jid.error()));
  messages.push_back({.id = id,
                      .owner = std::move(*owner_jid),
                      .peer = std::move(*peer_jid),
                      .stamp_ms = stamp_ms,
                      .undelivered = message_.integer(3) != 0,
                      .stanza = std::string(stanza)});
  return {};
}

Result<ArchivePage> ArchiveReader::page_of(Archive& archive, std::uint64_t other, const ArchiveQuery& query) {
  const bool known = archive.account != 0;
  if (known)
    if (auto found = look_up(archive); !found) return std::unexpected(std::move(found.error()));
  std::vector<std::uint64_t> must = query.ids;
  if (query.after != 0) must.push_back(query.after);
  if (query.before != 0) must.push_back(query.before);
  for (const auto id : must) {
    if (!known) return not_there(query.account);
    const auto there = find(archive, id);
    if (!there) return std::unexpected(there.error());
    if (!*there) return not_there(query.account);
  }

  ArchivePage page{.messages = {}, .complete = true};
  Span span{.first = std::max(archive.floor, query.after + 1),
            .last = query.before != 0 ? query.before - 1 : kLastId,
            .other = other,
            .from_end = query.from_end};
  if (query.start_ms || query.end_ms) {
    const auto within =
        recent_.taken_within(query.start_ms.value_or(std::numeric_limits<std::int64_t>::min()),
                             query.end_ms.value_or(std::numeric_limits<std::int64_t>::max()));
    if (!within) return page;
    span.first = std::max(span.first, within->first);
    span.last = std::min(span.last, within->second);
  }
  if (!known || span.first > span.last || (!query.with.empty() && other == 0)) return page;

  std::size_t bytes = 0;
  const Visit visit = [&](std::uint64_t id) -> Result<bool> {
    const auto before = page.messages.size();
    if (auto done = take(archive, id, query, page.messages); !done)
      return std::unexpected(std::move(done.error()));
    if (page.messages.size() == before) return true;
    bytes += page.messages.back().stanza.size();
    page.complete = before < query.limit && (before == 0 || bytes <= query.bytes);
    return page.complete;
  };
  Result<void> visited;
  bool going = true;
  if (!query.ids.empty()) {
    visited = visit_ids(archive, span, query.ids, visit);
  } else if (query.from_end) {
    visited = visit_recent(archive, span, visit, going);
    if (visited) visited = visit_index(archive, span, visit, going);
  } else {
    visited = visit_index(archive, span, visit, going);
    if (visited) visited = visit_recent(archive, span, visit, going);
  }
  if (!visited) return std::unexpected(std::move(visited.error()));
  if (!page.complete) page.messages.pop_back();
  if (query.from_end) std::ranges::reverse(page.messages);
  return page;
}

Result<ArchiveEnds> ArchiveReader::ends_of(Archive& archive) {
  if (auto found = look_up(archive); !found) return std::unexpected(std::move(found.error()));
  ArchiveEnds ends;
  for (const bool from_end : {false, true}) {
    std::vector<ArchivedMessage> found;
    const Visit visit = [&](std::uint64_t id) -> Result<bool> {
      if (auto done = take(archive, id, {}, found); !done) return std::unexpected(std::move(done.error()));
      return found.empty();
    };
    const Span span{.first = archive.floor, .last = kLastId, .other = 0, .from_end = from_end};
    bool going = true;
    auto done =
        from_end ? visit_recent(archive, span, visit, going) : visit_index(archive, span, visit, going);
    if (done)
      done = from_end ? visit_index(archive, span, visit, going) : visit_recent(archive, span, visit, going);
    if (!done) return std::unexpected(std::move(done.error()));
    if (found.empty()) continue;
    (from_end ? ends.last : ends.first) = ArchiveEnds::End{found[0].id, found[0].stamp_ms};
  }
  if (!ends.first) return ends;
  // A run that is on its way is counted in part.
  Using scope(count_beyond_);
  const auto beyond =
      count_beyond_.bind(1, as_stored(archive.account)).bind(2, as_stored(archive.recent.indexed)).step();
  if (!beyond) return std::unexpected(beyond.error());
  const auto counted_twice = static_cast<std::size_t>(count_beyond_.integer(0));
  ends.messages = archive.counted - std::min(archive.counted, counted_twice);
  ends.messages += static_cast<std::size_t>(std::ranges::count_if(
      archive.recent.entries, [&](const auto& entry) { return entry.id >= archive.floor; }));
  return ends;
}

Result<ArchivePage> ArchiveReader::page(Database& database, const ArchiveQuery& query) {
  if (auto done = prepare(database); !done) return std::unexpected(std::move(done.error()));
  const auto account = party(query.account);
  if (!account) return std::unexpected(account.error());
  const auto other = query.with.empty() ? 0 : party(query.with.substr(0, query.with.find('/')));
  if (!other) return std::unexpected(other.error());
  Archive archive{.account = *account, .floor = 0, .counted = 0, .recent = {}};
  auto page = page_of(archive, *other, query);
  if (!database.in_transaction()) return page;
  if (auto ended = end_.run(); !ended && page) return std::unexpected(std::move(ended.error()));
  return page;
}

Result<ArchiveEnds> ArchiveReader::ends(Database& database, const std::string& jid) {
  if (auto done = prepare(database); !done) return std::unexpected(std::move(done.error()));
  const auto account = party(jid);
  if (!account) return std::unexpected(account.error());
  if (*account == 0) return ArchiveEnds{};
  Archive archive{.account = *account, .floor = 0, .counted = 0, .recent = {}};
  auto ends = ends_of(archive);
  if (!database.in_transaction()) return ends;
  if (auto ended = end_.run(); !ended && ends) return std::unexpected(std::move(ended.error()));
  return ends;
}

}  // namespace starling::storage::sqlite
