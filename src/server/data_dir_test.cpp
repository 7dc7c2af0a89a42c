#include "server/data_dir.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config.h"
#include "support/temporary_directory.h"

namespace starling::server {
namespace {

class DataDirTest : public ::testing::Test {
 protected:
  static unsigned mode(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
  }
  TemporaryDirectory parent_;
  const std::string path_ = parent_.file("new/data");
};

TEST_F(DataDirTest, IsMadePrivateWithItsConfiguration) {
  const auto made = DataDir::open(path_ + "//", DataDir::Use::serve);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->path(), path_);
  EXPECT_TRUE(made->is_new());
  EXPECT_EQ(mode(path_), 0700U);
  EXPECT_EQ(mode(made->paths().config_file()), 0600U);
  EXPECT_EQ(mode(made->paths().lock_file()), 0600U);
  std::ostringstream text;
  text << std::ifstream(made->paths().config_file()).rdbuf();
  EXPECT_EQ(text.str(), default_config_file());
}

TEST_F(DataDirTest, KeepsAnExistingConfigurationAndClosesTheDirectoryToOthers) {
  std::filesystem::create_directories(path_);
  std::filesystem::permissions(path_, std::filesystem::perms(0755));
  std::ofstream(path_ + "/starling.toml") << "threads = 1\n";
  const auto opened = DataDir::open(path_, DataDir::Use::tool);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_FALSE(opened->is_new());
  EXPECT_EQ(mode(path_), 0700U);
  EXPECT_EQ(std::filesystem::file_size(path_ + "/starling.toml"), 12U);
}

TEST_F(DataDirTest, SecondServerIsRefusedAndTheFirstIsNamed) {
  {
    const auto first = DataDir::open(path_, DataDir::Use::serve);
    ASSERT_TRUE(first);
    for (const auto use : {DataDir::Use::serve, DataDir::Use::tool}) {
      const auto second = DataDir::open(path_, use);
      ASSERT_FALSE(second);
      EXPECT_EQ(second.error().code, Errc::conflict);
      EXPECT_EQ(second.error().message,
                fmt::format("another starling (pid {}) serves {}", ::getpid(), path_));
    }
  }
  EXPECT_TRUE(DataDir::open(path_, DataDir::Use::serve)) << "the lock went with its holder";
}

TEST_F(DataDirTest, AServerWaitsForATool) {
  std::optional<DataDir> tool = *DataDir::open(path_, DataDir::Use::tool);
  auto server =
      std::async(std::launch::async, [&] { return DataDir::open(path_, DataDir::Use::serve).has_value(); });
  tool.reset();
  EXPECT_TRUE(server.get());
}

TEST_F(DataDirTest, RefusesWhatIsNoDirectoryOfItsOwn) {
  std::ofstream(parent_.file("file")) << "x";
  EXPECT_FALSE(DataDir::open(parent_.file("file"), DataDir::Use::serve));
  EXPECT_FALSE(DataDir::open("", DataDir::Use::serve));
  std::filesystem::create_directory(parent_.file("shared"));
  ASSERT_EQ(::chmod(parent_.file("shared").c_str(), 01777), 0);
  const auto shared = DataDir::open(parent_.file("shared"), DataDir::Use::serve);
  ASSERT_FALSE(shared);
  EXPECT_THAT(shared.error().message, ::testing::HasSubstr("shared with other users"));
  EXPECT_EQ(mode(parent_.file("shared")), 01777U);
}

}  // namespace
}  // namespace starling::server
