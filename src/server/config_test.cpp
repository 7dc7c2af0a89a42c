#include "server/config.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temporary_directory.h"

namespace starling::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    sources_.directory = directory_.path();
    sources_.file = directory_.file("starling.toml");
  }

  ReadConfig read_file(std::string_view text) {
    std::ofstream(sources_.file) << text;
    return read_config(sources_);
  }
  // The one finding that is expected.
  std::string finding(std::string_view text) {
    const auto read = read_file(text);
    EXPECT_EQ(read.findings.size(), 1U) << text;
    return read.findings.empty() ? "" : read.findings.front().text();
  }
  std::string at(std::string_view position) const { return fmt::format("{}:{}: ", sources_.file, position); }

  TemporaryDirectory directory_;
  ConfigSources sources_;
};

TEST_F(ConfigTest, WithoutSourcesEverythingIsAtItsDefault) {
  const auto read = read_config(sources_);
  EXPECT_TRUE(read.ok());
  EXPECT_THAT(read.findings, IsEmpty());
  EXPECT_THAT(read.config.domains, ElementsAre("localhost"));
  EXPECT_EQ(read.config.tls.policy, TlsPolicy::required);
  EXPECT_EQ(read.config.listen.c2s.size(), 2U);
  EXPECT_FALSE(read.config.registration.open);
  EXPECT_EQ(read.config.store.durability, storage::Durability::disk);
  EXPECT_TRUE(read.config.limits.rate);
  EXPECT_EQ(read.where("tls.policy"), "");
}

TEST_F(ConfigTest, SetBeatsEnvironmentBeatsFile) {
  sources_.environment = {"STARLING_LIMITS_DEPTH=51", "STARLING_LIMITS_ATTRIBUTES=52", "OTHER=1"};
  sources_.sets = {"limits.depth=60", "limits.depth=61"};
  const auto read = read_file("limits.depth = 41\nlimits.attributes = 42\nlimits.children = 43\n");
  ASSERT_TRUE(read.ok()) << read.findings.front().text();
  EXPECT_EQ(read.config.limits.depth, 61U);
  EXPECT_EQ(read.config.limits.attributes, 52U);
  EXPECT_EQ(read.config.limits.children, 43U);
  EXPECT_EQ(read.where("limits.depth"), "--set limits.depth");
  EXPECT_EQ(read.where("limits.attributes"), "STARLING_LIMITS_ATTRIBUTES");
  EXPECT_EQ(read.where("limits.children"), sources_.file + ":3:19");
}

TEST_F(ConfigTest, VariablesThatAreNoKeysAreIgnored) {
  sources_.environment = {"STARLING_PASSWORD=secret", "STARLING_=x", "STARLING_TLS=x", "starling_threads=3",
                          "STARLING_THREADS"};
  const auto read = read_config(sources_);
  EXPECT_THAT(read.findings, IsEmpty());
  EXPECT_EQ(read.config.threads, 0U);
}

TEST_F(ConfigTest, EveryVariableIsOneKeys) {
  std::set<std::string> names;
  for (const auto& key : config_keys()) EXPECT_TRUE(names.insert(key.variable()).second) << key.name;
  EXPECT_TRUE(names.contains("STARLING_LISTEN_C2S_TLS"));
}

TEST_F(ConfigTest, PlainTextListsAreCommaSeparatedAndEmptyIsTheEmptyList) {
  sources_.sets = {"domains=one.example, two.example,", "listen.c2s=127.0.0.1:15222,[::1]:15222",
                   "listen.c2s_tls=", "registration.fields=email", "admins="};
  sources_.environment = {"STARLING_ADMINS=root@one.example"};
  const auto read = read_config(sources_);
  ASSERT_TRUE(read.ok()) << read.findings.front().text();
  EXPECT_THAT(read.config.domains, ElementsAre("one.example", "two.example"));
  ASSERT_EQ(read.config.listen.c2s.size(), 2U);
  EXPECT_EQ(read.config.listen.c2s[0].text(), "127.0.0.1:15222");
  EXPECT_EQ(read.config.listen.c2s[1].text(), "[::1]:15222");
  EXPECT_THAT(read.config.listen.c2s_tls, IsEmpty());
  EXPECT_THAT(read.config.registration.fields, ElementsAre("email"));
  EXPECT_THAT(read.config.admins, IsEmpty());
}

TEST_F(ConfigTest, SetValuesAreNeverToml) {
  sources_.sets = {"domains=[\"a.example\"]"};
  EXPECT_FALSE(read_config(sources_).ok());
  sources_.sets = {"storage=sqlite:\"odd\".db"};
  EXPECT_EQ(read_config(sources_).config.storage, "sqlite:\"odd\".db");
}

