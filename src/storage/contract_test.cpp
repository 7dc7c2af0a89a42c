// What every driver must do. A harness makes an empty store of one driver in a directory of its own.
#include <limits>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/testing.h"
#include "support/temporary_directory.h"
#include "support/virtual_loop.h"

namespace starling::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class StoreContract : public testing::TestWithParam<StoreHarness> {
 protected:
  StoreContract() : store_(GetParam().make(directory_.path())) {}

  Result<Committed> commit(Batch batch) {
    return loop_.get([&] { return store_->commit(std::move(batch)); });
  }
  std::vector<std::uint64_t> must_commit(Batch batch) {
    auto committed = commit(std::move(batch));
    if (!committed) throw std::runtime_error(committed.error().message);
    return committed->appended;
  }
  std::optional<Account> account(const std::string& jid) {
    return loop_.get([&] { return store_->account(jid); }).value();
  }
  std::vector<std::string> accounts(const std::string& domain, const std::string& after = "",
                                    std::size_t limit = 100) {
    return loop_.get([&] { return store_->accounts(domain, after, limit); }).value();
  }
  std::optional<std::string> value(const std::string& owner, const std::string& kind,
                                   const std::string& key) {
    return loop_.get([&] { return store_->value(owner, kind, key); }).value();
  }
  Entries values(const std::string& owner, const std::string& kind) {
    return loop_.get([&] { return store_->values(owner, kind); }).value();
  }
  std::vector<ArchivedMessage> undelivered(const std::string& owner, std::uint64_t after = 0,
                                           std::size_t limit = 100) {
    return loop_.get([&] { return store_->undelivered(owner, after, limit); }).value();
  }
  std::vector<std::string> stanzas(const std::string& owner, std::uint64_t after = 0,
                                   std::size_t limit = 100) {
    std::vector<std::string> texts;
    for (auto& message : undelivered(owner, after, limit)) texts.push_back(message.stanza);
    return texts;
  }
  std::optional<SessionCounts> session_counts(std::uint64_t session) {
    return loop_.get([&] { return store_->session_counts(session); }).value();
  }
  TailSize size(const std::string& owner) {
    return loop_.get([&] { return store_->undelivered_size(owner); }).value();
  }

  VirtualLoop loop_;
  TemporaryDirectory directory_;
  std::unique_ptr<Store> store_;
};

Account account_of(std::string jid) {
  using namespace std::string_literals;
  return {.jid = std::move(jid),
          .sha1 = {"salt\0with nul"s, "\xff\xfe stored", "server", 4096},
          .sha256 = {"another salt", "stored 256", "server 256", 10000},
          .disabled = true,
          .created_at = 1'700'000'000,
          .last_seen = 1'700'000'001,
          .last_status = "gone home \xe2\x98\x83"};
}

Append message(std::string owner, std::string stanza, bool undelivered = true) {
  return {{.owner = std::move(owner),
           .peer = "peer@example.org",
           .stamp_ms = 1'700'000'000'123,
           .undelivered = undelivered,
           .stanza = std::move(stanza)}};
}

TEST_P(StoreContract, KeepsAnAccountWhole) {
  EXPECT_EQ(account("ann@example.org"), std::nullopt);
  must_commit({PutAccount{account_of("ann@example.org")}});
  EXPECT_EQ(account("ann@example.org"), account_of("ann@example.org"));
  EXPECT_EQ(account("bob@example.org"), std::nullopt);
}

TEST_P(StoreContract, PutsAnAccountOverTheOldOne) {
  must_commit({PutAccount{account_of("ann@example.org")}});
  auto changed = account_of("ann@example.org");
  changed.sha256.salt.clear();
  changed.disabled = false;
  changed.last_seen = -5;
  changed.last_status = "";
  changed.sha1.iterations = std::numeric_limits<std::uint32_t>::max();
  must_commit({PutAccount{changed}});
  EXPECT_EQ(account("ann@example.org"), changed);
  EXPECT_THAT(accounts("example.org"), ElementsAre("ann@example.org"));
}

