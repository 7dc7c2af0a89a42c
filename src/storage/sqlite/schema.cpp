#include "storage/sqlite/schema.h"

#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/log.h"

namespace starling::storage::sqlite {
namespace {

constexpr std::int64_t kApplicationId = 0x5374726c;  // "Strl" in the file's header

// 1: the first.
// - account_domain ends with the table's key by itself, so it lists a domain's accounts in order.
// - message has no index: the undelivered tails are indexed in memory, and every index would cost ten times
// the row.
//   stanza is last and a blob so that its length is read without its bytes.
// - meta 'ids_reserved': no message has had a higher id than this.
constexpr const char* kFirst = R"sql(
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('ids_reserved', 0);

CREATE TABLE account (
  jid TEXT PRIMARY KEY,
  domain TEXT NOT NULL,
  sha1_salt BLOB NOT NULL,
  sha1_stored BLOB NOT NULL,
  sha1_server BLOB NOT NULL,
  sha1_iterations INTEGER NOT NULL,
  sha256_salt BLOB NOT NULL,
  sha256_stored BLOB NOT NULL,
  sha256_server BLOB NOT NULL,
  sha256_iterations INTEGER NOT NULL,
  disabled INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  last_status TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX account_domain ON account (domain);

CREATE TABLE value (
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  peer TEXT NOT NULL,
  stamp_ms INTEGER NOT NULL,
  undelivered INTEGER NOT NULL,
  stanza BLOB NOT NULL
) STRICT;
)sql";

// 2: sessions that can be resumed.
// - message says which session it was handed to, 0 for none, and as which of its stanzas. Its stanza is still
// last.
// - session has one row a session; beyond holds pairs of 32-bit numbers, see session_table.h.
constexpr const char* kSessions = R"sql(
CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  received INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  lossy INTEGER NOT NULL,
  beyond BLOB NOT NULL
) STRICT;

CREATE TABLE message_2 (
  id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  peer TEXT NOT NULL,
  stamp_ms INTEGER NOT NULL,
  undelivered INTEGER NOT NULL,
  session INTEGER NOT NULL,
  number INTEGER NOT NULL,
  stanza BLOB NOT NULL
) STRICT;
INSERT INTO message_2 SELECT id, owner, peer, stamp_ms, undelivered, 0, 0, stanza FROM message;
DROP TABLE message;
ALTER TABLE message_2 RENAME TO message;
)sql";

// 3: archives.
// - party numbers JIDs. Of an account's archive it says below which id there is nothing any more, and how
// much the index has.
// - message is in the archives that kept says: 1 the owner's, 2 the peer's. No index is written with it. All
// up to meta 'indexed' is in
//   archive, by account; correspondence, by account and party; tail, if it is undelivered; block, when it was
//   taken.
// - meta 'expired_below': no archive has anything below this id. sweep: accounts whose archive table has more
// than it should.
// - repeat has the fingerprints of messages stored lately.
constexpr const char* kArchive = R"sql(
CREATE TABLE party (
  number INTEGER PRIMARY KEY,
  jid TEXT NOT NULL UNIQUE,
  floor INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
INSERT INTO party (jid, floor, messages, bytes)
  SELECT owner, 0, 0, 0 FROM message UNION SELECT peer, 0, 0, 0 FROM message;

CREATE TABLE message_3 (
  id INTEGER PRIMARY KEY,
  owner INTEGER NOT NULL,
  peer INTEGER NOT NULL,
  stamp_ms INTEGER NOT NULL,
  undelivered INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  session INTEGER NOT NULL,
  number INTEGER NOT NULL,
  stanza BLOB NOT NULL
) STRICT;
INSERT INTO message_3 SELECT m.id, o.number, p.number, m.stamp_ms, m.undelivered, 0, m.session, m.number, m.stanza
  FROM message m JOIN party o ON o.jid=m.owner JOIN party p ON p.jid=m.peer;
DROP TABLE message;
ALTER TABLE message_3 RENAME TO message;

CREATE TABLE archive (
  account INTEGER NOT NULL,
  id INTEGER NOT NULL,
  other INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE correspondence (
  account INTEGER NOT NULL,
  other INTEGER NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (account, other, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE tail (id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE block (
  number INTEGER PRIMARY KEY,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE sweep (account INTEGER PRIMARY KEY) STRICT;
CREATE TABLE repeat (
  id INTEGER PRIMARY KEY,
  stamp_ms INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT;
INSERT INTO meta VALUES ('indexed', 0), ('expired_below', 0);
)sql";

constexpr std::array kSteps{kFirst, kSessions, kArchive};

// SQLite's own copying takes what is still in the log along.
Result<void> copy_beside(Database& database, std::int64_t version) {
  const std::string name = fmt::format("{}.v{}", database.file(), version);
  std::error_code ignored;
  std::filesystem::remove(name,
                          ignored);  // of an attempt that did not end: the database is still of that version
  Database copy;
  if (auto opened = copy.open(name, Database::Access::create); !opened) return opened;
  auto* backup = sqlite3_backup_init(copy.raw(), "main", database.raw(), "main");
  if (backup == nullptr) return copy.error(sqlite3_extended_errcode(copy.raw()));
  sqlite3_backup_step(backup, -1);
  if (const int code = sqlite3_backup_finish(backup); code != SQLITE_OK) return copy.error(code);
  log::info("storage: kept {} as it was in {}", database.file(), name);
  return {};
}

Result<void> apply(Database& database, std::span<const char* const> steps, std::int64_t from) {
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return begun;
  for (auto step = static_cast<std::size_t>(from); step < steps.size(); ++step)
    if (auto done = database.execute(steps[step]); !done) return done;
  return database.execute(
      fmt::format("PRAGMA application_id={}; PRAGMA user_version={}; COMMIT", kApplicationId, steps.size()));
}

}  // namespace

std::span<const char* const> schema() { return kSteps; }

Result<std::int64_t> check_version(Database& database, std::span<const char* const> steps) {
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return version;
  const auto application = database.integer("PRAGMA application_id");
  if (!application) return application;
  const auto things = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!things) return things;

  const std::string& file = database.file();
  if ((*things != 0 || *version != 0) && *application != kApplicationId)
    return fail(Errc::conflict, fmt::format("{} is a database of another program; name another file.", file));
  if (*version < 0 || (*version == 0) != (*things == 0))
    return fail(Errc::corrupt,
                fmt::format("{} says it has schema version {}, which its tables do not fit; restore it "
                            "from a copy.",
                            file, *version));
  const auto newest = static_cast<std::int64_t>(steps.size());
  if (*version > newest)
    return fail(
        Errc::conflict,
        fmt::format(
            "The database {} has schema version {} and this program knows versions up to {}: run the "
            "newer program, or restore the copy it made when it migrated the database ({}.v{} or older).",
            file, *version, newest, file, newest));
  return version;
}

Result<void> migrate(Database& database, std::span<const char* const> steps, std::int64_t version) {
  const auto newest = static_cast<std::int64_t>(steps.size());
  if (version == newest) return {};
  if (version != 0)
    if (auto copied = copy_beside(database, version); !copied) return copied;
  if (auto applied = apply(database, steps, version); !applied) {
    applied.error().message += fmt::format(" It is still of schema version {}.", version);
    return applied;
  }
  if (version != 0)
    log::info("storage: migrated {} from schema version {} to {}", database.file(), version, newest);
  return {};
}

}  // namespace starling::storage::sqlite
