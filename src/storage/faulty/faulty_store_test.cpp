#include "storage/faulty/faulty_store.h"

#include <gtest/gtest.h>

#include "storage/memory/memory_store.h"
#include "support/virtual_loop.h"

namespace starling::storage::faulty {
namespace {

class FaultyStoreTest : public testing::Test {
 protected:
  std::optional<Errc> put(const std::string& key) {
    auto result = loop_.get([&] { return store_.commit({PutValue{"ann@x", "k", key, ""}}); });
    return result ? std::nullopt : std::optional(result.error().code);
  }
  bool has(const std::string& key) {
    return loop_.get([&] { return store_.value("ann@x", "k", key); }).value().has_value();
  }

  VirtualLoop loop_;
  FaultyStore store_{std::make_unique<MemoryStore>()};
};

TEST_F(FaultyStoreTest, FailsTheNthWriteAndDoesNotDoIt) {
  store_.fail_write(2);
  EXPECT_EQ(put("a"), std::nullopt);
  EXPECT_EQ(put("b"), Errc::io);
  EXPECT_EQ(put("c"), std::nullopt);
  EXPECT_TRUE(has("a"));
  EXPECT_FALSE(has("b"));
  EXPECT_TRUE(has("c"));
}

TEST_F(FaultyStoreTest, FailsAllWritesUntilToldOtherwise) {
  store_.fail_all(true);
  EXPECT_EQ(put("a"), Errc::io);
  EXPECT_EQ(put("b"), Errc::io);
  store_.fail_all(false);
  EXPECT_EQ(put("c"), std::nullopt);
  EXPECT_FALSE(has("a"));
  EXPECT_TRUE(has("c"));
}

TEST_F(FaultyStoreTest, AnswersAFailureInALaterTurn) {
  store_.fail_write(1);
  bool failed = false;
  loop_.in_turn([&] {
    spawn(store_.commit({}), [&](Result<Committed> result) { failed = !result; });
    EXPECT_FALSE(failed);
  });
  loop_.settle();
  EXPECT_TRUE(failed);
}

}  // namespace
}  // namespace starling::storage::faulty
