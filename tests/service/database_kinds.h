// What the tests need of each kind of database: a place of its own, a barrier in it, and plain SQL on a connection.
//
// A Kind has
//   Connection                                   sqlite3, ...
//   Kind()                                       a new, empty database
//   std::unique_ptr<Barrier<Connection>> open()  a barrier, as another process would open it
//   Connection& look()                           a connection beside the barriers'
//   static void execute(Connection&, sql)        throws std::runtime_error
//   static bool try_execute(Connection&, sql)
//   static int64 number(Connection&, sql)
//   static constexpr int histories               how many random ones; as many as a second allows
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "service/sqlite_barrier.h"

namespace assent::service::testing {

// A folder in a temporary place, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class SqliteKind {
 public:
  using Connection = sqlite3;
  static constexpr int histories = 40;

  SqliteKind();
  ~SqliteKind();
  SqliteKind(const SqliteKind&) = delete;
  SqliteKind& operator=(const SqliteKind&) = delete;

  [[nodiscard]] Result<std::unique_ptr<SqliteBarrier>> open() { return SqliteBarrier::open({.path = path()}); }
  [[nodiscard]] sqlite3& look() { return *look_; }
  [[nodiscard]] std::string path() const { return (folder_.path() / "service.db").string(); }

  static void execute(sqlite3& connection, const std::string& sql);
  static bool try_execute(sqlite3& connection, const std::string& sql);
  static std::int64_t number(sqlite3& connection, const std::string& sql);
  static sqlite3* connect(const std::string& path);

 private:
  ScratchFolder folder_;
  sqlite3* look_ = nullptr;
};

}  // namespace assent::service::testing
