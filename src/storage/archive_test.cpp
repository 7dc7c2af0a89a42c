// Archives (XEP-0313), as every driver keeps them. What the embedded one does behind is waited for by asking.
#include <functional>
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

// To ann by default, in both archives.
struct Letter {
  std::string stanza;
  std::string from = "bob@x", to = "ann@x";
  std::int64_t stamp_ms = 1000;
  bool for_owner = true, for_peer = true, undelivered = false;
  std::string fingerprint = {};

  operator Append() const {  // NOLINT(google-explicit-constructor): tests read better
    return {.message = {.owner = to,
                        .peer = from,
                        .stamp_ms = stamp_ms,
                        .undelivered = undelivered,
                        .stanza = stanza},
            .for_owner = for_owner,
            .for_peer = for_peer,
            .fingerprint = fingerprint};
  }
};

class ArchiveContract : public testing::TestWithParam<StoreHarness> {
 protected:
  ArchiveContract() : store_(GetParam().make(directory_.path())) {}

  std::vector<std::uint64_t> commit(Batch batch) {
    auto committed = loop_.get([&] { return store_->commit(std::move(batch)); });
    if (!committed) throw std::runtime_error(committed.error().message);
    return committed->appended;
  }
  Result<ArchivePage> page(const ArchiveQuery& query) {
    return loop_.get([&] { return store_->archive(query); });
  }
  std::vector<std::string> stanzas(const ArchiveQuery& query) {
    std::vector<std::string> texts;
    for (const auto& message : page(query).value().messages) texts.push_back(message.stanza);
    return texts;
  }
  bool complete(const ArchiveQuery& query) { return page(query).value().complete; }
  std::optional<Errc> error(const ArchiveQuery& query) {
    const auto result = page(query);
    return result ? std::nullopt : std::optional(result.error().code);
  }
  ArchiveEnds ends(const std::string& account) {
    return loop_.get([&] { return store_->archive_ends(account); }).value();
  }
  std::vector<std::string> tail(const std::string& owner) {
    std::vector<std::string> texts;
    for (const auto& message : loop_.get([&] { return store_->undelivered(owner, 0, 100); }).value())
      texts.push_back(message.stanza);
    return texts;
  }
  // Whether it comes to hold; what runs behind needs no more than a moment.
  bool soon(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  VirtualLoop loop_;
  TemporaryDirectory directory_;
  std::unique_ptr<Store> store_;
};

TEST_P(ArchiveContract, ServesOneRowToBothSidesUnderOneId) {
  const auto ids = commit({Letter{.stanza = "1"}, Letter{.stanza = "2", .from = "ann@x", .to = "bob@x"},
                           Letter{.stanza = "3", .from = "eve@x", .to = "bob@x", .for_peer = false},
                           Letter{.stanza = "4", .from = "ann@x", .to = "eve@y", .for_owner = false},
                           Letter{.stanza = "none", .for_owner = false, .for_peer = false}});
  ASSERT_EQ(ids.size(), 5U);
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("1", "2", "4"));
  EXPECT_THAT(stanzas({.account = "bob@x"}), ElementsAre("1", "2", "3"));
  EXPECT_THAT(stanzas({.account = "eve@x"}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "eve@y"}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "nobody@x"}), IsEmpty());
  const auto first = page({.account = "bob@x"}).value().messages.at(0);
  EXPECT_EQ(first, (ArchivedMessage{
                       .id = ids[0], .owner = "ann@x", .peer = "bob@x", .stamp_ms = 1000, .stanza = "1"}));
}