TEST_F(ConfigTest, TablesDottedKeysAndQuotedKeysAreTheSame) {
  const auto read = read_file(
      "registration = \"open\"\n\"registration.fields\" = [\"email\", \"name\"]\noffline.enabled = false\n"
      "storage = \"sqlite:a.db\"\n\"storage.durability\" = \"process\"\n"
      "[tls]\npolicy = \"optional\"\n[limits]\nrate = false\n[listen]\nc2s = \"127.0.0.1:1,127.0.0.1:2\"\n");
  ASSERT_TRUE(read.ok()) << read.findings.front().text();
  EXPECT_TRUE(read.config.registration.open);
  EXPECT_THAT(read.config.registration.fields, ElementsAre("email", "name"));
  EXPECT_FALSE(read.config.offline.enabled);
  EXPECT_EQ(read.config.storage, "sqlite:a.db");
  EXPECT_EQ(read.config.store.durability, storage::Durability::process);
  EXPECT_EQ(read.config.tls.policy, TlsPolicy::optional);
  EXPECT_FALSE(read.config.limits.rate);
  EXPECT_EQ(read.config.listen.c2s.size(), 2U);
}

TEST_F(ConfigTest, ATableOfWhatBeginsWithAKeySetsTheOthers) {
  const auto read = read_file("[storage]\ndurability = \"process\"\n[registration]\nfields = [\"email\"]\n");
  ASSERT_TRUE(read.ok()) << read.findings.front().text();
  EXPECT_EQ(read.config.store.durability, storage::Durability::process);
  EXPECT_THAT(read.config.registration.fields, ElementsAre("email"));
  EXPECT_THAT(finding("[storage]\ndurabilty = \"disk\"\n"), HasSubstr("did you mean 'storage.durability'?"));
  EXPECT_EQ(finding("[threads]\nx = 1\n"), at("1:1") + "threads: expected a number, found a table");
}

TEST_F(ConfigTest, ErrorsSayLineColumnExpectedAndMeant) {
  EXPECT_EQ(finding("\ntls.polcy = \"required\"\n"),
            at("2:1") + "there is no key 'tls.polcy'; did you mean 'tls.policy'?");
  EXPECT_THAT(finding("tsl.policy = \"off\"\n"), StartsWith(at("1:1")));
  EXPECT_THAT(finding("limits = { dept = 3 }\n"), StartsWith(at("1:12")));
  EXPECT_EQ(finding("[limits]\n  stanza_byte = 5\n"),
            at("2:3") + "there is no key 'limits.stanza_byte'; did you mean 'limits.stanza_bytes'?");
  EXPECT_EQ(finding("stanza_bytes = 20000\n"),
            at("1:1") + "there is no key 'stanza_bytes'; did you mean 'limits.stanza_bytes'?");
  EXPECT_THAT(finding("colour = \"red\"\n"), StartsWith(at("1:1") + "there is no key 'colour'; docs/"));
  EXPECT_EQ(finding("limits.depth = \"9\"\n"),
            at("1:16") + "limits.depth: expected a number, found a string");
  EXPECT_EQ(finding("domains = [\"a.example\", 7]\n"),
            at("1:25") + "domains: expected a list of strings, found a number");
  EXPECT_EQ(finding("offline.enabled = 1\n"),
            at("1:19") + "offline.enabled: expected true or false, found a number");
  EXPECT_EQ(finding("limits.depth = 3\n"),
            at("1:16") + "limits.depth: expected a number from 8 to 10000, found 3");
  EXPECT_EQ(
      finding("tls.policy = \"requierd\"\n"),
      at("1:14") +
          "tls.policy: expected one of required, optional, off; found 'requierd', did you mean 'required'?");
  EXPECT_THAT(finding("tls.policy = \n"), StartsWith(at("1:14")));
  EXPECT_THAT(finding("registration = \"open\"\nregistration.fields = [\"email\"]\n"),
              HasSubstr("in quotes"));
  EXPECT_THAT(finding("storage = \"memory:\"\nstorage.durability = \"disk\"\n"),
              HasSubstr("\"storage.durability\""));
}

TEST_F(ConfigTest, EveryErrorIsReported) {
  sources_.sets = {"nonsense", "tls.polcy=off", "limits.depth=many"};
  sources_.environment = {"STARLING_THREADS=-1"};
  const auto read = read_file("zz = 1\naa = 2\n");
  EXPECT_EQ(read.findings[0].where, sources_.file + ":1:1");
  EXPECT_EQ(read.findings[1].where, sources_.file + ":2:1");
  EXPECT_EQ(read.findings.size(), 6U);
  EXPECT_EQ(read.findings.back().text(), "--set limits.depth: limits.depth: expected a number, found 'many'");
  const auto loaded = load_config(sources_);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("did you mean 'tls.policy'?\n"));
}