TEST_P(StoreContract, SetsTheKeysOfAnAccountAndNothingElse) {
  must_commit({PutAccount{account_of("ann@example.org")}});
  auto changed = account_of("ann@example.org");
  changed.sha1 = {"new salt", "new stored", "new server", 5000};
  changed.sha256 = {"salt 256", "stored", "server", 6000};
  must_commit({SetLastSeen{"ann@example.org", 12345, "off"},
               SetKeys{"ann@example.org", changed.sha1, changed.sha256}});
  changed.last_seen = 12345;
  changed.last_status = "off";
  EXPECT_EQ(account("ann@example.org"), changed);
}

TEST_P(StoreContract, RefusesKeysOfNobodyWithTheirWholeBatch) {
  must_commit({PutAccount{account_of("ann@example.org")}});
  const SetKeys keys{"ann@example.org", {"s", "k", "v", 1}, {"s", "k", "v", 1}};
  auto refused = commit({PutValue{"x@example.org", "k", "a", "1"}, DeleteAccount{"ann@example.org"}, keys});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_found);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("ann@example.org"));
  EXPECT_EQ(account("ann@example.org"), account_of("ann@example.org"));
  EXPECT_EQ(value("x@example.org", "k", "a"), std::nullopt);

  // One behind the other, as two administrators may send them: what was deleted stays so.
  std::vector<bool> done;
  loop_.in_turn([&] {
    const auto note = [&](const Result<Committed>& result) { done.push_back(result.has_value()); };
    spawn(store_->commit({DeleteAccount{"ann@example.org"}}), note);
    spawn(store_->commit({keys}), note);
  });
  ASSERT_TRUE(loop_.run_until([&] { return done.size() == 2; }));
  EXPECT_THAT(done, ElementsAre(true, false));
  EXPECT_EQ(account("ann@example.org"), std::nullopt);
}

TEST_P(StoreContract, SetsWhenAnAccountWasLastSeenAndNothingElse) {
  must_commit({PutAccount{account_of("ann@example.org")}});
  must_commit({SetLastSeen{"ann@example.org", 12345, "off"}, SetLastSeen{"nobody@example.org", 1, ""}});
  auto changed = account_of("ann@example.org");
  changed.last_seen = 12345;
  changed.last_status = "off";
  EXPECT_EQ(account("ann@example.org"), changed);
  EXPECT_EQ(account("nobody@example.org"), std::nullopt);
}

TEST_P(StoreContract, RefusesAnAccountThatMustBeNewWithItsWholeBatch) {
  must_commit({PutAccount{account_of("ann@example.org"), true}});
  auto other = account_of("ann@example.org");
  other.created_at = 1;
  auto refused = commit({PutValue{"x@example.org", "k", "a", "1"}, message("x@example.org", "<message/>"),
                         PutAccount{other, true}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::conflict);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("ann@example.org"));
  EXPECT_EQ(account("ann@example.org"), account_of("ann@example.org"));
  EXPECT_EQ(value("x@example.org", "k", "a"), std::nullopt);
  EXPECT_EQ(size("x@example.org").messages, 0U);
}

TEST_P(StoreContract, SeesEarlierWritesOfABatchWhenAnAccountMustBeNew) {
  must_commit({PutAccount{account_of("ann@example.org")}});
  EXPECT_TRUE(commit({DeleteAccount{"ann@example.org"}, PutAccount{account_of("ann@example.org"), true}}));
  EXPECT_FALSE(
      commit({PutAccount{account_of("bob@example.org")}, PutAccount{account_of("bob@example.org"), true}}));
  EXPECT_EQ(account("bob@example.org"), std::nullopt);
}

