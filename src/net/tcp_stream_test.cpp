#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>

#include "net/tcp.h"
#include "net/testing.h"

namespace starling::net::testing {
namespace {

struct TcpStreams : ::testing::Test {
  Reactor reactor;
  Reactor other;
  Owner client;
  Owner server;

  void connect(int buffer_bytes = 0) {
    const Ends ends = connect_loopback(buffer_bytes);
    client.stream = std::make_unique<TcpStream>(ends.client, "127.0.0.1");
    server.stream = std::make_unique<TcpStream>(ends.server, "127.0.0.1");
    client.stream->attach(reactor, client);
    server.stream->attach(reactor, server);
  }
  bool until(const std::function<bool()>& done) { return turn_until(reactor, done); }
};

TEST_F(TcpStreams, carry_bytes_both_ways) {
  connect();
  client.send("ping");
  server.send("pong");
  EXPECT_TRUE(until([&] { return server.got == "ping" && client.got == "pong"; }));
  EXPECT_EQ(client.writable + server.writable, 0);
  EXPECT_TRUE(client.stream->peer_is_loopback());
  EXPECT_EQ(client.stream->tls(), nullptr);
}

TEST_F(TcpStreams, ask_for_more_only_after_a_short_write) {
  connect(16 * 1024);
  server.stream->pause_reading(true);
  const std::string text = long_text(1'000'000);
  client.send(text);
  ASSERT_FALSE(client.unsent.empty());
  settle(reactor);
  EXPECT_EQ(server.readable, 0);
  server.stream->pause_reading(false);
  ASSERT_TRUE(until([&] { return server.got.size() == text.size(); }));
  EXPECT_EQ(server.got, text);
  EXPECT_GT(client.writable, 0);
  const int before = client.writable;
  client.send("x");
  settle(reactor);
  EXPECT_EQ(client.writable, before);
}

TEST_F(TcpStreams, call_again_an_owner_that_stopped_reading_early) {
  connect();
  server.one_read_a_turn = true;
  server.read_size = 4;
  client.send("0123456789");
  EXPECT_TRUE(until([&] { return server.got == "0123456789"; }));
}

TEST_F(TcpStreams, see_the_end_once_and_then_rest) {
  connect();
  client.send("last words");
  client.stream->shutdown_write();
  ASSERT_TRUE(until([&] { return server.closed; }));
  EXPECT_EQ(server.got, "last words");
  const int before = server.readable;
  settle(reactor);
  EXPECT_EQ(server.readable, before);
  EXPECT_FALSE(has_events(reactor));
  EXPECT_EQ(client.stream->write("x").status, Status::error);
  server.send("answer");  // the other direction is open
  EXPECT_TRUE(until([&] { return client.got == "answer"; }));
}

TEST_F(TcpStreams, rest_while_paused_even_when_the_peer_has_gone) {
  connect();
  server.stream->pause_reading(true);
  client.send("unheard");
  client.stream.reset();
  settle(reactor);
  server.stream->shutdown_write();  // both directions are shut now: EPOLLHUP
  settle(reactor);
  EXPECT_EQ(server.readable, 0);
  EXPECT_FALSE(has_events(reactor));
  server.stream->pause_reading(false);
  EXPECT_TRUE(until([&] { return server.closed; }));
  EXPECT_EQ(server.got, "unheard");
  settle(reactor);
  EXPECT_FALSE(has_events(reactor));
}

TEST_F(TcpStreams, report_a_reset) {
  const Ends ends = connect_loopback();
  server.stream = std::make_unique<TcpStream>(ends.server, "127.0.0.1");
  server.stream->attach(reactor, server);
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(ends.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(ends.client);
  ASSERT_TRUE(until([&] { return !server.error.empty(); }));
  EXPECT_EQ(server.error, "connection reset by the peer");
  settle(reactor);
  EXPECT_FALSE(has_events(reactor));
}

TEST_F(TcpStreams, answer_a_write_to_a_dead_peer_with_an_error_and_no_signal) {
  connect();
  server.stream->pause_reading(true);
  client.stream.reset();
  EXPECT_TRUE(until([&] { return server.stream->write("x").status == Status::error; }));
}

TEST_F(TcpStreams, may_be_destroyed_by_their_handlers) {
  connect(16 * 1024);
  server.after_read = [&] { server.stream.reset(); };
  client.send("x");
  ASSERT_TRUE(until([&] { return server.stream == nullptr; }));
  EXPECT_TRUE(until([&] { return client.closed; }));
}

TEST_F(TcpStreams, move_to_another_reactor_with_what_has_arrived) {
  connect();
  server.after_read = [&, moved = false]() mutable {
    if (!std::exchange(moved, true)) server.stream->detach();
  };
  client.send("first ");
  ASSERT_TRUE(until([&] { return server.got == "first "; }));
  client.send("second");
  settle(reactor);
  EXPECT_EQ(server.got, "first ");
  server.stream->attach(other, server);
  EXPECT_TRUE(turn_until(other, [&] { return server.got == "first second"; }));
}

TEST_F(TcpStreams, remember_a_short_write_across_a_move) {
  connect(16 * 1024);
  server.stream->pause_reading(true);
  const std::string text = long_text(1'000'000);
  client.send(text);
  ASSERT_FALSE(client.unsent.empty());
  client.stream->detach();
  client.stream->attach(other, client);
  server.stream->pause_reading(false);
  EXPECT_TRUE(until([&] {
    other.turn(Milliseconds{0});
    return server.got.size() == text.size();
  }));
  EXPECT_EQ(server.got, text);
}

TEST(Endpoint, is_read_from_text) {
  const auto v4 = Endpoint::parse("127.0.0.1:5222");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->host, "127.0.0.1");
  EXPECT_EQ(v4->port, 5222);
  EXPECT_EQ(v4->text(), "127.0.0.1:5222");
  EXPECT_TRUE(v4->is_loopback());
  const auto v6 = Endpoint::parse("[::]:5223");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::");
  EXPECT_EQ(v6->text(), "[::]:5223");
  EXPECT_FALSE(v6->is_loopback());
  EXPECT_TRUE(Endpoint::parse("[::1]:1")->is_loopback());
  EXPECT_TRUE(Endpoint::parse("127.9.9.9:1")->is_loopback());
  EXPECT_FALSE(Endpoint::parse("128.0.0.1:1")->is_loopback());
  for (const auto* bad : {"", ":", "127.0.0.1", "127.0.0.1:", ":5222", "::1:5222", "[::1]", "[]:1",
                          "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:5222x", "1.2.3.4: 5222"}) {
    EXPECT_FALSE(Endpoint::parse(bad)) << bad;
  }
  EXPECT_EQ(Endpoint::parse("1.2.3.4:65536").error().message,
            "'1.2.3.4:65536': the port is wrong; expected one up to 65535");
}

struct Listening : ::testing::Test {
  Reactor reactor;
  std::unique_ptr<TcpListener> listener = *TcpListener::bind({"127.0.0.1", 0});

