#include "stream/sasl/mechanism.h"

#include <gtest/gtest.h>

#include "stream/sasl/detail.h"

namespace starling::sasl {
namespace {

using namespace std::string_literals;

TEST(Failure, NamesGoBothWays) {
  for (int i = 0; i <= static_cast<int>(Failure::temporary_auth_failure); ++i) {
    const auto failure = static_cast<Failure>(i);
    EXPECT_EQ(parse_failure(to_string(failure)), failure);
  }
  EXPECT_EQ(to_string(Failure::aborted), "aborted");
  EXPECT_EQ(to_string(Failure::mechanism_too_weak), "mechanism-too-weak");
  EXPECT_EQ(to_string(Failure::temporary_auth_failure), "temporary-auth-failure");
  EXPECT_EQ(parse_failure("bad-protocol"), std::nullopt);
}

TEST(Mechanisms, AreListedStrongestFirst) {
  const auto table = standard_mechanisms();
  std::vector<std::string_view> names;
  for (const auto& mechanism : table) names.push_back(mechanism.name);
  EXPECT_EQ(names, (std::vector<std::string_view>{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
                                                  "SCRAM-SHA-1", "PLAIN"}));
  EXPECT_TRUE(std::ranges::is_sorted(table, std::greater(), &Mechanism::strength));
  EXPECT_TRUE(table.back().needs_encryption);
  EXPECT_TRUE(table[0].binds_channel && table[1].binds_channel);
}

TEST(DecoyKeys, AreStableAndLookReal) {
  const auto real = derive_keys(crypto::Hash::sha256, "x", crypto::random_bytes(kSaltBytes));
  const auto decoy = decoy_keys(crypto::Hash::sha256, "secret", "nobody@example.org");
  EXPECT_EQ(decoy.salt, decoy_keys(crypto::Hash::sha256, "secret", "nobody@example.org").salt);
  EXPECT_EQ(decoy.salt.size(), real.salt.size());
  EXPECT_EQ(decoy.iterations, real.iterations);
  EXPECT_EQ(decoy.stored_key.size(), real.stored_key.size());
  EXPECT_NE(decoy.salt, decoy_keys(crypto::Hash::sha256, "another", "nobody@example.org").salt);
  EXPECT_NE(decoy.salt, decoy_keys(crypto::Hash::sha256, "secret", "other@example.org").salt);
  EXPECT_NE(decoy.salt, decoy_keys(crypto::Hash::sha1, "secret", "nobody@example.org").salt);
}

Step plain(std::optional<std::string> message) {
  auto server = plain_server({.encrypted = true, .domain = "example.org"});
  return message ? server->respond(*message) : server->respond(std::nullopt);
}
std::string failure(const Step& step) {
  const auto* failed = std::get_if<Failed>(&step);
  return failed != nullptr ? std::string(to_string(failed->condition)) : "none";
}

TEST(PlainServer, AsksWhetherThePasswordFits) {
  for (const auto& message : {"\0tim\0tanstaaf"s, "tim@example.org\0tim\0tanstaaf"s, "\0TIM\0tanstaaf"s}) {
    const auto step = plain(message);
    ASSERT_TRUE(std::holds_alternative<NeedCheck>(step)) << message;
    EXPECT_EQ(std::get<NeedCheck>(step).account.text(), "tim@example.org");
    EXPECT_EQ(std::get<NeedCheck>(step).password, "tanstaaf");
  }
}

TEST(PlainServer, AsksForAMissingMessage) {
  auto server = plain_server({.encrypted = true, .domain = "example.org"});
  EXPECT_TRUE(std::holds_alternative<Challenge>(server->respond(std::nullopt)));
  EXPECT_TRUE(std::holds_alternative<NeedCheck>(server->respond("\0tim\0tanstaaf"s)));
}

TEST(PlainServer, NobodyActsAsSomebodyElse) {  // RFC 4616 section 4, second example; RFC 6120 6.3.8
  for (const auto* authzid :
       {"bob@example.org", "tim@other.example", "tim", "tim@example.org/phone", "example.org", "@"})
    EXPECT_EQ(failure(plain(authzid + "\0tim\0tanstaaf"s)), "invalid-authzid") << authzid;
}

TEST(PlainServer, RefusesMalformedMessages) {
  for (const auto& message :
       {""s, "tim"s, "\0tim"s, "\0tim\0"s, "\0\0password"s, "\0tim\0pass\0word"s, "\0\0"s})
    EXPECT_EQ(failure(plain(message)), "malformed-request");
}

TEST(PlainServer, ANameThatIsNoAddressFailsLikeAWrongPassword) {
  for (const auto* name : {"a b", "a@b", "\xff"}) {
    const auto step = plain("\0"s + name + "\0x"s);
    EXPECT_EQ(failure(step), "not-authorized");
    EXPECT_EQ(std::get<Failed>(step).text, "");
  }
  EXPECT_EQ(failure(plain("\0tim\0\xff"s)), "not-authorized");
}

TEST(PlainServer, TellsOfADisabledAccountOnlyAfterTheRightPassword) {
  const auto outcome = [](bool right, bool disabled) {
    auto server = plain_server({.encrypted = true, .domain = "example.org"});
    server->respond("\0tim\0tanstaaf"s);
    return server->checked(right, disabled);
  };
  EXPECT_TRUE(std::holds_alternative<Success>(outcome(true, false)));
  EXPECT_EQ(failure(outcome(false, false)), "not-authorized");
  EXPECT_EQ(failure(outcome(false, true)), "not-authorized");
  EXPECT_EQ(failure(outcome(true, true)), "account-disabled");
}

TEST(PlainClient, SendsOneMessage) {
  auto client = plain_client({Jid::parse("tim@example.org").value(), "tanstaaf"});
  EXPECT_EQ(client->initial().value(), "\0tim\0tanstaaf"s);
  EXPECT_FALSE(client->respond(""));
  EXPECT_TRUE(client->verify(""));
}

}  // namespace
}  // namespace starling::sasl
