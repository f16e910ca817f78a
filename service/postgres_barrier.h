// The barrier of a service whose data is in PostgreSQL.
//
// A few connections of its own; the service's work runs on the one that it is given, in the same transaction as the
// register. Isolation is read committed: lock what you read and rely on (SELECT ... FOR UPDATE). A connection that was
// lost is made again when it is next taken.
//
// Refused, each with what to do instead: a server that does not sync (fsync=off), a connection of the service's to
// another database, and a table of our names with other columns. synchronous_commit is turned on for its connections
// when the role or database has it off.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "base/result.h"
#include "service/barrier.h"

namespace assent::service {

struct PostgresOptions {
  std::string conninfo = {};  // as libpq takes it: "host=... dbname=...", or a URI. The database of the service's work
  std::size_t connections = 4;  // local transactions at a time
  // How long to wait for a free connection, for a new one, and for a lock.
  std::chrono::milliseconds patience{5'000};
  // A connection that the service's work runs on otherwise, to be compared: an Error when it is to another database.
  PGconn* work = nullptr;
};

class PostgresBarrier final : public Barrier<PGconn> {
 public:
  // Makes the tables when they are not there, in the first schema of the search_path.
  [[nodiscard]] static Result<std::unique_ptr<PostgresBarrier>> open(const PostgresOptions& options);
  ~PostgresBarrier() override;
  PostgresBarrier(const PostgresBarrier&) = delete;
  PostgresBarrier& operator=(const PostgresBarrier&) = delete;

  [[nodiscard]] Result<std::unique_ptr<LocalTransactionOn<PGconn>>> take() override;
  // An Error unless the connection is to this barrier's database.
  [[nodiscard]] Result<void> same_database(PGconn& other);

 private:
  class Pool;
  class Local;

  explicit PostgresBarrier(std::shared_ptr<Pool> pool);

  const std::shared_ptr<Pool> pool_;
};

}  // namespace assent::service
