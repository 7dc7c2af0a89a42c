#include "client/ext/registration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/testing.h"

namespace starling::client {
namespace {

using testing::HasSubstr;

Jid jid(std::string_view text) { return Jid::parse(text).value(); }

constexpr std::string_view kFields =
    "<query "
    "xmlns='jabber:iq:register'><instructions>Choose.</instructions><username/><password/><email/></query>";
constexpr std::string_view kForm =
    "<query xmlns='jabber:iq:register'><username/><password/><x xmlns='jabber:x:data' type='form'>"
    "<field var='FORM_TYPE' type='hidden'><value>jabber:iq:register</value></field>"
    "<field var='username' type='text-single'><required/></field>"
    "<field var='password' type='text-private'><required/></field></x></query>";

// On a stream without login.
struct Newcomer : testing::Test {
  Newcomer() {
    bench.on_server = [](FakeServer& server) { server.register_accounts(); };
    bench.log_in();
  }
  std::optional<Outcome<void>> create(std::string_view fields, std::string email = "carol@example.net") {
    std::optional<Outcome<void>> outcome;
    bench.in_turn([&] {
      registration.create("carol", "s<cret", std::move(email)).then([&](auto got) { outcome = got; });
    });
    bench.answer(fields);
    if (!outcome) bench.answer();
    return outcome;
  }
  const std::string& sent() { return bench.servers.back()->stanzas.back(); }

