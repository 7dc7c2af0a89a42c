// The running server: threads, sockets, TLS. Clients are the stream machine's other role over real
// connections.
#include "server/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "modules/all.h"
#include "net/socket.h"
#include "storage/memory/memory_store.h"
#include "support/temporary_directory.h"

namespace starling::server {
namespace {

using ::testing::HasSubstr;

// A client on a reactor of the test's own thread: STARTTLS, SCRAM, bind, then whatever it is told.
class WireClient final : public net::ByteStream::Handler {
 public:
  WireClient(net::Reactor& reactor, std::uint16_t port, std::string_view jid, std::string password,
             int family = AF_INET)
      : reactor_(reactor) {
    settings_.role = stream::Role::initiating;
    settings_.jid = Jid::parse(jid).value();
    settings_.password = std::move(password);
    machine_.emplace(settings_);
    tls_ = net::TlsContext::make_client({}, true).value();
    const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in v4{
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    sockaddr_in6 v6{.sin6_family = AF_INET6,
                    .sin6_port = htons(port),
                    .sin6_flowinfo = 0,
                    .sin6_addr = in6addr_loopback,
                    .sin6_scope_id = 0};
    const auto* address =
        family == AF_INET ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
    EXPECT_EQ(::connect(fd, address, family == AF_INET ? sizeof v4 : sizeof v6), 0);
    EXPECT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    socket_ = std::make_unique<net::TcpStream>(fd, "127.0.0.1");
    socket_->attach(reactor_, *this);
    machine_->start();
    flush();
  }

  void on_readable() override {
    std::array<char, 16384> buffer;
    for (;;) {
      const net::IoResult got = socket_->read(buffer);
      if (in_handshake_ && socket_->tls() != nullptr) {
        in_handshake_ = false;
        machine_->tls_established({socket_->tls()->exporter_binding, socket_->tls()->end_point_binding});
        flush();
      }
      if (got.status == net::IoResult::Status::would_block) return;
      if (got.status != net::IoResult::Status::ok) {
        closed = true;
        socket_.reset();
        return;
      }
      std::string_view input(buffer.data(), got.bytes);
      while (handle(machine_->next(input))) continue;
      flush();
    }
  }
  void on_writable() override { flush(); }

  void send(std::string_view xml) {
    out_ += xml;
    flush();
  }

  bool ready = false, closed = false;
  std::string error;  // of the stream
  std::vector<std::string> messages;

 private:
  bool handle(stream::Event event) {
    if (std::holds_alternative<stream::NeedInput>(event) || std::holds_alternative<stream::Waiting>(event))
      return false;
    if (std::holds_alternative<stream::StartTls>(event)) {
      flush();
      in_handshake_ = true;
      EXPECT_TRUE(socket_->start_tls_client(tls_, settings_.jid.domain()));
      return false;
    }
    if (std::holds_alternative<stream::Ready>(event)) ready = true;
    if (auto* failed = std::get_if<stream::Failed>(&event)) error = to_string(failed->error.condition);
    if (auto* got = std::get_if<stream::Received>(&event))
      if (got->document.root().name() == "message")
        messages.emplace_back(got->document.root().child("body", "jabber:client")->text());
    return true;
  }
  void flush() {
    out_ += std::exchange(machine_->output(), {});
    while (socket_ && !out_.empty()) {
      const net::IoResult wrote = socket_->write(out_);
      if (wrote.status != net::IoResult::Status::ok) return;
      out_.erase(0, wrote.bytes);
    }
  }
  net::Reactor& reactor_;
  stream::Settings settings_;
  std::optional<stream::Machine> machine_;
  std::shared_ptr<net::TlsContext> tls_;
  std::unique_ptr<net::TcpStream> socket_;
  std::string out_;
  bool in_handshake_ = false;
};

class ServerThreadedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config_.listen.c2s = {{"127.0.0.1", 0}, {"::1", 0}};
    config_.listen.c2s_tls = {};
    config_.threads = 3;
    config_.limits.rate = false;
    config_.log.level = log::Level::error;
    directory_.emplace(DataDir::open(temporary_.file("data"), DataDir::Use::serve).value());
    server_.emplace(config_, *directory_, std::make_unique<storage::MemoryStore>(), &modules::all,
                    [this] { return Result<Config>(config_); });
    const auto addresses = server_->start();
    ASSERT_TRUE(addresses) << addresses.error().message;
    const auto port_of = [](const std::string& text) {
      return static_cast<std::uint16_t>(std::stoi(text.substr(text.rfind(':') + 1)));
    };
    port_ = port_of(addresses->front());
    if (addresses->size() > 1) ipv6_ = port_of(addresses->back());
  }