TEST_P(StoreContract, LetsOnlyOneOfTwoTakeANewAccount) {
  std::vector<std::optional<Errc>> outcomes;
  loop_.in_turn([&] {
    for (int i = 0; i < 3; ++i)
      spawn(store_->commit({PutAccount{account_of("ann@example.org"), true},
                            PutValue{"ann@example.org", "by", std::to_string(i), ""}}),
            [&](Result<Committed> result) {
              outcomes.push_back(result ? std::nullopt : std::optional(result.error().code));
            });
  });
  ASSERT_TRUE(loop_.run_until([&] { return outcomes.size() == 3; }));
  EXPECT_THAT(outcomes, ElementsAre(std::nullopt, Errc::conflict, Errc::conflict));
  EXPECT_THAT(values("ann@example.org", "by"), ElementsAre(Pair("0", "")));
}

TEST_P(StoreContract, ListsAndCountsAccounts) {
  must_commit({PutAccount{account_of("c@one.example")}, PutAccount{account_of("a@one.example")},
               PutAccount{account_of("b@two.example")}, PutAccount{account_of("b@one.example")}});
  EXPECT_THAT(accounts("one.example"), ElementsAre("a@one.example", "b@one.example", "c@one.example"));
  EXPECT_THAT(accounts("one.example", "", 2), ElementsAre("a@one.example", "b@one.example"));
  EXPECT_THAT(accounts("one.example", "b@one.example"), ElementsAre("c@one.example"));
  EXPECT_THAT(accounts("two.example"), ElementsAre("b@two.example"));
  EXPECT_THAT(accounts("example"), IsEmpty());
  EXPECT_THAT(accounts("", "a@one.example"), ElementsAre("b@one.example", "b@two.example", "c@one.example"));
  EXPECT_THAT(accounts("one.example", "", 0), IsEmpty());
  EXPECT_EQ(loop_.get([&] { return store_->count_accounts(); }).value(), 4U);
}

TEST_P(StoreContract, KeepsValuesByOwnerKindAndKey) {
  using namespace std::string_literals;
  const std::string bytes = "nul \0 and \xff"s;
  must_commit({PutValue{"ann@x", "roster", "b", bytes}, PutValue{"ann@x", "roster", "a", "1"},
               PutValue{"ann@x", "roster", "\xc3\xa9", ""}, PutValue{"ann@x", "private", "a", "2"},
               PutValue{"bob@x", "roster", "a", "3"}, PutValue{"ann@x", "roster", "", "empty key"}});
  EXPECT_EQ(value("ann@x", "roster", "b"), bytes);
  EXPECT_EQ(value("ann@x", "roster", "\xc3\xa9"), "");
  EXPECT_EQ(value("ann@x", "roster", "c"), std::nullopt);
  EXPECT_EQ(value("ann@x", "vcard", "a"), std::nullopt);
  EXPECT_EQ(value("nobody@x", "roster", "a"), std::nullopt);
  EXPECT_THAT(values("ann@x", "roster"),
              ElementsAre(Pair("", "empty key"), Pair("a", "1"), Pair("b", bytes), Pair("\xc3\xa9", "")));
  must_commit({PutValue{"ann@x", "roster", "a", "new"}});
  EXPECT_EQ(value("ann@x", "roster", "a"), "new");
  EXPECT_EQ(value("bob@x", "roster", "a"), "3");
}

TEST_P(StoreContract, ReadsSeveralKindsInTheOrderAsked) {
  must_commit(
      {PutValue{"ann@x", "a", "k", "1"}, PutValue{"ann@x", "b", "k", "2"}, PutValue{"ann@x", "b", "j", "3"}});
  const auto all = loop_.get([&] { return store_->values_of("ann@x", {"b", "none", "a", "b"}); }).value();
  EXPECT_THAT(all, ElementsAre(ElementsAre(Pair("j", "3"), Pair("k", "2")), IsEmpty(),
                               ElementsAre(Pair("k", "1")), ElementsAre(Pair("j", "3"), Pair("k", "2"))));
  EXPECT_THAT(loop_.get([&] { return store_->values_of("ann@x", {}); }).value(), IsEmpty());
}

