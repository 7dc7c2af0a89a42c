#include "net/connector.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include "net/testing.h"
#include "support/dns_server.h"

namespace starling::net::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const DnsServer::Zones kZones{
    .records =
        {
            "both.org. IN AAAA ::1",
            "both.org. IN A 127.0.0.2",
            "usertp-virtualbox. IN A 127.0.1.1",
            "four.org. IN AAAA ::ffff:127.0.0.5",
            "four.org. IN AAAA ::ffff:127.0.0.6",
            "four.org. IN A 127.0.0.2",
            "four.org. IN A 127.0.0.3",
        },
    .refused = {"broken.org."},
};

std::set<int> open_descriptors() {
  std::set<int> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    all.insert(std::stoi(entry.path().filename().string()));
  // (one was the directory's own)
  std::erase_if(all, [](int fd) { return ::fcntl(fd, F_GETFD) < 0; });
  return all;
}

// A bound port that takes no connection: its queue is full, so further ones are neither accepted nor refused.
class BlackHole {
 public:
  explicit BlackHole(const Endpoint& endpoint) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    ::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    fds_.push_back(listener);
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener, any, size), 0);
    EXPECT_EQ(::listen(listener, 0), 0);
    EXPECT_EQ(::getsockname(listener, any, &size), 0);
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 4; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      ::connect(fd, any, size);
      fds_.push_back(fd);
    }
  }
  BlackHole(const BlackHole&) = delete;
  BlackHole& operator=(const BlackHole&) = delete;
  ~BlackHole() {
    for (const int fd : fds_) ::close(fd);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  std::vector<int> fds_;
  std::uint16_t port_ = 0;
};

// A name server that knows one address and answers no question of another type.
class OnlyFour : Reactor::Watcher {
 public:
  explicit OnlyFour(Reactor& loop) : loop_(loop) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd_, any, size), 0);
    EXPECT_EQ(::getsockname(fd_, any, &size), 0);
    port_ = ntohs(address.sin_port);
    EXPECT_TRUE(loop_.watch(fd_, EPOLLIN, *this));
  }
  OnlyFour(const OnlyFour&) = delete;
  OnlyFour& operator=(const OnlyFour&) = delete;
  ~OnlyFour() override {
    loop_.unwatch(*this);
    ::close(fd_);
  }
  [[nodiscard]] std::string address() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  void on_events(std::uint32_t) override {
    std::array<char, 512> query{};
    sockaddr_in from{};
    socklen_t size = sizeof from;
    auto* const any = reinterpret_cast<sockaddr*>(&from);
    const ssize_t got = ::recvfrom(fd_, query.data(), query.size(), 0, any, &size);
    if (got < 12) return;
    const std::string_view bytes(query.data(), static_cast<std::size_t>(got));
    const std::size_t end_of_question = bytes.find('\0', 12) + 5;  // RFC 1035 4.1
    if (bytes[end_of_question - 3] != 1) return;                   // type A
    std::string answer(bytes.substr(0, end_of_question));
    // Response, recursion available; one question, one answer: the name asked for, A, IN, 60 s, four bytes.
    answer.replace(2, 10, std::string_view("\x81\x80\0\1\0\1\0\0\0\0", 10));
    answer += std::string_view("\xC0\x0C\0\1\0\1\0\0\0\x3C\0\4\x7F\0\0\2", 16);
    ::sendto(fd_, answer.data(), answer.size(), 0, any, size);
  }
  Reactor& loop_;
  int fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  std::uint16_t port_ = 0;
};

struct ConnectorTest : ::testing::Test {
  static void SetUpTestSuite() { server = std::make_unique<DnsServer>(kZones); }
  static void TearDownTestSuite() { server.reset(); }
  static inline std::unique_ptr<DnsServer> server;

  Reactor reactor;
  std::unique_ptr<Resolver> resolver = make_resolver(server->address());
  std::vector<std::unique_ptr<TcpListener>> listeners;
  std::vector<std::unique_ptr<TcpStream>> accepted;
  std::vector<std::string> dns, connecting, warnings;
  std::optional<Connector> connector;

