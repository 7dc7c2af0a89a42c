#pragma once
// The tables, as the steps that made them. Version N of a database (PRAGMA user_version) is what the first N
// steps made; a step that was released is never changed again, a new need is a new step.
#include <span>

#include "storage/sqlite/database.h"

namespace starling::storage::sqlite {

std::span<const char* const> schema();

// The version an open database has, 0 for an empty one; changes nothing. Errors: conflict for a version newer
// than steps.size() or another program's database.
Result<std::int64_t> check_version(Database& database, std::span<const char* const> steps);

// Brings a database of `version` to steps.size(), in one transaction. One that holds something is copied to
// FILE.vN (N its old version) first. After an error close it, which undoes what was begun.
Result<void> migrate(Database& database, std::span<const char* const> steps, std::int64_t version);

}  // namespace starling::storage::sqlite