TEST_P(ArchiveContract, PagesFromEitherEnd) {
  Batch batch;
  for (int i = 0; i < 10; ++i) batch.emplace_back(Letter{.stanza = std::to_string(i)});
  const auto ids = commit(std::move(batch));
  EXPECT_THAT(stanzas({.account = "ann@x", .limit = 3}), ElementsAre("0", "1", "2"));
  EXPECT_THAT(stanzas({.account = "ann@x", .after = ids[2], .limit = 3}), ElementsAre("3", "4", "5"));
  EXPECT_THAT(stanzas({.account = "ann@x", .limit = 3, .from_end = true}), ElementsAre("7", "8", "9"));
  EXPECT_THAT(stanzas({.account = "ann@x", .before = ids[7], .limit = 3, .from_end = true}),
              ElementsAre("4", "5", "6"));
  EXPECT_THAT(stanzas({.account = "ann@x", .after = ids[2], .before = ids[5]}), ElementsAre("3", "4"));
  EXPECT_THAT(stanzas({.account = "ann@x", .after = ids[5], .before = ids[2]}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "ann@x", .after = ids[9]}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "ann@x", .before = ids[0], .from_end = true}), IsEmpty());

  EXPECT_FALSE(complete({.account = "ann@x", .limit = 9}));
  EXPECT_TRUE(complete({.account = "ann@x", .limit = 10}));
  EXPECT_TRUE(complete({.account = "ann@x", .after = ids[6], .limit = 3}));
  EXPECT_FALSE(complete({.account = "ann@x", .before = ids[4], .limit = 3, .from_end = true}));
  EXPECT_TRUE(complete({.account = "ann@x", .before = ids[3], .limit = 3, .from_end = true}));
  EXPECT_FALSE(complete({.account = "ann@x", .limit = 0}));
  EXPECT_THAT(stanzas({.account = "ann@x", .limit = 0}), IsEmpty());
  EXPECT_TRUE(complete({.account = "nobody@x", .limit = 0}));
}

TEST_P(ArchiveContract, SaysWhenAnIdIsNotThere) {
  const auto ids = commit({Letter{.stanza = "1"}, Letter{.stanza = "2", .from = "eve@x", .to = "bob@x"},
                           Letter{.stanza = "no row", .for_owner = false, .for_peer = false}});
  for (const auto id : {ids[1], ids[2], ids[2] + 1, std::numeric_limits<std::uint64_t>::max()}) {
    EXPECT_EQ(error({.account = "ann@x", .after = id}), Errc::not_found) << id;
    EXPECT_EQ(error({.account = "ann@x", .before = id, .from_end = true}), Errc::not_found) << id;
    EXPECT_EQ(error({.account = "ann@x", .ids = {ids[0], id}}), Errc::not_found) << id;
    EXPECT_EQ(error({.account = "nobody@x", .after = id}), Errc::not_found) << id;
  }
  EXPECT_EQ(error({.account = "ann@x", .after = ids[0]}), std::nullopt);
}

TEST_P(ArchiveContract, ServesMessagesById) {
  const auto ids = commit({Letter{.stanza = "1"}, Letter{.stanza = "2"}, Letter{.stanza = "3"}});
  EXPECT_THAT(stanzas({.account = "ann@x", .ids = {ids[2], ids[0], ids[2]}}), ElementsAre("1", "3"));
  EXPECT_TRUE(complete({.account = "ann@x", .ids = {ids[1]}}));
}

TEST_P(ArchiveContract, FiltersAndPagesThoseToo) {
  const auto ids = commit({Letter{"1"}, Letter{.stanza = "2", .from = "eve@x"}, Letter{"3"}, Letter{"4"}});
  const auto all = std::vector(ids.rbegin(), ids.rend());
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "eve@x", .ids = all}), ElementsAre("2"));
  EXPECT_THAT(stanzas({.account = "ann@x", .ids = all, .limit = 2}), ElementsAre("1", "2"));
  EXPECT_FALSE(complete({.account = "ann@x", .ids = all, .limit = 2}));
  EXPECT_THAT(stanzas({.account = "ann@x", .ids = all, .limit = 2, .from_end = true}), ElementsAre("3", "4"));
  EXPECT_THAT(stanzas({.account = "ann@x", .after = ids[1], .ids = all}), ElementsAre("3", "4"));
}

TEST_P(ArchiveContract, ServesTheMessagesWithOneParty) {
  const auto stanza = [](const char* from, const char* to, int number) {
    return fmt::format("<message from='{}' to='{}' id='{}'/>", from, to, number);
  };
  const auto desk = stanza("bob@x/desk", "ann@x", 1);
  const auto reply = stanza("ann@x/home", "bob@x/desk", 2);
  const auto phone = stanza("bob@x/phone", "ann@x", 3);
  const auto eve = stanza("eve@x/desk", "ann@x", 4);
  const auto ids = commit({Letter{.stanza = desk}, Letter{.stanza = reply, .from = "ann@x", .to = "bob@x"},
                           Letter{.stanza = phone}, Letter{.stanza = eve, .from = "eve@x"}});
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "bob@x"}), ElementsAre(desk, reply, phone));
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "bob@x/desk"}), ElementsAre(desk, reply));
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "bob@x/none"}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "nobody@x"}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "bob@x", .with = "ann@x"}), ElementsAre(desk, reply, phone));
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "bob@x", .limit = 1, .from_end = true}),
              ElementsAre(phone));
  EXPECT_FALSE(complete({.account = "ann@x", .with = "bob@x", .limit = 2}));
  EXPECT_TRUE(complete({.account = "ann@x", .with = "eve@x", .limit = 1}));
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "eve@x", .after = ids[1]}), ElementsAre(eve));
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "ann@x"}), IsEmpty());
}