  ~ConnectorTest() override {
    for (auto& listener : listeners) listener->remove(reactor);
  }
  std::unique_ptr<Resolver> make_resolver(const std::string& address) {
    return std::move(*Resolver::make(reactor, {.server = address, .hosts_file = false}));
  }
  std::uint16_t listen(const std::string& host, std::uint16_t port = 0) {
    auto bound = TcpListener::bind({host, port});
    EXPECT_TRUE(bound) << bound.error().message;
    EXPECT_TRUE((*bound)->add(
        reactor, [&](std::unique_ptr<TcpStream> stream) { accepted.push_back(std::move(stream)); }));
    listeners.push_back(std::move(*bound));
    return listeners.back()->endpoint().port;
  }
  // Nobody listens there, on no address.
  std::uint16_t closed_port() {
    const std::uint16_t port = listen("0.0.0.0");
    listeners.back()->remove(reactor);
    listeners.pop_back();
    return port;
  }
  void begin(std::vector<Target> targets, Milliseconds timeout = Milliseconds{10'000}) {
    connector.emplace(
        reactor, *resolver, std::move(targets),
        [this](Step step, std::string_view line) {
          (step == Step::dns ? dns : step == Step::connecting ? connecting : warnings).emplace_back(line);
        },
        timeout);
  }
  Result<Connected> next() {
    return await_on(reactor, [&] { return connector->next(); });
  }
};

TEST_F(ConnectorTest, connects_to_a_name_and_says_what_it_does) {
  const auto port = listen("127.0.1.1");
  begin({{"usertp-virtualbox", port, false, {}}});
  auto connected = next();
  ASSERT_TRUE(connected) << connected.error().message;
  EXPECT_EQ(connected->endpoint.text(), fmt::format("127.0.1.1:{}", port));
  EXPECT_EQ(connected->target.host, "usertp-virtualbox");
  EXPECT_EQ(connected->stream->peer_address(), "127.0.1.1");
  EXPECT_TRUE(connected->stream->peer_is_loopback());
  EXPECT_THAT(dns, ElementsAre("Querying usertp-virtualbox for AAAA records.",
                               "Querying usertp-virtualbox for A records."));
  EXPECT_THAT(connecting, ElementsAre(fmt::format("Connecting to 127.0.1.1:{}", port)));
  EXPECT_THAT(warnings, IsEmpty());

  Owner client;
  client.stream = std::move(connected->stream);
  client.stream->attach(reactor, client);
  ASSERT_TRUE(turn_until(reactor, [&] { return !accepted.empty(); }));
  Owner peer;
  peer.stream = std::move(accepted.front());
  peer.stream->attach(reactor, peer);
  client.send("to");
  peer.send("fro");
  EXPECT_TRUE(turn_until(reactor, [&] { return client.got == "fro" && peer.got == "to"; }));
}

TEST_F(ConnectorTest, makes_sockets_like_those_accepted) {
  begin({{"127.0.0.1", listen("127.0.0.1"), false, {}}});
  const auto before = open_descriptors();
  const auto connected = next();
  ASSERT_TRUE(connected);
  EXPECT_THAT(dns, IsEmpty());
  std::set<int> made = open_descriptors();
  for (const int fd : before) made.erase(fd);
  ASSERT_FALSE(made.empty());
  for (const int fd : made) {
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
    EXPECT_NE(no_delay, 0);
    EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(ConnectorTest, prefers_ipv6) {
  const auto port = listen("::1");
  listen("127.0.0.2", port);
  begin({{"both.org", port, false, {}}});
  const auto connected = next();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->endpoint.host, "::1");
  EXPECT_EQ(connecting.size(), 1U);
}

TEST_F(ConnectorTest, goes_on_with_the_other_family_when_one_is_refused) {
  const auto port = listen("127.0.0.2");
  begin({{"both.org", port, false, {}}});
  const auto connected = next();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->endpoint.host, "127.0.0.2");
  EXPECT_THAT(connecting, ElementsAre(fmt::format("Connecting to [::1]:{}", port),
                                      fmt::format("Connecting to 127.0.0.2:{}", port)));
  EXPECT_THAT(warnings, ElementsAre(fmt::format("[::1]:{}: connection refused", port)));
}

// RFC 8305 4
TEST_F(ConnectorTest, lets_families_take_turns) {
  const BlackHole one({"127.0.0.5", 0});
  const BlackHole other({"127.0.0.6", one.port()});
  begin({{"four.org", one.port(), false, {}}});
  std::optional<Running<Result<Connected>>> running;
  reactor.post([&] { running.emplace(start(connector->next())); });
  ASSERT_TRUE(turn_until(reactor, [&] { return connecting.size() == 4; }));
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_THAT(connecting[i], StartsWith(i % 2 == 0 ? "Connecting to [" : "Connecting to 127."));
}

// RFC 8305 5
TEST_F(ConnectorTest, starts_the_next_attempt_while_one_hangs) {
  const BlackHole hole({"127.0.0.5", 0});
  const BlackHole other({"127.0.0.6", hole.port()});
  const auto port = listen("127.0.0.2", hole.port());
  begin({{"four.org", port, false, {}}});
  const auto began = reactor.now();
  const auto connected = next();
  ASSERT_TRUE(connected) << connected.error().message;
  EXPECT_EQ(connected->endpoint.host, "127.0.0.2");
  EXPECT_LT(reactor.now() - began, std::chrono::seconds(5));  // not after the ten seconds of an attempt
}

// RFC 8305 3
TEST_F(ConnectorTest, does_not_wait_for_the_other_lookup_for_long) {
  OnlyFour dns_server(reactor);
  resolver = make_resolver(dns_server.address());
  const auto port = listen("127.0.0.2");
  begin({{"slow.org", port, false, {}}});
  const auto began = reactor.now();
  const auto connected = next();
  ASSERT_TRUE(connected) << connected.error().message;
  EXPECT_EQ(connected->endpoint.host, "127.0.0.2");
  EXPECT_GE(reactor.now() - began, Milliseconds{50});
  EXPECT_LT(reactor.now() - began, std::chrono::seconds(4));  // not after the lookup's five seconds
}

TEST_F(ConnectorTest, limits_each_attempt) {
  const BlackHole hole({"127.0.0.1", 0});
  begin({{"127.0.0.1", hole.port(), false, {}}}, Milliseconds{20});
  const auto connected = next();
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Errc::unavailable);
  EXPECT_EQ(connected.error().message,
            fmt::format("cannot connect: 127.0.0.1:{}: the connection timed out", hole.port()));
}

