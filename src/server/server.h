#pragma once
// The running server: threads, listeners, certificates, and the operator's side of it, around a Core. start()
// and stop() are for the main thread; what Operations declares is for the control loop, which is shard 0's.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/reactor.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "net/worker_pool.h"
#include "server/admin.h"
#include "server/connection/connection.h"
#include "server/core.h"
#include "server/data_dir.h"

namespace starling::server {

// The cores that this process may use: affinity, and the cgroup's CPU quota rounded up.
std::size_t granted_cores();

// Which of 30, 14, 7 and 1 days a certificate with so many days left has passed, if that is less than what
// was `warned` of.
std::optional<std::int64_t> expiry_warning(std::int64_t days_left, std::int64_t warned);

// By what the operator decided, at this time.
storage::Expire what_archives_lose(const Config::Archive& archive, WallTime now);

class Server final : public Operations {
 public:
  // `directory` outlives it. `load` reads the configuration again, for reload().
  Server(Config config, const DataDir& directory, std::unique_ptr<storage::Store> store,
         const ModuleFactory& modules, ConfigLoader load);
  ~Server() override;

  // Certificates, listeners, threads. Returns the listening addresses, as "c2s 127.0.0.1:5222". The error
  // names what to mend.
  Result<std::vector<std::string>> start();
  // Closes every stream with system-shutdown, waits for what is being written, at most `longest`, and joins
  // the threads.
  void stop(Milliseconds longest);

  [[nodiscard]] net::Reactor& control_reactor() { return *reactors_.front(); }
  [[nodiscard]] Accounts& accounts() { return accounts_; }
  [[nodiscard]] std::vector<std::string> domains() const { return config_.domains; }

  // Operations
  Task<Json> status() override;
  Task<Json> sessions() override;
  Task<Result<void>> kick(Jid full) override;
  Task<Result<std::string>> reload() override;
  Task<Result<void>> remove_account(Jid bare) override;
  Task<Result<void>> password_changed(Jid bare) override;

 private:
  struct Listening {
    std::unique_ptr<net::TcpListener> listener;
    Transport transport;
  };
  Result<std::shared_ptr<net::TlsContext>> make_tls(const Config& config) const;
  // What takes effect at a start alone stays as it runs; the answer names what of it has changed.
  std::string take(Config config);
  Result<std::vector<std::string>> bind_all();
  void accept(std::size_t shard, Transport transport, std::unique_ptr<net::TcpStream> stream);
  void use_tls(const std::shared_ptr<net::TlsContext>& tls);  // from now on, on every shard
  void watch_certificates();
  void warn_of_expiry();
  void expire_archives();
  Task<void> expire(storage::Expire expire);
  [[nodiscard]] std::string certificate_fingerprint() const;  // changes when a file does
  template <class Work>
  auto on_shard(Shard& shard, Work work) -> Task<std::invoke_result_t<Work, Shard&>>;

  Config config_;  // the control loop's, once started
  const DataDir& directory_;
  std::vector<std::unique_ptr<net::Reactor>> reactors_;  // before all that posts to them
  std::unique_ptr<storage::Store> store_;
  ConfigLoader load_;
  net::WorkerPool pool_;
  Accounts accounts_;
  std::unique_ptr<Core> core_;
  std::vector<std::shared_ptr<net::TlsContext>> tls_;  // by shard, each touched by its thread alone
  std::shared_ptr<net::TlsContext> tls_now_;           // the control loop's
  std::string fingerprint_;
  std::int64_t warned_days_ = 1000;
  std::vector<Listening> listeners_;
  std::vector<std::string> addresses_;
  std::vector<std::thread> threads_;
};

}  // namespace starling::server