TEST_P(ArchiveContract, KeepsANoteToOneselfOnce) {
  commit({Letter{.stanza = "note", .from = "ann@x"}});
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("note"));
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "ann@x"}), ElementsAre("note"));
  EXPECT_EQ(ends("ann@x").messages, 1U);
}

TEST_P(ArchiveContract, ServesTheMessagesOfATime) {
  const auto ids = commit({Letter{.stanza = "1", .stamp_ms = 1000}, Letter{.stanza = "2", .stamp_ms = 3000},
                           Letter{.stanza = "3", .stamp_ms = 2000},  // the clock went back
                           Letter{.stanza = "4", .stamp_ms = 4000}});
  EXPECT_THAT(stanzas({.account = "ann@x", .start_ms = 2000}), ElementsAre("2", "3", "4"));
  EXPECT_THAT(stanzas({.account = "ann@x", .end_ms = 2000}), ElementsAre("1", "3"));
  EXPECT_THAT(stanzas({.account = "ann@x", .start_ms = 2001, .end_ms = 3999}), ElementsAre("2"));
  EXPECT_THAT(stanzas({.account = "ann@x", .start_ms = 4001}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "ann@x", .end_ms = 999}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "ann@x", .start_ms = 3000, .end_ms = 2000}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "ann@x", .with = "bob@x", .start_ms = 2000, .after = ids[1], .limit = 1}),
              ElementsAre("3"));
}

TEST_P(ArchiveContract, KnowsItsEnds) {
  EXPECT_EQ(ends("ann@x").first, std::nullopt);
  const auto ids =
      commit({Letter{.stanza = "0", .from = "eve@x", .to = "bob@x"}, Letter{.stanza = "1", .stamp_ms = 7},
              Letter{.stanza = "2", .stamp_ms = 8}, Letter{.stanza = "3", .stamp_ms = 9},
              Letter{.stanza = "4", .from = "eve@x", .to = "bob@x"}});
  const auto found = ends("ann@x");
  EXPECT_EQ(found.first, (ArchiveEnds::End{ids[1], 7}));
  EXPECT_EQ(found.last, (ArchiveEnds::End{ids[3], 9}));
  EXPECT_EQ(found.messages, 3U);
  EXPECT_EQ(ends("nobody@x").messages, 0U);
}

TEST_P(ArchiveContract, LeavesADeliveredMessageInTheArchive) {
  const auto ids =
      commit({Letter{.stanza = "1", .undelivered = true}, Letter{.stanza = "2", .undelivered = true},
              Letter{.stanza = "3", .for_owner = false, .for_peer = false, .undelivered = true}});
  EXPECT_THAT(tail("ann@x"), ElementsAre("1", "2", "3"));
  EXPECT_TRUE(page({.account = "ann@x"}).value().messages.at(0).undelivered);
  commit({MarkOneDelivered{"ann@x", ids[0]}});
  commit({MarkDelivered{"ann@x", ids[2]}});
  EXPECT_THAT(tail("ann@x"), IsEmpty());
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("1", "2"));
  EXPECT_THAT(stanzas({.account = "bob@x"}), ElementsAre("1", "2"));
  EXPECT_FALSE(page({.account = "ann@x"}).value().messages.at(0).undelivered);
}

TEST_P(ArchiveContract, ReplacesAStanzaInBothArchives) {
  const auto ids = commit({Letter{.stanza = "1"}, Letter{.stanza = "2", .undelivered = true},
                           Letter{.stanza = "3", .for_owner = false}});
  commit({ReplaceStanza{"bob@x", ids[0], "gone"}, ReplaceStanza{"eve@x", ids[1], "hacked"},
          ReplaceStanza{"ann@x", ids[2], "not hers"}, ReplaceStanza{"ann@x", ids[2] + 1, "none"},
          ReplaceStanza{"ann@x", ids[1], "two"}});
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("gone", "two"));
  EXPECT_THAT(stanzas({.account = "bob@x"}), ElementsAre("gone", "two", "3"));
  EXPECT_THAT(tail("ann@x"), ElementsAre("two"));
}

