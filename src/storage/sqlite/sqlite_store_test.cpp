// What is SQLite's own: the file, its schema, group commit, and what happens when the disk or the file is
// bad.
#include "storage/sqlite/sqlite_store.h"

#include <csignal>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "storage/sqlite/schema.h"
#include "support/temporary_directory.h"
#include "support/virtual_loop.h"

namespace starling::storage::sqlite {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CountingLoop : public VirtualLoop {
 public:
  void post(Job job) override {
    ++posts;
    VirtualLoop::post(std::move(job));
  }
  std::atomic<int> posts = 0;
};

class SqliteStoreTest : public testing::Test {
 protected:
  void open(std::span<const char* const> steps = schema()) {
    store_.reset();
    auto opened = SqliteStore::open(file_, steps);
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = std::move(*opened);
  }
  Error open_fails(std::span<const char* const> steps = schema()) {
    store_.reset();
    auto opened = SqliteStore::open(file_, steps);
    return opened ? Error{Errc::invalid, "it opened"} : opened.error();
  }
  Result<Committed> commit(Batch batch) {
    return loop_.get([&] { return store_->commit(std::move(batch)); });
  }
  std::vector<std::string> stanzas(const std::string& owner) {
    std::vector<std::string> texts;
    for (auto& message : loop_.get([&] { return store_->undelivered(owner, 0, 1000); }).value())
      texts.push_back(message.stanza);
    return texts;
  }
  std::vector<std::string> archived(const ArchiveQuery& query) {
    std::vector<std::string> texts;
    for (auto& message : loop_.get([&] { return store_->archive(query); }).value().messages)
      texts.push_back(message.stanza);
    return texts;
  }
  TailSize size(const std::string& owner) {
    return loop_.get([&] { return store_->undelivered_size(owner); }).value();
  }
  std::optional<std::string> value(const std::string& key) {
    return loop_.get([&] { return store_->value("ann@x", "k", key); }).value();
  }
  // Another connection to the same file, as a person with SQLite's shell has.
  Database& shell() {
    if (!shell_.is_open() && !shell_.open(file_, Database::Access::write))
      throw std::runtime_error("no shell");
    return shell_;
  }
  void sql(const std::string& text) {
    if (auto done = shell().execute(text); !done) throw std::runtime_error(done.error().message);
  }
  std::int64_t ask(const std::string& text) { return shell().integer(text).value(); }
  // The file without a log beside it.
  void close() {
    store_.reset();
    shell_.close();
  }