  // A client's socket, connected (by the kernel: nobody need accept).
  int connect() const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(listener->endpoint().port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
};

TEST_F(Listening, hands_over_connections_without_delay_of_small_packets) {
  std::vector<std::unique_ptr<TcpStream>> accepted;
  ASSERT_TRUE(listener->add(
      reactor, [&](std::unique_ptr<TcpStream> stream) { accepted.push_back(std::move(stream)); }));
  const int one = connect();
  const int two = connect();
  EXPECT_TRUE(turn_until(reactor, [&] { return accepted.size() == 2; }));
  EXPECT_EQ(accepted[0]->peer_address(), "127.0.0.1");
  EXPECT_TRUE(accepted[0]->peer_is_loopback());
  listener->remove(reactor);
  const int three = connect();
  settle(reactor);
  EXPECT_EQ(accepted.size(), 2U);
  for (const int fd : {one, two, three}) ::close(fd);
}

TEST_F(Listening, passes_on_the_option_against_delay) {
  // Of the accepted socket, found as the descriptor that has the client as its peer.
  int inherited = 0;
  ASSERT_TRUE(listener->add(reactor, [&](std::unique_ptr<TcpStream>) {
    for (int fd = 3; fd < 256; ++fd) {
      sockaddr_in local{};
      socklen_t size = sizeof local;
      int value = 0;
      socklen_t value_size = sizeof value;
      if (::getpeername(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0 ||
          ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0 ||
          local.sin_port != htons(listener->endpoint().port))
        continue;
      if (::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &value_size) == 0) inherited += value;
    }
  }));
  const int fd = connect();
  EXPECT_TRUE(turn_until(reactor, [&] { return inherited > 0; }));
  ::close(fd);
}

TEST_F(Listening, names_a_port_in_use) {
  const auto second = TcpListener::bind(listener->endpoint());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::conflict);
  EXPECT_EQ(second.error().message,
            fmt::format("port {} on 127.0.0.1 is in use by another program", listener->endpoint().port));
}

TEST_F(Listening, tells_an_address_of_another_machine_from_no_address) {
  EXPECT_EQ(TcpListener::bind({"192.0.2.1", 0}).error().code, Errc::unavailable);
  EXPECT_EQ(TcpListener::bind({"example.org", 0}).error().code, Errc::invalid);
}

TEST_F(Listening, leaves_the_other_family_its_port) {
  const auto any4 = TcpListener::bind({"0.0.0.0", 0});
  ASSERT_TRUE(any4);
  const auto any6 = TcpListener::bind({"::", (*any4)->endpoint().port});
  if (!any6 && any6.error().code == Errc::unavailable) GTEST_SKIP() << "this machine has no IPv6";
  EXPECT_TRUE(any6) << any6.error().message;
}

TEST_F(Listening, waits_when_descriptors_run_out_and_then_goes_on) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP()
      << "the sanitizer opens a pipe to look at an object's type, and takes the lack of one for a fault";
#else
  int accepted = 0;
  ASSERT_TRUE(listener->add(reactor, [&](std::unique_ptr<TcpStream>) { ++accepted; }));
  const int fd = connect();
  EXPECT_GE(reactor.descriptor(), 0);  // costs a descriptor, the first time
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;  // new ones only; those there are go on
  ::testing::internal::CaptureStderr();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  settle(reactor);
  const bool quiet = !has_events(reactor);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(log.find("out of descriptors"), log.rfind("out of descriptors")) << log;
  EXPECT_NE(log.find("out of descriptors"), std::string::npos) << log;
  EXPECT_EQ(accepted, 0);
  EXPECT_TRUE(quiet) << "it spins while it waits";
  EXPECT_TRUE(turn_until(reactor, [&] { return accepted == 1; }));
  ::close(fd);
#endif
}

TEST_F(Listening, goes_on_after_an_exception_of_its_handler) {
  int calls = 0;
  ASSERT_TRUE(listener->add(reactor, [&](std::unique_ptr<TcpStream>) {
    if (++calls == 1) throw std::runtime_error("expected in this test");
  }));
  const int one = connect();
  const int two = connect();
  EXPECT_TRUE(turn_until(reactor, [&] { return calls == 2; }));
  ::close(one);
  ::close(two);
}

TEST(DescriptorLimit, is_raised_to_the_hard_one) {
  rlimit limit{};
  const std::size_t raised = raise_descriptor_limit();
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(raised, limit.rlim_cur);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST(ListeningThreaded, shares_connections_among_two_reactors) {
  constexpr int kConnections = 200;
  auto listener = *TcpListener::bind({"127.0.0.1", 0});
  std::array<Reactor, 2> reactors;
  std::atomic<int> accepted{0};
  std::vector<std::thread> threads;
  for (Reactor& reactor : reactors) {
    threads.emplace_back([&] {
      ASSERT_TRUE(listener->add(reactor, [&](std::unique_ptr<TcpStream> stream) {
        EXPECT_EQ(Loop::current(), &reactor);
        EXPECT_EQ(stream->write("welcome").bytes, 7U);
        ++accepted;
      }));
      reactor.run();
      listener->remove(reactor);
    });
  }
  for (int i = 0; i < kConnections; ++i) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(listener->endpoint().port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    std::array<char, 8> word{};
    EXPECT_EQ(::recv(fd, word.data(), word.size(), MSG_WAITALL), 7);
    ::close(fd);
  }
  for (Reactor& reactor : reactors) reactor.stop();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(accepted, kConnections);
}

}  // namespace
}  // namespace starling::net::testing