  template <class Predicate>
  void turn_until(Predicate done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done() && std::chrono::steady_clock::now() < deadline) reactor_.turn(Milliseconds(100));
    ASSERT_TRUE(done());
  }

  void add_accounts(int count) {
    std::atomic<int> left = count;
    server_->control_reactor().post([&] {
      for (int i = 0; i < count; ++i)
        spawn(server_->accounts().add(Jid::parse(fmt::format("u{}@localhost", i)).value(), "secret"),
              [&](const Result<void>& added) {
                EXPECT_TRUE(added);
                --left;
              });
    });
    turn_until([&] { return left == 0; });
  }

  // Clients of u0, u1, ...
  void log_in(int count) {
    for (int i = 0; i < count; ++i)
      clients_.push_back(
          std::make_unique<WireClient>(reactor_, port_, fmt::format("u{}@localhost/r", i), "secret"));
    turn_until(
        [&] { return std::ranges::all_of(clients_, [](const auto& client) { return client->ready; }); });
    for (const auto& client : clients_) client->send("<presence/>");
  }

  template <class Make>
  auto ask(Make make) {
    std::atomic<bool> done = false;
    std::optional<decltype(make().await_resume())> result;
    server_->control_reactor().post([&] {
      spawn(make(), [&](auto value) {
        result = std::move(value);
        done = true;
      });
    });
    turn_until([&] { return done.load(); });
    return std::move(*result);
  }

  TemporaryDirectory temporary_;
  Config config_;
  std::optional<DataDir> directory_;
  std::optional<Server> server_;
  net::Reactor reactor_;
  std::uint16_t port_ = 0, ipv6_ = 0;
  std::vector<std::unique_ptr<WireClient>> clients_;
};

TEST_F(ServerThreadedTest, AccountsOfAllShardsTalkInOrder) {
  constexpr int kClients = 10, kEach = 20;
  add_accounts(kClients);
  log_in(kClients);
  for (int n = 0; n < kEach; ++n)
    for (int from = 0; from < kClients; ++from)
      for (int to = 0; to < kClients; ++to)
        clients_[static_cast<std::size_t>(from)]->send(fmt::format(
            "<message to='u{}@localhost/r' type='chat'><body>{} {}</body></message>", to, from, n));
  turn_until([&] {
    return std::ranges::all_of(clients_,
                               [](const auto& c) { return c->messages.size() == kClients * kEach; });
  });
  for (const auto& client : clients_) {
    std::map<std::string, int> next;
    for (const std::string& body : client->messages) {
      const auto space = body.find(' ');
      EXPECT_EQ(body.substr(space + 1), std::to_string(next[body.substr(0, space)]++));
    }
  }
}

TEST_F(ServerThreadedTest, TheOperatorSeesAndEndsSessionsOnEveryShard) {
  add_accounts(6);
  log_in(6);
  const Json sessions = ask([&] { return server_->sessions(); });
  ASSERT_EQ(sessions.size(), 6U);
  EXPECT_EQ(sessions[0]["jid"], "u0@localhost/r");
  EXPECT_THAT(sessions[0]["tls"].get<std::string>(), HasSubstr("TLSv1.3"));
  EXPECT_EQ(sessions[0]["mechanism"], "SCRAM-SHA-256-PLUS");
  Json status = ask([&] { return server_->status(); });
  for (int i = 0; i < 1000 && status["bytes_per_stanza"]["presence"] == 0; ++i)  // presence is on its way
    status = ask([&] { return server_->status(); });
  EXPECT_EQ(status["sessions"], 6);
  EXPECT_EQ(status["bytes_per_stanza"]["presence"], 11);  // <presence/>, as each of them sent it (R69)
  EXPECT_TRUE(ask([&] { return server_->kick(Jid::parse("u3@localhost/r").value()); }));
  turn_until([&] { return clients_[3]->closed; });
  EXPECT_EQ(clients_[3]->error, "policy-violation");
  EXPECT_EQ(ask([&] { return server_->kick(Jid::parse("u3@localhost/r").value()); }).error().code,
            Errc::not_found);
  EXPECT_TRUE(ask([&] { return server_->reload(); }));
  EXPECT_TRUE(ask([&] { return server_->remove_account(Jid::parse("u4@localhost").value()); }));
  turn_until([&] { return clients_[4]->closed; });
  EXPECT_EQ(ask([&] { return server_->status(); })["sessions"], 4);
}

