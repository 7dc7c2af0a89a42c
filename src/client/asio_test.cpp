#include "client/asio.h"

#include <array>
#include <string>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/ext/ping.h"

namespace starling::client {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// A server without login, in plain TCP, on the same context as the client: answers the header and the close,
// and passes over the rest.
class PlainServer {
 public:
  explicit PlainServer(asio::io_context& io)
      : acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)), socket_(io) {
    acceptor_.async_accept(socket_, [this](boost::system::error_code error) {
      acceptor_.close();
      if (!error) read();
    });
  }
  [[nodiscard]] std::string address() const {
    return fmt::format("127.0.0.1:{}", acceptor_.local_endpoint().port());
  }

 private:
  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [this](boost::system::error_code error, std::size_t size) {
      if (error) return;
      input_.append(buffer_.data(), size);
      answer("<stream:stream",
             "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
             "from='example.org' id='1' version='1.0'><stream:features/>");
      answer("</stream:stream>", "</stream:stream>");
      read();
    });
  }
  void answer(std::string_view heard, std::string_view said) {
    const auto at = input_.find(heard);
    if (at == std::string::npos) return;
    input_.erase(0, at + heard.size());
    asio::write(socket_, asio::buffer(said));
  }

  tcp::acceptor acceptor_;
  tcp::socket socket_;
  std::array<char, 4096> buffer_{};
  std::string input_;
};

Options options_for(std::string place) {
  Options options{.jid = Jid::parse("alice@example.org").value(), .connect = std::move(place)};
  options.tls = stream::TlsPolicy::off;
  return options;
}

std::string closed_place() {
  asio::io_context io;
  const tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  return fmt::format("127.0.0.1:{}", acceptor.local_endpoint().port());
}

struct Heard {
  std::exception_ptr thrown;
  Ended ended;
  int completions = 0;
  auto handler() {
    return [this](std::exception_ptr what, Ended how) {
      thrown = std::move(what);
      ended = std::move(how);
      ++completions;
    };
  }
};

TEST(Asio, RunsASessionFromItsBeginningToItsEnd) {
  asio::io_context io;
  PlainServer server(io);
  Client client(options_for(server.address()));
  std::string refusal;
  client.on.session_start([&] {
    client.use<Ping>().ping({}, Milliseconds{20}).then([&](const Outcome<Milliseconds>& answer) {
      refusal = answer ? "" : answer.error().message();
      // What is done outside of a turn is noticed as well.
      asio::post(io, [&] { client.close(); });
    });
  });
  Heard heard;
  async_run(client, io.get_executor(), heard.handler());
  EXPECT_EQ(client.state(), State::disconnected);
  io.run();
  EXPECT_EQ(heard.completions, 1);
  EXPECT_EQ(heard.thrown, nullptr);
  EXPECT_EQ(heard.ended.why, Ended::Why::closed) << heard.ended.text;
  EXPECT_THAT(refusal, testing::HasSubstr("no answer"));  // timers run
}

TEST(Asio, TellsThatNobodyListens) {
  asio::io_context io;
  Client client(options_for(closed_place()));
  auto future = async_run(client, asio::make_strand(io), asio::use_future);
  io.run();
  EXPECT_EQ(future.get().why, Ended::Why::could_not_connect);
}

TEST(Asio, PassesOnWhatAHandlerThrew) {
  asio::io_context io;
  PlainServer server(io);
  Client client(options_for(server.address()));
  client.on.session_start([] { throw std::runtime_error("broken handler"); });
  auto future = async_run(client, io.get_executor(), asio::use_future);
  io.run();
  EXPECT_THROW(future.get(), std::runtime_error);
}

TEST(Asio, TheClientOutlivesAContextThatNobodyRuns) {
  auto io = std::make_unique<asio::io_context>();
  auto server = std::make_unique<PlainServer>(*io);
  Client client(options_for(server->address()));
  Heard heard;
  bool online = false;
  client.on.session_start([&] { online = true; });
  async_run(client, io->get_executor(), heard.handler());
  while (!online) io->run_one();
  server.reset();
  io.reset();
  EXPECT_EQ(heard.completions, 0);
  EXPECT_EQ(client.run().why, Ended::Why::lost);  // its descriptor is still its own
}

TEST(Asio, ARunAfterTheEndConnectsAgain) {
  asio::io_context io;
  Client client(options_for(closed_place()));
  Heard heard;
  async_run(client, io.get_executor(), heard.handler());
  io.run();
  io.restart();
  async_run(client, io.get_executor(), heard.handler());
  io.run();
  EXPECT_EQ(heard.completions, 2);
  EXPECT_EQ(heard.ended.why, Ended::Why::could_not_connect);
}

}  // namespace
}  // namespace starling::client