  Bench bench{Options{.jid = jid("example.org")}};
  Registration& registration = bench.client->use<Registration>();
};
struct Registered : testing::Test {
  Registered() { bench.log_in(); }
  const std::string& sent() { return bench.servers.back()->stanzas.back(); }
  Bench bench;
  Registration& registration = bench.client->use<Registration>();
};

TEST_F(Newcomer, NeedsNoLogin) {
  EXPECT_EQ(bench.client->state(), State::online);
  EXPECT_TRUE(bench.client->encrypted());
  EXPECT_TRUE(registration.offered());
  EXPECT_EQ(bench.servers.back()->bytes.find("<auth"), std::string::npos);
  const auto asked = bench.outcome([&] { return registration.fields(); }, kFields);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->instructions, "Choose.");
  EXPECT_TRUE(asked->has("email"));
  EXPECT_THAT(sent(), HasSubstr("><query xmlns='jabber:iq:register'/></iq>"));
  EXPECT_TRUE(bench.outcome([&] { return registration.fields(jid("example.org")); }, kFields));
  bench.in_turn([&] { bench.client->close(); });
  EXPECT_TRUE(bench.client->ended());
  EXPECT_EQ(bench.core->take_outcome().why, Ended::Why::closed);
}

TEST_F(Newcomer, MakesAnAccount) {  // R106
  const auto done = create(kFields);
  ASSERT_TRUE(done && *done);
  EXPECT_THAT(sent(), HasSubstr("<iq type='set' id='"));
  EXPECT_THAT(sent(), HasSubstr("<query xmlns='jabber:iq:register'><username>carol</username>"
                                "<password>s&lt;cret</password><email>carol@example.net</email></query>"));
  EXPECT_EQ(bench.logged("s&lt;cret"), 0u);
}

TEST_F(Newcomer, FillsInAFormInPlaceOfTheFields) {
  const auto done = create(kForm);
  ASSERT_TRUE(done && *done);
  EXPECT_THAT(sent(), HasSubstr("<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>"));
  EXPECT_THAT(sent(), HasSubstr("<value>carol</value>"));
  EXPECT_THAT(sent(), HasSubstr("<value>s&lt;cret</value>"));
  EXPECT_THAT(sent(), testing::Not(HasSubstr("carol@example.net")));
}

TEST_F(Newcomer, SaysWhatIsMissing) {
  const auto failure = [&](std::string_view fields) {
    const auto done = create(fields, "");
    EXPECT_THAT(sent(), HasSubstr("type='get'"));
    return done && !*done ? done->error().message() : "none";
  };
  EXPECT_EQ(failure(kFields), "not-acceptable: the server asks for: email");
  EXPECT_EQ(
      failure("<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='form'>"
              "<field var='username'><required/></field><field var='ocr'><required/></field></x></query>"),
      "not-acceptable: the server asks for: ocr");
  EXPECT_EQ(failure("<query xmlns='jabber:iq:register'><instructions>Go to the web.</instructions>"
                    "<x xmlns='jabber:x:oob'><url>https://example.org/r</url></x></query>"),
            "not-allowed: accounts are made at https://example.org/r");
  EXPECT_EQ(
      failure("<query xmlns='jabber:iq:register'><instructions>Come to the office.</instructions></query>"),
      "not-allowed: Come to the office.");
  EXPECT_EQ(failure(""), "the answer is empty");
}

TEST_F(Newcomer, WhatIsNoRegistrationIsMalformed) {
  for (const std::string_view nonsense :
       {"", "<query xmlns='other'/>", "<x xmlns='jabber:iq:register'/>",
        "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data'/></query>"})
    EXPECT_EQ(bench.failure([&] { return registration.fields(); }, nonsense), RequestError::Kind::malformed)
        << nonsense;
  EXPECT_EQ(bench.failure([&] { return registration.create("a", "b"); }, "", "error"),
            RequestError::Kind::refused);
}

TEST_F(Registered, ChangesThePassword) {
  EXPECT_FALSE(registration.offered());
  EXPECT_TRUE(bench.outcome([&] { return registration.change_password("new & better"); }));
  EXPECT_THAT(sent(), HasSubstr("<iq to='example.org' type='set' id='"));
  EXPECT_THAT(sent(), HasSubstr("<query xmlns='jabber:iq:register'><username>alice</username>"
                                "<password>new &amp; better</password></query>"));
  EXPECT_EQ(bench.failure([&] { return registration.change_password("x"); }, "", "error"),
            RequestError::Kind::refused);
}

TEST_F(Registered, EndsTheAccount) {
  EXPECT_TRUE(bench.outcome([&] { return registration.remove(); }));
  EXPECT_THAT(sent(), HasSubstr("<query xmlns='jabber:iq:register'><remove/></query>"));
  EXPECT_THAT(sent(), testing::Not(HasSubstr(" to=")));
  EXPECT_TRUE(bench.outcome([&] { return registration.remove(jid("icq.example.org")); }));
  EXPECT_THAT(sent(), HasSubstr(" to='icq.example.org'"));
}

TEST_F(Registered, TellsAServiceWhatItAsksFor) {
  auto asked = bench.outcome([&] { return registration.fields(jid("icq.example.org")); },
                             "<query xmlns='jabber:iq:register'><registered/><username>a</username></query>");
  ASSERT_TRUE(asked);
  EXPECT_TRUE(asked->registered);
  asked->set("username", "b");
  EXPECT_TRUE(bench.outcome([&] { return registration.submit(*asked, jid("icq.example.org")); }));
  EXPECT_THAT(sent(), HasSubstr("<query xmlns='jabber:iq:register'><username>b</username></query>"));
}

struct InTheClear : testing::TestWithParam<bool> {};

TEST_P(InTheClear, PasswordsAreSentOnlyIfTheyMay) {
  Bench bench({.jid = jid("example.org"), .tls = stream::TlsPolicy::off, .plain_without_tls = GetParam()});
  bench.on_server = [](FakeServer& server) {
    server.without_tls();
    server.register_accounts();
  };
  bench.log_in();
  auto& registration = bench.client->use<Registration>();
  ASSERT_EQ(bench.client->state(), State::online);
  EXPECT_FALSE(bench.client->encrypted());
  payload::Registration filled;
  filled.set("username", "carol");
  EXPECT_EQ(bench.outcome([&] { return registration.submit(filled); }).has_value(), GetParam());
  EXPECT_EQ(bench.outcome([&] { return registration.change_password("p"); }).has_value(), GetParam());
  EXPECT_EQ(bench.servers.back()->stanzas.size(), GetParam() ? 2u : 0u);
}

INSTANTIATE_TEST_SUITE_P(Allowed, InTheClear, testing::Bool());

}  // namespace
}  // namespace starling::client