  CountingLoop loop_;
  TemporaryDirectory directory_;
  std::string file_ = directory_.file("test.db");
  std::unique_ptr<SqliteStore> store_;
  Database shell_;
};

Append message(std::string owner, std::string stanza) {
  return {{.owner = std::move(owner),
           .peer = "p@x",
           .stamp_ms = 1,
           .undelivered = true,
           .stanza = std::move(stanza)}};
}

// The limit on file sizes is a full disk as far as SQLite can tell.
class SmallDisk {
 public:
  explicit SmallDisk(std::uintmax_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit small = before_;
    small.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    (void)std::signal(SIGXFSZ, handler_);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

// Undelivered, in the archives of its owner and of p@x, and known by its words when it comes again.
Append kept(const std::string& owner, const std::string& stanza) {
  Append append = message(owner, stanza);
  append.for_owner = append.for_peer = true;
  append.fingerprint = std::to_string(std::hash<std::string>()(owner + stanza));
  return append;
}

TEST_F(SqliteStoreTest, KeepsEverythingOverReopening) {
  open();
  const Account ann{
      .jid = "ann@x", .sha1 = {"s", "k", "v", 1}, .sha256 = {"S", "K", "V", 2}, .created_at = 7};
  ASSERT_TRUE(commit({PutAccount{ann}, PutValue{"ann@x", "k", "a", "1"}, message("ann@x", "one"),
                      message("bob@x", "two"), message("ann@x", "three")}));
  open();
  EXPECT_EQ(loop_.get([&] { return store_->account("ann@x"); }).value(), ann);
  EXPECT_EQ(value("a"), "1");
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("one", "three"));
  EXPECT_THAT(stanzas("bob@x"), ElementsAre("two"));
  EXPECT_EQ(size("ann@x").messages, 2U);
  EXPECT_EQ(size("ann@x").bytes, 8U);
}

TEST_F(SqliteStoreTest, KeepsSessionsOverReopening) {
  open();
  const auto ids = commit({message("ann@x", "one"), message("ann@x", "two"), Receive{7, 3, 0},
                           Receive{7, 9, 5}, Sent{7, 2, 1}})
                       .value()
                       .appended;
  ASSERT_TRUE(commit({MarkSent{"ann@x", ids[1], 8, 2}, ForgetSession{6}}));
  open();
  const SessionCounts counts{.received = 3, .beyond = {{9, 5}}, .sent = 2, .lossy = 1};
  EXPECT_EQ(loop_.get([&] { return store_->session_counts(7); }).value(), counts);
  const auto tail = loop_.get([&] { return store_->undelivered("ann@x", 0, 9); }).value();
  ASSERT_EQ(tail.size(), 2U);
  EXPECT_EQ(tail[0].session, 0U);
  EXPECT_EQ(tail[1].session, 8U);
  EXPECT_EQ(tail[1].number, 2U);
  ASSERT_TRUE(commit({Receive{7, 5, 3}}));
  EXPECT_EQ(loop_.get([&] { return store_->session_counts(7); }).value()->received, 9U);
}

TEST_F(SqliteStoreTest, CountsNothingOfAGroupThatFailed) {
  open();
  ASSERT_TRUE(commit({Receive{7, 1, 0}}));
  {
    SmallDisk disk(std::filesystem::file_size(file_ + "-wal"));
    ASSERT_FALSE(commit({message("ann@x", std::string(100'000, 'x')), Receive{7, 2, 1}, Sent{8, 1, 1}}));
  }
  EXPECT_EQ(loop_.get([&] { return store_->session_counts(7); }).value(), (SessionCounts{.received = 1}));
  EXPECT_EQ(loop_.get([&] { return store_->session_counts(8); }).value(), std::nullopt);
  ASSERT_TRUE(commit({Receive{7, 3, 2}}));
  EXPECT_EQ(loop_.get([&] { return store_->session_counts(7); }).value(),
            (SessionCounts{.received = 1, .beyond = {{3, 2}}}));
}

TEST_F(SqliteStoreTest, BeginsASessionAnewWhoseRowMakesNoSense) {
  open();
  ASSERT_TRUE(commit({Receive{7, 1, 0}, Receive{8, 1, 0}}));
  close();
  sql("UPDATE session SET beyond=x'0102' WHERE id=7; UPDATE session SET received=-1 WHERE id=8");
  open();
  for (const std::uint64_t session : {7, 8})
    EXPECT_EQ(loop_.get([&] { return store_->session_counts(session); }).error().code, Errc::corrupt);
  ASSERT_TRUE(commit({Receive{7, 5, 4}, Sent{8, 1, 0}, message("ann@x", "1")}));
  EXPECT_EQ(loop_.get([&] { return store_->session_counts(7); }).value(),
            (SessionCounts{.beyond = {{5, 4}}}));
  EXPECT_EQ(loop_.get([&] { return store_->session_counts(8); }).value(), (SessionCounts{.sent = 1}));
}

// As version 1 made it: its tables were made by a program of then.
TEST_F(SqliteStoreTest, MigratesAFileOfTheFirstVersion) {
  ASSERT_TRUE(shell_.open(file_, Database::Access::create));
  sql("PRAGMA auto_vacuum=INCREMENTAL");
  sql(fmt::format("BEGIN; {}; PRAGMA application_id={}; PRAGMA user_version=1; COMMIT", schema()[0],
                  0x5374726c));
  sql("INSERT INTO message VALUES (3, 'ann@x', 'bob@x', 1700, 1, CAST('<message/>' AS BLOB));"
      "INSERT INTO value VALUES ('ann@x', 'k', 'a', '1'); UPDATE meta SET value=9");
  close();
  open();
  const auto tail = loop_.get([&] { return store_->undelivered("ann@x", 0, 9); }).value();
  EXPECT_THAT(tail, ElementsAre(ArchivedMessage{.id = 3,
                                                .owner = "ann@x",
                                                .peer = "bob@x",
                                                .stamp_ms = 1700,
                                                .undelivered = true,
                                                .stanza = "<message/>"}));
  EXPECT_EQ(value("a"), "1");
  EXPECT_GT(commit({message("ann@x", "new"), Receive{7, 1, 0}}).value().appended[0], 9U);
  EXPECT_TRUE(std::filesystem::exists(file_ + ".v1"));
}

TEST_F(SqliteStoreTest, MigratesAFileOfTheSecondVersion) {
  ASSERT_TRUE(shell_.open(file_, Database::Access::create));
  sql("PRAGMA auto_vacuum=INCREMENTAL");
  sql(fmt::format("BEGIN; {}; {}; PRAGMA application_id={}; PRAGMA user_version=2; COMMIT", schema()[0],
                  schema()[1], 0x5374726c));
  sql("INSERT INTO message VALUES (3, 'ann@x', 'bob@x', 1700, 1, 7, 2, CAST('one' AS BLOB)),"
      "(4, 'bob@x', 'ann@x', 1800, 1, 0, 0, CAST('two' AS BLOB)); UPDATE meta SET value=9");
  close();
  open();
  const auto tail = loop_.get([&] { return store_->undelivered("ann@x", 0, 9); }).value();
  EXPECT_THAT(tail, ElementsAre(ArchivedMessage{.id = 3,
                                                .owner = "ann@x",
                                                .peer = "bob@x",
                                                .stamp_ms = 1700,
                                                .undelivered = true,
                                                .stanza = "one",
                                                .session = 7,
                                                .number = 2}));
  EXPECT_THAT(stanzas("bob@x"), ElementsAre("two"));
  EXPECT_TRUE(archived({.account = "ann@x"}).empty());
  ASSERT_TRUE(commit({MarkOneDelivered{"ann@x", 3}}));
  EXPECT_EQ(ask("SELECT count(*) FROM message"), 1);
}

TEST_F(SqliteStoreTest, KeepsArchivesAndRepeatsOverReopening) {
  open();
  const auto ids = commit({kept("ann@x", "1"), kept("bob@x", "2"), kept("ann@x", "3")}).value().appended;
  ASSERT_TRUE(commit({MarkOneDelivered{"ann@x", ids[0]}, DeleteAccount{"bob@x"}}));
  open();
  EXPECT_THAT(archived({.account = "ann@x"}), ElementsAre("1", "3"));
  EXPECT_THAT(archived({.account = "p@x", .with = "bob@x"}), ElementsAre("2"));
  EXPECT_THAT(archived({.account = "p@x", .after = ids[1]}), ElementsAre("3"));
  EXPECT_TRUE(archived({.account = "bob@x"}).empty());
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("3"));
  const auto again = commit({kept("ann@x", "3")}).value();
  EXPECT_THAT(again.repeats, ElementsAre(0U));
  EXPECT_EQ(again.appended[0], ids[2]);
}

// More than one run, the store closed in the middle of it: the index goes on where the mark is, and what is
// asked for is there at all times, once.
TEST_F(SqliteStoreTest, IndexesBehindAndServesAllMeanwhile) {
  constexpr int kMessages = 50'000;
  const auto check = [&](const char* when) {
    SCOPED_TRACE(when);
    const auto all =
        loop_.get([&] { return store_->archive({.account = "p@x", .limit = kMessages + 1}); }).value();
    ASSERT_EQ(all.messages.size(), static_cast<std::size_t>(kMessages));
    for (int i = 0; i < kMessages; ++i)
      ASSERT_EQ(all.messages[static_cast<std::size_t>(i)].stanza, std::to_string(i));
    EXPECT_THAT(archived({.account = "user7@x"}).size(), kMessages / 1000);
    EXPECT_THAT(archived({.account = "p@x", .with = "user7@x", .limit = 2}), ElementsAre("7", "1007"));
    EXPECT_THAT(archived({.account = "p@x", .with = "user7@x", .limit = 2, .from_end = true}),
                ElementsAre("48007", "49007"));
    EXPECT_THAT(archived({.account = "p@x", .limit = 2, .from_end = true}), ElementsAre("49998", "49999"));
    EXPECT_EQ(loop_.get([&] { return store_->archive_ends("p@x"); }).value().messages, kMessages);
    EXPECT_EQ(size("user7@x").messages, kMessages / 1000U);
  };
  open();
  Batch batch;
  for (int i = 0; i < kMessages; ++i)
    batch.push_back(kept(fmt::format("user{}@x", i % 1000), std::to_string(i)));
  ASSERT_TRUE(commit(std::move(batch)));
  check("before");
  open();
  check("reopened");
  while (ask("SELECT value FROM meta WHERE name='indexed'") == 0) check("meanwhile");
  check("after");
  EXPECT_EQ(ask("SELECT count(*) FROM archive"), 2 * kMessages);
  EXPECT_EQ(ask("SELECT count(*) FROM correspondence"), 2 * kMessages);
  EXPECT_EQ(ask("SELECT sum(messages) FROM party"), 2 * kMessages);
  EXPECT_EQ(ask("SELECT count(*) FROM tail"), kMessages);
  open();
  check("again");
  ASSERT_TRUE(commit({MarkDelivered{"user7@x", std::numeric_limits<std::uint64_t>::max()}}));
  EXPECT_EQ(ask("SELECT count(*) FROM tail"), kMessages - kMessages / 1000);
  EXPECT_EQ(size("user7@x").messages, 0U);
}

// The mark never passes an id whose message is still to come, however long that takes.
TEST_F(SqliteStoreTest, IndexesUpToWhatIsNotSettled) {
  open();
  std::uint64_t late = 0;
  {
    MessageIds::Taker taker(store_->ids());
    ASSERT_TRUE(commit({kept("ann@x", "1")}));
    late = taker.take();
    ASSERT_TRUE(commit({kept("ann@x", "3"), Expire{}}));
    while (ask("SELECT count(*) FROM archive") != 2) std::this_thread::yield();
    EXPECT_LT(ask("SELECT value FROM meta WHERE name='indexed'"), static_cast<std::int64_t>(late));
    Append second = kept("ann@x", "2");
    second.message.id = late;
    ASSERT_TRUE(commit({second}));
    taker.settle(late);
    EXPECT_THAT(archived({.account = "ann@x"}), ElementsAre("1", "2", "3"));
  }
  open();
  EXPECT_THAT(archived({.account = "ann@x"}), ElementsAre("1", "2", "3"));
  ASSERT_TRUE(commit({Expire{}}));
  while (ask("SELECT count(*) FROM archive") != 6) std::this_thread::yield();
  EXPECT_THAT(archived({.account = "ann@x"}), ElementsAre("1", "2", "3"));
  EXPECT_THAT(archived({.account = "ann@x", .after = late}), ElementsAre("3"));
}

TEST_F(SqliteStoreTest, DeletesWhatNoArchiveKeeps) {
  open();
  Batch batch;
  for (int i = 0; i < 3000; ++i) batch.push_back(kept("ann@x", std::string(3000, 'm') + std::to_string(i)));
  const auto ids = commit(std::move(batch)).value().appended;
  ASSERT_TRUE(commit({MarkDelivered{"ann@x", ids.back()}, DeleteAccount{"ann@x"}}));
  EXPECT_EQ(ask("SELECT count(*) FROM message"), 3000);  // the other side's
  const auto full = ask("PRAGMA page_count");
  ASSERT_TRUE(commit({Expire{.before_ms = 100}}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (ask("PRAGMA page_count") > full / 2 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_LE(ask("PRAGMA page_count"), full / 2);
  for (const char* table : {"message", "archive", "correspondence", "sweep"})
    EXPECT_EQ(ask(fmt::format("SELECT count(*) FROM {}", table)), 0) << table;
  EXPECT_EQ(ask("SELECT sum(messages) + sum(bytes) FROM party"), 0);
}

// What was given an id and not stored is not in the archive: whoever pages from it is told so.
TEST_F(SqliteStoreTest, KnowsNoIdThatWasGivenAndNotStored) {
  open();
  const auto before = commit({kept("ann@x", "1")}).value().appended[0];
  {
    SmallDisk disk(std::filesystem::file_size(file_ + "-wal"));
    ASSERT_FALSE(commit({kept("ann@x", std::string(100'000, 'x')), kept("eve@x", "2")}));
  }
  const auto after = commit({kept("ann@x", "3"), kept("eve@x", "2")}).value();
  EXPECT_TRUE(after.repeats.empty());
  EXPECT_GT(after.appended[0], before + 1);
  EXPECT_THAT(archived({.account = "ann@x"}), ElementsAre("1", "3"));
  for (auto id = before + 1; id < after.appended[0]; ++id)
    EXPECT_EQ(loop_.get([&] { return store_->archive({.account = "ann@x", .after = id}); }).error().code,
              Errc::not_found);
}

TEST_F(SqliteStoreTest, GivesNoIdTwiceAfterReopening) {
  open();
  const auto first = commit({message("ann@x", "1"), message("ann@x", "2")}).value().appended;
  ASSERT_TRUE(commit({MarkDelivered{"ann@x", first[1]}}));
  open();
  EXPECT_EQ(ask("SELECT count(*) FROM message"), 0);
  EXPECT_GT(commit({message("ann@x", "3")}).value().appended[0], first[1]);
}

TEST_F(SqliteStoreTest, MakesTheFileAsItWasMeasured) {
  open();
  ASSERT_TRUE(commit({}));
  EXPECT_EQ(ask("PRAGMA page_size"), 4096);
  EXPECT_EQ(ask("PRAGMA auto_vacuum"), 2);
  EXPECT_EQ(ask("PRAGMA user_version"), static_cast<std::int64_t>(schema().size()));
  EXPECT_TRUE(std::filesystem::exists(file_ + "-wal"));
  const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
  EXPECT_EQ(std::filesystem::status(file_).permissions() & others, std::filesystem::perms::none);
  EXPECT_EQ(std::filesystem::status(file_ + "-wal").permissions() & others, std::filesystem::perms::none);
}

TEST_F(SqliteStoreTest, LeavesOneFileWhenClosed) {
  open();
  ASSERT_TRUE(commit({message("ann@x", "1")}));
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("1"));
  store_->close();
  EXPECT_FALSE(std::filesystem::exists(file_ + "-wal"));
  EXPECT_EQ(ask("SELECT count(*) FROM message"), 1);
}

// While another connection holds the file the first batch waits, and the others gather behind it.
TEST_F(SqliteStoreTest, CommitsWhatGathersTogetherAndAnswersOnce) {
  open();
  ASSERT_TRUE(commit({}));
  const auto before = store_->transactions();
  const int posts = loop_.posts;
  sql("BEGIN IMMEDIATE");
  int ended = 0;
  loop_.in_turn([&] {
    for (int i = 0; i < 100; ++i)
      spawn(store_->commit({message("ann@x", std::to_string(i))}), [&](Result<Committed> result) {
        EXPECT_TRUE(result);
        ++ended;
      });
  });
  sql("COMMIT");
  ASSERT_TRUE(loop_.run_until([&] { return ended == 100; }));
  const auto groups = store_->transactions() - before;
  EXPECT_LE(groups, 4U);
  EXPECT_EQ(loop_.posts - posts, static_cast<int>(groups));
  EXPECT_EQ(size("ann@x").messages, 100U);
}

TEST_F(SqliteStoreTest, RefusesWritesWhenTheDiskStandsStill) {
  open();
  sql("BEGIN IMMEDIATE");
  int written = 0;
  int refused = 0;
  const std::string large(std::size_t{8} << 20, 'x');
  loop_.in_turn([&] {
    for (int i = 0; i < 20; ++i)
      spawn(store_->commit({PutValue{"ann@x", "k", std::to_string(i), large}}),
            [&](Result<Committed> result) {
              ++(result ? written : refused);
              if (!result) EXPECT_EQ(result.error().code, Errc::unavailable);
            });
  });
  ASSERT_TRUE(loop_.run_until([&] { return refused > 0; }));
  sql("COMMIT");
  ASSERT_TRUE(loop_.run_until([&] { return written + refused == 20; }));
  EXPECT_GE(written, 7);
  EXPECT_TRUE(commit({message("ann@x", "after")}));
}

TEST_F(SqliteStoreTest, ServesOnAfterAWriteFailed) {
  open();
  const auto kept =
      commit({message("ann@x", "kept"), PutValue{"ann@x", "k", "a", "kept"}}).value().appended[0];
  {
    SmallDisk disk(std::filesystem::file_size(file_ + "-wal"));
    const auto failed =
        commit({message("ann@x", std::string(100'000, 'x')), PutValue{"ann@x", "k", "a", "lost"},
                MarkDelivered{"ann@x", kept}, DeleteAccount{"bob@x"}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Errc::io);
    EXPECT_THAT(failed.error().message, HasSubstr(file_));
  }
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("kept"));
  EXPECT_EQ(size("ann@x").bytes, 4U);
  EXPECT_EQ(value("a"), "kept");
  const auto later = commit({message("ann@x", "later")});
  ASSERT_TRUE(later);
  EXPECT_GT(later->appended[0], kept);
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("kept", "later"));
  open();
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("kept", "later"));
}

TEST_F(SqliteStoreTest, MigratesAnOlderVersionAndKeepsACopy) {
  open();
  ASSERT_TRUE(commit({PutValue{"ann@x", "k", "a", "1"}, message("ann@x", "old")}));
  const auto old_version = static_cast<std::int64_t>(schema().size());
  // The log of a server that was killed is still beside the file.
  close();
  sql("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; UPDATE value SET value='in the log'");

  std::vector<const char*> steps(schema().begin(), schema().end());
  steps.push_back("CREATE TABLE extra (x INTEGER) STRICT; INSERT INTO extra VALUES (1)");
  steps.push_back("UPDATE extra SET x=x+1");
  open(steps);
  EXPECT_EQ(value("a"), "in the log");
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("old"));
  EXPECT_TRUE(commit({message("ann@x", "new")}));
  EXPECT_EQ(ask("SELECT x FROM extra"), 2);
  EXPECT_EQ(ask("PRAGMA user_version"), old_version + 2);

  close();
  const std::string copy = fmt::format("{}.v{}", file_, old_version);
  ASSERT_TRUE(std::filesystem::exists(copy));
  file_ = copy;
  open();
  EXPECT_EQ(value("a"), "in the log");
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("old"));
}

TEST_F(SqliteStoreTest, LeavesTheDatabaseAsItWasWhenAMigrationFails) {
  open();
  ASSERT_TRUE(commit({message("ann@x", "old")}));
  std::vector<const char*> steps(schema().begin(), schema().end());
  steps.push_back("CREATE TABLE extra (x INTEGER) STRICT");
  steps.push_back("INSERT INTO no_such_table VALUES (1)");
  const auto failed = open_fails(steps);
  EXPECT_THAT(failed.message, HasSubstr(fmt::format("still of schema version {}", schema().size())));
  open();
  EXPECT_THAT(stanzas("ann@x"), ElementsAre("old"));
  EXPECT_EQ(ask("SELECT count(*) FROM sqlite_schema WHERE name='extra'"), 0);
}

TEST_F(SqliteStoreTest, MakesNoCopyOfANewFile) {
  std::ofstream(file_).close();  // an empty file is version 0
  open();
  EXPECT_TRUE(commit({message("ann@x", "1")}));
  EXPECT_FALSE(std::filesystem::exists(file_ + ".v0"));
}

TEST_F(SqliteStoreTest, RefusesANewerVersion) {
  open();
  close();
  const auto newer = schema().size() + 6;
  sql(fmt::format("PRAGMA user_version={}", newer));
  const auto refused = open_fails();
  EXPECT_EQ(refused.code, Errc::conflict);
  EXPECT_THAT(refused.message, HasSubstr(fmt::format("schema version {} ", newer)));
  EXPECT_THAT(refused.message, HasSubstr(fmt::format("versions up to {}:", schema().size())));
  EXPECT_THAT(refused.message, HasSubstr("run the newer program"));
}

TEST_F(SqliteStoreTest, RefusesAnotherProgramsDatabaseAndDoesNotTouchIt) {
  ASSERT_TRUE(shell_.open(file_, Database::Access::create));
  sql("CREATE TABLE theirs (x)");
  shell_.close();
  std::ifstream before(file_, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(before)), {});
  const auto refused = open_fails();
  EXPECT_EQ(refused.code, Errc::conflict);
  EXPECT_THAT(refused.message, HasSubstr("another program"));
  std::ifstream after(file_, std::ios::binary);
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(after)), {}), bytes);
}

TEST_F(SqliteStoreTest, SaysThatAFileIsNoDatabase) {
  std::ofstream(file_) << std::string(10'000, 'x');
  EXPECT_EQ(open_fails().code, Errc::corrupt);
}

TEST_F(SqliteStoreTest, SaysThatStoredDataIsCorrupt) {
  open();
  ASSERT_TRUE(commit({PutAccount{{.jid = "ann@x"}}, PutAccount{{.jid = "bob@x"}}, message("ann@x", "1")}));
  sql("UPDATE account SET sha256_iterations=-1 WHERE jid='ann@x'; UPDATE message SET owner=999");
  EXPECT_EQ(loop_.get([&] { return store_->account("ann@x"); }).error().code, Errc::corrupt);
  EXPECT_TRUE(loop_.get([&] { return store_->account("bob@x"); }));
  EXPECT_EQ(loop_.get([&] { return store_->undelivered("ann@x", 0, 1); }).error().code, Errc::corrupt);
  sql("DROP TABLE value");
  EXPECT_EQ(loop_.get([&] { return store_->values("ann@x", "k"); }).error().code, Errc::corrupt);
  EXPECT_EQ(commit({PutValue{"ann@x", "k", "a", "1"}}).error().code, Errc::corrupt);
  EXPECT_TRUE(commit({message("ann@x", "2")}));
}

TEST_F(SqliteStoreTest, RefusesIdsThatWereNeverGiven) {
  open();
  ASSERT_TRUE(commit({message("ann@x", "1")}));
  close();
  sql("UPDATE message SET id=-5");
  EXPECT_EQ(open_fails().code, Errc::corrupt);
  sql("UPDATE message SET id=9000000000000000000");
  EXPECT_EQ(open_fails().code, Errc::corrupt);
}

// Any byte of the file may be wrong: every call then ends, with a value or an error.
TEST_F(SqliteStoreTest, SurvivesPagesOfGarbage) {
  open();
  Batch batch;
  for (int i = 0; i < 50; ++i) {
    batch.push_back(message("ann@x", std::string(500, 'm')));
    batch.push_back(PutValue{"ann@x", "k", std::to_string(i), std::string(500, 'v')});
    batch.push_back(PutAccount{{.jid = fmt::format("u{}@x", i), .last_status = "here"}});
  }
  ASSERT_TRUE(commit(std::move(batch)));
  close();
  const auto whole = std::filesystem::file_size(file_);
  const std::string sound = file_ + ".sound";
  std::filesystem::copy_file(file_, sound);
  int errors = 0;
  for (std::uintmax_t page = 1; page < whole / 4096; ++page) {
    std::filesystem::copy_file(sound, file_, std::filesystem::copy_options::overwrite_existing);
    {
      std::fstream bytes(file_, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(static_cast<std::streamoff>(page * 4096));
      for (int i = 0; i < 4096; ++i) bytes.put(static_cast<char>(i * 131 + static_cast<int>(page)));
    }
    auto opened = SqliteStore::open(file_);
    if (!opened) {
      EXPECT_EQ(opened.error().code, Errc::corrupt) << opened.error().message;
      ++errors;
      continue;
    }
    store_ = std::move(*opened);
    const auto note = [&](const auto& result) {
      if (result) return;
      EXPECT_EQ(result.error().code, Errc::corrupt) << result.error().message;
      ++errors;
    };
    note(loop_.get([&] { return store_->values("ann@x", "k"); }));
    note(loop_.get([&] { return store_->undelivered("ann@x", 0, 100); }));
    note(loop_.get([&] { return store_->account("u7@x"); }));
    note(loop_.get([&] { return store_->accounts("x", "", 100); }));
    note(commit({PutValue{"ann@x", "k", "7", "new"}, DeleteAccount{"ann@x"}, PutAccount{{.jid = "u7@x"}}}));
    store_.reset();
  }
  EXPECT_GT(errors, 0);
}

// Nothing tells when the writer has tidied up, so this asks the file until it has shrunk.
TEST_F(SqliteStoreTest, GivesSpaceBackWhenIdle) {
  open();
  Batch batch;
  for (int i = 0; i < 4000; ++i) batch.push_back(message("ann@x", std::string(4000, 'm')));
  const auto ids = commit(std::move(batch)).value().appended;
  const auto full = ask("PRAGMA page_count");
  ASSERT_TRUE(commit({MarkDelivered{"ann@x", ids.back()}}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (ask("PRAGMA page_count") > full / 2 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_LE(ask("PRAGMA page_count"), full / 2);
}

}  // namespace
}  // namespace starling::storage::sqlite
