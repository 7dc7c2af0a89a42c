#include "storage/memory/memory_store.h"

#include "storage/detail.h"

namespace starling::storage {

using detail::closed;
using detail::Overloaded;
using detail::ready;

Result<Committed> MemoryStore::apply(Batch& batch) {
  // What can fail in a batch comes first; what follows cannot.
  if (auto checked = detail::check_accounts(
          batch, [this](const std::string& jid) -> Result<bool> { return accounts_.contains(jid); });
      !checked)
    return std::unexpected(std::move(checked.error()));

  Committed committed;
  const auto drop_from_tail = [this](const std::string& owner, auto remove) {
    const auto tail = tails_.find(owner);
    if (tail == tails_.end()) return;
    remove(tail->second);
    if (tail->second.empty()) tails_.erase(tail);
  };
  for (auto& write : batch)
    std::visit(
        Overloaded{
            [&](PutAccount& put) { accounts_.insert_or_assign(put.account.jid, std::move(put.account)); },
            [&](SetKeys& set) {
              Account& account = accounts_.at(set.jid);
              account.sha1 = std::move(set.sha1);
              account.sha256 = std::move(set.sha256);
            },
            [&](SetLastSeen& set) {
              const auto found = accounts_.find(set.jid);
              if (found == accounts_.end()) return;
              found->second.last_seen = set.last_seen;
              found->second.last_status = std::move(set.last_status);
            },
            [&](DeleteAccount& gone) {
              accounts_.erase(gone.jid);
              values_.erase(gone.jid);
              const auto tail = tails_.extract(gone.jid);
              if (!tail.empty())
                for (const auto& [id, message] : tail.mapped()) archive_.delivered(id);
              archive_.forget(gone.jid);
            },
            [&](PutValue& put) {
              values_[std::move(put.owner)][std::move(put.kind)].insert_or_assign(std::move(put.key),
                                                                                  std::move(put.value));
            },
            [&](DeleteValue& gone) {
              const auto owned = values_.find(gone.owner);
              if (owned == values_.end()) return;
              if (const auto kind = owned->second.find(gone.kind); kind != owned->second.end())
                kind->second.erase(gone.key);
            },
            [&](DeleteKind& gone) {
              if (const auto owned = values_.find(gone.owner); owned != values_.end())
                owned->second.erase(gone.kind);
            },
            [&](Append& append) {
              auto& message = append.message;
              if (!append.fingerprint.empty()) {
                if (const auto earlier = repeats_.find(append.fingerprint, message.stamp_ms)) {
                  committed.repeats.push_back(committed.appended.size());
                  committed.appended.push_back(*earlier);
                  return;
                }
              }
              if (message.id == 0) {
                message.id = own_ids_.take();
                own_ids_.settle(message.id);
              }
              if (!append.fingerprint.empty()) repeats_.add(append.fingerprint, message.id, message.stamp_ms);
              committed.appended.push_back(message.id);
              message.archived = append.for_owner;
              archive_.add(append);
              if (message.undelivered) tails_[message.owner].emplace(message.id, std::move(message));
            },
            [&](MarkDelivered& mark) {
              drop_from_tail(mark.owner, [&](Tail& tail) {
                const auto end = tail.upper_bound(mark.up_to);
                for (auto at = tail.begin(); at != end; ++at) archive_.delivered(at->first);
                tail.erase(tail.begin(), end);
              });
            },
            [&](MarkOneDelivered& mark) {
              drop_from_tail(mark.owner, [&](Tail& tail) {
                if (tail.erase(mark.id) != 0) archive_.delivered(mark.id);
              });
            },
            [&](MarkSent& mark) {
              const auto tail = tails_.find(mark.owner);
              if (tail == tails_.end()) return;
              if (const auto message = tail->second.find(mark.id); message != tail->second.end()) {
                message->second.session = mark.session;
                message->second.number = mark.number;
              }
            },
            [&](Receive& receive) { detail::apply(sessions_[receive.session], receive); },
            [&](Sent& sent) { detail::apply(sessions_[sent.session], sent); },
            [&](ForgetSession& gone) { sessions_.erase(gone.session); },
            [&](ReplaceStanza& replace) {
              const auto still =
                  archive_.page({.account = replace.account, .ids = {replace.id}}, ids_.unsettled());
              if (!still) return;
              archive_.replace(replace);
              if (const auto& message = still->messages.front(); message.undelivered)
                tails_.at(message.owner).at(message.id).stanza = replace.stanza;
            },
            [&](Expire& expire) { archive_.expire(expire); },
        },
        write);
  return committed;
}

Task<Result<Committed>> MemoryStore::commit(Batch batch) {
  std::lock_guard lock(mutex_);
  return ready<Result<Committed>>(closed_ ? closed() : apply(batch));
}

Task<Result<std::optional<Account>>> MemoryStore::account(std::string jid) {
  using R = Result<std::optional<Account>>;
  std::lock_guard lock(mutex_);
  if (closed_) return ready<R>(closed());
  const auto found = accounts_.find(jid);
  return ready<R>(found == accounts_.end() ? std::nullopt : std::optional(found->second));
}

Task<Result<std::vector<std::string>>> MemoryStore::accounts(std::string domain, std::string after,
                                                             std::size_t limit) {
  using R = Result<std::vector<std::string>>;
  std::lock_guard lock(mutex_);
  if (closed_) return ready<R>(closed());
  std::vector<std::string> jids;
  for (auto at = accounts_.upper_bound(after); at != accounts_.end() && jids.size() < limit; ++at)
    if (domain.empty() || detail::domain_of(at->first) == domain) jids.push_back(at->first);
  return ready<R>(std::move(jids));
}

Task<Result<std::size_t>> MemoryStore::count_accounts() {
  using R = Result<std::size_t>;
  std::lock_guard lock(mutex_);
  return ready<R>(closed_ ? R(closed()) : R(accounts_.size()));
}

Entries MemoryStore::entries_of(const std::string& owner, const std::string& kind) const {
  const auto owned = values_.find(owner);
  if (owned == values_.end()) return {};
  const auto found = owned->second.find(kind);
  if (found == owned->second.end()) return {};
  return {found->second.begin(), found->second.end()};
}

Task<Result<std::optional<std::string>>> MemoryStore::value(std::string owner, std::string kind,
                                                            std::string key) {
  using R = Result<std::optional<std::string>>;
  std::lock_guard lock(mutex_);
  if (closed_) return ready<R>(closed());
  std::optional<std::string> found;
  if (const auto owned = values_.find(owner); owned != values_.end())
    if (const auto of_kind = owned->second.find(kind); of_kind != owned->second.end())
      if (const auto entry = of_kind->second.find(key); entry != of_kind->second.end()) found = entry->second;
  return ready<R>(std::move(found));
}

Task<Result<Entries>> MemoryStore::values(std::string owner, std::string kind) {
  using R = Result<Entries>;
  std::lock_guard lock(mutex_);
  if (closed_) return ready<R>(closed());
  return ready<R>(entries_of(owner, kind));
}

Task<Result<std::vector<Entries>>> MemoryStore::values_of(std::string owner, std::vector<std::string> kinds) {
  using R = Result<std::vector<Entries>>;
  std::lock_guard lock(mutex_);
  if (closed_) return ready<R>(closed());
  std::vector<Entries> all;
  all.reserve(kinds.size());
  for (const auto& kind : kinds) all.push_back(entries_of(owner, kind));
  return ready<R>(std::move(all));
}

Task<Result<std::vector<ArchivedMessage>>> MemoryStore::undelivered(std::string owner, std::uint64_t after,
                                                                    std::size_t limit) {
  using R = Result<std::vector<ArchivedMessage>>;
  std::lock_guard lock(mutex_);
  if (closed_) return ready<R>(closed());
  std::vector<ArchivedMessage> messages;
  if (const auto tail = tails_.find(owner); tail != tails_.end())
    for (auto at = tail->second.upper_bound(after); at != tail->second.end() && messages.size() < limit; ++at)
      messages.push_back(at->second);
  return ready<R>(std::move(messages));
}

Task<Result<TailSize>> MemoryStore::undelivered_size(std::string owner) {
  using R = Result<TailSize>;
  std::lock_guard lock(mutex_);
  if (closed_) return ready<R>(closed());
  TailSize size;
  if (const auto tail = tails_.find(owner); tail != tails_.end()) {
    size.messages = tail->second.size();
    for (const auto& [id, message] : tail->second) size.bytes += message.stanza.size();
  }
  return ready<R>(size);
}

Task<Result<std::optional<SessionCounts>>> MemoryStore::session_counts(std::uint64_t session) {
  using R = Result<std::optional<SessionCounts>>;
  std::lock_guard lock(mutex_);
  if (closed_) return ready<R>(closed());
  const auto found = sessions_.find(session);
  return ready<R>(found == sessions_.end() ? std::nullopt : std::optional(found->second));
}

Task<Result<ArchivePage>> MemoryStore::archive(ArchiveQuery query) {
  using R = Result<ArchivePage>;
  std::lock_guard lock(mutex_);
  return ready<R>(closed_ ? R(closed()) : archive_.page(query, ids_.unsettled()));
}

Task<Result<ArchiveEnds>> MemoryStore::archive_ends(std::string account) {
  using R = Result<ArchiveEnds>;
  std::lock_guard lock(mutex_);
  return ready<R>(closed_ ? R(closed()) : R(archive_.ends(account, ids_.unsettled())));
}

void MemoryStore::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
}

}  // namespace starling::storage
