#include "stream/sasl/scram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::sasl {
namespace {

using testing::StartsWith;

constexpr ScramVariant kSha1{crypto::Hash::sha1, false}, kSha1Plus{crypto::Hash::sha1, true};
constexpr ScramVariant kSha256{crypto::Hash::sha256, false}, kSha256Plus{crypto::Hash::sha256, true};

Jid user() { return Jid::parse("user@example.org").value(); }
Channel channel(std::string_view exporter = {}, bool offered = false) {
  return {.encrypted = true,
          .domain = "example.org",
          .bindings = {.tls_exporter = std::string(exporter), .tls_server_end_point = {}},
          .binding_type = "tls-exporter",
          .binding_offered = offered};
}
ScramKeys keys(crypto::Hash hash, std::string_view password = "pencil") {
  return derive_keys(hash, password, "sixteen bytes of");
}

std::string kind(const Step& step) {
  struct {
    std::string operator()(const Challenge& c) const { return "challenge " + c.data; }
    std::string operator()(const NeedKeys& n) const { return "keys " + n.account.text(); }
    std::string operator()(const NeedCheck&) const { return "check"; }
    std::string operator()(const Success& s) const { return "success " + s.account.text(); }
    std::string operator()(const Failed& f) const { return std::string(to_string(f.condition)); }
  } text;
  return std::visit(text, step);
}

struct Vector {
  ScramVariant variant;
  std::string client_nonce, server_nonce, salt, client_first, server_first, client_final, server_final;
};

class ScramVectors : public testing::TestWithParam<Vector> {};

TEST_P(ScramVectors, BothSidesSpeakIt) {
  const auto& v = GetParam();
  auto client = scram_client(v.variant, {.domain = "example.org"}, {user(), "pencil"}, false, v.client_nonce);
  auto server = scram_server(v.variant, {.domain = "example.org"}, v.server_nonce);

  EXPECT_EQ(client->initial().value(), v.client_first);
  EXPECT_EQ(kind(server->respond(v.client_first)), "keys user@example.org");
  const auto first =
      server->keys(derive_keys(v.variant.hash, "pencil", *crypto::base64_decode(v.salt)), true, false);
  EXPECT_EQ(kind(first), "challenge " + v.server_first);
  EXPECT_EQ(client->respond(v.server_first).value(), v.client_final);
  auto last = server->respond(v.client_final);
  ASSERT_TRUE(std::holds_alternative<Success>(last)) << kind(last);
  EXPECT_EQ(std::get<Success>(last).data, v.server_final);
  EXPECT_TRUE(client->verify(v.server_final));
}

INSTANTIATE_TEST_SUITE_P(
    Rfcs, ScramVectors,
    testing::Values(
        Vector{kSha1, "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j",
               "QSXCR+Q6sek8bf92",  // RFC 5802 section 5
               "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
               "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
               "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
               "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
        Vector{kSha256, "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",  // RFC 7677 section 3
               "W22ZaJ0SNY7soEsUEjb6gQ==", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
               "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
               "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+"
               "Ute9ytag9zjfMHgsqmmiz7AndVQ=",
               "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="}),
    [](const auto& test) { return test.param.variant.hash == crypto::Hash::sha1 ? "Rfc5802" : "Rfc7677"; });

TEST(Scram, NoncesAreLongAndFresh) {
  EXPECT_GE(fresh_nonce().size(), 32U);
  EXPECT_NE(fresh_nonce(), fresh_nonce());
}

// What the server says to a first message.
std::string first(std::string_view message, ScramVariant variant = kSha256, const Channel& on = channel()) {
  return kind(scram_server(variant, on)->respond(message));
}

TEST(ScramServer, ReadsTheFirstMessage) {
  EXPECT_EQ(first("n,,n=user,r=abc"), "keys user@example.org");
  EXPECT_EQ(first("n,,n=user,r=abc,x=ignored"), "keys user@example.org");
  EXPECT_EQ(first("n,a=user@example.org,n=user,r=abc"), "keys user@example.org");
  EXPECT_EQ(first("n,,n=USER,r=abc"), "keys user@example.org");  // prepared like every localpart
  EXPECT_EQ(first("n,,n=a=3Db,r=abc"), "keys a=b@example.org");
  EXPECT_EQ(first("n,,n=a=2Cb,r=abc"), "keys a,b@example.org");
}

TEST(ScramServer, AsksForAMissingFirstMessage) {
  auto server = scram_server(kSha256, channel());
  EXPECT_EQ(kind(server->respond(std::nullopt)), "challenge ");
  EXPECT_EQ(kind(server->respond("n,,n=user,r=abc")), "keys user@example.org");
}

TEST(ScramServer, RefusesMalformedFirstMessages) {
  for (const std::string_view message : {"",
                                         "n",
                                         "n,",
                                         "n,,",
                                         "n,,n=user",
                                         "n,,r=abc,n=user",
                                         "n,,n=,r=abc",
                                         "n,,n=user,r=",
                                         "n,,n=user,r=a b",
                                         "x,,n=user,r=abc",
                                         "n,b=user,n=user,r=abc",
                                         "n,a=,n=user,r=abc",
                                         "n,,m=ext,n=user,r=abc",
                                         "n,,n=user,r=abc,m=ext",
                                         "n,,n=us=er,r=abc",
                                         "n,,n=user=2c,r=abc",
                                         "n,,n=user=2,r=abc",
                                         "n,,n=user=,r=abc",
                                         "n,,n=user,r=abc,",
                                         "n,,n=user,r=abc,1=x",
                                         "N,,n=user,r=abc"})
    EXPECT_EQ(first(message), "malformed-request") << message;
  EXPECT_EQ(first(std::string_view("n,,n=us\0er,r=abc", 16)), "malformed-request");
}

TEST(ScramServer, NobodyActsAsSomebodyElse) {
  for (const std::string_view authzid :
       {"bob@example.org", "user@other.example", "user", "user@example.org/x", "example.org", "@"})
    EXPECT_EQ(first(fmt::format("n,a={},n=user,r=abc", authzid)), "invalid-authzid") << authzid;
}

TEST(ScramServer, ANameThatIsNoAddressFailsLikeAWrongPassword) {
  for (const std::string_view name : {"a b", "a@b", "a/b", "\xff\xfe", "<"}) {
    const auto step = scram_server(kSha256, channel())->respond(fmt::format("n,,n={},r=abc", name));
    ASSERT_EQ(kind(step), "not-authorized") << name;
    EXPECT_EQ(std::get<Failed>(step).text, "");
  }
}

TEST(ScramServer, ChannelBindingFlags) {  // RFC 5802 section 6
  EXPECT_EQ(first("y,,n=user,r=abc"), "keys user@example.org");
  EXPECT_EQ(first("y,,n=user,r=abc", kSha256, channel("ekm", true)), "not-authorized");  // a downgrade
  EXPECT_EQ(first("n,,n=user,r=abc", kSha256, channel("ekm", true)), "keys user@example.org");
  EXPECT_EQ(first("p=tls-exporter,,n=user,r=abc", kSha256, channel("ekm", true)), "malformed-request");
  EXPECT_EQ(first("p=tls-exporter,,n=user,r=abc", kSha256Plus, channel("ekm", true)),
            "keys user@example.org");
  EXPECT_EQ(first("p=tls-unique,,n=user,r=abc", kSha256Plus, channel("ekm", true)), "not-authorized");
  EXPECT_EQ(first("n,,n=user,r=abc", kSha256Plus, channel("ekm", true)), "malformed-request");
  EXPECT_EQ(first("y,,n=user,r=abc", kSha1Plus, channel("ekm", true)), "malformed-request");
}

// A whole exchange; `edit` may change the client's final message.
template <class Edit>
Step exchange(ScramVariant variant, const Channel& server_channel, const Channel& client_channel, Edit edit,
              std::string_view password = "pencil", bool exists = true, bool disabled = false) {
  auto client =
      scram_client(variant, client_channel, {user(), std::string(password)}, server_channel.binding_offered);
  auto server = scram_server(variant, server_channel);
  server->respond(client->initial().value());
  const auto stored = exists ? keys(variant.hash) : decoy_keys(variant.hash, "secret", "user@example.org");
  auto challenge = server->keys(stored, exists, disabled);
  std::string final = client->respond(std::get<Challenge>(challenge).data).value();
  edit(final);
  return server->respond(final);
}
const auto kAsIs = [](std::string&) {};

TEST(ScramServer, PasswordsRightAndWrong) {
  for (const auto variant : {kSha1, kSha256}) {
    EXPECT_EQ(kind(exchange(variant, channel(), channel(), kAsIs)), "success user@example.org");
    EXPECT_EQ(kind(exchange(variant, channel(), channel(), kAsIs, "wrong")), "not-authorized");
  }
}

TEST(ScramServer, UnknownUserAndWrongPasswordAreAlike) {
  const auto wrong = exchange(kSha256, channel(), channel(), kAsIs, "wrong");
  const auto unknown = exchange(kSha256, channel(), channel(), kAsIs, "pencil", false);
  EXPECT_EQ(kind(wrong), "not-authorized");
  EXPECT_EQ(kind(unknown), "not-authorized");
  EXPECT_EQ(std::get<Failed>(wrong).text, std::get<Failed>(unknown).text);
}

TEST(ScramServer, ADisabledAccountIsToldOnlyAfterTheProof) {
  EXPECT_EQ(kind(exchange(kSha256, channel(), channel(), kAsIs, "pencil", true, true)), "account-disabled");
  EXPECT_EQ(kind(exchange(kSha256, channel(), channel(), kAsIs, "wrong", true, true)), "not-authorized");
}

TEST(ScramServer, BindsTheChannel) {
  for (const auto variant : {kSha1Plus, kSha256Plus}) {
    EXPECT_EQ(kind(exchange(variant, channel("ekm", true), channel("ekm"), kAsIs)),
              "success user@example.org");
    EXPECT_EQ(kind(exchange(variant, channel("ekm", true), channel("another"), kAsIs)),
              "not-authorized");  // somebody between
  }
}

TEST(ScramServer, BindsToWhatTheClientChose) {
  const auto with = [](std::string_view exporter, std::string_view end_point, std::string_view type) {
    return Channel{.encrypted = true,
                   .domain = "example.org",
                   .bindings = {std::string(exporter), std::string(end_point)},
                   .binding_type = type,
                   .binding_offered = true};
  };
  const Channel server = with("ekm", "hash", {});
  EXPECT_EQ(kind(exchange(kSha256Plus, server, with("", "hash", "tls-server-end-point"), kAsIs)),
            "success user@example.org");
  EXPECT_EQ(kind(exchange(kSha256Plus, server, with("ekm", "", "tls-exporter"), kAsIs)),
            "success user@example.org");
  EXPECT_EQ(kind(exchange(kSha256Plus, server, with("", "another", "tls-server-end-point"), kAsIs)),
            "not-authorized");
  EXPECT_EQ(kind(exchange(kSha256Plus, server, with("", "ekm", "tls-server-end-point"), kAsIs)),
            "not-authorized");  // the data of the other type
  // A type that is known and not valid on this channel is no better than an unknown one.
  EXPECT_EQ(first("p=tls-server-end-point,,n=user,r=abc", kSha256Plus, with("ekm", "", {})),
            "not-authorized");
  EXPECT_EQ(first("p=tls-exporter,,n=user,r=abc", kSha256Plus, with("", "hash", {})), "not-authorized");
  EXPECT_EQ(first("p=,,n=user,r=abc", kSha256Plus, server), "not-authorized");
}

TEST(ScramServer, ChecksTheFinalMessage) {
  const auto edited = [](auto edit) { return kind(exchange(kSha256, channel(), channel(), edit)); };
  EXPECT_EQ(edited([](std::string& m) { m.replace(0, 6, "c=eSws"); }),
            "not-authorized");  // another gs2 header
  EXPECT_EQ(edited([](std::string& m) { m.insert(m.find(",p="), "x"); }), "not-authorized");  // another nonce
  EXPECT_EQ(edited([](std::string& m) { m.insert(m.find(",p="), ",m=x"); }), "malformed-request");
  EXPECT_EQ(edited([](std::string& m) { m.insert(m.find(",p="), ",x=y"); }),
            "not-authorized");  // part of what is proven
  EXPECT_EQ(edited([](std::string& m) { m.resize(m.find(",p=")); }), "malformed-request");
  EXPECT_EQ(edited([](std::string& m) { m += ",x=y"; }), "malformed-request");
  EXPECT_EQ(edited([](std::string& m) { m.resize(m.size() - 1); }), "malformed-request");
  EXPECT_EQ(edited([](std::string& m) { m.replace(m.find(",p="), std::string::npos, ",p=AAAA"); }),
            "not-authorized");
  EXPECT_EQ(edited([](std::string& m) { m.replace(m.find(",p="), std::string::npos, ",p="); }),
            "not-authorized");
  EXPECT_EQ(edited([](std::string& m) { m.clear(); }), "malformed-request");
}

TEST(ScramServer, WantsItsOwnNonceBack) {  // a proof that is right in itself, for another exchange
  auto server = scram_server(kSha256, channel(), "server");
  server->respond("n,,n=user,r=abc");
  const auto stored = keys(crypto::Hash::sha256);
  const auto challenge = std::get<Challenge>(server->keys(stored, true, false)).data;
  const auto salted = crypto::pbkdf2(crypto::Hash::sha256, "pencil", stored.salt, stored.iterations);
  const auto client_key = crypto::hmac(crypto::Hash::sha256, salted, "Client Key");
  const auto final = [&](std::string_view nonce) {
    const auto without_proof = fmt::format("c=biws,r={}", nonce);
    const auto signature = crypto::hmac(crypto::Hash::sha256, stored.stored_key,
                                        fmt::format("n=user,r=abc,{},{}", challenge, without_proof));
    return without_proof + ",p=" + crypto::base64_encode(crypto::exclusive_or(client_key, signature));
  };
  EXPECT_EQ(kind(server->respond(final("abcanother"))), "not-authorized");

  server = scram_server(kSha256, channel(), "server");
  server->respond("n,,n=user,r=abc");
  server->keys(stored, true, false);
  EXPECT_EQ(kind(server->respond(final("abcserver"))), "success user@example.org");
}

TEST(ScramServer, SpeaksOnlyOnce) {
  auto server = scram_server(kSha256, channel());
  server->respond("n,,n=user,r=abc");
  server->keys(keys(crypto::Hash::sha256), true, false);
  server->respond("c=biws,r=abc,p=AAAA");
  EXPECT_EQ(kind(server->respond("c=biws,r=abc,p=AAAA")), "malformed-request");
}

// A client that has sent its first message with the nonce "abc".
std::unique_ptr<ClientMechanism> client(const Channel& on = channel(), bool offered = false) {
  auto mechanism = scram_client(kSha256, on, {user(), "pencil"}, offered, "abc");
  mechanism->initial().value();
  return mechanism;
}

TEST(ScramClient, FlagsWhatItKnows) {
  const auto flag = [](ScramVariant variant, const Channel& on, bool offered) {
    return scram_client(variant, on, {user(), "pencil"}, offered)->initial().value();
  };
  EXPECT_THAT(flag(kSha256, channel(), false), StartsWith("n,,"));
  EXPECT_THAT(flag(kSha256, channel("ekm"), false), StartsWith("y,,"));
  EXPECT_THAT(flag(kSha256, channel("ekm"), true), StartsWith("n,,"));
  EXPECT_THAT(flag(kSha256Plus, channel("ekm"), true), StartsWith("p=tls-exporter,,"));
}

TEST(ScramClient, EscapesItsName) {
  auto mechanism =
      scram_client(kSha256, channel(), {Jid::parse("a=b,c@example.org").value(), "x"}, false, "abc");
  EXPECT_EQ(mechanism->initial().value(), "n,,n=a=3Db=2Cc,r=abc");
}

TEST(ScramClient, RefusesABadChallenge) {
  for (const std::string_view challenge :
       {"", "r=abc,s=AAAA,i=4096", "r=xyz,s=AAAA,i=4096", "r=xyzw,s=AAAA,i=4096", "m=x,r=abcd,s=AAAA,i=4096",
        "r=abcd,s=AAAA", "r=abcd,s=A,i=4096", "r=abcd,s=AAAA,i=1", "r=abcd,s=AAAA,i=99999999999",
        "r=abcd,s=AAAA,i=2000000", "r=abcd,s=AAAA,i=-4096", "r=abcd,s=AAAA,i=4096x",
        "r=abcd,s=AAAA,i=4096,m=x", "e=other-error"})
    EXPECT_FALSE(client()->respond(challenge)) << challenge;
  EXPECT_TRUE(client()->respond("r=abcd,s=AAAA,i=4096,x=y"));
}

TEST(ScramClient, BelievesOnlyTheRightSignature) {
  auto mechanism = client();
  EXPECT_FALSE(mechanism->verify(""));
  mechanism->respond("r=abcd,s=AAAA,i=4096").value();
  EXPECT_FALSE(mechanism->verify(""));
  EXPECT_FALSE(mechanism->verify("v=AAAA"));
  EXPECT_FALSE(mechanism->verify("e=invalid-proof"));
  EXPECT_FALSE(mechanism->verify("v=" + crypto::base64_encode(std::string(32, 'x'))));
}

TEST(ScramClient, TakesTheSignatureAsAChallenge) {  // RFC 6120 6.3.10: the longer way must work too
  auto mechanism =
      scram_client(kSha1, {.domain = "example.org"}, {user(), "pencil"}, false, "fyko+d2lbbFgONRv9qkxdawL");
  mechanism->initial().value();
  mechanism->respond("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096").value();
  EXPECT_EQ(mechanism->respond("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").value(), "");
  EXPECT_TRUE(mechanism->verify(""));
}

}  // namespace
}  // namespace starling::sasl
