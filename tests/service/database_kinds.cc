#include "tests/service/database_kinds.h"

#include <unistd.h>

#include <cstdlib>

namespace assent::service::testing {

namespace {

// In memory where there is such a place: these tests kill processes, and never the power.
std::filesystem::path scratch_root() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK | X_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

}  // namespace

ScratchFolder::ScratchFolder() {
  std::string pattern = (scratch_root() / "assent-service.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder " + pattern);
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

SqliteKind::SqliteKind() : look_(connect(path())) { execute(*look_, "PRAGMA journal_mode=WAL"); }
SqliteKind::~SqliteKind() { sqlite3_close_v2(look_); }

sqlite3* SqliteKind::connect(const std::string& path) {
  sqlite3* db = nullptr;
  if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) throw std::runtime_error("cannot open " + path);
  sqlite3_busy_timeout(db, 5'000);
  return db;
}

void SqliteKind::execute(sqlite3& connection, const std::string& sql) {
  if (sqlite3_exec(&connection, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sql + ": " + sqlite3_errmsg(&connection));
  }
}

bool SqliteKind::try_execute(sqlite3& connection, const std::string& sql) {
  return sqlite3_exec(&connection, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::int64_t SqliteKind::number(sqlite3& connection, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(&connection, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sql + ": " + sqlite3_errmsg(&connection));
  }
  const std::int64_t out = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
  sqlite3_finalize(statement);
  return out;
}

}  // namespace assent::service::testing
