#include "storage/memory/memory_archive.h"

#include <algorithm>

#include "storage/detail.h"

namespace starling::storage {

void MemoryArchive::add(const Append& append) {
  if (!append.for_owner && !append.for_peer) return;
  Row row{append.message, append.for_owner, append.for_peer};
  row.message.session = 0;
  row.message.number = 0;
  row.message.archived = false;
  rows_.emplace(append.message.id, std::move(row));
}

void MemoryArchive::delivered(std::uint64_t id) {
  if (const auto row = rows_.find(id); row != rows_.end()) row->second.message.undelivered = false;
}

void MemoryArchive::replace(const ReplaceStanza& replace) {
  if (const auto row = rows_.find(replace.id); row != rows_.end() && row->second.is_of(replace.account))
    row->second.message.stanza = replace.stanza;
}

void MemoryArchive::expire(const Expire& expire) {
  const auto kept = std::ranges::find_if(
      rows_, [&](const auto& row) { return row.second.message.stamp_ms >= expire.before_ms; });
  rows_.erase(rows_.begin(), kept);

  std::unordered_map<std::string, std::pair<std::uint64_t, std::uint64_t>> sizes;  // messages, bytes
  for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
    auto& message = row->second.message;
    for (const auto& account : {message.owner, message.peer}) {
      if (!row->second.is_of(account)) continue;
      auto& [messages, bytes] = sizes[account];
      ++messages;
      bytes += message.stanza.size();
      if ((expire.messages != 0 && messages > expire.messages) || (expire.bytes != 0 && bytes > expire.bytes))
        row->second.leave(account);
    }
  }
  drop_what_nobody_keeps();
}

void MemoryArchive::forget(const std::string& account) {
  for (auto& [id, row] : rows_) row.leave(account);
  drop_what_nobody_keeps();
}

void MemoryArchive::drop_what_nobody_keeps() {
  std::erase_if(rows_, [](const auto& row) { return !row.second.for_owner && !row.second.for_peer; });
}

Result<ArchivePage> MemoryArchive::page(const ArchiveQuery& query, std::uint64_t unsettled) const {
  auto must = query.ids;
  if (query.after != 0) must.push_back(query.after);
  if (query.before != 0) must.push_back(query.before);
  for (const auto id : must) {
    const auto row = rows_.find(id);
    if (row == rows_.end() || !row->second.is_of(query.account))
      return fail(Errc::not_found, fmt::format("The archive of {} has no such message.", query.account));
  }
  const std::string with = query.with.substr(0, query.with.find('/'));
  ArchivePage page;
  for (const auto& [id, row] : rows_) {
    const auto& message = row.message;
    if (!row.is_of(query.account)) continue;
    if (!query.ids.empty() && std::ranges::find(query.ids, id) == query.ids.end()) continue;
    const auto& other = message.owner == query.account ? message.peer : message.owner;
    if ((query.ids.empty() && id >= unsettled) || id <= query.after ||
        (query.before != 0 && id >= query.before))
      continue;
    if (message.stamp_ms < query.start_ms.value_or(message.stamp_ms)) continue;
    if (message.stamp_ms > query.end_ms.value_or(message.stamp_ms)) continue;
    if (!with.empty() && other != with) continue;
    if (query.with != with && !detail::is_between(message.stanza, query.with)) continue;
    page.messages.push_back(message);
  }
  if (query.from_end) std::ranges::reverse(page.messages);
  std::size_t fit = 0;
  for (std::size_t bytes = 0; fit < std::min(page.messages.size(), query.limit); ++fit) {
    bytes += page.messages[fit].stanza.size();
    if (fit != 0 && bytes > query.bytes) break;
  }
  page.complete = fit == page.messages.size();
  page.messages.resize(fit);
  if (query.from_end) std::ranges::reverse(page.messages);
  return page;
}

ArchiveEnds MemoryArchive::ends(const std::string& account, std::uint64_t unsettled) const {
  ArchiveEnds ends;
  for (const auto& [id, row] : rows_) {
    if (id >= unsettled || !row.is_of(account)) continue;
    ends.last = ArchiveEnds::End{id, row.message.stamp_ms};
    if (!ends.first) ends.first = ends.last;
    ++ends.messages;
  }
  return ends;
}

}  // namespace starling::storage