TEST_P(ArchiveContract, ForgetsADeletedAccountsArchiveAndNobodyElses) {
  commit({PutAccount{{.jid = "ann@x"}}, Letter{.stanza = "1"}, Letter{.stanza = "2", .undelivered = true}});
  const auto ids = commit({Letter{.stanza = "3"}, DeleteAccount{"ann@x"}, Letter{.stanza = "4"}});
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("4"));
  EXPECT_THAT(tail("ann@x"), IsEmpty());
  EXPECT_THAT(stanzas({.account = "bob@x"}), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(error({.account = "ann@x", .after = ids[0]}), Errc::not_found);
  EXPECT_EQ(ends("ann@x").first->id, ids[1]);
  commit({ReplaceStanza{"ann@x", ids[0], "no more hers"}});
  EXPECT_THAT(stanzas({.account = "bob@x", .ids = {ids[0]}}), ElementsAre("3"));
  commit({DeleteAccount{"bob@x"}});
  EXPECT_THAT(stanzas({.account = "bob@x"}), IsEmpty());
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("4"));
}

TEST_P(ArchiveContract, LosesWhatIsTooOld) {
  const auto ids = commit({Letter{.stanza = "1", .stamp_ms = 1000}, Letter{.stanza = "2", .stamp_ms = 2000},
                           Letter{.stanza = "waits", .stamp_ms = 2500, .undelivered = true},
                           Letter{.stanza = "3", .stamp_ms = 3000}});
  commit({Expire{.before_ms = 3000}});
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("3"));
  EXPECT_THAT(stanzas({.account = "bob@x"}), ElementsAre("3"));
  EXPECT_EQ(error({.account = "ann@x", .after = ids[1]}), Errc::not_found);
  EXPECT_EQ(ends("ann@x").first->id, ids[3]);
  EXPECT_THAT(tail("ann@x"), ElementsAre("waits"));
  EXPECT_TRUE(soon([&] { return ends("ann@x").messages == 1; }));
  commit({MarkOneDelivered{"ann@x", ids[2]}, Expire{.before_ms = 10}});
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("3"));
  commit({Expire{.before_ms = 10'000}});
  EXPECT_THAT(stanzas({.account = "ann@x"}), IsEmpty());
  commit({Letter{.stanza = "old news", .stamp_ms = 5}});
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("old news"));
}

TEST_P(ArchiveContract, LosesTheOldestBeyondALimitForEachAccountByItself) {
  Batch batch;
  for (int i = 0; i < 5; ++i) batch.emplace_back(Letter{.stanza = std::to_string(i)});
  for (int i = 5; i < 9; ++i)
    batch.emplace_back(Letter{.stanza = std::to_string(i), .from = "eve@x", .to = "bob@x"});
  const auto ids = commit(std::move(batch));
  commit({Expire{.before_ms = 0, .messages = 6}});
  EXPECT_TRUE(soon([&] { return stanzas({.account = "bob@x"}).size() == 6; }));
  EXPECT_THAT(stanzas({.account = "bob@x"}), ElementsAre("3", "4", "5", "6", "7", "8"));
  EXPECT_EQ(error({.account = "bob@x", .after = ids[0]}), Errc::not_found);
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("0", "1", "2", "3", "4"));
  EXPECT_THAT(stanzas({.account = "bob@x", .with = "ann@x"}), ElementsAre("3", "4"));
  commit({Expire{.before_ms = 0, .bytes = 2}});
  EXPECT_TRUE(soon([&] { return stanzas({.account = "ann@x"}).size() == 2; }));
  EXPECT_TRUE(soon([&] { return ends("bob@x").messages == 2; }));
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("3", "4"));
  EXPECT_THAT(stanzas({.account = "bob@x"}), ElementsAre("7", "8"));
}

TEST_P(ArchiveContract, EndsAPageWithItsBytes) {
  commit({Letter{"12345"}, Letter{"67890"}, Letter{"a"}});
  EXPECT_THAT(stanzas({.account = "ann@x", .bytes = 10}), ElementsAre("12345", "67890"));
  EXPECT_FALSE(complete({.account = "ann@x", .bytes = 10}));
  EXPECT_THAT(stanzas({.account = "ann@x", .bytes = 10, .from_end = true}), ElementsAre("67890", "a"));
  EXPECT_THAT(stanzas({.account = "ann@x", .bytes = 1}), ElementsAre("12345"));
  EXPECT_TRUE(complete({.account = "ann@x", .bytes = 11}));
}

