#include "server/server.h"

#include <condition_variable>
#include <fstream>

#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/version.h"
#include "payload/timestamps.h"

namespace starling::server {
namespace {

constexpr std::size_t kDerivationThreads = 2, kDerivationQueue = 1000;
constexpr Milliseconds kCertificateCheck{5000};
constexpr Milliseconds kArchiveCheck{3'600'000};
constexpr std::chrono::milliseconds kStopCheck{5};
constexpr int kQuietRounds = 3;

std::int64_t days_left(const net::CertificateStatus& certificate) {
  return std::chrono::duration_cast<std::chrono::hours>(certificate.not_after -
                                                        std::chrono::system_clock::now())
             .count() /
         24;
}

std::size_t resident_kib() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * 4;
}

}  // namespace

std::size_t granted_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::size_t cores =
      sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<std::size_t>(CPU_COUNT(&set)) : 1;
  std::ifstream file("/sys/fs/cgroup/cpu.max");  // "200000 100000", or "max 100000"
  double quota = 0, period = 0;
  if (file >> quota >> period && period > 0)
    cores = std::min(cores, static_cast<std::size_t>((quota + period - 1) / period));
  return std::max<std::size_t>(cores, 1);
}

storage::Expire what_archives_lose(const Config::Archive& archive, WallTime now) {
  const auto before =
      std::chrono::duration_cast<Milliseconds>((now - std::chrono::days(archive.days)).time_since_epoch());
  return {.before_ms = archive.days != 0 ? before.count() : 0,
          .messages = archive.messages,
          .bytes = archive.bytes};
}

std::optional<std::int64_t> expiry_warning(std::int64_t days_left, std::int64_t warned) {
  for (const std::int64_t threshold : {1, 7, 14, 30})
    if (days_left < threshold) return threshold < warned ? std::optional(threshold) : std::nullopt;
  return std::nullopt;
}

Server::Server(Config config, const DataDir& directory, std::unique_ptr<storage::Store> store,
               const ModuleFactory& modules, ConfigLoader load)
    : config_(std::move(config)),
      directory_(directory),
      store_(std::move(store)),
      load_(std::move(load)),
      pool_(kDerivationThreads, kDerivationQueue),
      accounts_(*store_, pool_) {
  const std::size_t count = config_.threads != 0 ? config_.threads : granted_cores();
  std::vector<Loop*> loops;
  loops.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    loops.push_back(reactors_.emplace_back(std::make_unique<net::Reactor>()).get());
  core_ = std::make_unique<Core>(config_, *store_, accounts_, loops, modules);
  tls_.resize(count);
}

Server::~Server() { stop(Milliseconds(0)); }

// --- start and stop ---

Result<std::shared_ptr<net::TlsContext>> Server::make_tls(const Config& config) const {
  std::vector<net::CertificateFiles> files = config.tls.files();
  if (files.empty()) {
    std::vector<std::string> names;
    for (const std::string& domain : config.domains) {
      auto name = domain_to_ascii(domain);
      if (!name) return fail(name.error().code, fmt::format("domains: {}: {}", domain, name.error().message));
      names.push_back(*std::move(name));
    }
    auto made = net::ensure_self_signed(names, directory_.path(), std::chrono::system_clock::now());
    if (!made) return std::unexpected(made.error());
    files.push_back(std::move(*made));
  }
  return net::TlsContext::make_server(files);
}

Result<std::vector<std::string>> Server::bind_all() {
  std::vector<std::string> addresses;
  const auto bind = [&](const std::vector<net::Endpoint>& endpoints, std::string_view name,
                        Transport transport) -> Result<void> {
    for (const net::Endpoint& endpoint : endpoints) {
      auto listener = net::TcpListener::bind(endpoint);
      if (!listener && listener.error().code == Errc::unavailable) {
        log::warn("listen.{}: {}", name, listener.error().message);
        continue;
      }
      if (!listener) return std::unexpected(listener.error());
      addresses.push_back(fmt::format("{} {}", name, (*listener)->endpoint().text()));
      listeners_.push_back({std::move(*listener), transport});
    }
    return {};
  };
  if (auto done = bind(config_.listen.c2s, "c2s", Transport::starttls); !done)
    return std::unexpected(done.error());
  if (config_.tls.policy != TlsPolicy::off)
    if (auto done = bind(config_.listen.c2s_tls, "c2s_tls", Transport::direct_tls); !done)
      return std::unexpected(done.error());
  if (addresses.empty())
    return fail(Errc::unavailable, "there is no address to listen on: see listen.c2s and listen.c2s_tls");
  return addresses;
}