TEST_P(StoreContract, DeletesAValueAndAKind) {
  must_commit({PutValue{"ann@x", "a", "1", ""}, PutValue{"ann@x", "a", "2", ""},
               PutValue{"ann@x", "b", "1", ""}, PutValue{"bob@x", "a", "1", ""}});
  must_commit(
      {DeleteValue{"ann@x", "a", "1"}, DeleteValue{"ann@x", "a", "none"}, DeleteValue{"no@x", "a", "1"}});
  EXPECT_THAT(values("ann@x", "a"), ElementsAre(Pair("2", "")));
  must_commit({DeleteKind{"ann@x", "a"}, DeleteKind{"no@x", "a"}});
  EXPECT_THAT(values("ann@x", "a"), IsEmpty());
  EXPECT_THAT(values("ann@x", "b"), ElementsAre(Pair("1", "")));
  EXPECT_THAT(values("bob@x", "a"), ElementsAre(Pair("1", "")));
}

TEST_P(StoreContract, KeepsAMessageWhole) {
  auto ids = must_commit({message("ann@x", "<message><body>hi</body></message>")});
  ASSERT_EQ(ids.size(), 1U);
  auto expected = message("ann@x", "<message><body>hi</body></message>").message;
  expected.id = ids[0];
  EXPECT_THAT(undelivered("ann@x"), ElementsAre(expected));
  EXPECT_THAT(undelivered("bob@x"), IsEmpty());
}

TEST_P(StoreContract, GivesGrowingIdsAndPagesByThem) {
  auto ids = must_commit({message("ann@x", "1"), message("bob@x", "2"), message("ann@x", "3")});
  ASSERT_EQ(ids.size(), 3U);
  EXPECT_GT(ids[0], 0U);
  EXPECT_LT(ids[0], ids[1]);
  EXPECT_LT(ids[1], ids[2]);
  auto later = must_commit({message("ann@x", "4")});
  EXPECT_LT(ids[2], later.at(0));
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("1", "3", "4"));
  EXPECT_THAT(stanzas("ann@x", 0, 2), ElementsAre("1", "3"));
  EXPECT_THAT(stanzas("ann@x", ids[2]), ElementsAre("4"));
  EXPECT_THAT(stanzas("ann@x", ids[0], 1), ElementsAre("3"));
  EXPECT_THAT(stanzas("ann@x", later[0]), IsEmpty());
  EXPECT_THAT(stanzas("ann@x", std::numeric_limits<std::uint64_t>::max()), IsEmpty());
  EXPECT_THAT(stanzas("ann@x", 0, 0), IsEmpty());
}

TEST_P(StoreContract, CountsTheTail) {
  must_commit({message("ann@x", "12345"), message("ann@x", "1"), message("bob@x", "1")});
  EXPECT_EQ(size("ann@x").messages, 2U);
  EXPECT_EQ(size("ann@x").bytes, 6U);
  EXPECT_EQ(size("nobody@x").messages, 0U);
}

TEST_P(StoreContract, LeavesADeliveredMessageOutOfTheTail) {
  auto ids = must_commit({message("ann@x", "seen", false), message("ann@x", "new")});
  EXPECT_EQ(ids.size(), 2U);
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("new"));
  EXPECT_EQ(size("ann@x").messages, 1U);
}

TEST_P(StoreContract, MarksDeliveredUpToAnId) {
  auto ids = must_commit(
      {message("ann@x", "11"), message("bob@x", "b"), message("ann@x", "22"), message("ann@x", "333")});
  must_commit({MarkDelivered{"ann@x", ids[2]}});
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("333"));
  EXPECT_EQ(size("ann@x").bytes, 3U);
  EXPECT_THAT(stanzas("bob@x"), ElementsAre("b"));
  must_commit({MarkDelivered{"ann@x", std::numeric_limits<std::uint64_t>::max()}, MarkDelivered{"no@x", 1}});
  EXPECT_THAT(stanzas("ann@x"), IsEmpty());
  EXPECT_EQ(size("ann@x").messages, 0U);
  EXPECT_EQ(size("ann@x").bytes, 0U);
}

