#include "storage/sqlite/archive_index.h"

#include <algorithm>

#include <fmt/format.h>

namespace starling::storage::sqlite {
namespace {

constexpr std::size_t kRun = std::size_t{1} << 17;  // entries and undelivered messages that make a run
constexpr std::size_t kIndexedAtOnce = 2000;
constexpr std::size_t kSweptAtOnce = 200;

std::int64_t as_stored(std::uint64_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

Result<void> ArchiveIndex::open(Database& database) {
  const auto prepared = database.prepare_all({
      {&insert_, "INSERT OR IGNORE INTO archive VALUES (?1,?2,?3,?4)"},
      {&insert_party_, "INSERT OR IGNORE INTO correspondence VALUES (?1,?2,?3)"},
      {&insert_tail_, "INSERT OR IGNORE INTO tail SELECT id FROM message WHERE id=?1 AND undelivered=1"},
      {&count_, "UPDATE party SET messages=messages+?2, bytes=bytes+?3 WHERE number=?1 RETURNING floor"},
      {&set_mark_, "UPDATE meta SET value=?1 WHERE name='indexed'"},
      {&put_block_, "INSERT OR REPLACE INTO block VALUES (?1,?2,?3)"},
      {&want_sweep_, "INSERT OR IGNORE INTO sweep VALUES (?1)"},
      {&first_sweep_, "SELECT account FROM sweep LIMIT 1"},
      {&end_sweep_, "DELETE FROM sweep WHERE account=?1"},
      {&next_party_, "SELECT number, messages, bytes FROM party WHERE number>?1 ORDER BY number LIMIT 1"},
      {&oldest_, "SELECT id, other, bytes FROM archive WHERE account=?1 AND id<?2 ORDER BY id LIMIT ?3"},
      {&delete_, "DELETE FROM archive WHERE account=?1 AND id=?2"},
      {&delete_party_, "DELETE FROM correspondence WHERE account=?1 AND other=?2 AND id=?3"},
      {&first_after_,
       "SELECT id FROM message WHERE id>=?1 AND id<?2 AND kept!=0 AND stamp_ms>=?3 ORDER BY id LIMIT 1"},
  });
  if (!prepared) return prepared;
  const auto reserved = database.integer("SELECT value FROM meta WHERE name='ids_reserved'");
  if (!reserved) return std::unexpected(reserved.error());
  const auto mark = database.integer("SELECT value FROM meta WHERE name='indexed'");
  if (!mark) return std::unexpected(mark.error());
  const auto nonsense = [&] {
    return fail(Errc::corrupt, fmt::format("{} says of its archive what cannot be; restore it from a copy.",
                                           database.file()));
  };
  if (*mark < 0 || *mark > *reserved) return nonsense();
  mark_ = static_cast<std::uint64_t>(*mark);
  messages_.list_tail_up_to(mark_);
  recent_.indexed(mark_);

  auto blocks = database.prepare("SELECT number, first_ms, last_ms FROM block");
  if (!blocks) return std::unexpected(std::move(blocks.error()));
  for (;;) {
    const auto row = blocks->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) break;
    const auto number = static_cast<std::uint64_t>(blocks->integer(0));
    if (number > static_cast<std::uint64_t>(*reserved) / kBlock) return nonsense();
    recent_.put_block(number, {blocks->integer(1), blocks->integer(2)});
  }

  auto log = database.prepare(
      "SELECT id, owner, peer, stamp_ms, undelivered, kept, length(stanza) FROM message WHERE id>?1 ORDER BY "
      "id");
  if (!log) return std::unexpected(std::move(log.error()));
  log->bind(1, as_stored(mark_));
  for (;;) {
    const auto row = log->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) break;
    const auto id = static_cast<std::uint64_t>(log->integer(0));
    const auto owner = static_cast<std::uint64_t>(log->integer(1));
    const auto peer = static_cast<std::uint64_t>(log->integer(2));
    const auto kept = log->integer(5);
    const auto bytes = static_cast<std::uint32_t>(log->integer(6));
    if (log->integer(4) != 0) undelivered_.push_back(id);
    std::vector<ArchiveEntry> entries;
    if ((kept & kForOwner) != 0) entries.push_back({owner, id, peer, bytes});
    if ((kept & kForPeer) != 0 && !((kept & kForOwner) != 0 && owner == peer))
      entries.push_back({peer, id, owner, bytes});
    if (entries.empty()) continue;
    const RecentArchive::Stamped stamp{id, log->integer(3)};
    recent_.add(entries, std::span(&stamp, 1));
  }
  sweep_.wanted = sweep_committed_.wanted = true;  // sweep_some() looks
  return {};
}

void ArchiveIndex::close() {
  for (Statement* statement :
       {&insert_, &insert_party_, &insert_tail_, &count_, &set_mark_, &put_block_, &want_sweep_,
        &first_sweep_, &end_sweep_, &next_party_, &oldest_, &delete_, &delete_party_, &first_after_})
    *statement = {};
}

Result<void> ArchiveIndex::forget(std::string_view jid, std::uint64_t next_id) {
  const auto account = messages_.find_party(jid);
  if (!account) return std::unexpected(account.error());
  if (*account == 0) return {};
  if (auto done = messages_.raise_floor(*account, next_id); !done) return done;
  sweep_.wanted = true;
  return want_sweep_.bind(1, as_stored(*account)).run();
}

// Blocks that end before the time go as a whole; in the first that does not, its rows say from where on.
Result<void> ArchiveIndex::expire(const Expire& expire) {
  std::uint64_t below = ids_.unsettled();
  if (const auto later = recent_.taken_within(expire.before_ms, std::numeric_limits<std::int64_t>::max())) {
    below = later->first;
    Using scope(first_after_);
    const auto row = first_after_.bind(1, as_stored(below))
                         .bind(2, as_stored(below + kBlock))
                         .bind(3, expire.before_ms)
                         .step();
    if (!row) return std::unexpected(row.error());
    below = *row ? static_cast<std::uint64_t>(first_after_.integer(0)) : below;
  }
  if (auto done = messages_.expire_below(below); !done) return done;
  sweep_.fresh = sweep_.walking = true;
  sweep_.walked = 0;
  sweep_.messages = expire.messages;
  sweep_.bytes = expire.bytes;
  return {};
}

bool ArchiveIndex::busy() const {
  return run_.by_id || sweep_.wanted || sweep_.walking || recent_.entries() + undelivered_.size() >= kRun;
}

Result<void> ArchiveIndex::step() {
  if (!run_.by_id) {
    const std::size_t waiting = recent_.entries() + undelivered_.size();
    if (waiting >= kRun || (sweep_.fresh && waiting != 0)) begin_run();
    sweep_.fresh = false;
  }
  if (run_.by_id) return index_some();
  return sweep_.wanted || sweep_.walking ? sweep_some() : Result<void>{};
}

void ArchiveIndex::committed() {
  const auto& appended = messages_.appended();
  if (!appended.stamps.empty()) recent_.add(appended.entries, appended.stamps);
  undelivered_.insert(undelivered_.end(), appended.undelivered.begin(), appended.undelivered.end());
  sweep_committed_ = sweep_;
  run_committed_ = run_.done;
  if (!run_.ended) return;
  mark_ = run_.last_id;
  recent_.indexed(mark_);
  run_ = {};
  run_committed_ = 0;
}

void ArchiveIndex::rolled_back() {
  run_.done = run_committed_;
  run_.ended = false;
  sweep_ = sweep_committed_;
}

// What is not settled is not in it, as what the running group has appended.
void ArchiveIndex::begin_run() {
  run_.last_id = ids_.unsettled() - 1;
  run_.by_id = recent_.freeze(run_.last_id);
  run_.by_party = *run_.by_id;
  std::ranges::sort(run_.by_party, {}, [](const ArchiveEntry& entry) {
    return std::tuple(entry.account, entry.other, entry.id);
  });
  const auto belongs = [&](std::uint64_t id) { return id <= run_.last_id; };
  std::ranges::copy_if(undelivered_, std::back_inserter(run_.undelivered), belongs);
  std::erase_if(undelivered_, belongs);
  messages_.list_tail_up_to(run_.last_id);
}

Result<void> ArchiveIndex::index_some() {
  const std::size_t by_party = run_.by_id->size();
  const std::size_t undelivered = by_party + run_.by_party.size();
  const std::size_t end = undelivered + run_.undelivered.size();
  const std::size_t stop = std::min(run_.done + kIndexedAtOnce, end);
  if (run_.done < by_party) {
    const auto done = index_by_id(run_.done, std::min(stop, by_party));
    if (!done) return std::unexpected(done.error());
    run_.done = *done;
  }
  for (; run_.done >= by_party && run_.done < std::min(stop, undelivered); ++run_.done) {
    const auto& entry = run_.by_party[run_.done - by_party];
    auto done = insert_party_.bind(1, as_stored(entry.account))
                    .bind(2, as_stored(entry.other))
                    .bind(3, as_stored(entry.id))
                    .run();
    if (!done) return done;
  }
  for (; run_.done >= undelivered && run_.done < stop; ++run_.done)
    if (auto done = insert_tail_.bind(1, as_stored(run_.undelivered[run_.done - undelivered])).run(); !done)
      return done;
  return run_.done == end ? end_run() : Result<void>{};
}

// Entries that are there already, of a run that a crash has cut short, are counted already.
Result<std::size_t> ArchiveIndex::index_by_id(std::size_t from, std::size_t most) {
  const auto& entries = *run_.by_id;
  while (from < most) {
    const auto first = from;
    std::size_t messages = 0;
    std::size_t bytes = 0;
    for (; from < most && entries[from].account == entries[first].account; ++from) {
      const auto& entry = entries[from];
      auto inserted = insert_.bind(1, as_stored(entry.account))
                          .bind(2, as_stored(entry.id))
                          .bind(3, as_stored(entry.other))
                          .bind(4, std::int64_t{entry.bytes})
                          .run();
      if (!inserted) return std::unexpected(std::move(inserted.error()));
      if (insert_.changes() == 0) continue;
      ++messages;
      bytes += entry.bytes;
    }
    if (auto done = count(entries[first].account, entries[first].id, messages, bytes); !done)
      return std::unexpected(done.error());
  }
  return from;
}

// An account whose archive was given up meanwhile has to be swept again.
Result<void> ArchiveIndex::count(std::uint64_t account, std::uint64_t first_id, std::size_t messages,
                                 std::size_t bytes) {
  std::uint64_t floor = 0;
  {
    Using scope(count_);
    const auto row =
        count_.bind(1, as_stored(account)).bind(2, as_stored(messages)).bind(3, as_stored(bytes)).step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    floor = static_cast<std::uint64_t>(count_.integer(0));
    if (const auto end = count_.step(); !end) return std::unexpected(end.error());
  }
  if (floor <= first_id) return {};
  sweep_.wanted = true;
  return want_sweep_.bind(1, as_stored(account)).run();
}

Result<void> ArchiveIndex::end_run() {
  for (auto number = mark_ / kBlock; number <= run_.last_id / kBlock; ++number) {
    const auto block = recent_.block(number);
    if (block.first_ms > block.last_ms) continue;
    if (auto done =
            put_block_.bind(1, as_stored(number)).bind(2, block.first_ms).bind(3, block.last_ms).run();
        !done)
      return done;
  }
  run_.ended = true;
  return set_mark_.bind(1, as_stored(run_.last_id)).run();
}

Result<void> ArchiveIndex::sweep_some() {
  for (std::size_t left = kSweptAtOnce; left != 0;) {
    std::uint64_t account = 0;
    if (sweep_.wanted) {
      Using scope(first_sweep_);
      const auto row = first_sweep_.step();
      if (!row) return std::unexpected(row.error());
      if (*row) account = static_cast<std::uint64_t>(first_sweep_.integer(0));
    }
    const bool listed = account != 0;
    sweep_.wanted = listed;
    if (!listed) {
      if (!sweep_.walking) return {};
      std::uint64_t messages = 0;
      std::uint64_t bytes = 0;
      {
        Using scope(next_party_);
        const auto row = next_party_.bind(1, as_stored(sweep_.walked)).step();
        if (!row) return std::unexpected(row.error());
        if (!*row) {
          sweep_.walking = false;
          return {};
        }
        account = static_cast<std::uint64_t>(next_party_.integer(0));
        messages = static_cast<std::uint64_t>(next_party_.integer(1));
        bytes = static_cast<std::uint64_t>(next_party_.integer(2));
      }
      if (auto done = trim(account, messages, bytes); !done) return done;
    }
    const auto floor = messages_.floor(account);
    if (!floor) return std::unexpected(floor.error());
    const auto swept = sweep(account, std::max(*floor, messages_.expired_below()), left);
    if (!swept) return std::unexpected(swept.error());
    const bool finished = *swept < left;
    left -= finished ? *swept + 1 : left;
    if (!finished) continue;
    if (!listed) {
      sweep_.walked = account;
    } else if (auto done = end_sweep_.bind(1, as_stored(account)).run(); !done) {
      return done;
    }
  }
  return {};
}

// Gives up the oldest of an archive that is beyond the limits.
Result<void> ArchiveIndex::trim(std::uint64_t account, std::uint64_t messages, std::uint64_t bytes) {
  const auto beyond = [&] {
    return (sweep_.messages != 0 && messages > sweep_.messages) ||
           (sweep_.bytes != 0 && bytes > sweep_.bytes);
  };
  std::uint64_t floor = 0;
  {
    Using scope(oldest_);
    oldest_.bind(1, as_stored(account))
        .bind(2, std::numeric_limits<std::int64_t>::max())
        .bind(3, std::int64_t{-1});
    while (beyond()) {
      const auto row = oldest_.step();
      if (!row) return std::unexpected(row.error());
      if (!*row) break;
      floor = static_cast<std::uint64_t>(oldest_.integer(0)) + 1;
      --messages;
      bytes -= std::min(bytes, static_cast<std::uint64_t>(oldest_.integer(2)));
    }
  }
  return floor == 0 ? Result<void>{} : messages_.raise_floor(account, floor);
}

Result<std::size_t> ArchiveIndex::sweep(std::uint64_t account, std::uint64_t below, std::size_t most) {
  RecentArchive::Run gone;
  std::int64_t bytes = 0;
  {
    Using scope(oldest_);
    oldest_.bind(1, as_stored(account)).bind(2, as_stored(below)).bind(3, as_stored(most));
    for (;;) {
      const auto row = oldest_.step();
      if (!row) return std::unexpected(row.error());
      if (!*row) break;
      gone.push_back({account, static_cast<std::uint64_t>(oldest_.integer(0)),
                      static_cast<std::uint64_t>(oldest_.integer(1)), 0});
      bytes += oldest_.integer(2);
    }
  }
  for (const auto& entry : gone) {
    if (auto done = delete_.bind(1, as_stored(account)).bind(2, as_stored(entry.id)).run(); !done)
      return std::unexpected(done.error());
    auto done = delete_party_.bind(1, as_stored(account))
                    .bind(2, as_stored(entry.other))
                    .bind(3, as_stored(entry.id))
                    .run();
    if (!done) return std::unexpected(done.error());
    if (done = messages_.lost(entry.id, account); !done) return std::unexpected(done.error());
  }
  if (!gone.empty()) {
    auto done = count_.bind(1, as_stored(account))
                    .bind(2, -static_cast<std::int64_t>(gone.size()))
                    .bind(3, -bytes)
                    .run();
    if (!done) return std::unexpected(done.error());
  }
  return gone.size();
}

}  // namespace starling::storage::sqlite
