// An outbox (outbox_store.h) in a service's PostgreSQL database.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>

#include "service/outbox_store.h"

namespace assent::service {

class PostgresOutbox final : public OutboxStore {
 public:
  // conninfo as libpq has it. A connection of its own, made again when it was lost; makes the table when it is not
  // there.
  [[nodiscard]] static Result<std::unique_ptr<PostgresOutbox>> open(
      const std::string& conninfo, std::chrono::milliseconds patience = std::chrono::seconds(5));
  ~PostgresOutbox() override;
  PostgresOutbox(const PostgresOutbox&) = delete;
  PostgresOutbox& operator=(const PostgresOutbox&) = delete;

  // In the service's local transaction, on its own connection to the same database.
  [[nodiscard]] static Result<void> put(PGconn& connection, ByteView message);

  [[nodiscard]] Result<std::vector<OutboxRow>> rows_after(std::int64_t sequence, std::size_t most) override;
  [[nodiscard]] Result<bool> assign(const OutboxRow& row, const std::string& txn_id) override;
  [[nodiscard]] Result<void> remove(const OutboxRow& row) override;

 private:
  PostgresOutbox(PGconn* connection, std::chrono::milliseconds patience)
      : connection_(connection), patience_(patience) {}
  [[nodiscard]] Result<void> ready();

  PGconn* const connection_;
  const std::chrono::milliseconds patience_;
};

}  // namespace assent::service
