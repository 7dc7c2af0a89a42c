#include "jid/jid.h"

#include <gtest/gtest.h>

namespace starling {
namespace {

struct Legal {
  const char* name;
  std::string text;
  std::string local;
  std::string domain;
  std::string resource;
};

class LegalAddress : public testing::TestWithParam<Legal> {};

TEST_P(LegalAddress, IsPreparedPartByPart) {
  const Legal& want = GetParam();
  const auto jid = Jid::parse(want.text);
  ASSERT_TRUE(jid.has_value()) << jid.error().message;
  EXPECT_EQ(jid->local(), want.local);
  EXPECT_EQ(jid->domain(), want.domain);
  EXPECT_EQ(jid->resource(), want.resource);
  const std::string bare = want.local.empty() ? want.domain : want.local + "@" + want.domain;
  EXPECT_EQ(jid->bare(), bare);
  EXPECT_EQ(jid->text(), want.resource.empty() ? bare : bare + "/" + want.resource);
  const auto again = Jid::parse(jid->text());
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(*again, *jid);
  const auto made = Jid::make(want.local, want.domain, want.resource);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(*made, *jid);
}

INSTANTIATE_TEST_SUITE_P(
    Rfc7622Table1, LegalAddress,
    testing::Values(
        Legal{"bare", "juliet@example.com", "juliet", "example.com", ""},
        Legal{"full", "juliet@example.com/foo", "juliet", "example.com", "foo"},
        Legal{"space_in_resource", "juliet@example.com/foo bar", "juliet", "example.com", "foo bar"},
        Legal{"at_in_resource", "juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"},
        Legal{"escaped_space", "foo\\20bar@example.com", "foo\\20bar", "example.com", ""},
        Legal{"ss", "fussball@example.com", "fussball", "example.com", ""},
        Legal{"sharp_s", "fu\u00DFball@example.com", "fu\u00DFball", "example.com", ""},
        Legal{"pi", "\u03C0@example.com", "\u03C0", "example.com", ""},
        Legal{"capital_sigma", "\u03A3@example.com/foo", "\u03C3", "example.com", "foo"},
        Legal{"small_sigma", "\u03C3@example.com/foo", "\u03C3", "example.com", "foo"},
        Legal{"final_sigma", "\u03C2@example.com/foo", "\u03C2", "example.com", "foo"},
        Legal{"chess_king", "king@example.com/\u265A", "king", "example.com", "\u265A"},
        Legal{"domain", "example.com", "", "example.com", ""},
        Legal{"domain_and_resource", "example.com/foobar", "", "example.com", "foobar"},
        Legal{"at_after_slash", "a.example.com/b@example.net", "", "a.example.com", "b@example.net"}),
    [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Further, LegalAddress,
    testing::Values(Legal{"mixed_case", "Alice@Example.COM/Home", "alice", "example.com", "Home"},
                    Legal{"one_label", "alice@usertp-VirtualBox", "alice", "usertp-virtualbox", ""},
                    Legal{"one_label_2", "ankur-virtualbox/Psi", "", "ankur-virtualbox", "Psi"},
                    Legal{"underscore", "a@my_host.lan", "a", "my_host.lan", ""},
                    Legal{"trailing_dot", "a@example.com./r", "a", "example.com", "r"},
                    Legal{"ipv4", "a@127.0.0.1/r", "a", "127.0.0.1", "r"},
                    Legal{"ipv6", "a@[2001:DB8:0::1]/r", "a", "[2001:db8::1]", "r"},
                    Legal{"slashes_in_resource", "a@b/c/d", "a", "b", "c/d"},
                    Legal{"ampersand_in_resource", "a@b/<c>&'\"", "a", "b", "<c>&'\""},
                    Legal{"trailing_space_in_resource", "a@b/c ", "a", "b", "c "},
                    Legal{"punctuation_in_local", "a.b-c_d+e!#$%()*,;=?[\\]^`{|}~@b",
                          "a.b-c_d+e!#$%()*,;=?[\\]^`{|}~", "b", ""},
                    Legal{"domain_and_nul_free_dots", "a@b.c.d", "a", "b.c.d", ""},
                    Legal{"hyphens_inside", "a@r3---sn.example", "a", "r3---sn.example", ""}),
    [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    International, LegalAddress,
    testing::Values(Legal{"upper_umlaut", "J\u00DCRGEN@b", "j\u00FCrgen", "b", ""},
                    Legal{"composed", "u\u0308@b", "\u00FC", "b", ""},
                    Legal{"dotted_i", "\u0130@b", "i\u0307", "b", ""},
                    Legal{"grown_local", "\u0130xamp@e.netlie", "i\u0307xamp", "e.netlie", ""},
                    Legal{"fullwidth_local", "\uFF21\uFF22@b", "ab", "b", ""},
                    Legal{"halfwidth_local", "\uFF76\uFF9E@b", "\u30AC", "b", ""},
                    Legal{"hebrew_local", "\u05D0\u05D11@b", "\u05D0\u05D11", "b", ""},
                    Legal{"catalan", "l\u00B7l@b", "l\u00B7l", "b", ""},
                    Legal{"virama_and_joiner", "\u0915\u094D\u200D\u0937@b", "\u0915\u094D\u200D\u0937", "b",
                          ""},
                    Legal{"katakana_dot", "\u30A2\u30FB\u30A2@b", "\u30A2\u30FB\u30A2", "b", ""},
                    Legal{"u_label", "a@B\u00DCCHER.example", "a", "b\u00FCcher.example", ""},
                    Legal{"a_label", "a@xn--bcher-kva.example", "a", "b\u00FCcher.example", ""},
                    Legal{"upper_a_label", "a@XN--BCHER-KVA.example", "a", "b\u00FCcher.example", ""},
                    Legal{"sharp_s_domain", "a@fa\u00DF.de", "a", "fa\u00DF.de", ""},
                    Legal{"ideographic_dot", "a@\u4F8B\u3002example\u3002", "a", "\u4F8B.example", ""},
                    Legal{"fullwidth_domain", "a@\uFF25\uFF38.com", "a", "ex.com", ""},
                    Legal{"arabic_domain", "a@\u0645\u062B\u0627\u0644.example", "a",
                          "\u0645\u062B\u0627\u0644.example", ""},
                    Legal{"underscore_beside_u_label", "a@_x.b\u00FCcher", "a", "_x.b\u00FCcher", ""},
                    Legal{"spaces_of_others", "a@b/c\u1680d\u3000e", "a", "b", "c d e"},
                    Legal{"composed_resource", "a@b/E\u0301", "a", "b", "\u00C9"},
                    Legal{"fullwidth_resource_kept", "a@b/\uFF21", "a", "b", "\uFF21"},
                    Legal{"emoji_resource", "a@b/\U0001F600", "a", "b", "\U0001F600"}),
    [](const auto& info) { return std::string(info.param.name); });

struct Illegal {
  const char* name;
  std::string text;
};

class IllegalAddress : public testing::TestWithParam<Illegal> {};

TEST_P(IllegalAddress, IsRefused) {
  const auto jid = Jid::parse(GetParam().text);
  ASSERT_FALSE(jid.has_value()) << "accepted as " << jid->text();
  EXPECT_EQ(jid.error().code, Errc::invalid);
  EXPECT_FALSE(jid.error().message.empty());
}

INSTANTIATE_TEST_SUITE_P(Rfc7622Table2, IllegalAddress,
                         testing::Values(Illegal{"quotes", "\"juliet\"@example.com"},
                                         Illegal{"space", "foo bar@example.com"},
                                         Illegal{"leading_space_in_resource", "juliet@example.com/ foo"},
                                         Illegal{"empty_local_and_resource", "@example.com/"},
                                         Illegal{"roman_four", "henry\u2163@example.com"},
                                         Illegal{"chess_king", "\u265A@example.com"},
                                         Illegal{"no_domain", "juliet@"},
                                         Illegal{"resource_alone", "/foobar"}),
                         [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Further, IllegalAddress,
    testing::Values(
        Illegal{"nothing", ""}, Illegal{"at_alone", "@"}, Illegal{"slash_alone", "/"},
        Illegal{"empty_local", "@example.com"}, Illegal{"empty_resource", "a@example.com/"},
        Illegal{"two_ats", "a@b@c"}, Illegal{"dot_alone", "a@."}, Illegal{"two_trailing_dots", "a@b.."},
        Illegal{"leading_dot", "a@.b"}, Illegal{"empty_label", "a@b..c"}, Illegal{"space_in_domain", "a@b c"},
        Illegal{"leading_hyphen", "a@-b.c"}, Illegal{"trailing_hyphen", "a@b-.c"},
        Illegal{"star_in_domain", "a@*.example.com"}, Illegal{"port_in_domain", "a@example.com:5222"},
        Illegal{"long_label", "a@" + std::string(64, 'x')}, Illegal{"open_bracket", "a@[::1"},
        Illegal{"no_address_in_brackets", "a@[example.com]"}, Illegal{"empty_brackets", "a@[]"},
        Illegal{"ipv6_zone", "a@[fe80::1%eth0]"}, Illegal{"bare_ipv6", "a@::1"},
        Illegal{"nul_in_ipv6", std::string("a@[::1\0]", 8)},
        Illegal{"nul_in_local", std::string("a\0b@c", 5)}, Illegal{"nul_in_domain", std::string("a@b\0c", 5)},
        Illegal{"nul_in_resource", std::string("a@b/c\0", 6)}, Illegal{"tab_in_resource", "a@b/c\td"},
        Illegal{"delete_in_local", "a\x7F@b"}, Illegal{"ampersand", "a&b@c"}, Illegal{"apostrophe", "a'b@c"},
        Illegal{"colon", "a:b@c"}, Illegal{"less", "a<b@c"}, Illegal{"greater", "a>b@c"}),
    [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    International, IllegalAddress,
    testing::Values(
        Illegal{"invalid_utf8_local", "\xC3(@b"}, Illegal{"invalid_utf8_domain", "a@\xFF.b"},
        Illegal{"invalid_utf8_resource", "a@b/\xE2\x82"}, Illegal{"overlong", "a@b/\xC0\xAF"},
        Illegal{"surrogate", "a@b/\xED\xA0\x80"}, Illegal{"fullwidth_at", "a\uFF20b@c"},
        Illegal{"fullwidth_slash", "a\uFF0F@c"}, Illegal{"soft_hyphen", "a\u00ADb@c"},
        Illegal{"zero_width_space", "a\u200Bb@c"}, Illegal{"bare_joiner", "a\u200Db@c"},
        Illegal{"joiner_in_resource", "a@b/c\u200Dd"}, Illegal{"private_use", "a@b/\uE000"},
        Illegal{"noncharacter", "a@b/\uFFFE"}, Illegal{"unassigned", "\u0378@b"},
        Illegal{"old_hangul", "\u1100@b"}, Illegal{"infinity", "\u221E@b"},
        Illegal{"mixed_digits", "\u0660\u06F0@b"}, Illegal{"catalan_dot_alone", "a\u00B7b@c"},
        Illegal{"tatweel", "\u0645\u0640@b"}, Illegal{"left_after_right", "\u05D0a@b"},
        Illegal{"right_after_left", "a\u05D0@b"}, Illegal{"digit_before_right", "1\u05D0@b"},
        Illegal{"both_digit_kinds", "\u05D01\u0661@b"}, Illegal{"right_to_left_ends_in_hyphen", "\u05D0-@b"},
        Illegal{"katakana_dot_alone", "a\u30FBb@c"}, Illegal{"snowman_domain", "a@\u2603.net"},
        Illegal{"not_equal_domain", "a@\u2260.net"}, Illegal{"fullwidth_slash_domain", "a@b\uFF0Fc"},
        Illegal{"bidi_domain", "a@\u05D0a.example"}, Illegal{"no_punycode", "a@xn--\u00FC.example"},
        Illegal{"fake_a_label", "a@xn--foo-.example"}, Illegal{"empty_a_label", "a@xn--.example"},
        Illegal{"broken_a_label", "a@xn--a-\u00E4.example"}, Illegal{"snowman_a_label", "a@xn--n8h.net"},
        Illegal{"two_trailing_unicode_dots", "a@b\u3002\u3002"},
        Illegal{"two_kinds_of_trailing_dots", "a@\u4F8B\u3002."}, Illegal{"dots_alone", "a@\u3002"},
        Illegal{"long_u_label", "a@" + std::string(60, 'x') + "\u00FC"},
        Illegal{"leading_foreign_space", "a@b/\u3000c"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Jid, PartsHoldUpTo1023Bytes) {
  const std::string longest(1023, 'a');
  EXPECT_TRUE(prepare_local(longest).has_value());
  EXPECT_TRUE(prepare_resource(longest).has_value());
  EXPECT_FALSE(prepare_local(longest + "a").has_value());
  EXPECT_FALSE(prepare_resource(longest + "a").has_value());
  std::string domain;
  while (domain.size() < 1022) domain += "a.";
  domain += "b";
  ASSERT_EQ(domain.size(), 1023U);
  EXPECT_TRUE(prepare_domain(domain).has_value());
  EXPECT_FALSE(prepare_domain("c" + domain).has_value());
  const auto jid = Jid::make(longest, domain, longest);
  ASSERT_TRUE(jid.has_value());
  EXPECT_EQ(jid->resource(), longest);
  EXPECT_EQ(jid->bare().size(), 2047U);
}

TEST(Jid, TheLimitHoldsAfterNormalisationToo) {
  // U+2ADC is two code points in NFC: 3 bytes become 5.
  std::string growing;
  for (int i = 0; i < 300; ++i) growing += "\u2ADC";
  const auto resource = prepare_resource(growing);
  ASSERT_FALSE(resource.has_value());
  EXPECT_NE(resource.error().message.find("1023"), std::string::npos);
}

TEST(Jid, MakeRefusesPartsThatWouldReadAsAnotherAddress) {
  EXPECT_FALSE(Jid::make("a@b", "c").has_value());
  EXPECT_FALSE(Jid::make("a/b", "c").has_value());
  EXPECT_FALSE(Jid::make("a", "b/c").has_value());
  EXPECT_FALSE(Jid::make("a", "b@c").has_value());
  EXPECT_FALSE(Jid::make("a", "").has_value());
}

TEST(Jid, TheErrorNamesThePart) {
  const auto message = [](std::string_view text) { return Jid::parse(text).error().message; };
  EXPECT_NE(message("a b@c").find("localpart"), std::string::npos);
  EXPECT_NE(message("a@b c").find("domainpart"), std::string::npos);
  EXPECT_NE(message("a@b/ c").find("resourcepart"), std::string::npos);
  EXPECT_NE(message("henry\u2163@b").find("U+2163"), std::string::npos);
}

TEST(Jid, BareDomainAndResource) {
  const Jid full = Jid::parse("alice@example.com/home").value();
  EXPECT_TRUE(full.is_full());
  EXPECT_FALSE(full.is_bare());
  EXPECT_FALSE(full.is_domain());
  const Jid bare = full.to_bare();
  EXPECT_EQ(bare, Jid::parse("alice@example.com").value());
  EXPECT_TRUE(bare.is_bare());
  EXPECT_TRUE(bare.resource().empty());
  EXPECT_TRUE(bare.same_bare(full));
  EXPECT_FALSE(bare == full);
  EXPECT_EQ(full.to_domain(), Jid::parse("example.com").value());
  EXPECT_TRUE(full.to_domain().is_domain());
  EXPECT_FALSE(Jid::parse("example.com/x").value().is_domain());
  EXPECT_EQ(full.with_resource("work").value(), Jid::parse("alice@example.com/work").value());
  EXPECT_EQ(bare.with_resource("home").value(), full);
  EXPECT_FALSE(bare.with_resource("").has_value());
  EXPECT_FALSE(bare.with_resource("\t").has_value());
  EXPECT_EQ(std::hash<Jid>()(bare.with_resource("home").value()), std::hash<Jid>()(full));
}

TEST(Jid, EmptyIsNoAddress) {
  const Jid none;
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(none.local().empty());
  EXPECT_TRUE(none.domain().empty());
  EXPECT_TRUE(none.resource().empty());
  EXPECT_FALSE(none.with_resource("x").has_value());
}

// RFC 8265 3.6 and 4.3. As localparts, the addresses of RFC 7622's tables cover most of 3.6.
TEST(Prepare, UsernamesOfRfc8265) {
  EXPECT_EQ(prepare_local("ren\u00E9e"), "ren\u00E9e");
  EXPECT_FALSE(prepare_local("juliet@example.com").has_value());
  EXPECT_FALSE(prepare_local("").has_value());
  EXPECT_FALSE(prepare_local("henry\u2163").has_value());
  EXPECT_FALSE(prepare_local("\u221E").has_value());
}

TEST(Prepare, PasswordsOfRfc8265) {
  EXPECT_EQ(prepare_password("correct horse battery staple"), "correct horse battery staple");
  EXPECT_EQ(prepare_password("Correct Horse Battery Staple"), "Correct Horse Battery Staple");
  EXPECT_EQ(prepare_password("\u03C0\u00DF\u00E5"), "\u03C0\u00DF\u00E5");
  EXPECT_EQ(prepare_password("Jack of \u2666s"), "Jack of \u2666s");
  EXPECT_EQ(prepare_password("foo\u1680bar"), "foo bar");
  EXPECT_FALSE(prepare_password("").has_value());
  EXPECT_FALSE(prepare_password("my cat is a \tby").has_value());
  EXPECT_EQ(prepare_password(" leading space"), " leading space");
  EXPECT_EQ(prepare_password(std::string(2000, 'p')), std::string(2000, 'p'));
  EXPECT_FALSE(prepare_password("\xFF").has_value());
}

TEST(Prepare, DomainsInAnyCaseAreOne) {
  EXPECT_EQ(prepare_domain("usertp-VirtualBox"), "usertp-virtualbox");
  EXPECT_EQ(prepare_domain("LOCALHOST."), "localhost");
  EXPECT_EQ(prepare_domain("[::FFFF:127.0.0.1]"), "[::ffff:127.0.0.1]");
}

TEST(Domain, HasAnAsciiForm) {
  EXPECT_EQ(domain_to_ascii("example.org").value(), "example.org");
  EXPECT_EQ(domain_to_ascii("b\xC3\xBC"
                            "cher.example")
                .value(),
            "xn--bcher-kva.example");
}

}  // namespace
}  // namespace starling
