// An outbox (outbox_store.h) in a service's SQLite database.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "service/outbox_store.h"

namespace assent::service {

class SqliteOutbox final : public OutboxStore {
 public:
  // On a connection of its own; makes the table when it is not there.
  [[nodiscard]] static Result<std::unique_ptr<SqliteOutbox>> open(const std::string& path);
  ~SqliteOutbox() override;
  SqliteOutbox(const SqliteOutbox&) = delete;
  SqliteOutbox& operator=(const SqliteOutbox&) = delete;

  // In the service's local transaction, on its own connection to the same database.
  [[nodiscard]] static Result<void> put(sqlite3& connection, ByteView message);

  [[nodiscard]] Result<std::vector<OutboxRow>> rows_after(std::int64_t sequence, std::size_t most) override;
  [[nodiscard]] Result<bool> assign(const OutboxRow& row, const std::string& txn_id) override;
  [[nodiscard]] Result<void> remove(const OutboxRow& row) override;

 private:
  explicit SqliteOutbox(sqlite3* connection) : connection_(connection) {}

  sqlite3* const connection_;
};

}  // namespace assent::service