TEST_F(ConfigTest, ValuesAreChecked) {
  for (const auto* bad :
       {"domains=", "domains=a b", "admins=localhost", "admins=a@b/c", "listen.c2s=5222",
        "listen.c2s=1.2.3.4:99999", "tls.key=k.pem", "registration=maybe", "registration.fields=e-mail",
        "storage=mysql:x", "storage=sqlite:", "storage.durability=none", "log.level=loud", "threads=1.5",
        "offline.enabled=perhaps", "limits.stanza_bytes=100"}) {
    sources_.sets = {bad};
    EXPECT_FALSE(read_config(sources_).ok()) << bad;
  }
}

TEST_F(ConfigTest, ClearTextStaysOnLoopbackUnlessForced) {
  const auto ok = [&](std::vector<std::string> sets) {
    sources_.sets = std::move(sets);
    return read_config(sources_).ok();
  };
  EXPECT_FALSE(ok({"tls.policy=off"}));
  EXPECT_THAT(read_config(sources_).findings.front().text(), StartsWith("--set tls.policy: tls.policy: off"));
  EXPECT_FALSE(ok({"tls.policy=off", "listen.c2s=127.0.0.1:5222,192.0.2.1:5222"}));
  EXPECT_TRUE(ok({"tls.policy=off", "listen.c2s=127.0.0.1:5222,[::1]:5222"}));
  EXPECT_TRUE(ok({"tls.policy=off", "tls.force_off=true"}));
  EXPECT_FALSE(ok({"auth.plain_without_tls=true"}));
  EXPECT_FALSE(ok({"auth.plain_without_tls=true", "tls.force_off=true"}));
  EXPECT_TRUE(ok({"auth.plain_without_tls=true", "listen.c2s=127.0.0.1:5222"}));
}

TEST_F(ConfigTest, CertificatesPairWithKeysUnderTheDirectory) {
  sources_.sets = {"tls.certificate=a.pem,/etc/b.pem", "tls.key=a.key,/etc/b.key"};
  auto files = read_config(sources_).config.tls.files();
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].certificate, sources_.directory + "/a.pem");
  EXPECT_EQ(files[1].key, "/etc/b.key");
  sources_.sets = {"tls.certificate=/both.pem"};
  files = read_config(sources_).config.tls.files();
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].key, "/both.pem");
  sources_.sets = {"tls.certificate=/a.pem,/b.pem", "tls.key=/a.key"};
  EXPECT_FALSE(read_config(sources_).ok());
}

TEST_F(ConfigTest, ListenersThatAreNotBuiltYetAreAWarning) {
  sources_.sets = {"listen.s2s=127.0.0.1:5269"};
  const auto read = read_config(sources_);
  EXPECT_TRUE(read.ok());
  ASSERT_EQ(read.findings.size(), 1U);
  EXPECT_EQ(read.findings.front().severity, Finding::Severity::warning);
}

TEST_F(ConfigTest, DefaultFileIsAllCommentsAndSaysTheDefaults) {
  std::istringstream lines(default_config_file());
  std::string uncommented, line;
  std::size_t keys = 0;
  while (std::getline(lines, line)) {
    if (line.empty()) continue;
    ASSERT_EQ(line[0], '#') << line;
    if (line.size() > 1 && line[1] != ' ') {
      uncommented += line.substr(1) + '\n';
      ++keys;
    }
  }
  EXPECT_EQ(keys, config_keys().size());
  auto read = read_file(default_config_file());
  EXPECT_TRUE(read.findings.empty() && read.origins.empty());
  read = read_file(uncommented);
  ASSERT_TRUE(read.ok()) << read.findings.front().text();
  EXPECT_EQ(read.origins.size(), config_keys().size());
  const Config defaults;
  for (const auto& key : config_keys()) EXPECT_EQ(key.get(read.config), key.get(defaults)) << key.name;
}

TEST_F(ConfigTest, ReferenceInDocsIsCurrent) {
  const auto path =
      std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() / "docs" / "configuration.md";
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), config_reference()) << "run `starling config-reference > docs/configuration.md`";
}

TEST_F(ConfigTest, UnreadableFileIsAnError) {
  std::filesystem::create_directory(sources_.file);
  const auto read = read_config(sources_);
  EXPECT_FALSE(read.ok());
  EXPECT_THAT(read.findings.front().text(), StartsWith(sources_.file + ": cannot be read"));
}

TEST_F(ConfigTest, EmptyFileIsFine) { EXPECT_TRUE(read_file("").findings.empty()); }

TEST(NearestWord, IsNearOrNothing) {
  constexpr std::array<std::string_view, 3> kWords{"required", "optional", "off"};
  EXPECT_EQ(nearest_word("optoinal", kWords), "optional");
  EXPECT_EQ(nearest_word("of", kWords), "off");
  EXPECT_EQ(nearest_word("on", kWords), std::nullopt);
  EXPECT_EQ(nearest_word("none", kWords), std::nullopt);
  EXPECT_EQ(nearest_word("", kWords), std::nullopt);
  EXPECT_EQ(nearest_word(std::string(10000, 'x'), kWords), std::nullopt);
}

}  // namespace
}  // namespace starling::server
