#include "support/module_bench.h"

namespace starling::modules {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// R106; the listings are those of its source S4.
class RegistrationTest : public Bench {
 protected:
  RegistrationTest() { config_.registration.open = true; }

  static std::string query(std::string_view content) {
    return fmt::format("<query xmlns='jabber:iq:register'>{}</query>", content);
  }
  std::string add(std::string_view content, std::string_view address = "192.0.2.1") {
    return guest(fmt::format("<iq type='set' id='reg2'>{}</iq>", query(content)), address);
  }
  std::string add(std::string_view username, std::string_view password, std::string_view address) {
    return add(fmt::format("<username>{}</username><password>{}</password>", username, password), address);
  }
  std::optional<storage::Account> stored(std::string_view bare) {
    return *loop_.get([&] { return store_.account(std::string(bare)); });
  }
  std::string extra(std::string_view bare, std::string_view field) {
    return loop_.get([&] { return store_.value(std::string(bare), "registration", std::string(field)); })
        ->value_or("");
  }
  // As if logged in.
  void make(std::string_view bare) {
    ASSERT_TRUE(loop_.get([&] { return accounts_.add(jid(bare), "old"); }));
  }
};

constexpr std::string_view kAccepted = "<iq type='result' id='reg2'/>";

TEST_F(RegistrationTest, listings_10_and_11_the_fields) {
  config_.registration.fields = {"email"};
  EXPECT_EQ(
      guest("<iq type='get' id='reg1' to='example.org'><query xmlns='jabber:iq:register'/></iq>"),
      "<iq type='result' id='reg1' from='example.org'><query xmlns='jabber:iq:register'><instructions>"
      "Choose a username and password for use with this service.\nPlease also provide your email address."
      "</instructions><username/><password/><email/></query></iq>");
  config_.registration.fields = {};
  EXPECT_EQ(guest("<iq type='get' id='reg1'><query xmlns='jabber:iq:register'/></iq>"),
            "<iq type='result' id='reg1'><query xmlns='jabber:iq:register'><instructions>"
            "Choose a username and password for use with this "
            "service.</instructions><username/><password/></query></iq>");
}

TEST_F(RegistrationTest, listings_12_and_13_a_new_account) {
  config_.registration.fields = {"email"};
  EXPECT_EQ(add("<username>Bill</username><password>Calliope</password><email>bard@shakespeare.lit</email>"),
            kAccepted);
  ASSERT_TRUE(stored("bill@example.org"));
  EXPECT_FALSE(stored("bill@example.org")->sha256.stored_key.empty());
  EXPECT_EQ(extra("bill@example.org", "email"), "bard@shakespeare.lit");
}

TEST_F(RegistrationTest, too_few_fields_are_not_acceptable) {
  config_.registration.fields = {"email"};
  for (const std::string_view content :
       {"", "<username>bill</username><password>Calliope</password>",
        "<username>bill</username><email>a@b</email>", "<password>Calliope</password><email>a@b</email>",
        "<username>bill</username><password>Calliope</password><email/>",
        "<username>bill</username><password/><email>a@b</email>"})
    EXPECT_THAT(add(content), HasSubstr("<not-acceptable")) << content;
  EXPECT_FALSE(stored("bill@example.org"));
}

TEST_F(RegistrationTest, a_name_that_is_no_name_is_not_acceptable) {
  for (const std::string_view name : {"bill gates", "a@b", "a/b", "&quot;", "  "})
    EXPECT_THAT(add(name, "x", "192.0.2.1"), HasSubstr("<not-acceptable")) << name;
}

TEST_F(RegistrationTest, a_taken_name_is_a_conflict_and_stays_as_it_was) {
  config_.registration.fields = {"email"};
  EXPECT_EQ(add("<username>bill</username><password>one</password><email>a@b</email>"), kAccepted);
  const auto before = stored("bill@example.org");
  EXPECT_THAT(
      add("<username>BILL</username><password>two</password><email>evil@b</email>"),
      testing::AllOf(HasSubstr("<conflict"), HasSubstr("type='error' id='reg2'"), Not(HasSubstr("two"))));
  EXPECT_EQ(stored("bill@example.org"), before);
  EXPECT_EQ(extra("bill@example.org", "email"), "a@b");
}

TEST_F(RegistrationTest, the_stream_feature_stands_only_where_it_helps) {
  EXPECT_THAT(features(false), HasSubstr("<register xmlns='http://jabber.org/features/iq-register'/>"));
  EXPECT_THAT(features(true), Not(HasSubstr("iq-register")));
  config_.registration.open = false;
  EXPECT_THAT(features(false), Not(HasSubstr("iq-register")));
}

TEST_F(RegistrationTest, closed_registration_says_so_and_the_stream_lives) {
  config_.registration.open = false;
  EXPECT_THAT(guest("<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>"),
              HasSubstr("<service-unavailable"));
  EXPECT_THAT(add("bill", "x", "192.0.2.1"), HasSubstr("<not-allowed"));
  EXPECT_FALSE(stored("bill@example.org"));
}

TEST_F(RegistrationTest, claims_nothing_else) {
  EXPECT_EQ(guest("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>"), "<!unclaimed>");
  EXPECT_EQ(guest("<iq type='result' id='r'><query xmlns='jabber:iq:register'/></iq>"), "<!unclaimed>");
  EXPECT_EQ(guest("<message><query xmlns='jabber:iq:register'/></message>"), "<!unclaimed>");
  EXPECT_EQ(guest("<iq type='get' id='r'/>"), "<!unclaimed>");
}

TEST_F(RegistrationTest, a_request_without_id_or_to_somebody_else_is_an_error) {
  EXPECT_THAT(guest("<iq type='get'><query xmlns='jabber:iq:register'/></iq>"), HasSubstr("<bad-request"));
  EXPECT_THAT(guest("<iq type='get' id='r' to='example.com'><query xmlns='jabber:iq:register'/></iq>"),
              HasSubstr("<service-unavailable"));
}

TEST_F(RegistrationTest, an_address_makes_only_so_many_accounts_an_hour) {
  config_.limits.accounts_per_address = 2;
  EXPECT_EQ(add("a", "x", "192.0.2.1"), kAccepted);
  EXPECT_THAT(add("a", "x", "192.0.2.1"), HasSubstr("<conflict")) << "does not count";
  EXPECT_EQ(add("b", "x", "192.0.2.1"), kAccepted);
  EXPECT_THAT(add("c", "x", "192.0.2.1"),
              testing::AllOf(HasSubstr("<not-acceptable"), HasSubstr("type='wait'")));
  EXPECT_EQ(add("c", "x", "192.0.2.2"), kAccepted);
  EXPECT_EQ(add("v6a", "x", "2001:db8::1"), kAccepted);
  EXPECT_EQ(add("v6b", "x", "2001:db8::2"), kAccepted);
  EXPECT_THAT(add("v6c", "x", "2001:db8::3"), HasSubstr("<not-acceptable")) << "of the same network";
  EXPECT_EQ(add("v6c", "x", "2001:db8:0:1::3"), kAccepted);
  config_.limits.rate = false;
  EXPECT_EQ(add("d", "x", "192.0.2.1"), kAccepted);
  config_.limits.rate = true;
  loop_.advance(std::chrono::hours(1));
  EXPECT_EQ(add("e", "x", "192.0.2.1"), kAccepted);
}

TEST_F(RegistrationTest, who_is_logged_in_is_registered) {
  config_.registration.fields = {"email"};
  add("<username>bill</username><password>Calliope</password><email>bard@shakespeare.lit</email>");
  for (const std::string_view to : {"example.org", "", "bill@example.org"}) {
    const auto form = get("bill@example.org/globe", to, query(""));
    EXPECT_THAT(form, HasSubstr("<registered/>")) << to;
    EXPECT_THAT(form, HasSubstr("<username>bill</username><password/><email>bard@shakespeare.lit</email>"));
  }
  EXPECT_EQ(get("bill@example.com/globe", "example.org", query("")), "<!service-unavailable>");
}

TEST_F(RegistrationTest, listings_14_and_15_the_end_of_an_account) {
  make("bill@example.org");
  EXPECT_EQ(set("bill@example.org/globe", "", query("<remove/>")), "");
  EXPECT_THAT(removed_, ElementsAre("bill@example.org"));
}

TEST_F(RegistrationTest, remove_stands_alone_and_is_for_ones_own_account) {
  make("bill@example.org");
  EXPECT_EQ(set("bill@example.org/globe", "", query("<remove/><username>bill</username>")), "<!bad-request>");
  EXPECT_EQ(set("iago@example.org/globe", "bill@example.org", query("<remove/>")), "<!refused>");
  EXPECT_EQ(set("bill@example.com/globe", "example.org", query("<remove/>")), "<!not-allowed>");
  EXPECT_THAT(removed_, testing::IsEmpty());
}

TEST_F(RegistrationTest, a_new_password_ends_the_other_sessions) {
  config_.registration.open = false;
  make("bill@example.org");
  auto& here = session("bill@example.org/globe");
  auto& there = session("bill@example.org/tavern");
  const auto before = stored("bill@example.org");
  EXPECT_EQ(set("bill@example.org/globe", "example.org",
                query("<username>bill</username><password>newpass</password>")),
            "");
  EXPECT_NE(stored("bill@example.org")->sha1, before->sha1);
  EXPECT_NE(stored("bill@example.org")->sha256, before->sha256);
  EXPECT_FALSE(here.ended);
  EXPECT_EQ(there.ended, StreamCondition::reset);
}

TEST_F(RegistrationTest, a_password_change_that_is_incomplete_or_not_ones_own_changes_nothing) {
  make("bill@example.org");
  make("will@example.org");
  const auto bill = stored("bill@example.org"), will = stored("will@example.org");
  const auto change = [&](std::string_view content) {
    return set("bill@example.org/globe", "", query(content));
  };
  EXPECT_EQ(change("<username>bill</username><password/>"), "<!bad-request>");
  EXPECT_EQ(change("<password>newpass</password>"), "<!bad-request>");
  EXPECT_EQ(change("<username>will</username><password>newpass</password>"), "<!not-allowed>");
  EXPECT_EQ(stored("bill@example.org"), bill);
  EXPECT_EQ(stored("will@example.org"), will);
}

}  // namespace
}  // namespace starling::modules
