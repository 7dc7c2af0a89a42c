#include "storage/sqlite/session_table.h"

#include <limits>

#include "base/log.h"
#include "storage/detail.h"

namespace starling::storage::sqlite {
namespace {

constexpr std::size_t kMostKnown = 4096;
constexpr std::size_t kPairBytes = 8;

// Pairs of 32-bit numbers, the lowest byte first.
std::string bytes_of(const Ledger::Beyond& beyond) {
  std::string bytes;
  bytes.reserve(beyond.size() * kPairBytes);
  for (const auto& [number, after] : beyond)
    for (const std::uint32_t value : {number, after})
      for (unsigned shift = 0; shift < 32; shift += 8)
        bytes.push_back(static_cast<char>(value >> shift & 0xff));
  return bytes;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace

Result<std::optional<SessionCounts>> read_session(Statement& query, std::uint64_t session) {
  Using scope(query);
  const auto found = query.bind(1, static_cast<std::int64_t>(session)).step();
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  const auto bytes = query.bytes(3);
  bool sound = bytes.size() % kPairBytes == 0;
  for (int column = 0; column < 3; ++column)
    sound = sound && query.integer(column) >= 0 &&
            query.integer(column) <= std::numeric_limits<std::uint32_t>::max();
  if (!sound)
    return fail(Errc::corrupt, "The counters of a session are stored as this version does not write them.");
  SessionCounts counts{.received = static_cast<std::uint32_t>(query.integer(0)),
                       .beyond = {},
                       .sent = static_cast<std::uint32_t>(query.integer(1)),
                       .lossy = static_cast<std::uint32_t>(query.integer(2))};
  for (std::size_t at = 0; at < bytes.size(); at += kPairBytes)
    counts.beyond.emplace_back(number_at(bytes, at), number_at(bytes, at + 4));
  return counts;
}

Result<void> SessionTable::prepare(Database& database) {
  return database.prepare_all({
      {&read_, kReadSession},
      {&put_, "INSERT OR REPLACE INTO session VALUES (?1,?2,?3,?4,?5)"},
      {&delete_, "DELETE FROM session WHERE id=?1"},
  });
}

Result<SessionTable::Known*> SessionTable::find(std::uint64_t session) {
  if (const auto known = known_.find(session); known != known_.end()) return &known->second;
  auto counts = read_session(read_, session);
  if (!counts) {
    // What a row that makes no sense said is lost anyway, and must not keep all others from being written.
    if (counts.error().code != Errc::corrupt) return std::unexpected(std::move(counts.error()));
    log::error("storage: {} It begins anew.", counts.error().message);
    counts = SessionCounts{};
  }
  return &known_.try_emplace(session, Known{std::move(*counts), false}).first->second;
}

template <class Change>
Result<void> SessionTable::change(std::uint64_t session, Change apply) {
  auto known = find(session);
  if (!known) return std::unexpected(std::move(known.error()));
  apply((*known)->counts);
  if (!std::exchange((*known)->changed, true)) changed_.push_back(session);
  return {};
}

Result<void> SessionTable::apply(const Receive& receive) {
  return change(receive.session,
                [&](auto& counts) { detail::apply(counts ? *counts : counts.emplace(), receive); });
}

Result<void> SessionTable::apply(const Sent& sent) {
  return change(sent.session,
                [&](auto& counts) { detail::apply(counts ? *counts : counts.emplace(), sent); });
}

Result<void> SessionTable::forget(std::uint64_t session) {
  return change(session, [](auto& counts) { counts.reset(); });
}

Result<void> SessionTable::flush() {
  for (const auto session : changed_) {
    auto& known = known_.at(session);
    known.changed = false;
    const auto id = static_cast<std::int64_t>(session);
    if (!known.counts) {
      if (auto done = delete_.bind(1, id).run(); !done) return done;
      continue;
    }
    const auto beyond = bytes_of(known.counts->beyond);
    auto done = put_.bind(1, id)
                    .bind(2, std::int64_t{known.counts->received})
                    .bind(3, std::int64_t{known.counts->sent})
                    .bind(4, std::int64_t{known.counts->lossy})
                    .bind_blob(5, beyond)
                    .run();
    if (!done) return done;
  }
  changed_.clear();
  if (known_.size() > kMostKnown) known_.clear();
  return {};
}

void SessionTable::rolled_back() {
  known_.clear();
  changed_.clear();
}

}  // namespace starling::storage::sqlite
