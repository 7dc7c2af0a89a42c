#pragma once
// What drivers share.
#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "storage/store.h"

namespace starling::storage::detail {

// The Task of a call that is already under way.
template <class T>
Task<T> wait_for(Completion<T> completion) {
  co_return co_await completion;
}

// The Task of a call whose result is known: ends in a later turn like every other.
template <class T>
Task<T> ready(T value) {
  Completion<T> completion;
  completion.resolver()(std::move(value));
  return wait_for(std::move(completion));
}

inline std::string_view domain_of(std::string_view bare_jid) {
  const auto at = bare_jid.find('@');
  return at == std::string_view::npos ? bare_jid : bare_jid.substr(at + 1);
}

std::unexpected<Error> closed();

// The error of the first write of `batch` that wants its account to be new (Errc::conflict) or to exist
// (Errc::not_found) and does not find it so, taking the batch's earlier writes into account. `exists(jid)`
// returns Result<bool>.
template <class Exists>
Result<void> check_accounts(const Batch& batch, Exists exists) {
  std::vector<std::pair<std::string_view, bool>> changed;
  const auto is_there = [&](const std::string& jid) -> Result<bool> {
    const auto known =
        std::find_if(changed.rbegin(), changed.rend(), [&](const auto& one) { return one.first == jid; });
    return known != changed.rend() ? Result<bool>(known->second) : exists(jid);
  };
  for (const auto& write : batch) {
    if (const auto* put = std::get_if<PutAccount>(&write)) {
      if (put->must_be_new) {
        const auto there = is_there(put->account.jid);
        if (!there) return std::unexpected(there.error());
        if (*there)
          return fail(Errc::conflict, fmt::format("The account {} exists already.", put->account.jid));
      }
      changed.emplace_back(put->account.jid, true);
    } else if (const auto* set = std::get_if<SetKeys>(&write)) {
      const auto there = is_there(set->jid);
      if (!there) return std::unexpected(there.error());
      if (!*there) return fail(Errc::not_found, fmt::format("There is no account {}.", set->jid));
    } else if (const auto* gone = std::get_if<DeleteAccount>(&write)) {
      changed.emplace_back(gone->jid, false);
    }
  }
  return {};
}

// What a write of a session's counters makes of them.
inline void apply(SessionCounts& counts, const Receive& receive) {
  Ledger ledger(counts.received, std::move(counts.beyond));
  ledger.apply(receive.number, receive.after);
  counts.received = ledger.received();
  counts.beyond = ledger.beyond();
}
inline void apply(SessionCounts& counts, const Sent& sent) {
  counts.sent = sent.sent;
  counts.lossy = sent.lossy;
}

// Whether a stanza is from or to a full JID, by its own words.
bool is_between(std::string_view stanza, std::string_view full_jid);

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace starling::storage::detail
