// The barrier of a service whose data is a SQLite file.
//
// One connection, which the local transactions take in turns: SQLite has one writer anyway. The service's other code
// keeps connections of its own to the same file; while a prepare runs they can read (in WAL mode), and wait to write.
//
// Refused, each with what to do instead: a file that is not on a disk, a connection that does not sync (synchronous
// below FULL: a yes would be lost with the power), one that has other files attached (SQLite commits those one after
// the other), one that is to another file than the service's work, and a table of our names with other columns.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "service/barrier.h"

namespace assent::service {

struct SqliteOptions {
  std::string path = {};  // of the service's own database; made when it is not there
  // How long to wait for a writer on another connection, and for one's turn on this one.
  std::chrono::milliseconds patience{5'000};
  // A connection that the service's work runs on otherwise, to be compared: an Error when it is to another database.
  sqlite3* work = nullptr;
};

class SqliteBarrier final : public Barrier<sqlite3> {
 public:
  // Opens a connection of its own, in WAL mode, synchronous=FULL, with foreign keys enforced.
  [[nodiscard]] static Result<std::unique_ptr<SqliteBarrier>> open(const SqliteOptions& options);
  // On a connection of the service's, which nobody else uses while this is there, and which must outlive it. The path
  // says where the work's data is. Its settings are left as they are, and looked at.
  [[nodiscard]] static Result<std::unique_ptr<SqliteBarrier>> adopt(sqlite3& connection, const SqliteOptions& options);
  ~SqliteBarrier() override;
  SqliteBarrier(const SqliteBarrier&) = delete;
  SqliteBarrier& operator=(const SqliteBarrier&) = delete;

  [[nodiscard]] Result<std::unique_ptr<LocalTransactionOn<sqlite3>>> take() override;
  // An Error unless the connection is to this barrier's database.
  [[nodiscard]] Result<void> same_database(sqlite3& other);

 private:
  class Connection;
  class Local;

  explicit SqliteBarrier(std::unique_ptr<Connection> connection);
  [[nodiscard]] static Result<std::unique_ptr<SqliteBarrier>> make(std::unique_ptr<Connection> connection,
                                                                   const SqliteOptions& options);

  const std::unique_ptr<Connection> connection_;
};

}  // namespace assent::service
