#include "payload/registration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "payload/test_xml.h"

namespace starling::payload {
namespace {

Result<Registration> parse(std::string_view children) {
  return parse_registration(
      document(fmt::format("<query xmlns='jabber:iq:register'>{}</query>", children)).root());
}

Registration parsed(std::string_view children) {
  auto registration = parse(children);
  if (!registration) throw std::invalid_argument(registration.error().message);
  return std::move(*registration);
}

TEST(Registration, example_2_what_a_host_asks_for) {
  const auto asked = parsed("<instructions>Choose a username.</instructions><username/><password/><email/>");
  EXPECT_FALSE(asked.registered);
  EXPECT_EQ(asked.instructions, "Choose a username.");
  ASSERT_EQ(asked.fields.size(), 3);
  EXPECT_TRUE(asked.has("email"));
  EXPECT_FALSE(asked.has("name"));
  EXPECT_EQ(asked.value("email"), "");
}

TEST(Registration, example_3_what_is_on_file) {
  const auto known = parsed("<registered/><username>juliet</username><password>R0m30</password>");
  EXPECT_TRUE(known.registered);
  EXPECT_EQ(known.value("username"), "juliet");
  EXPECT_EQ(known.value("password"), "R0m30");
}

TEST(Registration, example_4_is_built) {
  Registration registration;
  registration.set("username", "bill");
  registration.set("password", "m1cro$oft");
  registration.set("password", "Calliope");
  EXPECT_EQ(
      written(registration),
      "<query xmlns='jabber:iq:register'><username>bill</username><password>Calliope</password></query>");
  Registration removal;
  removal.remove = true;
  EXPECT_EQ(written(removal), "<query xmlns='jabber:iq:register'><remove/></query>");  // example 11
  EXPECT_EQ(written(Registration()), "<query xmlns='jabber:iq:register'/>");           // example 1
}

TEST(Registration, what_was_read_is_written) {
  for (const std::string_view children : {
           "<registered/><instructions>a</instructions><username>b</username><password/>",
           "<username/><nick/><password/><name/><first/><last/><email/><address/><city/><state/><zip/><phone/"
           "><url/>"
           "<date/><misc/><text/><key>1</key>",
           "<remove/>",
           // examples 9 and 25
           "<instructions>Use the enclosed form to register.</instructions>"
           "<x xmlns='jabber:x:data' type='form'><title>Contest Registration</title>"
           "<field var='FORM_TYPE' type='hidden'><value>jabber:iq:register</value></field>"
           "<field var='first' type='text-single' label='Given Name'><required/></field></x>",
           "<instructions>To register, visit the page.</instructions>"
           "<x xmlns='jabber:x:oob'><url>http://www.shakespeare.lit/contests.php</url></x>",
       })
    EXPECT_EQ(written(parsed(children)),
              fmt::format("<query xmlns='jabber:iq:register'>{}</query>", children));
}

TEST(Registration, a_form_and_a_page_are_found) {
  const auto registration = parsed(
      "<x xmlns='jabber:x:oob'><url>http://a/</url></x><x xmlns='jabber:x:data' type='form'>"
      "<field var='FORM_TYPE' type='hidden'><value>jabber:iq:register</value></field></x>");
  ASSERT_TRUE(registration.form);
  EXPECT_EQ(registration.form->form_type(), "jabber:iq:register");
  EXPECT_EQ(registration.url, "http://a/");
}

TEST(Registration, fields_beyond_the_schema_are_neither_read_nor_written) {
  const auto registration =
      parsed("<shoe-size>43</shoe-size><email xmlns='urn:x'>a</email><x xmlns='jabber:x:oob'/>");
  EXPECT_EQ(registration, Registration());
  Registration odd;
  odd.set("shoe size", "43");
  EXPECT_EQ(written(odd), "<query xmlns='jabber:iq:register'/>");
}

TEST(Registration, what_is_refused) {
  EXPECT_FALSE(parse_registration(document("<query xmlns='jabber:iq:roster'/>").root()));
  EXPECT_FALSE(parse_registration(document("<register xmlns='jabber:iq:register'/>").root()));
  EXPECT_FALSE(parse("<x xmlns='jabber:x:data'/>"));
}

}  // namespace
}  // namespace starling::payload
