// The registers of a PostgreSQL database, those among them that are prepared with their work (promise.h): a barrier
// that finds a branch in doubt in pg_prepared_xacts where the plain one finds no row. Safe from any thread.
#pragma once

#include <memory>
#include <string>

#include "service/postgres_barrier.h"

namespace assent::agent {

class PromisedBarrier final : public service::Barrier<PGconn> {
 public:
  // identity: of the barrier, as PostgresDatabase tells it.
  PromisedBarrier(std::unique_ptr<service::PostgresBarrier> barrier, std::string identity)
      : barrier_(std::move(barrier)), identity_(std::move(identity)) {}

  [[nodiscard]] Result<std::unique_ptr<service::LocalTransactionOn<PGconn>>> take() override;

 private:
  class Local;

  const std::unique_ptr<service::PostgresBarrier> barrier_;
  const std::string identity_;
};

}  // namespace assent::agent
