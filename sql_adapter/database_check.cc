#include "sql_adapter/database_check.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>

#include "sql_adapter/database.h"

namespace assent {
namespace {

constexpr int piece_bytes = 1 << 18;
constexpr int instructions_per_pace = 100'000;
constexpr std::size_t problems_max = 20;

// What SQLite says of one table, or of all when none is named; without its "ok".
Result<std::vector<std::string>> problems_of(sql::Database& database, const std::string& statement) {
  const auto rows = database.rows(statement);
  if (!rows) return fail(rows.error());
  std::vector<std::string> problems;
  for (const sql::Row& row : *rows) problems.emplace_back(sql::view(row.front()).bytes);
  if (problems == std::vector<std::string>{"ok"}) problems.clear();
  return problems;
}

std::string quoted(std::string_view name) {
  std::string text = "'";
  for (const char c : name) text += c == '\'' ? std::string("''") : std::string(1, c);
  return text + "'";
}

int keeps_pace(void* pace) { return (*static_cast<const Pace*>(pace))(0) ? 0 : 1; }

class Look {
 public:
  Look(sql::Database& database, const Pace& pace) : database_(database), pace_(pace) {
    sqlite3_progress_handler(database_.handle(), instructions_per_pace, keeps_pace, const_cast<Pace*>(&pace_));
    // This connection may be the last one, of a file that another process writes next.
    sqlite3_db_config(database_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }

  Result<std::vector<std::string>> run() {
    if (auto read = read_file(); !read) return fail(read.error());
    if (problems_.empty()) {
      if (auto looked = look_at_tables(); !looked) return fail(looked.error());
    }
    return std::move(problems_);
  }

 private:
  Result<void> read_file() {
    sqlite3_file* file = nullptr;
    if (sqlite3_file_control(database_.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file == nullptr || file->pMethods == nullptr) {
      return {};
    }
    sqlite3_int64 size = 0;
    if (file->pMethods->xFileSize(file, &size) != SQLITE_OK) size = 0;
    std::string piece(piece_bytes, '\0');
    for (sqlite3_int64 at = 0; at < size; at += piece_bytes) {
      const int count = static_cast<int>(std::min<sqlite3_int64>(piece_bytes, size - at));
      const int code = file->pMethods->xRead(file, piece.data(), count, at);
      if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) {
        problems_.push_back(
            fmt::format("it cannot be read at offsets {} to {}: {}", at, at + count, sqlite3_errstr(code)));
      }
      if (!pace_(static_cast<std::uint64_t>(count))) return stopped();
    }
    return {};
  }

  Result<void> look_at_tables() {
    const auto tables = database_.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0");
    if (!tables) return judge(tables.error());
    for (const sql::Row& row : *tables) {
      const std::string name = quoted(sql::view(row.front()).bytes);
      auto found = problems_of(database_, fmt::format("PRAGMA integrity_check({})", name));
      if (!found) {
        if (auto judged = judge(found.error()); !judged) return judged;
        continue;
      }
      std::move(found->begin(), found->end(), std::back_inserter(problems_));
      if (problems_.size() >= problems_max) break;
      if (!pace_(0)) return stopped();
    }
    return {};
  }

  // Pages that do not fit together, and such that cannot be read, are what is looked for.
  Result<void> judge(const Error& error) {
    const int code = sqlite3_errcode(database_.handle()) & 0xFF;
    if (code == SQLITE_INTERRUPT) return stopped();
    const bool damage = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_IOERR;
    if (!damage) return fail(ErrorCode::busy, error.message);
    problems_.push_back(error.message);
    return {};
  }

  static Result<void> stopped() { return fail(ErrorCode::cancelled, "the look at the database was ended"); }

  sql::Database& database_;
  const Pace& pace_;
  std::vector<std::string> problems_;
};

Result<std::unique_ptr<sql::Database>> open_for_reading(const std::string& path) {
  sql::DatabaseFile file;
  file.path = path;
  file.read_only = true;
  return sql::Database::open(file);
}

}  // namespace

Result<std::vector<std::string>> check_database(const std::string& path) {
  const auto database = open_for_reading(path);
  if (!database) return fail(database.error());
  return problems_of(**database, fmt::format("PRAGMA integrity_check({})", problems_max));
}

Result<std::vector<std::string>> look_at_database(const std::string& path, const Pace& pace) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return fail(ErrorCode::not_found, fmt::format("there is no {}", path));
  const auto database = open_for_reading(path);
  if (!database && database.error().code == ErrorCode::corruption) {
    return std::vector<std::string>{database.error().message};
  }
  if (!database) return fail(ErrorCode::busy, database.error().message);
  return Look(**database, pace).run();
}

}  // namespace assent
