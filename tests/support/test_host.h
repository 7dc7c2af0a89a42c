#pragma once
// The whole server in memory: every shard, the store and the key pool on one VirtualLoop, clients over memory
// streams. What a client sees here is what it sees on a socket, but for TLS, which is pretended.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/worker_pool.h"
#include "server/connection/connection.h"
#include "server/core.h"
#include "storage/faulty/faulty_store.h"
#include "support/memory_stream.h"
#include "support/virtual_loop.h"
#include "xml/parser.h"

namespace starling {

class TestHost;

// A client that says what it is told to say. Receiving is looking at what has come since the last look.
class TestClient final : public net::ByteStream::Handler {
 public:
  TestClient(TestHost& host, std::unique_ptr<MemoryStream> stream);
  ~TestClient() override;

  // Opens a stream, logs in by PLAIN, binds. `jid` is full; its password is the local part.
  void login(std::string_view jid);
  void open(std::string_view domain = "localhost");  // sends a stream header
  void send(std::string_view xml);                   // and lets the server do all it has to do
  void send_raw(std::string_view bytes);             // without letting it
  void disconnect();                                 // the cable is pulled
  void pause(bool paused) { stream_->pause_reading(paused_ = paused); }  // a client that does not read

  // Everything received since the last call, as it came.
  std::string take();
  // The same, stanza by stanza; a stream's header and features are left out.
  std::vector<std::string> stanzas();
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] const std::string& bound() const { return bound_; }

  void on_readable() override;
  void on_writable() override {}

 private:
  TestHost& host_;
  std::unique_ptr<MemoryStream> stream_;
  std::string received_;
  std::string bound_;
  bool closed_ = false, paused_ = false;
};

class TestHost {
 public:
  // PLAIN without TLS and no rates, so that tests are short; change it before the first client.
  static server::Config default_config();
  explicit TestHost(server::Config config = default_config(), std::size_t shards = 1);
  TestHost(server::Config config, std::size_t shards, const server::ModuleFactory& modules);
  ~TestHost();

  void add_account(std::string_view bare_jid);  // with the local part as password
  TestClient& connect(const MemoryPairOptions& options = {});
  // A new client, logged in; makes the account if it is not there.
  TestClient& login(std::string_view full_jid, const MemoryPairOptions& options = {});

  // The server ends without a word and begins anew on the same store; clients find their connections cut.
  void restart();

  void settle() { loop_.settle(); }
  void advance(Milliseconds by) { loop_.advance(by); }

  VirtualLoop& loop() { return loop_; }
  storage::Store& store() { return *store_; }
  storage::faulty::FaultyStore& faults() { return *store_; }
  server::Core& core() { return *core_; }
  server::Accounts& accounts() { return accounts_; }

 private:
  void start();
  void stop();

  server::Config config_;
  std::size_t shards_;
  server::ModuleFactory modules_;
  VirtualLoop loop_;
  std::unique_ptr<storage::faulty::FaultyStore> store_;
  net::WorkerPool pool_;
  server::Accounts accounts_;
  std::unique_ptr<server::Core> core_;
  std::vector<std::unique_ptr<TestClient>> clients_;
};

}  // namespace starling
