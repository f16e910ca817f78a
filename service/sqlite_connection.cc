#include "service/sqlite_connection.h"

#include <fmt/format.h>

namespace assent::service::sqlite {

Error error_of(sqlite3* db, int code, std::string_view doing) {
  const int primary = code & 0xFF;
  const char* const file = sqlite3_db_filename(db, "main");
  ErrorCode kind = ErrorCode::io;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) kind = ErrorCode::corruption;
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) kind = ErrorCode::busy;
  return {kind, fmt::format("SQLite, {}, {}: {}", file == nullptr ? "" : file, doing, sqlite3_errmsg(db)), {}};
}

Query::Query(sqlite3* db, std::string_view text) : db_(db), text_(text) {
  code_ = sqlite3_prepare_v2(db, text.data(), static_cast<int>(text.size()), &statement_, nullptr);
}

Query& Query::text(std::string_view value) {
  note(sqlite3_bind_text64(statement_, ++bound_, value.data() == nullptr ? "" : value.data(), value.size(),
                           SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Query& Query::blob(std::string_view value) {
  note(sqlite3_bind_blob64(statement_, ++bound_, value.data() == nullptr ? "" : value.data(), value.size(),
                           SQLITE_STATIC));
  return *this;
}

Query& Query::integer(std::optional<std::int64_t> value) {
  ++bound_;
  note(value ? sqlite3_bind_int64(statement_, bound_, *value) : sqlite3_bind_null(statement_, bound_));
  return *this;
}

Result<bool> Query::step() {
  if (code_ == SQLITE_OK) {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    code_ = code;
  }
  return fail(error_of(db_, code_, text_));
}

Result<void> Query::run() {
  for (;;) {
    const Result<bool> more = step();
    if (!more) return fail(more.error());
    if (!*more) return {};
  }
}

std::string Query::bytes(int column) const {
  const auto* const data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string() : std::string(data, size);
}

std::optional<std::int64_t> Query::number_or_null(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return number(column);
}

Result<void> execute(sqlite3* db, const char* text) {
  const int code = sqlite3_exec(db, text, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error_of(db, code, text));
  return {};
}

Result<std::int64_t> single_number(sqlite3* db, std::string_view text) {
  Query query(db, text);
  const Result<bool> row = query.step();
  if (!row) return fail(row.error());
  return *row ? query.number(0) : 0;
}

Result<std::vector<std::string>> single_column(Query& query, int column) {
  std::vector<std::string> out;
  for (;;) {
    const Result<bool> row = query.step();
    if (!row) return fail(row.error());
    if (!*row) return out;
    out.push_back(query.bytes(column));
  }
}

}  // namespace assent::service::sqlite
