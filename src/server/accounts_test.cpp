#include "server/accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stream/sasl/mechanism.h"
#include "support/virtual_loop.h"

namespace starling::server {
namespace {

class AccountsTest : public ::testing::Test {
 protected:
  AccountsTest() : store_(*storage::open("memory:", "")), pool_(0, 10), accounts_(*store_, pool_) {}

  Errc code_of_add(const std::string& jid, const std::string& password) {
    const auto added = loop_.get([&] { return accounts_.add(*Jid::parse(jid), password); });
    EXPECT_FALSE(added);
    return added ? Errc{} : added.error().code;
  }
  storage::Account stored(const Jid& jid) {
    return *loop_.get([&] { return accounts_.show(jid); });
  }
  static bool opens(const storage::ScramKeys& keys, crypto::Hash hash, std::string_view password) {
    return sasl::derive_keys(hash, password, keys.salt, keys.iterations).stored_key == keys.stored_key;
  }

  VirtualLoop loop_;
  std::unique_ptr<storage::Store> store_;
  net::WorkerPool pool_;
  Accounts accounts_;
  const Jid alice_ = *Jid::parse("alice@localhost");
};

TEST_F(AccountsTest, AddKeepsSaltedKeysOfBothHashes) {
  ASSERT_TRUE(loop_.get([&] { return accounts_.add(alice_, "geheim"); }));
  const auto account = stored(alice_);
  EXPECT_EQ(account.jid, "alice@localhost");
  EXPECT_EQ(account.sha1.salt.size(), 16U);
  EXPECT_EQ(account.sha256.salt.size(), 16U);
  EXPECT_NE(account.sha1.salt, account.sha256.salt);
  EXPECT_GE(account.sha1.iterations, 4096U);
  EXPECT_TRUE(opens(account.sha1, crypto::Hash::sha1, "geheim"));
  EXPECT_TRUE(opens(account.sha256, crypto::Hash::sha256, "geheim"));
  EXPECT_FALSE(opens(account.sha256, crypto::Hash::sha256, "Geheim"));
  EXPECT_EQ(account.created_at,
            std::chrono::duration_cast<std::chrono::seconds>(loop_.wall().time_since_epoch()).count());
}

TEST_F(AccountsTest, PasswordsArePreparedFirst) {
  // U+00A0 becomes a space, and a decomposed letter is composed (RFC 8265 4.2.2).
  ASSERT_TRUE(loop_.get([&] {
    return accounts_.add(alice_,
                         "a\xc2\xa0"
                         "e\xcc\x81");
  }));
  EXPECT_TRUE(opens(stored(alice_).sha1, crypto::Hash::sha1, "a \xc3\xa9"));
}

TEST_F(AccountsTest, ErrorsAreTold) {
  ASSERT_TRUE(loop_.get([&] { return accounts_.add(alice_, "one"); }));
  EXPECT_EQ(code_of_add("alice@localhost", "two"), Errc::conflict);
  EXPECT_TRUE(opens(stored(alice_).sha1, crypto::Hash::sha1, "one"));
  EXPECT_EQ(code_of_add("localhost", "x"), Errc::invalid);
  EXPECT_EQ(code_of_add("bob@localhost/phone", "x"), Errc::invalid);
  EXPECT_EQ(code_of_add("bob@localhost", ""), Errc::invalid);
  EXPECT_EQ(code_of_add("bob@localhost", "\xff"), Errc::invalid);
  const auto bob = *Jid::parse("bob@localhost");
  EXPECT_EQ(loop_.get([&] { return accounts_.show(bob); }).error().code, Errc::not_found);
  EXPECT_EQ(loop_.get([&] { return accounts_.remove(bob); }).error().code, Errc::not_found);
  EXPECT_EQ(loop_.get([&] { return accounts_.set_password(bob, "x"); }).error().message,
            "there is no account bob@localhost");
}

TEST_F(AccountsTest, SetPasswordChangesKeysAlone) {
  ASSERT_TRUE(loop_.get([&] { return accounts_.add(alice_, "one"); }));
  const auto before = stored(alice_);
  loop_.advance(std::chrono::hours(1));
  ASSERT_TRUE(loop_.get([&] { return accounts_.set_password(alice_, "two"); }));
  const auto after = stored(alice_);
  EXPECT_EQ(after.created_at, before.created_at);
  EXPECT_NE(after.sha1.salt, before.sha1.salt);
  EXPECT_TRUE(opens(after.sha256, crypto::Hash::sha256, "two"));
}

TEST_F(AccountsTest, SetPasswordUndoesNothingThatHappensMeanwhile) {
  ASSERT_TRUE(loop_.get([&] { return accounts_.add(alice_, "one"); }));
  std::vector<bool> done;
  const auto note = [&](const Result<void>& result) { done.push_back(result.has_value()); };
  loop_.in_turn([&] {
    spawn(accounts_.set_password(alice_, "two"), note);
    spawn(store_->commit({storage::SetLastSeen{alice_.text(), 99, "off"}}), [](const auto&) {});
    spawn(accounts_.set_password(alice_, "three"), note);
  });
  loop_.settle();
  EXPECT_THAT(done, ::testing::ElementsAre(true, true));
  const auto account = stored(alice_);
  EXPECT_EQ(account.last_seen, 99);
  EXPECT_TRUE(opens(account.sha1, crypto::Hash::sha1, "three"));  // both keys are of one password
  EXPECT_TRUE(opens(account.sha256, crypto::Hash::sha256, "three"));

  done.clear();
  loop_.in_turn([&] {
    spawn(accounts_.set_password(alice_, "four"), note);
    spawn(accounts_.remove(alice_), note);
    spawn(accounts_.set_password(alice_, "five"), note);
  });
  loop_.settle();
  EXPECT_EQ(loop_.get([&] { return accounts_.show(alice_); }).error().code, Errc::not_found);
}

TEST_F(AccountsTest, RemoveAndList) {
  for (const auto* jid : {"carol@localhost", "alice@localhost", "bob@localhost", "dora@other.example"})
    ASSERT_TRUE(loop_.get([&] { return accounts_.add(*Jid::parse(jid), "x"); }));
  ASSERT_TRUE(loop_.get([&] { return accounts_.remove(alice_); }));
  EXPECT_THAT(*loop_.get([&] { return accounts_.list("localhost", "", 10); }),
              ::testing::ElementsAre("bob@localhost", "carol@localhost"));
  EXPECT_THAT(*loop_.get([&] { return accounts_.list("localhost", "bob@localhost", 10); }),
              ::testing::ElementsAre("carol@localhost"));
  EXPECT_EQ(loop_.get([&] { return accounts_.list("", "", 10); })->size(), 3U);
}

TEST_F(AccountsTest, AFullPoolIsAnAnswer) {
  net::WorkerPool full(1, 0);
  Accounts accounts(*store_, full);
  const auto added = loop_.get([&] { return accounts.add(alice_, "x"); });
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::unavailable);
}

}  // namespace
}  // namespace starling::server
