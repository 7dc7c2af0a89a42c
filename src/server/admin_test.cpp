#include "server/admin.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/virtual_loop.h"

namespace starling::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A live server that writes down what it is asked.
class Recorder : public Operations {
 public:
  Task<Json> status() override { co_return Json{{"sessions", 1}}; }
  Task<Json> sessions() override {
    co_return Json::array({{{"jid", "alice@localhost/phone"}, {"address", "::1"}}});
  }
  Task<Result<void>> kick(Jid full) override { co_return note("kick", full); }
  Task<Result<std::string>> reload() override { co_return fail(Errc::invalid, "bad certificate"); }
  Task<Result<void>> remove_account(Jid bare) override {
    auto noted = note("removed", bare);
    if (!noted) co_return noted;
    co_return co_await accounts->remove(bare);
  }
  Task<Result<void>> password_changed(Jid bare) override { co_return note("changed", bare); }

  Accounts* accounts = nullptr;
  std::vector<std::string> calls;
  bool refuse = false;

 private:
  Result<void> note(std::string_view what, const Jid& jid) {
    calls.push_back(fmt::format("{} {}", what, jid.text()));
    if (refuse) return fail(Errc::unavailable, "not now");
    return {};
  }
};

class AdminTest : public ::testing::Test {
 protected:
  AdminTest()
      : store_(*storage::open("memory:", "")),
        pool_(0, 10),
        accounts_(*store_, pool_),
        admin_(accounts_, live_, domains) {
    live_.accounts = &accounts_;
  }
  static std::vector<std::string> domains() { return {"localhost", "other.example"}; }

  Result<Json> run(const std::string& command, Json params = nullptr) {
    return loop_.get([&] { return admin_.run(command, std::move(params)); });
  }
  Error error(const std::string& command, Json params = nullptr) {
    const auto done = run(command, std::move(params));
    EXPECT_FALSE(done);
    return done ? Error{} : done.error();
  }

  VirtualLoop loop_;
  std::unique_ptr<storage::Store> store_;
  net::WorkerPool pool_;
  Accounts accounts_;
  Recorder live_;
  Admin admin_;
  const Json alice_{{"jid", "alice@localhost"}, {"password", "geheim"}};
};

TEST_F(AdminTest, AnAccountsLife) {
  ASSERT_TRUE(run("user.add", alice_));
  EXPECT_EQ(error("user.add", alice_).code, Errc::conflict);
  ASSERT_TRUE(run("user.passwd", alice_));
  const auto shown = run("user.show", alice_);
  ASSERT_TRUE(shown);
  EXPECT_EQ((*shown)["sessions"], Json::array({"phone"}));
  EXPECT_EQ((*shown)["created"], "2026-01-01T00:00:00Z");  // where the virtual clock begins
  EXPECT_FALSE(shown->contains("password"));
  ASSERT_TRUE(run("user.delete", alice_));
  EXPECT_EQ(error("user.delete", alice_).code, Errc::not_found);
  EXPECT_THAT(live_.calls, ElementsAre("changed alice@localhost", "removed alice@localhost"));
}

TEST_F(AdminTest, AnAccountWhoseSessionsCannotBeEndedStays) {
  ASSERT_TRUE(run("user.add", alice_));
  live_.refuse = true;
  EXPECT_EQ(error("user.delete", alice_).code, Errc::unavailable);
  EXPECT_TRUE(run("user.show", alice_));
}

TEST_F(AdminTest, ParametersAreChecked) {
  EXPECT_THAT(error("user.ad", alice_).message, HasSubstr("no command 'user.ad'"));
  EXPECT_THAT(error("user.add").message, HasSubstr("'jid'"));
  EXPECT_THAT(error("user.add", {{"jid", "alice@localhost"}}).message, HasSubstr("'password'"));
  EXPECT_THAT(error("user.add", {{"jid", 7}, {"password", "x"}}).message, HasSubstr("'jid'"));
  EXPECT_THAT(error("user.add", {{"jid", "alice"}, {"password", "x"}}).message,
              HasSubstr("expected NAME@DOMAIN"));
  EXPECT_THAT(error("user.add", {{"jid", "a@foreign.example"}, {"password", "x"}}).message,
              HasSubstr("which has localhost, other.example"));
  EXPECT_THAT(error("user.add", Json::array()).message, HasSubstr("object"));
  EXPECT_THAT(error("kick", {{"jid", "alice@localhost"}}).message, HasSubstr("RESOURCE"));
}

TEST_F(AdminTest, ListsPageByPage) {
  for (const auto* jid : {"a@localhost", "b@localhost", "c@other.example"})
    ASSERT_TRUE(run("user.add", {{"jid", jid}, {"password", "x"}}));
  EXPECT_EQ((*run("user.list"))["accounts"], Json::array({"a@localhost", "b@localhost", "c@other.example"}));
  EXPECT_EQ((*run("user.list", {{"domain", "LOCALHOST"}}))["accounts"],
            Json::array({"a@localhost", "b@localhost"}));
  const auto rest = run("user.list", {{"after", "b@localhost"}});
  EXPECT_EQ((*rest)["accounts"], Json::array({"c@other.example"}));
  EXPECT_EQ((*rest)["more"], false);
  EXPECT_EQ((*rest)["served"], true);
  EXPECT_EQ((*run("user.list", {{"domain", "nowhere"}}))["served"], false);
}

TEST_F(AdminTest, LiveCommandsReachTheServer) {
  EXPECT_EQ((*run("status"))["sessions"], 1);
  EXPECT_EQ((*run("sessions"))["sessions"][0]["address"], "::1");
  ASSERT_TRUE(run("kick", {{"jid", "alice@localhost/phone"}}));
  EXPECT_THAT(live_.calls, ElementsAre("kick alice@localhost/phone"));
  EXPECT_EQ(error("reload").message, "bad certificate");
}

TEST_F(AdminTest, WithoutAServerOnlyAccountsAreThere) {
  AccountObserver& observer = live_;
  Admin offline(accounts_, observer, domains);
  EXPECT_THAT(offline.commands(),
              ElementsAre("user.add", "user.delete", "user.list", "user.passwd", "user.show"));
  ASSERT_TRUE(loop_.get([&] { return offline.run("user.add", alice_); }));
  ASSERT_TRUE(loop_.get([&] { return offline.run("user.delete", alice_); }));
}

}  // namespace
}  // namespace starling::server
