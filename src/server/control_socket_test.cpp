#include "server/control_socket.h"

#include <filesystem>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temporary_directory.h"

namespace starling::server {
namespace {

class NobodyOnline : public AccountObserver {
 public:
  Task<Result<void>> remove_account(Jid /*bare*/) override { co_return Result<void>(); }
  Task<Result<void>> password_changed(Jid /*bare*/) override { co_return Result<void>(); }
};

using ::testing::HasSubstr;

// The socket on a reactor of its own thread; the test is the blocking tool on the other side.
class ControlSocketTest : public ::testing::Test {
 protected:
  ControlSocketTest()
      : store_(*storage::open("memory:", "")),
        pool_(0, 10),
        accounts_(*store_, pool_),
        admin_(accounts_, nobody_, [] { return std::vector<std::string>{"localhost"}; }) {
    admin_.add("big", [](const Json&) -> Task<Result<Json>> { co_return Json(std::string(4'000'000, 'x')); });
    thread_ = std::jthread([this] { reactor_.run(); });
  }
  ~ControlSocketTest() override {
    on_reactor([this] { socket_.reset(); });
    reactor_.stop();
    thread_.join();
  }

  void on_reactor(const std::function<void()>& job) {
    std::promise<void> done;
    reactor_.post([&] {
      job();
      done.set_value();
    });
    done.get_future().wait();
  }
  void listen(const std::string& path) {
    on_reactor([&] {
      auto made = ControlSocket::listen(reactor_, admin_, path);
      ASSERT_TRUE(made) << made.error().message;
      socket_ = *std::move(made);
    });
  }
  // What comes back until a newline, or until the end.
  static std::string line_from(int fd) {
    std::string line;
    for (char next = 0; ::recv(fd, &next, 1, 0) == 1 && next != '\n';) line += next;
    return line;
  }
  static void send_text(int fd, std::string_view text) {
    while (!text.empty()) {
      const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  TemporaryDirectory directory_;
  net::Reactor reactor_;
  std::unique_ptr<storage::Store> store_;
  net::WorkerPool pool_;
  Accounts accounts_;
  NobodyOnline nobody_;
  Admin admin_;
  std::unique_ptr<ControlSocket> socket_;
  std::jthread thread_;
};

TEST_F(ControlSocketTest, AnswersLinesInOrder) {
  const auto path = directory_.file("control.sock");
  listen(path);
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const auto fd = connect_control_socket(path);
  ASSERT_TRUE(fd) << fd.error().message;
  send_text(*fd, R"({"command":"user.add","params":{"jid":"a@localhost","password":"x"}})"
                 "\n"
                 R"({"command":"user.list"})"
                 "\nrubbish\n{}\n");
  ::shutdown(*fd, SHUT_WR);  // what was asked is answered all the same
  EXPECT_EQ(line_from(*fd), R"({"result":{"jid":"a@localhost"}})");
  EXPECT_EQ(line_from(*fd), R"({"result":{"accounts":["a@localhost"],"more":false,"served":true}})");
  EXPECT_THAT(line_from(*fd), HasSubstr(R"("code":"invalid")"));
  EXPECT_THAT(line_from(*fd), HasSubstr(R"("code":"invalid")"));
  EXPECT_EQ(line_from(*fd), "");
  ::close(*fd);
}

TEST_F(ControlSocketTest, LongAnswersAndSlowReaders) {
  const auto path = directory_.file("control.sock");
  listen(path);
  const auto fd = connect_control_socket(path);
  ASSERT_TRUE(fd);
  send_text(*fd, "{\"command\":\"big\"}\n{\"command\":\"user.list\"}\n");
  std::string all;
  std::vector<char> chunk(65536);
  while (std::ranges::count(all, '\n') < 2) {
    const auto got = ::recv(*fd, chunk.data(), chunk.size(), 0);
    ASSERT_GT(got, 0);
    all.append(chunk.data(), static_cast<std::size_t>(got));
  }
  EXPECT_GT(all.size(), 4'000'000U);
  ::close(*fd);
}

TEST_F(ControlSocketTest, AnEndlessLineIsRefused) {
  const auto path = directory_.file("control.sock");
  listen(path);
  const auto fd = connect_control_socket(path);
  ASSERT_TRUE(fd);
  send_text(*fd, std::string(kControlLineBytes * 2, 'x'));
  // The refusal, or a reset because the rest was never read.
  const auto answer = line_from(*fd);
  if (!answer.empty()) EXPECT_THAT(answer, HasSubstr(R"("code":"limit")"));
  EXPECT_EQ(line_from(*fd), "");
  ::close(*fd);
}

TEST_F(ControlSocketTest, ReplacesADeadSocketAndRemovesItsOwn) {
  const auto path = directory_.file("control.sock");
  EXPECT_EQ(connect_control_socket(path).error().code, Errc::not_found);
  std::filesystem::create_symlink("/nowhere", path);
  listen(path);
  const auto fd = connect_control_socket(path);
  ASSERT_TRUE(fd);
  ::close(*fd);
  on_reactor([this] { socket_.reset(); });
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(connect_control_socket(path).error().code, Errc::not_found);
}

TEST_F(ControlSocketTest, PathsLongerThanASocketAddress) {
  const auto deep = directory_.file(std::string(120, 'd'));
  std::filesystem::create_directory(deep);
  listen(deep + "/control.sock");
  const auto fd = connect_control_socket(deep + "/control.sock");
  ASSERT_TRUE(fd) << fd.error().message;
  send_text(*fd, "{\"command\":\"user.list\"}\n");
  EXPECT_THAT(line_from(*fd), HasSubstr("accounts"));
  ::close(*fd);
}

TEST_F(ControlSocketTest, TooManyToolsAreTurnedAway) {
  const auto path = directory_.file("control.sock");
  listen(path);
  std::vector<int> tools;
  for (std::size_t i = 0; i < kControlClients + 1; ++i) tools.push_back(*connect_control_socket(path));
  EXPECT_EQ(line_from(tools.back()), "");  // closed
  send_text(tools.front(), "{\"command\":\"user.list\"}\n");
  EXPECT_THAT(line_from(tools.front()), HasSubstr("accounts"));
  for (const int fd : tools) ::close(fd);
}

}  // namespace
}  // namespace starling::server
