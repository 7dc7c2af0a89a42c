#include "server/core.h"

#include "base/crypto.h"
#include "server/connection/connection.h"

namespace starling::server {
namespace {
// Owned by nobody who can log in: no bare JID is a lone "@".
constexpr const char* kOwner = "@server";
}  // namespace

Core::Core(Config config, storage::Store& store, Accounts& accounts, std::span<Loop* const> loops,
           const ModuleFactory& modules)
    : store_(store), accounts_(accounts), started_at_(loops.front()->now()), address_limit_(0) {
  address_limit_ = config.limits.rate ? config.limits.connections_per_address : 0;
  for (std::size_t i = 0; i < loops.size(); ++i)
    shards_.push_back(std::make_unique<Shard>(*this, i, *loops[i], config, modules));
  for (const auto& shard : shards_) shard->start(shards_.size());
}

Core::~Core() = default;

Shard& Core::home(std::string_view bare_jid) {
  return *shards_[shards_.size() == 1 ? 0 : std::hash<std::string_view>()(bare_jid) % shards_.size()];
}

Task<Result<void>> Core::prepare() {
  auto stored = co_await store_.value(kOwner, "secret", "");
  if (!stored) co_return std::unexpected(stored.error());
  if (*stored) {
    secret_ = **stored;
    co_return Result<void>();
  }
  secret_ = crypto::random_bytes(32);
  storage::Batch batch;
  batch.emplace_back(storage::PutValue{kOwner, "secret", "", secret_});
  auto done = co_await store_.commit(std::move(batch));
  if (!done) co_return std::unexpected(done.error());
  co_return Result<void>();
}

void Core::reconfigure(Config config) {
  address_limit_ = config.limits.rate ? config.limits.connections_per_address : 0;
  for (const auto& shard : shards_)
    shard->loop().post([&shard = *shard, config] { shard.reconfigure(config); });
}

bool Core::admit(const std::string& address) {
  std::string network = network_of(address);
  const std::lock_guard lock(addresses_lock_);
  std::size_t& count = networks_[std::move(network)];
  const std::size_t limit = address_limit_;
  return ++count <= limit || limit == 0;
}

void Core::dismiss(const std::string& address) {
  const std::string network = network_of(address);
  const std::lock_guard lock(addresses_lock_);
  const auto found = networks_.find(network);
  if (found != networks_.end() && --found->second == 0) networks_.erase(found);
}

}  // namespace starling::server