Result<std::vector<std::string>> Server::start() {
  log::set_level(config_.log.level);
  net::raise_descriptor_limit();
  auto tls = make_tls(config_);
  if (!tls) return std::unexpected(tls.error());
  tls_now_ = *tls;
  for (auto& one : tls_) one = *tls;
  fingerprint_ = certificate_fingerprint();
  auto addresses = bind_all();
  if (!addresses) return std::unexpected(addresses.error());
  addresses_ = *addresses;

  std::optional<Result<void>> prepared;
  control_reactor().post(
      [&] { spawn(core_->prepare(), [&](Result<void> result) { prepared = std::move(result); }); });
  while (!prepared) control_reactor().turn(Milliseconds(100));
  if (!*prepared) return std::unexpected(prepared->error());

  for (std::size_t i = 0; i < reactors_.size(); ++i) {
    net::Reactor& reactor = *reactors_[i];
    reactor.post([this, i, &reactor] {
      for (Listening& one : listeners_) {
        auto added = one.listener->add(
            reactor, [this, i, transport = one.transport](std::unique_ptr<net::TcpStream> stream) {
              accept(i, transport, std::move(stream));
            });
        if (!added) log::error("{}", added.error().message);
      }
    });
  }
  control_reactor().post([this] {
    warn_of_expiry();
    watch_certificates();
    expire_archives();
  });
  for (const auto& reactor : reactors_) threads_.emplace_back([&reactor = *reactor] { reactor.run(); });
  return addresses_;
}

void Server::accept(std::size_t shard, Transport transport, std::unique_ptr<net::TcpStream> stream) {
  const bool admitted = core_->admit(stream->peer_address());
  const auto connection =
      std::make_shared<Connection>(core_->shard(shard), std::move(stream), transport, tls_[shard]);
  connection->start();
  if (!admitted) {
    log::warn("connection refused address={}: limits.connections_per_address", connection->address());
    connection->end({StreamCondition::policy_violation, "Too many connections from your address"});
  }
}

void Server::stop(Milliseconds longest) {
  if (threads_.empty()) return;
  const auto deadline = std::chrono::steady_clock::now() + longest;
  std::mutex lock;
  std::condition_variable changed;
  const auto on_all = [&](auto work) {  // runs it on every shard and waits; true if it was true on all
    std::size_t left = reactors_.size();
    bool all = true;
    for (std::size_t i = 0; i < reactors_.size(); ++i)
      reactors_[i]->post([&, i] {
        const bool one = work(i);
        const std::lock_guard guard(lock);
        all = all && one;
        --left;
        changed.notify_one();
      });
    std::unique_lock guard(lock);
    changed.wait(guard, [&] { return left == 0; });
    return all;
  };
  on_all([this](std::size_t i) {
    for (Listening& one : listeners_) one.listener->remove(*reactors_[i]);
    core_->shard(i).end_connections({StreamCondition::system_shutdown, "The server is stopping"});
    return true;
  });
  // What one shard hands to another in its last turn, and what comes back, is seen by the rounds after it.
  for (int quiet = 0; quiet < kQuietRounds && std::chrono::steady_clock::now() < deadline;) {
    quiet = on_all([this](std::size_t i) { return core_->shard(i).quiet(); }) ? quiet + 1 : 0;
    std::unique_lock guard(lock);
    if (quiet == 0) changed.wait_for(guard, kStopCheck);
  }
  on_all([this](std::size_t i) {
    core_->shard(i).drop_connections();
    return true;
  });
  for (const auto& reactor : reactors_) reactor->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  listeners_.clear();
  store_->close();
}

// --- certificates ---

void Server::use_tls(const std::shared_ptr<net::TlsContext>& tls) {
  tls_now_ = tls;
  for (std::size_t i = 0; i < reactors_.size(); ++i) reactors_[i]->post([this, i, tls] { tls_[i] = tls; });
  fingerprint_ = certificate_fingerprint();
  warned_days_ = 1000;
  warn_of_expiry();
}

