#include "storage/sqlite/database.h"

#include <cstring>
#include <mutex>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

namespace starling::storage::sqlite {

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::bind(int at, std::int64_t value) {
  if (const int code = sqlite3_bind_int64(statement_.get(), at, value); code != SQLITE_OK) bind_error_ = code;
  return *this;
}

// A null pointer would bind NULL instead of the empty string.
Statement& Statement::bind(int at, std::string_view text) {
  const int code = sqlite3_bind_text64(statement_.get(), at, text.data() ? text.data() : "", text.size(),
                                       SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::bind_blob(int at, std::string_view bytes) {
  const int code = sqlite3_bind_blob64(statement_.get(), at, bytes.data() ? bytes.data() : "", bytes.size(),
                                       SQLITE_STATIC);
  if (code != SQLITE_OK) bind_error_ = code;
  return *this;
}

Result<bool> Statement::step() {
  if (bind_error_ != 0) return database_->error(bind_error_);
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_->error(code);
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  bind_error_ = 0;
}

Result<void> Statement::run() {
  Using scope(*this);
  for (;;) {
    auto row = step();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
  }
}

std::size_t Statement::changes() const {
  return static_cast<std::size_t>(sqlite3_changes64(sqlite3_db_handle(statement_.get())));
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string_view Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Database::~Database() { close(); }

void Database::close() {
  sqlite3_close_v2(database_);
  database_ = nullptr;
}

Result<void> Database::open(const std::string& file, Access access) {
  // SQLite's own statistics of memory cost a global lock on each allocation.
  static std::once_flag configured;
  std::call_once(configured, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });

  file_ = file;
  if (access == Access::create) {
    // Keys of passwords are in it: nobody else's business. The log and its index take over the file's mode.
    const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made < 0)
      return fail(Errc::io, fmt::format("The database {} cannot be opened: {}.", file, std::strerror(errno)));
    ::close(made);
  }
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    (access == Access::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
  if (const int code = sqlite3_open_v2(file.c_str(), &database_, flags, nullptr); code != SQLITE_OK) {
    auto failed = error(code);
    close();
    return failed;
  }
  sqlite3_busy_timeout(database_, 5000);
  return {};
}

Result<void> Database::execute(const std::string& sql) {
  if (const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr); code != SQLITE_OK)
    return error(code);
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* made = nullptr;
  const int code = sqlite3_prepare_v3(database_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  if (code != SQLITE_OK) return error(code);
  Statement statement;
  statement.statement_.reset(made);
  statement.database_ = this;
  return statement;
}

Result<void> Database::prepare_all(std::initializer_list<std::pair<Statement*, const char*>> all) {
  for (const auto& [statement, text] : all) {
    auto prepared = prepare(text);
    if (!prepared) return std::unexpected(std::move(prepared.error()));
    *statement = std::move(*prepared);
  }
  return {};
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(database_) == 0; }

bool Database::write_failed() const {
  const int code = sqlite3_extended_errcode(database_);
  return code == SQLITE_FULL || code == SQLITE_IOERR_WRITE;
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return std::unexpected(std::move(statement.error()));
  auto row = statement->step();
  if (!row) return std::unexpected(std::move(row.error()));
  if (!*row) return fail(Errc::corrupt, fmt::format("The database {} lacks what '{}' asks for.", file_, sql));
  return statement->integer(0);
}

std::unexpected<Error> Database::error(int code) {
  // The connection's message is of its last failed call, which may be another one.
  const bool latest = database_ != nullptr && sqlite3_extended_errcode(database_) == code;
  const char* why = latest ? sqlite3_errmsg(database_) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:  // a statement that does not fit the tables that are there
      return fail(Errc::corrupt,
                  fmt::format("The database {} is damaged or not this program's ({}, code {}); "
                              "restore it from a copy.",
                              file_, why, code));
    case SQLITE_FULL:
      return fail(Errc::io, fmt::format("The disk of the database {} is full; free some space.", file_));
    default:
      return fail(Errc::io, fmt::format("The database {} cannot be used: {} (code {}).", file_, why, code));
  }
}

}  // namespace starling::storage::sqlite
