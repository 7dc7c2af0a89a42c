#include "storage/sqlite/recent_archive.h"

namespace starling::storage::sqlite {

void RecentArchive::add(std::span<const ArchiveEntry> entries, std::span<const Stamped> stamps) {
  std::lock_guard lock(mutex_);
  for (const auto& entry : entries) {
    auto& known = newest_[entry.account];
    known.insert(std::ranges::upper_bound(known, entry.id, {}, &ArchiveEntry::id),
                 entry);  // nearly always last
  }
  entries_ += entries.size();
  for (const auto& [id, stamp_ms] : stamps) {
    auto& block = grow_to(id / kBlock);
    block.first_ms = std::min(block.first_ms, stamp_ms);
    block.last_ms = std::max(block.last_ms, stamp_ms);
  }
}

std::size_t RecentArchive::entries() const {
  std::lock_guard lock(mutex_);
  return entries_;
}

std::shared_ptr<const RecentArchive::Run> RecentArchive::freeze(std::uint64_t up_to) {
  std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> accounts;
  accounts.reserve(newest_.size());
  for (const auto& [account, entries] : newest_) accounts.push_back(account);
  std::ranges::sort(accounts);
  auto run = std::make_shared<Run>();
  run->reserve(entries_);
  for (const auto account : accounts) {
    auto& entries = newest_.at(account);
    const auto end = std::ranges::upper_bound(entries, up_to, {}, &ArchiveEntry::id);
    run->insert(run->end(), entries.begin(), end);
    entries.erase(entries.begin(), end);
    if (entries.empty()) newest_.erase(account);
  }
  entries_ -= run->size();
  frozen_ = run;
  return run;
}

void RecentArchive::indexed(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  indexed_ = id;
  frozen_.reset();
}

RecentArchive::View RecentArchive::view(std::uint64_t account) const {
  const auto unsettled = ids_.unsettled();  // first: what is settled by then is here
  std::lock_guard lock(mutex_);
  View view{indexed_, unsettled, {}};
  if (frozen_) {
    const auto of_account = std::ranges::equal_range(*frozen_, account, {}, &ArchiveEntry::account);
    view.entries.assign(of_account.begin(), of_account.end());
  }
  if (const auto newest = newest_.find(account); newest != newest_.end())
    view.entries.insert(view.entries.end(), newest->second.begin(), newest->second.end());
  return view;
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> RecentArchive::taken_within(
    std::int64_t start_ms, std::int64_t end_ms) const {
  std::lock_guard lock(mutex_);
  const auto overlaps = [&](const StampBlock& block) {
    return block.first_ms <= end_ms && block.last_ms >= start_ms;
  };
  const auto first = std::ranges::find_if(blocks_, overlaps);
  if (first == blocks_.end()) return std::nullopt;
  const auto last = std::find_if(blocks_.rbegin(), blocks_.rend(), overlaps).base();
  return std::pair{static_cast<std::uint64_t>(first - blocks_.begin()) * kBlock,
                   static_cast<std::uint64_t>(last - blocks_.begin()) * kBlock - 1};
}

StampBlock RecentArchive::block(std::uint64_t number) const {
  std::lock_guard lock(mutex_);
  return number < blocks_.size() ? blocks_[number] : StampBlock{};
}

void RecentArchive::put_block(std::uint64_t number, StampBlock block) {
  std::lock_guard lock(mutex_);
  grow_to(number) = block;
}

StampBlock& RecentArchive::grow_to(std::uint64_t number) {
  if (number >= blocks_.size()) blocks_.resize(number + 1);
  return blocks_[number];
}

}  // namespace starling::storage::sqlite
