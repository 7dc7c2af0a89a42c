#include <filesystem>

#include "storage/detail.h"
#include "storage/memory/memory_store.h"
#include "storage/sqlite/sqlite_store.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::storage {

std::unexpected<Error> detail::closed() {
  return fail(Errc::unavailable, "The store is closed: the server is shutting down.");
}

bool detail::is_between(std::string_view stanza, std::string_view full_jid) {
  const auto document = xml::parse_fragment(stanza, ns::client, xml::kNoLimits);
  if (!document) return false;
  const auto& root = document->root();
  return root.attribute("from") == full_jid || root.attribute("to") == full_jid;
}

Result<std::unique_ptr<Store>> open(std::string_view spec, std::string_view data_dir, Options options) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (spec == "memory:") return std::make_unique<MemoryStore>();
  if (spec.starts_with(kSqlite) && spec.size() > kSqlite.size()) {
    // An absolute FILE replaces the left side of `/`.
    const auto file = std::filesystem::path(data_dir) / spec.substr(kSqlite.size());
    auto opened = sqlite::SqliteStore::open(file.string(), options);
    if (!opened) return std::unexpected(std::move(opened.error()));
    return std::move(*opened);
  }
  return fail(Errc::invalid, fmt::format("'{}' is no store; expected sqlite:FILE or memory:", spec));
}

}  // namespace starling::storage
