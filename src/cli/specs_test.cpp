#include "modules/specs.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::modules {
namespace {

TEST(Specs, the_document_is_what_the_sources_say) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / "docs" / "specs.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(document, specs_markdown()) << "run tools/gen_specs";
}

TEST(Specs, lists_modules_and_core) {
  const std::string text = specs_markdown();
  EXPECT_THAT(text, testing::HasSubstr("| [XEP-0199](https://xmpp.org/extensions/xep-0199.html) | 2.0.1 |"));
  EXPECT_THAT(text, testing::HasSubstr("| [RFC 6120](https://www.rfc-editor.org/rfc/rfc6120) |"));
}

}  // namespace
}  // namespace starling::modules