TEST_P(StoreContract, MarksOneDelivered) {
  auto ids = must_commit(
      {message("ann@x", "1"), message("ann@x", "22"), message("ann@x", "333"), message("bob@x", "b")});
  must_commit({MarkOneDelivered{"ann@x", ids[1]}, MarkOneDelivered{"ann@x", ids[1]}});
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("1", "333"));
  EXPECT_EQ(size("ann@x").bytes, 4U);
  must_commit({MarkOneDelivered{"ann@x", ids[3]}, MarkOneDelivered{"ann@x", 999'999}});  // not hers
  EXPECT_THAT(stanzas("bob@x"), ElementsAre("b"));
  must_commit({MarkOneDelivered{"ann@x", ids[0]}});
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("333"));
}

TEST_P(StoreContract, MarksMessagesOfTheSameBatch) {
  const auto ids = must_commit({message("ann@x", "0")});
  must_commit({message("ann@x", "1"), MarkDelivered{"ann@x", std::numeric_limits<std::uint64_t>::max()},
               message("ann@x", "2"), message("bob@x", "3"), MarkOneDelivered{"ann@x", ids[0]},
               MarkOneDelivered{"bob@x", ids[0] + 3}});
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("2"));
  EXPECT_THAT(stanzas("bob@x"), IsEmpty());
}

TEST_P(StoreContract, KeepsWhichSessionAMessageWasHandedTo) {
  auto sent = message("ann@x", "at once");
  sent.message.session = ~std::uint64_t{0} - 4;
  sent.message.number = 0xffff'ffff;
  const auto ids = must_commit({sent, message("ann@x", "later"), message("ann@x", "never")});
  auto all = undelivered("ann@x");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].session, ~std::uint64_t{0} - 4);
  EXPECT_EQ(all[0].number, 0xffff'ffff);
  EXPECT_EQ(all[1].session, 0U);
  must_commit({MarkSent{"ann@x", ids[1], 7, 3}, MarkSent{"bob@x", ids[2], 7, 4},
               MarkSent{"ann@x", ids[2] + 1, 7, 5}, MarkSent{"ann@x", ids[0], 8, 1}});
  all = undelivered("ann@x");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].session, 8U);
  EXPECT_EQ(all[0].number, 1U);
  EXPECT_EQ(all[1].session, 7U);
  EXPECT_EQ(all[1].number, 3U);
  EXPECT_EQ(all[2].session, 0U);
}

TEST_P(StoreContract, DoesNotTakeADeliveredMessageBackWhenItWasSent) {
  const auto ids = must_commit({message("ann@x", "1"), message("ann@x", "2"), message("ann@x", "3")});
  must_commit({MarkOneDelivered{"ann@x", ids[0]}, MarkSent{"ann@x", ids[0], 7, 1}});
  must_commit({MarkSent{"ann@x", ids[0], 7, 1}, MarkSent{"ann@x", ids[1], 7, 2},
               MarkOneDelivered{"ann@x", ids[1]}, message("ann@x", "4"),
               MarkSent{"ann@x", ids[2] + 1, 7, 4}});
  const auto all = undelivered("ann@x");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].stanza, "3");
  EXPECT_EQ(all[1].stanza, "4");
  EXPECT_EQ(all[1].number, 4U);
}

