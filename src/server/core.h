#pragma once
// The server without sockets: configuration, store, and the shards on the loops that it was given. The same
// object runs under Server (one reactor and thread a shard) and in tests (one virtual loop for all of them).
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/accounts.h"
#include "server/module.h"
#include "server/shard.h"

namespace starling::server {

class Core {
 public:
  // Store and accounts outlive it, and so do the loops; one shard on each. Throws std::logic_error when two
  // modules register the same thing.
  Core(Config config, storage::Store& store, Accounts& accounts, std::span<Loop* const> loops,
       const ModuleFactory& modules);
  ~Core();

  [[nodiscard]] std::size_t shard_count() const { return shards_.size(); }
  [[nodiscard]] Shard& shard(std::size_t index) { return *shards_[index]; }
  [[nodiscard]] Shard& home(std::string_view bare_jid);  // where that account lives
  [[nodiscard]] storage::Store& store() { return store_; }
  [[nodiscard]] Accounts& accounts() { return accounts_; }
  [[nodiscard]] SteadyTime started_at() const { return started_at_; }
  [[nodiscard]] const std::string& secret() const {
    return secret_;
  }  // for the salts of unknown users; stored, so that they are stable

  // Loads the stored secret, or makes it. Before anybody may log in.
  Task<Result<void>> prepare();

  // A new configuration for all shards; streams that are open keep what they negotiated. On any loop's
  // thread.
  void reconfigure(Config config);

  // Counts connections by address (network_of()) over all shards; false if this one is beyond
  // limits.connections_per_address. It is counted all the same, until dismiss(). Any thread.
  [[nodiscard]] bool admit(const std::string& address);
  void dismiss(const std::string& address);

 private:
  storage::Store& store_;
  Accounts& accounts_;
  SteadyTime started_at_;
  std::string secret_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::mutex addresses_lock_;  // taken when a connection comes or goes, never for a stanza
  std::unordered_map<std::string, std::size_t> networks_;
  std::atomic<std::size_t> address_limit_;
};

}  // namespace starling::server
