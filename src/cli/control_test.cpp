#include "cli/control.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "net/reactor.h"
#include "server/control_socket.h"
#include "support/temporary_directory.h"

namespace starling::cli {
namespace {

using ::testing::HasSubstr;

class ControlTest : public ::testing::Test {
 protected:
  ControlTest() { context_.data = parent_.file("data"); }

  Outcome add(const std::string& jid) {
    return ask_server_or_store(context_, "user.add", {{"jid", jid}, {"password", "x"}});
  }
  Json accounts() { return (*ask_server_or_store(context_, "user.list", Json::object()))["accounts"]; }

  TemporaryDirectory parent_;
  Context context_;
};

TEST_F(ControlTest, WorksOnTheStoreWhenNoServerRuns) {
  ASSERT_TRUE(add("alice@localhost"));
  ASSERT_TRUE(add("bob@localhost"));
  EXPECT_TRUE(std::filesystem::exists(context_.paths().config_file()));
  EXPECT_EQ(accounts(), Json::array({"alice@localhost", "bob@localhost"}));
  const auto again = add("bob@localhost");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().exit, kFailed);
  EXPECT_EQ(again.error().error.message, "bob@localhost exists already");
  ASSERT_TRUE(ask_server_or_store(context_, "user.passwd", {{"jid", "alice@localhost"}, {"password", "y"}}));
  ASSERT_TRUE(ask_server_or_store(context_, "user.delete", {{"jid", "alice@localhost"}}));
  EXPECT_EQ(accounts(), Json::array({"bob@localhost"}));
}

TEST_F(ControlTest, LiveCommandsNeedAServer) {
  const auto asked = ask_server(context_, "status", Json::object());
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().exit, kNoServer);
  EXPECT_THAT(asked.error().error.message, HasSubstr("no server runs"));
}

TEST_F(ControlTest, OnlyAddMakesADirectory) {
  const auto listed = ask_server_or_store(context_, "user.list", Json::object());
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().exit, kFailed);
  EXPECT_FALSE(std::filesystem::exists(context_.data));
}

TEST_F(ControlTest, TheConfigurationCounts) {
  context_.sets = {"domains=example.org"};
  EXPECT_FALSE(add("alice@localhost"));
  EXPECT_TRUE(add("alice@example.org"));
  context_.sets = {"storage=memory:"};
  const auto asked = add("bob@localhost");
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().exit, kNoServer);
  context_.sets.clear();
  std::ofstream(context_.paths().config_file()) << "nonsense = 1\n";
  EXPECT_FALSE(add("carol@localhost"));
}

TEST_F(ControlTest, ReachesTheServerThatHasTheDirectory) {
  auto directory = server::DataDir::open(context_.data, server::DataDir::Use::serve);
  ASSERT_TRUE(directory);
  auto store = *storage::open("memory:", "");
  net::WorkerPool pool(0, 10);
  server::Accounts accounts_of_server(*store, pool);
  struct Nothing : server::AccountObserver {
    Task<Result<void>> remove_account(Jid /*bare*/) override { co_return Result<void>(); }
    Task<Result<void>> password_changed(Jid /*bare*/) override { co_return Result<void>(); }
  } observer;
  server::Admin admin(accounts_of_server, observer, [] { return std::vector<std::string>{"localhost"}; });
  admin.add("status", [](const Json&) -> Task<Result<Json>> { co_return Json{{"up", true}}; });
  net::Reactor reactor;
  auto socket = server::ControlSocket::listen(reactor, admin, directory->paths().control_socket());
  ASSERT_TRUE(socket);
  std::jthread thread([&] { reactor.run(); });

  EXPECT_EQ((*ask_server(context_, "status", Json::object()))["up"], true);
  EXPECT_TRUE(add("alice@localhost"));
  EXPECT_EQ(accounts(), Json::array({"alice@localhost"}));
  EXPECT_FALSE(std::filesystem::exists(context_.data + "/starling.db"))
      << "the store was not touched from outside";
  const auto unknown = ask_server(context_, "nonsense", Json::object());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().exit, kFailed);
  EXPECT_EQ(unknown.error().error.code, Errc::invalid);

  reactor.stop();
  thread.join();
  socket->reset();
  EXPECT_EQ(ask_server(context_, "status", Json::object()).error().exit, kNoServer);
}

}  // namespace
}  // namespace starling::cli