std::string Server::certificate_fingerprint() const {
  std::string all;
  for (const net::CertificateFiles& files : config_.tls.files())
    for (const std::string& file : {files.certificate, files.key}) {
      struct stat status{};
      if (stat(file.c_str(), &status) == 0)
        all +=
            fmt::format("{}:{}:{}.{}\n", file, status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    }
  return all;
}

void Server::watch_certificates() {
  const bool self_signed = config_.tls.files().empty();
  const bool due =
      self_signed && !tls_now_->certificates().empty() && days_left(tls_now_->certificates().front()) < 30;
  if (due || certificate_fingerprint() != fingerprint_) {
    fingerprint_ = certificate_fingerprint();  // a bad one is tried once
    if (auto tls = make_tls(config_)) {
      use_tls(*tls);
      log::info("the certificate was read again");
    } else {
      log::error("the certificate changed and cannot be used, the old one stays: {}", tls.error().message);
    }
  }
  warn_of_expiry();
  control_reactor().run_after(kCertificateCheck, [this] { watch_certificates(); });
}

// What archives keep of the past is bounded once an hour, and at the start.
void Server::expire_archives() {
  const auto& archive = config_.archive;
  if (archive.days != 0 || archive.messages != 0 || archive.bytes != 0)

    spawn(expire(what_archives_lose(archive, control_reactor().wall())));
  control_reactor().run_after(kArchiveCheck, [this] { expire_archives(); });
}

Task<void> Server::expire(storage::Expire expire) {
  storage::Batch batch;
  batch.emplace_back(expire);
  if (auto done = co_await store_->commit(std::move(batch)); !done)
    log::error("archives keep what is too old for now: {}", done.error().message);
}

void Server::warn_of_expiry() {
  for (const net::CertificateStatus& certificate : tls_now_->certificates()) {
    const auto passed = expiry_warning(days_left(certificate), warned_days_);
    if (!passed) continue;
    warned_days_ = *passed;
    log::warn("the certificate for {} ends in {} days, at {}", fmt::join(certificate.names, ", "),
              days_left(certificate), payload::timestamp(certificate.not_after));
  }
}

// --- the operator's side ---

template <class Work>
auto Server::on_shard(Shard& shard, Work work) -> Task<std::invoke_result_t<Work, Shard&>> {
  Completion<std::invoke_result_t<Work, Shard&>> done;
  shard.loop().post(
      [&shard, work = std::move(work), resolve = done.resolver()]() mutable { resolve(work(shard)); });
  co_return co_await done;
}

Task<Json> Server::status() {
  std::size_t sessions = 0, connections = 0, accounts_loaded = 0;
  std::uint64_t stanzas = 0;
  struct Counts {
    std::size_t sessions = 0, connections = 0, accounts = 0;
    std::uint64_t stanzas = 0;
    Traffic traffic;
  };
  Traffic traffic;
  for (std::size_t i = 0; i < core_->shard_count(); ++i) {
    const Counts counts = co_await on_shard(core_->shard(i), [](Shard& shard) {
      Counts one{.connections = shard.connections().size(),
                 .accounts = shard.users().size(),
                 .stanzas = shard.stanzas(),
                 .traffic = shard.traffic()};
      for (const auto& [jid, user] : shard.users()) one.sessions += user->all_sessions().size();
      return one;
    });
    sessions += counts.sessions;
    connections += counts.connections;
    accounts_loaded += counts.accounts;
    stanzas += counts.stanzas;
    for (std::size_t kind = 0; kind < traffic.stanzas.size(); ++kind) {
      traffic.stanzas[kind] += counts.traffic.stanzas[kind];
      traffic.bytes[kind] += counts.traffic.bytes[kind];
    }
  }
  auto accounts = co_await store_->count_accounts();
  Json certificates = Json::array();
  for (const net::CertificateStatus& one : tls_now_->certificates())
    certificates.push_back({{"names", one.names},
                            {"self_signed", one.self_signed},
                            {"ends", payload::timestamp(one.not_after)},
                            {"days_left", days_left(one)}});
  Json result = Json::object();
  result["version"] = kVersion;
  result["domains"] = config_.domains;
  result["listening"] = addresses_;
  result["uptime_seconds"] =
      std::chrono::duration_cast<std::chrono::seconds>(control_reactor().now() - core_->started_at()).count();
  result["threads"] = reactors_.size();
  result["accounts"] = accounts ? Json(*accounts) : Json();
  result["accounts_loaded"] = accounts_loaded;
  result["sessions"] = sessions;
  result["connections"] = connections;
  result["stanzas"] = stanzas;
  for (const Kind kind : {Kind::message, Kind::presence, Kind::iq}) {  // R69: whether presence stays small
    const auto i = static_cast<std::size_t>(kind);
    result["bytes_per_stanza"][std::string(to_string(kind))] =
        traffic.stanzas[i] == 0 ? 0 : traffic.bytes[i] / traffic.stanzas[i];
  }
  result["memory_kib"] = resident_kib();
  result["certificates"] = std::move(certificates);
  co_return result;
}

Task<Json> Server::sessions() {
  Json all = Json::array();
  for (std::size_t i = 0; i < core_->shard_count(); ++i) {
    Json some = co_await on_shard(core_->shard(i), [](Shard& shard) {
      Json list = Json::array();
      for (const auto& [jid, user] : shard.users()) {
        for (const auto& session : user->all_sessions()) {
          const Link::Facts facts = session->link().facts();
          list.push_back({{"jid", session->jid().text()},
                          {"connected", !session->detached()},
                          {"address", facts.address},
                          {"tls", facts.tls},
                          {"mechanism", facts.mechanism},
                          {"available", session->available()},
                          {"priority", session->priority()},
                          {"since", facts.since ? Json(payload::timestamp(*facts.since)) : Json()},
                          {"memory_bytes", session->link().memory_bytes()}});
        }
      }
      return list;
    });
    for (Json& one : some) all.push_back(std::move(one));
  }
  std::sort(all.begin(), all.end(), [](const Json& a, const Json& b) { return a["jid"] < b["jid"]; });
  co_return all;
}

Task<Result<void>> Server::kick(Jid full) {
  const bool found = co_await on_shard(core_->home(full.bare()), [full](Shard& shard) {
    auto* user = static_cast<User*>(shard.loaded(full));
    UserSession* session = user != nullptr ? user->find(full.resource()) : nullptr;
    if (session != nullptr) session->end({StreamCondition::policy_violation, "Closed by the operator"});
    return session != nullptr;
  });
  if (!found) co_return fail(Errc::not_found, fmt::format("there is no session {}", full.text()));
  co_return Result<void>();
}

Task<Result<std::string>> Server::reload() {
  auto config = load_();
  if (!config) co_return std::unexpected(config.error());
  auto tls = make_tls(*config);
  if (!tls)
    co_return fail(tls.error().code,
                   "the new certificate cannot be used, the old one stays: " + tls.error().message);
  const std::string waiting = take(*config);
  log::set_level(config_.log.level);
  core_->reconfigure(config_);
  use_tls(*tls);
  for (std::size_t i = 0; i < core_->shard_count();
       ++i)  // whoever connects after the answer gets the new ones
    co_await on_shard(core_->shard(i), [](Shard&) { return true; });
  const auto done = fmt::format("configuration and certificates were read again{}", waiting);
  log::info("{}", done);
  co_return done;
}

std::string Server::take(Config config) {
  std::vector<std::string_view> waiting;
  for (const ConfigKey& key : config_keys())
    if ((key.name.starts_with("listen.") || key.name == "threads" || key.name.starts_with("storage")) &&
        key.get(config) != key.get(config_))
      waiting.push_back(key.name);
  config.listen = config_.listen;
  config.threads = config_.threads;
  config.storage = config_.storage;
  config.store = config_.store;
  config_ = std::move(config);
  return waiting.empty() ? std::string()
                         : fmt::format("; a restart is needed for {}", fmt::join(waiting, ", "));
}

Task<Result<void>> Server::remove_account(Jid bare) {
  Completion<Result<void>> done;
  Shard& home = core_->home(bare.bare());
  home.loop().post([&home, bare, resolve = done.resolver()] {
    spawn(home.remove_account(bare), [resolve](Result<void> result) { resolve(std::move(result)); });
  });
  co_return co_await done;
}

Task<Result<void>> Server::password_changed(Jid bare) {
  co_await on_shard(core_->home(bare.bare()), [bare](Shard& shard) {
    shard.end_sessions(bare, {}, {StreamCondition::not_authorized, "The password was changed"});
    return true;
  });
  co_return Result<void>();
}

}  // namespace starling::server
