#pragma once
// Making, changing and removing accounts, for the operator's commands and for in-band registration alike.
// Keeps salted keys only (RFC 5802 section 3). Call on any loop's thread: it has no state of its own; keys
// are derived on the pool. Whether the domain is one of ours, and what becomes of live sessions, is the
// caller's business.
#include <string>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "jid/jid.h"
#include "net/worker_pool.h"
#include "storage/store.h"

namespace starling::server {

class Accounts {
 public:
  Accounts(storage::Store& store, net::WorkerPool& pool) : store_(store), pool_(pool) {}

  // Errors: invalid (no bare JID with a local part, or a password that RFC 8265 4.2 refuses), conflict (it
  // exists), unavailable (too many derivations wait). `password` is as the user typed it, and is wiped.
  Task<Result<void>> add(Jid jid, std::string password);
  // Also: not_found.
  Task<Result<void>> set_password(Jid jid, std::string password);
  // With everything that the account owns. Errors: not_found.
  Task<Result<void>> remove(Jid jid);
  // Bare JIDs of `domain` (empty: of all) in order, after `after`, at most `limit`.
  Task<Result<std::vector<std::string>>> list(std::string domain, std::string after, std::size_t limit);
  // Errors: not_found.
  Task<Result<storage::Account>> show(Jid jid);
  // Messages that wait for the account to come online.
  Task<Result<storage::TailSize>> waiting(Jid jid);

  // Whether these are the keys of `password`, at the cost of one derivation on the pool whatever the answer
  // is. Nothing when too many derivations wait. `password` is wiped.
  Task<std::optional<bool>> verify(storage::ScramKeys sha256, std::string password);

 private:
  Task<Result<void>> derive(std::string password, storage::Account& into);

  storage::Store& store_;
  net::WorkerPool& pool_;
};

}  // namespace starling::server