TEST_P(StoreContract, CountsTheStanzasOfASession) {
  EXPECT_EQ(session_counts(7), std::nullopt);
  must_commit({message("ann@x", "1"), Receive{7, 1, 0}});
  EXPECT_EQ(session_counts(7), (SessionCounts{.received = 1}));
  must_commit({Receive{7, 5, 3}, Receive{7, 9, 7}, Sent{7, 20, 18}});
  EXPECT_EQ(session_counts(7),
            (SessionCounts{.received = 1, .beyond = {{5, 3}, {9, 7}}, .sent = 20, .lossy = 18}));
  must_commit({Receive{7, 3, 1}, Sent{7, 21, 18}});
  EXPECT_EQ(session_counts(7), (SessionCounts{.received = 5, .beyond = {{9, 7}}, .sent = 21, .lossy = 18}));
  must_commit({Receive{7, 8, 8}, Receive{~std::uint64_t{0}, 2, 1}});
  EXPECT_EQ(session_counts(7), (SessionCounts{.received = 9, .sent = 21, .lossy = 18}));
  EXPECT_EQ(session_counts(~std::uint64_t{0}), (SessionCounts{.beyond = {{2, 1}}}));
  must_commit({Sent{8, 1, 0}});
  EXPECT_EQ(session_counts(8), (SessionCounts{.sent = 1}));
}

TEST_P(StoreContract, ForgetsASession) {
  must_commit({Receive{7, 5, 5}, Sent{7, 3, 2}, Receive{8, 1, 0}});
  must_commit({ForgetSession{7}, ForgetSession{9}});
  EXPECT_EQ(session_counts(7), std::nullopt);
  EXPECT_EQ(session_counts(8), (SessionCounts{.received = 1}));
  must_commit({Receive{7, 2, 1}});
  EXPECT_EQ(session_counts(7), (SessionCounts{.beyond = {{2, 1}}}));
  must_commit({Receive{7, 3, 3}, ForgetSession{7}, Receive{9, 1, 0}, ForgetSession{9}, Sent{9, 2, 1}});
  EXPECT_EQ(session_counts(7), std::nullopt);
  EXPECT_EQ(session_counts(9), (SessionCounts{.sent = 2, .lossy = 1}));
}

TEST_P(StoreContract, CountsASessionBeyondTheLargestNumber) {
  constexpr std::uint32_t kLast = 0xffff'ffff;
  must_commit({Receive{7, kLast - 1, kLast - 1}, Sent{7, kLast, kLast}});
  must_commit({Receive{7, 1, 0}});
  must_commit({Receive{7, 0, kLast}, Sent{7, 0, kLast}});
  EXPECT_EQ(
      session_counts(7),
      (SessionCounts{.received = kLast - 1, .beyond = {{0, kLast}, {1, 0}}, .sent = 0, .lossy = kLast}));
  must_commit({Receive{7, kLast, kLast - 1}});
  EXPECT_EQ(session_counts(7), (SessionCounts{.received = 1, .sent = 0, .lossy = kLast}));
}

TEST_P(StoreContract, CountsNothingOfARefusedBatch) {
  must_commit({PutAccount{account_of("ann@x")}, Receive{7, 1, 0}});
  EXPECT_FALSE(commit({Receive{7, 2, 1}, Sent{8, 1, 1}, PutAccount{account_of("ann@x"), true}}));
  EXPECT_EQ(session_counts(7), (SessionCounts{.received = 1}));
  EXPECT_EQ(session_counts(8), std::nullopt);
}

TEST_P(StoreContract, CountsManySessionsAtOnce) {
  for (std::uint32_t round = 1; round <= 3; ++round) {
    Batch batch;
    for (std::uint64_t session = 1; session <= 5000; ++session)
      batch.emplace_back(Receive{session, round, round - 1});
    must_commit(std::move(batch));
  }
  for (const std::uint64_t session : {1, 4096, 5000})
    EXPECT_EQ(session_counts(session), (SessionCounts{.received = 3})) << session;
}

TEST_P(StoreContract, NeverGivesAnIdTwice) {
  std::uint64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    const auto ids = must_commit({message("ann@x", "1"), message("ann@x", "2")});
    EXPECT_GT(ids[0], last);
    last = ids[1];
    must_commit({MarkDelivered{"ann@x", last}});
  }
}

