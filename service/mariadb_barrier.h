// The barrier of a service whose data is in MariaDB, in InnoDB tables.
//
// A few connections of its own; the service's work runs on the one that it is given, in the same transaction as the
// register. Isolation is read committed: lock what you read and rely on (SELECT ... FOR UPDATE). A connection that was
// lost is made again when it is next taken. What the server takes back by itself, as to break a deadlock, is never half
// of a yes; a deadlock in which the service's work was not yet begun is tried again.
//
// Refused, each with what to do instead: a server that does not sync each commit (innodb_flush_log_at_trx_commit below
// 1, or a binary log with sync_binlog other than 1), tables of ours in another engine than InnoDB, a connection of the
// service's to another database, and a table of our names with other columns. Statements that commit by themselves
// (CREATE TABLE and the like) and tables of MyISAM or Aria are not for a service's work: they cannot be rolled back.
#pragma once

#include <mysql.h>

#include <chrono>
#include <cstddef>
#include <memory>

#include "base/result.h"
#include "service/barrier.h"
#include "service/mariadb_connection.h"

namespace assent::service {

struct MariadbOptions {
  mariadb::Address address = {};  // of the database of the service's work
  std::size_t connections = 4;    // local transactions at a time
  // How long to wait for a free connection, for a new one, and (at least a second) for a lock.
  std::chrono::milliseconds patience{5'000};
  // A connection that the service's work runs on otherwise, to be compared: an Error when it is to another database.
  MYSQL* work = nullptr;
};

class MariadbBarrier final : public Barrier<MYSQL> {
 public:
  // Makes the tables when they are not there.
  [[nodiscard]] static Result<std::unique_ptr<MariadbBarrier>> open(const MariadbOptions& options);
  ~MariadbBarrier() override;
  MariadbBarrier(const MariadbBarrier&) = delete;
  MariadbBarrier& operator=(const MariadbBarrier&) = delete;

  [[nodiscard]] Result<std::unique_ptr<LocalTransactionOn<MYSQL>>> take() override;
  // An Error unless the connection is to this barrier's database.
  [[nodiscard]] Result<void> same_database(MYSQL& other);

 private:
  class Pool;
  class Local;

  explicit MariadbBarrier(std::shared_ptr<Pool> pool);

  const std::shared_ptr<Pool> pool_;
};

}  // namespace assent::service
