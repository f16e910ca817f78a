// Statements on a SQLite connection, as values: sqlite3 with owners and Errors. Internal to service/. Not thread-safe:
// one connection, one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assent::service::sqlite {

// corruption, busy, or io; with the file and what was being done.
[[nodiscard]] Error error_of(sqlite3* db, int code, std::string_view doing);

// A statement, prepared anew each time: the rows are few, and a cache would have to be told of schema changes and of
// work that finalizes what it does not own. Values are bound in their order and must outlive its steps.
class Query {
 public:
  Query(sqlite3* db, std::string_view text);
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query() { sqlite3_finalize(statement_); }

  Query& text(std::string_view value);
  Query& blob(std::string_view value);
  Query& integer(std::optional<std::int64_t> value);

  // true: a row; false: the end.
  [[nodiscard]] Result<bool> step();
  [[nodiscard]] Result<void> run();
  [[nodiscard]] int code() const { return code_; }

  [[nodiscard]] std::string bytes(int column) const;
  [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  [[nodiscard]] std::optional<std::int64_t> number_or_null(int column) const;

 private:
  void note(int code) {
    if (code_ == SQLITE_OK) code_ = code;
  }

  sqlite3* db_;
  const std::string_view text_;
  sqlite3_stmt* statement_ = nullptr;
  int code_ = SQLITE_OK;
  int bound_ = 0;
};

// May be several statements.
[[nodiscard]] Result<void> execute(sqlite3* db, const char* text);
// 0 when there is no row.
[[nodiscard]] Result<std::int64_t> single_number(sqlite3* db, std::string_view text);
[[nodiscard]] Result<std::vector<std::string>> single_column(Query& query, int column);

}  // namespace assent::service::sqlite
