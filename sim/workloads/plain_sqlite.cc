#include "sim/workloads/plain_sqlite.h"

#include <sqlite3.h>

#include "base/check.h"

namespace assent::sim {
namespace {

SqlValue value_at(sqlite3_stmt* statement, int column) {
  const auto bytes = [&](const void* data) {
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
    return size == 0 ? std::string() : std::string(static_cast<const char*>(data), size);
  };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: return std::int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT: return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: return bytes(sqlite3_column_text(statement, column));
    case SQLITE_BLOB: return SqlBlob{bytes(sqlite3_column_blob(statement, column))};
    default: return SqlNull{};
  }
}

}  // namespace

void PlainSqlite::Closer::operator()(sqlite3* db) const { sqlite3_close_v2(db); }

PlainSqlite::PlainSqlite() {
  sqlite3* db = nullptr;
  const int code = sqlite3_open(":memory:", &db);
  db_.reset(db);
  ASSENT_CHECK(code == SQLITE_OK && step("PRAGMA foreign_keys=ON"), "a database in memory opens");
}

PlainSqlite::~PlainSqlite() = default;

std::string PlainSqlite::message() const { return message_; }

std::optional<PlainSqlite::Rows> PlainSqlite::step(const std::string& text) {
  sqlite3_stmt* statement = nullptr;
  Rows rows;
  int code = sqlite3_prepare_v2(db_.get(), text.c_str(), -1, &statement, nullptr);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code != SQLITE_ROW) break;
    const int columns = sqlite3_column_count(statement);
    std::vector<SqlValue> row;
    row.reserve(static_cast<std::size_t>(columns));
    for (int i = 0; i < columns; ++i) row.push_back(value_at(statement, i));
    rows.push_back(std::move(row));
  }
  if (code != SQLITE_DONE) message_ = sqlite3_errmsg(db_.get());
  sqlite3_finalize(statement);
  return code == SQLITE_DONE ? std::optional(std::move(rows)) : std::nullopt;
}

std::optional<std::vector<PlainSqlite::Rows>> PlainSqlite::run(const std::vector<std::string>& statements, bool keep) {
  std::vector<Rows> out;
  bool good = step("BEGIN").has_value();
  for (const std::string& statement : statements) {
    auto rows = good ? step(statement) : std::nullopt;
    good = rows.has_value();
    if (good) out.push_back(std::move(*rows));
  }
  good = good && (!keep || step("COMMIT"));
  if (sqlite3_get_autocommit(db_.get()) == 0) ASSENT_CHECK(step("ROLLBACK"), "a transaction can be taken back");
  return good ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<std::vector<PlainSqlite::Rows>> PlainSqlite::run_and_look(const std::vector<std::string>& statements,
                                                                        const std::vector<std::string>& looks) {
  std::vector<std::string> all = statements;
  all.insert(all.end(), looks.begin(), looks.end());
  auto rows = run(all, false);
  if (rows) rows->erase(rows->begin(), rows->begin() + static_cast<std::ptrdiff_t>(statements.size()));
  return rows;
}

}  // namespace assent::sim
