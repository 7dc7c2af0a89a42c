#include "cli/check.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/tcp.h"
#include "net/tls.h"
#include "support/temporary_directory.h"

namespace starling::cli {
namespace {

using server::Finding;
using Severity = Finding::Severity;

class CheckTest : public ::testing::Test {
 protected:
  CheckTest() {
    context_.data = directory_.path();
    context_.sets = {"listen.c2s=127.0.0.1:0", "listen.c2s_tls="};
    write("");
  }

  void write(std::string_view text) const { std::ofstream(context_.paths().config_file()) << text; }
  void set(std::string entry) { context_.sets.push_back(std::move(entry)); }
  // Messages of one severity.
  std::vector<std::string> found(Severity severity) const {
    std::vector<std::string> texts;
    for (const auto& finding : check(context_, now_))
      if (finding.severity == severity) texts.push_back(finding.text());
    return texts;
  }
  net::CertificateFiles make_certificate(const std::string& domain) {
    auto made = net::ensure_self_signed({domain}, context_.data, now_);
    EXPECT_TRUE(made);
    set("tls.certificate=" + made->certificate);
    set("tls.key=" + made->key);
    return *made;
  }

  TemporaryDirectory directory_;
  Context context_;
  std::chrono::system_clock::time_point now_ = std::chrono::system_clock::now();
};

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(CheckTest, SaysWhatALossOfPowerTakes) {
  EXPECT_THAT(found(Severity::note), Contains(HasSubstr("survives a loss of power")));
  set("storage.durability=process");
  EXPECT_THAT(found(Severity::note), Contains(AllOf(StartsWith("--set storage.durability: "),
                                                    HasSubstr("a loss of power takes the last of it"))));
  set("storage=memory:");
  EXPECT_THAT(found(Severity::note), Not(Contains(HasSubstr("storage.durability"))));
}

TEST_F(CheckTest, DefaultsAreFineAndEncrypted) {
  EXPECT_THAT(found(Severity::error), IsEmpty());
  EXPECT_THAT(found(Severity::warning), IsEmpty());
  EXPECT_THAT(found(Severity::note), Contains(HasSubstr("only encrypted connections are accepted")));
}

TEST_F(CheckTest, MistakesInTheFileHaveTheirPlace) {
  write("log.level = 3\ndomain = [\"x\"]\n");
  EXPECT_THAT(
      found(Severity::error),
      ElementsAre(context_.data + "/starling.toml:1:13: log.level: expected a string, found a number",
                  context_.data + "/starling.toml:2:1: there is no key 'domain'; did you mean 'domains'?"));
}

TEST_F(CheckTest, NothingIsFineThatCouldNotBeRead) {
  set("listen.c2s=0.0.0.0:99999");
  set("tls.policy=never");
  EXPECT_THAT(found(Severity::error),
              ElementsAre("--set listen.c2s: listen.c2s: '0.0.0.0:99999': the port is "
                          "wrong; expected one up to 65535",
                          HasSubstr("tls.policy: expected one of")));
  EXPECT_THAT(found(Severity::note), Contains(HasSubstr("tls.certificate is not set")));
  set("storage.durability=nope");
  EXPECT_THAT(found(Severity::note), Not(Contains(HasSubstr("storage.durability"))));
  set("storage.durability=process");
  set("tls.policy=required");
  EXPECT_THAT(found(Severity::note), Contains(HasSubstr("tls.policy = required"))) << "the last one counts";
}

TEST_F(CheckTest, AFileThatIsNoTomlSaysNothingOfAnyKey) {
  write("# who\ndomains = localhost  # us\n");
  EXPECT_THAT(found(Severity::error), ElementsAre(AllOf(StartsWith(context_.data + "/starling.toml:2:"),
                                                        HasSubstr("; a text goes in quotes"))));
  EXPECT_THAT(found(Severity::note), Contains(HasSubstr("listen.c2s"))) << "which --set has";
  write("threads = 1.2.3\n");
  EXPECT_THAT(found(Severity::error), ElementsAre(::testing::Not(HasSubstr("quotes"))));
}

TEST_F(CheckTest, WeakerPolicyIsAWarning) {
  set("tls.policy=optional");
  EXPECT_THAT(found(Severity::warning),
              ElementsAre(AllOf(StartsWith("--set tls.policy: "), HasSubstr("without encryption"))));
}

TEST_F(CheckTest, APortInUseIsNamed) {
  const auto held = net::TcpListener::bind(*net::Endpoint::parse("127.0.0.1:0"));
  ASSERT_TRUE(held);
  set("listen.c2s=" + (*held)->endpoint().text());
  EXPECT_THAT(found(Severity::error),
              ElementsAre(AllOf(StartsWith("--set listen.c2s: "),
                                HasSubstr(fmt::format("port {} on 127.0.0.1", (*held)->endpoint().port)))));
}

TEST_F(CheckTest, TheSamePortTwiceIsFound) {
  const auto port = (*net::TcpListener::bind(*net::Endpoint::parse("127.0.0.1:0")))->endpoint().text();
  set("listen.c2s=" + port);
  set("listen.c2s_tls=" + port);
  EXPECT_THAT(found(Severity::error), ElementsAre(HasSubstr("listen.c2s_tls")));
}

TEST_F(CheckTest, AGoodCertificate) {
  make_certificate("localhost");
  EXPECT_THAT(found(Severity::error), IsEmpty());
  EXPECT_THAT(found(Severity::note), Contains(HasSubstr("proves localhost, valid until")));
}

TEST_F(CheckTest, ACertificateForAnotherName) {
  make_certificate("other.example");
  EXPECT_THAT(found(Severity::error),
              ElementsAre(HasSubstr("no certificate proves localhost; found other.example")));
}

TEST_F(CheckTest, ACertificateThatEnds) {
  make_certificate("localhost");
  now_ += std::chrono::days(350);
  EXPECT_THAT(found(Severity::warning), ElementsAre(HasSubstr("expires on ")));
  now_ += std::chrono::days(30);
  EXPECT_THAT(found(Severity::error), ElementsAre(HasSubstr("expired on ")));
}

TEST_F(CheckTest, AKeyThatOthersCanRead) {
  const auto files = make_certificate("localhost");
  ASSERT_EQ(::chmod(files.key.c_str(), 0640), 0);
  EXPECT_THAT(found(Severity::warning), ElementsAre(HasSubstr("found mode 0640")));
  ASSERT_EQ(::chmod(files.key.c_str(), 0644), 0);
  EXPECT_THAT(found(Severity::error), ElementsAre(HasSubstr("found mode 0644")));
}

TEST_F(CheckTest, ACertificateThatIsNone) {
  set("tls.certificate=missing.pem");
  EXPECT_THAT(found(Severity::error), ElementsAre(AllOf(StartsWith("--set tls.certificate: "),
                                                        HasSubstr(context_.data + "/missing.pem"))));
}

TEST(NameCovers, ExactlyOrByItsFirstLabel) {
  EXPECT_TRUE(name_covers("Example.org", "example.org"));
  EXPECT_TRUE(name_covers("*.example.org", "chat.example.org"));
  EXPECT_FALSE(name_covers("*.example.org", "example.org"));
  EXPECT_FALSE(name_covers("*.example.org", "a.b.example.org"));
  EXPECT_FALSE(name_covers("example.org", "chat.example.org"));
  EXPECT_FALSE(name_covers("", "example.org"));
}

}  // namespace
}  // namespace starling::cli