TEST_P(StoreContract, HandlesALongTailTakenFromBothEnds) {
  Batch many;
  for (int i = 0; i < 100; ++i) many.push_back(message("ann@x", std::to_string(i)));
  const auto ids = must_commit(std::move(many));
  for (int i = 0; i < 40; ++i) must_commit({MarkOneDelivered{"ann@x", ids[static_cast<std::size_t>(i)]}});
  must_commit({MarkOneDelivered{"ann@x", ids[99]}, MarkDelivered{"ann@x", ids[69]}, message("ann@x", "new")});
  EXPECT_EQ(size("ann@x").messages, 30U);
  EXPECT_EQ(size("ann@x").bytes, 29U * 2 + 3);
  EXPECT_EQ(stanzas("ann@x").front(), "70");
  EXPECT_EQ(stanzas("ann@x").back(), "new");
}

TEST_P(StoreContract, DeletesAnAccountWithAllThatItOwns) {
  must_commit({PutAccount{account_of("ann@x")}, PutValue{"ann@x", "a", "1", ""},
               PutValue{"ann@x", "b", "1", ""}, message("ann@x", "1"), message("ann@x", "2"),
               PutAccount{account_of("bob@x")}, PutValue{"bob@x", "a", "1", ""}, message("bob@x", "3")});
  must_commit({message("ann@x", "4"), DeleteAccount{"ann@x"}, DeleteAccount{"nobody@x"}});
  EXPECT_EQ(account("ann@x"), std::nullopt);
  EXPECT_THAT(values("ann@x", "a"), IsEmpty());
  EXPECT_THAT(values("ann@x", "b"), IsEmpty());
  EXPECT_THAT(stanzas("ann@x"), IsEmpty());
  EXPECT_EQ(size("ann@x").messages, 0U);
  EXPECT_TRUE(account("bob@x"));
  EXPECT_THAT(values("bob@x", "a"), ElementsAre(Pair("1", "")));
  EXPECT_THAT(stanzas("bob@x"), ElementsAre("3"));
  must_commit({PutAccount{account_of("ann@x"), true}, message("ann@x", "5")});
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("5"));
}