TEST_F(ServerThreadedTest, StoppingUnderLoadEndsEveryStreamWithSystemShutdown) {
  add_accounts(8);
  log_in(8);
  for (int n = 0; n < 50; ++n)
    for (int from = 0; from < 8; ++from)
      clients_[static_cast<std::size_t>(from)]->send(fmt::format(
          "<message to='u{}@localhost' type='chat'><body>{}</body></message>", (from + n) % 8, n));
  std::thread stopping([&] { server_->stop(std::chrono::seconds(20)); });
  turn_until(
      [&] { return std::ranges::all_of(clients_, [](const auto& client) { return client->closed; }); });
  stopping.join();
  for (const auto& client : clients_) EXPECT_EQ(client->error, "system-shutdown");
}

TEST(ServerTest, APortInUseIsAnErrorThatNamesIt) {
  TemporaryDirectory temporary;
  const auto listener = net::TcpListener::bind({"127.0.0.1", 0}).value();
  auto directory = DataDir::open(temporary.file("data"), DataDir::Use::serve).value();
  Config config;
  config.listen.c2s = {listener->endpoint()};
  config.listen.c2s_tls = {};
  Server server(config, directory, std::make_unique<storage::MemoryStore>(), &modules::all,
                [&] { return Result<Config>(config); });
  const auto started = server.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr(std::to_string(listener->endpoint().port)));
}

TEST(ServerTest, GrantedCoresAreAtLeastOne) { EXPECT_GE(granted_cores(), 1U); }

TEST(ServerTest, ACertificateIsWarnedOfOnceForEachThreshold) {  // R10
  constexpr std::int64_t kNever = 1000;
  EXPECT_EQ(expiry_warning(40, kNever), std::nullopt);
  EXPECT_EQ(expiry_warning(29, kNever), 30);
  EXPECT_EQ(expiry_warning(20, 30), std::nullopt);
  EXPECT_EQ(expiry_warning(13, 30), 14);
  EXPECT_EQ(expiry_warning(6, 14), 7);
  EXPECT_EQ(expiry_warning(0, 7), 1);
  EXPECT_EQ(expiry_warning(-3, 1), std::nullopt);
  EXPECT_EQ(expiry_warning(0, kNever), 1);
}

TEST_F(ServerThreadedTest, ALoginOverIpv6) {  // R34
  if (!ipv6_) GTEST_SKIP() << "this machine has no IPv6";
  add_accounts(1);
  clients_.push_back(std::make_unique<WireClient>(reactor_, ipv6_, "u0@localhost/r", "secret", AF_INET6));
  turn_until([&] { return clients_[0]->ready; });
  EXPECT_EQ(ask([&] { return server_->sessions(); })[0]["address"], "::1");
}

TEST(ServerTest, ArchivesLoseWhatIsTooOldOrTooMuch) {
  const WallTime now(std::chrono::days(20'000));
  EXPECT_EQ(what_archives_lose({.days = 0, .messages = 7, .bytes = 9}, now).before_ms, 0);
  const auto expire = what_archives_lose({.days = 30, .messages = 7, .bytes = 9}, now);
  EXPECT_EQ(expire.before_ms, 19'970LL * 24 * 3600 * 1000);
  EXPECT_EQ(expire.messages, 7U);
  EXPECT_EQ(expire.bytes, 9U);
}

}  // namespace
}  // namespace starling::server
