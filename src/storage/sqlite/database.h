#pragma once
// SQLite's C interface with owners and Result<T>. A Database and its Statements belong to one thread at a
// time.
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace starling::storage::sqlite {

class Database;

// A prepared statement, for use again and again. Bound views must live until reset().
class Statement {
 public:
  Statement() = default;

  // Parameters count from 1. An error of binding is reported by the next step().
  Statement& bind(int at, std::int64_t value);
  Statement& bind(int at, std::string_view text);
  Statement& bind_blob(int at, std::string_view bytes);

  // True: there is a row, whose columns (counted from 0) are valid until the next step() or reset().
  Result<bool> step();
  void reset();
  // step() until the end, then reset().
  Result<void> run();
  // Rows that the last run() has changed, of any statement of the database.
  [[nodiscard]] std::size_t changes() const;

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string_view bytes(int column) const;  // of a text or a blob
  [[nodiscard]] std::string string(int column) const { return std::string(bytes(column)); }

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  Database* database_ = nullptr;
  int bind_error_ = 0;
};

// Resets a statement at the end of a scope, so that it holds no read transaction and no view longer than
// that.
class Using {
 public:
  explicit Using(Statement& statement) : statement_(statement) {}
  ~Using() { statement_.reset(); }
  Using(const Using&) = delete;
  Using& operator=(const Using&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  enum class Access { create, write, read };

  // The object must stay where it is: statements point to it.
  Database() = default;
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // `create` makes a missing file, with mode 0600.
  Result<void> open(const std::string& file, Access access);
  void close();  // statements must be gone
  [[nodiscard]] bool is_open() const { return database_ != nullptr; }
  [[nodiscard]] sqlite3* raw() { return database_; }
  [[nodiscard]] const std::string& file() const { return file_; }

  [[nodiscard]] bool in_transaction() const;
  // The last call failed because bytes could not be written, as on a full disk; not because of a sync.
  [[nodiscard]] bool write_failed() const;

  Result<void> execute(const std::string& sql);
  Result<Statement> prepare(std::string_view sql);
  Result<void> prepare_all(std::initializer_list<std::pair<Statement*, const char*>> all);
  // The integer of the first column of the first row.
  Result<std::int64_t> integer(std::string_view sql);
  // What SQLite says of its last failure, as a sentence: corrupt for stored data that makes no sense, else
  // io.
  std::unexpected<Error> error(int code);

 private:
  std::string file_;
  sqlite3* database_ = nullptr;
};

}  // namespace starling::storage::sqlite
