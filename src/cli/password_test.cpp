#include "cli/password.h"

#include <array>
#include <future>
#include <thread>

#include <gtest/gtest.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

namespace starling::cli {
namespace {

Result<std::string> line_of(std::string_view text) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  auto line = read_password_line(ends[0]);
  ::close(ends[0]);
  return line;
}

TEST(ReadPasswordLine, TakesTheFirstLine) {
  EXPECT_EQ(*line_of("geheim\nmore\n"), "geheim");
  EXPECT_EQ(*line_of("geheim\r\n"), "geheim");
  EXPECT_EQ(*line_of(" with space "), " with space ");
  EXPECT_EQ(line_of("\n").error().code, Errc::invalid);
  EXPECT_EQ(line_of("").error().code, Errc::invalid);
  EXPECT_EQ(line_of(std::string(2000, 'x')).error().code, Errc::limit);
}

// What a person does at a terminal: waits for the prompt's silence, then types.
class AskTwice : public ::testing::Test {
 protected:
  AskTwice() { EXPECT_EQ(::openpty(&person_, &terminal_, nullptr, nullptr, nullptr), 0); }
  ~AskTwice() override {
    ::close(person_);
    ::close(terminal_);
  }
  [[nodiscard]] bool echoes() const {
    termios modes{};
    ::tcgetattr(terminal_, &modes);
    return (modes.c_lflag & ECHO) != 0;
  }
  Result<std::string> ask(const std::string& first, const std::string& second) {
    auto asked = std::async(std::launch::async, [this] { return ask_password_twice(terminal_, "Password"); });
    while (echoes()) std::this_thread::yield();  // what is typed before is thrown away
    const auto typed = first + second;
    EXPECT_EQ(::write(person_, typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));
    return asked.get();
  }
  int person_ = -1, terminal_ = -1;
};

TEST_F(AskTwice, SameTwice) {
  EXPECT_EQ(*ask("geheim\n", "geheim\n"), "geheim");
  EXPECT_TRUE(echoes());
}

TEST_F(AskTwice, DifferentIsAnError) {
  EXPECT_EQ(ask("geheim\n", "Geheim\n").error().message, "the two passwords differ");
}

}  // namespace
}  // namespace starling::cli