TEST_P(StoreContract, CommitsInTheOrderOfTheCalls) {
  int ended = 0;
  loop_.in_turn([&] {
    for (int i = 0; i < 200; ++i)
      spawn(store_->commit(
                {PutValue{"ann@x", "k", "last", std::to_string(i)}, message("ann@x", std::to_string(i))}),
            [&, i](Result<Committed> result) {
              EXPECT_TRUE(result);
              EXPECT_EQ(ended++, i);
            });
  });
  ASSERT_TRUE(loop_.run_until([&] { return ended == 200; }));
  EXPECT_EQ(value("ann@x", "k", "last"), "199");
  const auto order = stanzas("ann@x", 0, 1000);
  ASSERT_EQ(order.size(), 200U);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_P(StoreContract, AnswersInALaterTurnAlways) {
  bool commit_ended = false;
  bool size_ended = false;
  bool none_ended = false;
  loop_.in_turn([&] {
    spawn(store_->commit({}), [&](Result<Committed> result) { commit_ended = result.has_value(); });
    spawn(store_->undelivered_size("ann@x"),
          [&](Result<TailSize> result) { size_ended = result.has_value(); });
    spawn(store_->undelivered("ann@x", 0, 1), [&](auto result) { none_ended = result.has_value(); });
    EXPECT_FALSE(commit_ended || size_ended || none_ended);
  });
  EXPECT_TRUE(loop_.run_until([&] { return commit_ended && size_ended && none_ended; }));
}

TEST_P(StoreContract, WritesWhatNobodyWaitsFor) {
  loop_.in_turn([&] { auto dropped = store_->commit({PutValue{"ann@x", "k", "a", "1"}}); });
  must_commit({});
  EXPECT_EQ(value("ann@x", "k", "a"), "1");
}

TEST_P(StoreContract, FinishesOnCloseAndRefusesAfterIt) {
  std::optional<Result<Committed>> before;
  loop_.in_turn([&] {
    spawn(store_->commit({message("ann@x", "1")}),
          [&](Result<Committed> result) { before = std::move(result); });
  });
  store_->close();
  loop_.settle();
  ASSERT_TRUE(before.has_value());
  EXPECT_TRUE(before->has_value());

  EXPECT_EQ(commit({message("ann@x", "2")}).error().code, Errc::unavailable);
  const auto refused = [](const auto& result) { return !result && result.error().code == Errc::unavailable; };
  EXPECT_TRUE(refused(loop_.get([&] { return store_->account("a@x"); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->accounts("x", "", 1); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->count_accounts(); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->value("a@x", "k", "a"); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->values("a@x", "k"); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->values_of("a@x", {"k"}); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->undelivered("ann@x", 0, 1); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->undelivered("nobody@x", 0, 1); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->undelivered_size("ann@x"); })));
  EXPECT_TRUE(refused(loop_.get([&] { return store_->session_counts(1); })));
  store_->close();
}

// Two loops on two threads, each reading what it has just written and what the other may have.
TEST_P(StoreContract, ThreadedLoopsCommitAndReadAtOnce) {
  constexpr int kRounds = 200;
  std::array<int, 2> seen{};
  const auto work = [&](int me) {
    VirtualLoop loop;
    const std::string mine = me == 0 ? "ann@x" : "bob@x";
    const std::string other = me == 0 ? "bob@x" : "ann@x";
    for (int round = 0; round < kRounds; ++round) {
      const auto text = std::to_string(round);
      const auto written = loop.get([&] {
        return store_->commit({message(mine, text), message("both@x", text),
                               PutValue{mine, "k", "round", text}, PutAccount{account_of(mine)}});
      });
      ASSERT_TRUE(written);
      ASSERT_EQ(loop.get([&] { return store_->value(mine, "k", "round"); }).value(), text);
      const auto tail =
          loop.get([&] { return store_->undelivered(mine, written->appended[0] - 1, 5); }).value();
      ASSERT_EQ(tail.size(), 1U);
      ASSERT_EQ(tail[0].stanza, text);
      const auto theirs = loop.get([&] { return store_->undelivered(other, 0, 3); }).value();
      for (const auto& one : theirs) ASSERT_EQ(one.owner, other);
      if (round % 10 == 9)
        ASSERT_TRUE(loop.get([&] { return store_->commit({MarkDelivered{mine, written->appended[0]}}); }));
      ++seen[static_cast<std::size_t>(me)];
    }
  };
  std::thread first(work, 0);
  std::thread second(work, 1);
  first.join();
  second.join();
  EXPECT_THAT(seen, ElementsAre(kRounds, kRounds));
  EXPECT_EQ(size("both@x").messages, 2U * kRounds);
  EXPECT_EQ(size("ann@x").messages, 0U);
  EXPECT_EQ(accounts("x").size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Drivers, StoreContract, testing::ValuesIn(kHarnesses),
                         [](const auto& harness) { return harness.param.name; });

TEST(StoreOpen, RefusesWhatIsNoStore) {
  for (const char* spec : {"", "sqlite", "sqlite:", "memory", "memory:x", "postgres:x"}) {
    const auto opened = open(spec, testing::TempDir());
    ASSERT_FALSE(opened) << spec;
    EXPECT_EQ(opened.error().code, Errc::invalid);
    EXPECT_THAT(opened.error().message, testing::HasSubstr("sqlite:FILE"));
  }
}

TEST(StoreOpen, NamesTheFileItCannotMake) {
  const auto opened = open("sqlite:none/such/place.db", testing::TempDir());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::io);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("none/such/place.db"));
}

}  // namespace
}  // namespace starling::storage