TEST_F(ConnectorTest, walks_through_the_targets) {
  const auto first = listen("127.0.0.2");
  const auto second = listen("127.0.0.3");
  const auto closed = closed_port();
  begin({{"127.0.0.4", closed, false, {}},
         {"127.0.0.2", first, true, "tls.example.org"},
         {"nowhere.org", 5222, false, {}},
         {"127.0.0.3", second, false, {}},
         {"broken.org", 5222, false, {}},
         {"127.0.0.5", closed, false, {}}});
  auto connected = next();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->target, (Target{"127.0.0.2", first, true, "tls.example.org"}));
  EXPECT_FALSE(connector->exhausted());
  connected = next();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->endpoint.text(), fmt::format("127.0.0.3:{}", second));
  connected = next();
  ASSERT_FALSE(connected);
  EXPECT_TRUE(connector->exhausted());
  EXPECT_EQ(connected.error().code, Errc::unavailable);
  EXPECT_THAT(connected.error().message, StartsWith("cannot connect: "));
  EXPECT_THAT(connected.error().message, HasSubstr("AAAA records of broken.org"));
  EXPECT_THAT(connected.error().message, HasSubstr(fmt::format("127.0.0.5:{}: connection refused", closed)));
  EXPECT_THAT(connected.error().message, ::testing::Not(HasSubstr("127.0.0.4")));
  EXPECT_EQ(next().error().code, Errc::unavailable);  // and stays so
}

TEST_F(ConnectorTest, tells_of_a_name_without_addresses_and_of_no_target) {
  begin({{"nowhere.org", 5222, false, {}}});
  EXPECT_EQ(next().error().message, "cannot connect: nowhere.org has no address");
  begin({});
  EXPECT_EQ(next().error().message, "there is nothing left to connect to");
}

TEST_F(ConnectorTest, shortens_a_long_list_of_failures) {
  const auto closed = closed_port();
  begin(std::vector<Target>(20, {"127.0.0.1", closed, false, {}}));
  EXPECT_THAT(next().error().message, HasSubstr("connection refused; and 12 more"));
}

TEST_F(ConnectorTest, closes_what_is_in_flight_when_it_is_destroyed) {
  const BlackHole hole({"127.0.0.5", 0});
  const BlackHole other({"127.0.0.6", hole.port()});
  for (const Family family :
       {Family::ipv6, Family::ipv4})  // so that the resolver has its sockets and the answer
    ASSERT_TRUE(await_on(reactor, [&] { return resolver->addresses("four.org", family); }));
  const auto before = open_descriptors();
  begin({{"four.org", hole.port(), false, {}}});
  std::optional<Running<Result<Connected>>> running;
  reactor.post([&] { running.emplace(start(connector->next())); });
  ASSERT_TRUE(turn_until(reactor, [&] { return connecting.size() == 4; }));
  running.reset();
  connector.reset();
  settle(reactor);
  EXPECT_THAT(open_descriptors(), ::testing::IsSubsetOf(before));

  // ... also while it asks, and when it has just won.
  begin({{"both.org", listen("::1"), false, {}}});
  reactor.post([&] { running.emplace(start(connector->next())); });
  reactor.turn(Milliseconds{0});
  running.reset();
  settle(reactor);
  EXPECT_THAT(accepted, IsEmpty());
}

}  // namespace
}  // namespace starling::net::testing
