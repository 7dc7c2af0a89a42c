#include "server/users/roster.h"

#include <gtest/gtest.h>

namespace starling::server {
namespace {

constexpr const char* kOwner = "juliet@example.org";

RosterItem item(std::string_view contact, std::string name = {}) {
  return {.contact = Jid::parse(contact).value(), .name = std::move(name), .listed = true};
}

// What a store would have after these batches.
class Stored {
 public:
  storage::Batch batch;
  Roster reload() {
    for (storage::Write& write : batch) {
      if (auto* put = std::get_if<storage::PutValue>(&write)) kinds_[put->kind][put->key] = put->value;
      if (auto* gone = std::get_if<storage::DeleteValue>(&write)) kinds_[gone->kind].erase(gone->key);
    }
    batch.clear();
    const auto entries = [&](std::string_view kind) {
      const auto& map = kinds_[std::string(kind)];
      return storage::Entries(map.begin(), map.end());
    };
    return Roster::load(entries(Roster::kKind), entries(Roster::kMetaKind));
  }

 private:
  std::map<std::string, std::map<std::string, std::string>> kinds_;
};

TEST(RosterTest, WhatIsStoredIsReadBack) {
  Stored stored;
  Roster roster;
  RosterItem romeo = item("romeo@example.net", "Romeo <&'\"> M\u00f6ntague");
  romeo.groups = {"Friends", "Verona & Mantua"};
  romeo.subscription = {.to = true, .from = true, .approved = false};
  EXPECT_TRUE(roster.put(kOwner, romeo, stored.batch));
  RosterItem asking = item("paris@example.net");
  asking.listed = false;
  asking.subscription.pending_in = true;
  asking.request = "<status>Please</status>";
  EXPECT_FALSE(roster.put(kOwner, asking, stored.batch));  // nobody sees a difference
  const Roster again = stored.reload();
  ASSERT_NE(again.find("romeo@example.net"), nullptr);
  EXPECT_EQ(again.find("romeo@example.net")->name, romeo.name);
  EXPECT_EQ(again.find("romeo@example.net")->groups, romeo.groups);
  EXPECT_TRUE(again.find("romeo@example.net")->subscription == romeo.subscription);
  EXPECT_EQ(again.find("paris@example.net")->request, asking.request);
  EXPECT_TRUE(again.find("paris@example.net")->subscription.pending_in);
  EXPECT_FALSE(again.find("paris@example.net")->listed);
  EXPECT_EQ(again.version(), 1U);
  EXPECT_EQ(again.listed_count(), 1U);
}

TEST(RosterTest, OnlyWhatTheUserSeesMakesANewVersion) {
  Stored stored;
  Roster roster;
  EXPECT_TRUE(roster.put(kOwner, item("romeo@example.net"), stored.batch));
  EXPECT_FALSE(roster.put(kOwner, item("romeo@example.net"), stored.batch));
  EXPECT_TRUE(roster.put(kOwner, item("romeo@example.net", "Romeo"), stored.batch));
  EXPECT_EQ(roster.version(), 2U);
}

TEST(RosterTest, ARemovedItemLeavesAMarkThatSurvives) {
  Stored stored;
  Roster roster;
  roster.put(kOwner, item("romeo@example.net", "Romeo"), stored.batch);
  RosterItem gone = *roster.find("romeo@example.net");
  gone.listed = false;
  EXPECT_TRUE(roster.put(kOwner, gone, stored.batch));
  const Roster again = stored.reload();
  ASSERT_NE(again.find("romeo@example.net"), nullptr);
  EXPECT_TRUE(again.find("romeo@example.net")->removed);
  EXPECT_EQ(again.find("romeo@example.net")->version, 2U);
  EXPECT_EQ(again.listed_count(), 0U);
  EXPECT_TRUE(again.knows(1));
}

TEST(RosterTest, CountsFollowWhatComesAndGoes) {
  Stored stored;
  Roster roster;
  for (int round = 0; round < 3; ++round) {
    RosterItem one = item("romeo@example.net");
    one.listed = false;
    one.subscription.pending_in = true;
    roster.put(kOwner, one, stored.batch);
    EXPECT_EQ(roster.pending_count(), 1U);
    EXPECT_EQ(roster.listed_count(), 0U);
    one.subscription = {.from = true};
    one.listed = true;
    roster.put(kOwner, one, stored.batch);
    EXPECT_EQ(roster.pending_count(), 0U);
    EXPECT_EQ(roster.listed_count(), 1U);
    one.subscription = {};
    one.listed = false;
    roster.put(kOwner, one, stored.batch);
    EXPECT_EQ(roster.listed_count(), 0U);
  }
}

TEST(RosterTest, MarksAreBoundedAndOldVersionsThenUnknown) {
  Stored stored;
  Roster roster;
  for (int i = 0; i < 300; ++i) {
    RosterItem one = item(fmt::format("c{}@example.net", i));
    roster.put(kOwner, one, stored.batch);
    one.listed = false;
    roster.put(kOwner, one, stored.batch);
  }
  const Roster again = stored.reload();
  EXPECT_LE(again.items().size(), 200U);
  EXPECT_FALSE(again.knows(1));
  EXPECT_TRUE(again.knows(again.version()));
  EXPECT_FALSE(again.knows(again.version() + 1));
}

TEST(RosterTest, ADamagedEntryDoesNotKeepTheOthersAway) {
  const Roster roster =
      Roster::load({{"romeo@example.net", "<item"}, {"nurse@example.net", "<item ver='1' listed='1'/>"}}, {});
  EXPECT_EQ(roster.find("romeo@example.net"), nullptr);
  EXPECT_EQ(roster.listed_count(), 1U);
}

TEST(RosterTest, ARequestThatWasAcceptedIsReadBackHoweverDeepItIs) {
  Stored stored;
  Roster roster;
  RosterItem asking = item("paris@example.net");
  asking.listed = false;
  asking.subscription.pending_in = true;
  for (int i = 0; i < 150; ++i) asking.request = "<a>" + asking.request + "</a>";
  roster.put(kOwner, asking, stored.batch);
  const Roster again = stored.reload();
  ASSERT_NE(again.find("paris@example.net"), nullptr);
  EXPECT_EQ(again.find("paris@example.net")->request, asking.request);
  EXPECT_EQ(again.pending_count(), 1U);
}

}  // namespace
}  // namespace starling::server