TEST_P(ArchiveContract, TakesAnIdThatWasGivenOutBefore) {
  MessageIds::Taker taker(store_->ids());
  const auto first = taker.take();
  const auto second = taker.take();
  Append later = Letter{"later"};
  later.message.id = second;
  EXPECT_THAT(commit({later}), ElementsAre(second));
  // What is still to come would be behind what was read.
  EXPECT_THAT(stanzas({.account = "ann@x"}), IsEmpty());
  EXPECT_EQ(ends("ann@x").last, std::nullopt);
  EXPECT_EQ(error({.account = "ann@x", .after = first}), Errc::not_found);
  EXPECT_EQ(error({.account = "ann@x", .after = second}), std::nullopt);
  taker.settle(second);
  EXPECT_THAT(stanzas({.account = "ann@x"}), IsEmpty());
  Append earlier = Letter{"earlier"};
  earlier.message.id = first;
  commit({earlier});
  taker.settle(first);
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("earlier", "later"));
  EXPECT_THAT(stanzas({.account = "ann@x", .after = first}), ElementsAre("later"));
}

TEST_P(ArchiveContract, AnIdThatIsNeverStoredIsNoObstacle) {
  MessageIds::Taker taker(store_->ids());
  const auto lost = taker.take();
  commit({Letter{"there"}});
  taker.settle(lost);
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("there"));
  EXPECT_EQ(error({.account = "ann@x", .after = lost}), Errc::not_found);
}

TEST_P(ArchiveContract, TheTailSaysWhatTheArchiveKeeps) {
  commit({Letter{.stanza = "kept", .undelivered = true},
          Letter{.stanza = "not", .for_owner = false, .undelivered = true}});
  const auto tail = loop_.get([&] { return store_->undelivered("ann@x", 0, 100); }).value();
  ASSERT_EQ(tail.size(), 2U);
  EXPECT_TRUE(tail[0].archived);
  EXPECT_FALSE(tail[1].archived);
}

TEST_P(ArchiveContract, KnowsARepeatBeforeItIsWritten) {
  EXPECT_FALSE(store_->repeats("mark", 1000));
  commit({Letter{.stanza = "x", .fingerprint = "mark"}});
  EXPECT_TRUE(store_->repeats("mark", 1000));
  EXPECT_TRUE(store_->repeats("mark", 1000 + kRepeatMs));
  EXPECT_FALSE(store_->repeats("mark", 1001 + kRepeatMs));
  EXPECT_FALSE(store_->repeats("other", 1000));
}

TEST_P(ArchiveContract, DoesNotStoreARepeatAgain) {
  const Letter letter{.stanza = "1", .stamp_ms = 1000, .undelivered = true, .fingerprint = "same"};
  const auto first = loop_.get([&] { return store_->commit({letter}); }).value();
  EXPECT_THAT(first.repeats, IsEmpty());
  auto later = letter;
  later.stamp_ms = 1000 + kRepeatMs;
  const auto again =
      loop_
          .get([&] {
            return store_->commit({Letter{.stanza = "2", .fingerprint = "other"}, later, Receive{7, 1, 0},
                                   Letter{.stanza = "3"}, Letter{.stanza = "3"}});
          })
          .value();
  ASSERT_EQ(again.appended.size(), 4U);
  EXPECT_THAT(again.repeats, ElementsAre(1U));
  EXPECT_EQ(again.appended[1], first.appended[0]);
  EXPECT_THAT(stanzas({.account = "ann@x"}), ElementsAre("1", "2", "3", "3"));
  EXPECT_THAT(tail("ann@x"), ElementsAre("1"));
  EXPECT_EQ(loop_.get([&] { return store_->session_counts(7); }).value()->received, 1U);
  later.stamp_ms += 1;
  const auto next_day = loop_.get([&] { return store_->commit({later, later}); }).value();
  EXPECT_THAT(next_day.repeats, ElementsAre(1U));
  EXPECT_GT(next_day.appended[0], again.appended[3]);
}

INSTANTIATE_TEST_SUITE_P(Drivers, ArchiveContract, testing::ValuesIn(kHarnesses),
                         [](const auto& harness) { return harness.param.name; });

}  // namespace
}  // namespace starling::storage
