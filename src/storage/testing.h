#pragma once
// The drivers as the tests of the contract make them: an empty store in a directory of its own.
#include <stdexcept>

#include "storage/faulty/faulty_store.h"
#include "storage/store.h"

namespace starling::storage {

inline std::unique_ptr<Store> open_or_throw(std::string_view spec, const std::string& directory) {
  auto opened = open(spec, directory);
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(*opened);
}

struct StoreHarness {
  const char* name;
  std::unique_ptr<Store> (*make)(const std::string& directory);
};

inline constexpr StoreHarness kHarnesses[] = {
    {"memory", [](const std::string& directory) { return open_or_throw("memory:", directory); }},
    {"sqlite", [](const std::string& directory) { return open_or_throw("sqlite:test.db", directory); }},
    {"faulty",
     [](const std::string& directory) -> std::unique_ptr<Store> {
       return std::make_unique<faulty::FaultyStore>(open_or_throw("memory:", directory));
     }},
};

}  // namespace starling::storage
