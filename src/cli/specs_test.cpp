#include "cli/specs.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::cli {
namespace {

std::filesystem::path root() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(Specs, the_document_is_what_the_sources_say) {
  EXPECT_EQ(content(root() / "docs" / "specs.md"), specs_markdown()) << "run tools/gen_specs";
}

TEST(Specs, lists_modules_and_core) {
  const std::string text = specs_markdown();
  EXPECT_THAT(text, testing::HasSubstr("| [XEP-0199](https://xmpp.org/extensions/xep-0199.html) | 2.0.1 |"));
  EXPECT_THAT(text, testing::HasSubstr("| [RFC 6120](https://www.rfc-editor.org/rfc/rfc6120) |"));
}

TEST(Specs, lists_every_extension_of_the_client) {
  const std::string text = specs_markdown();
  std::size_t extensions = 0;
  for (const auto& file : std::filesystem::directory_iterator(root() / "src" / "client" / "ext")) {
    if (file.path().extension() != ".h") continue;
    const auto classes = count(content(file.path()), " : public Extension {");
    extensions += classes;
    EXPECT_EQ(count(text, "(../src/client/ext/" + file.path().filename().string() + ")"), classes)
        << file.path();
  }
  EXPECT_EQ(count(text, "(../src/client/ext/"), extensions);
  EXPECT_GT(extensions, 0u);
}

}  // namespace
}  // namespace starling::cli
