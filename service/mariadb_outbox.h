// An outbox (outbox_store.h) in a service's MariaDB database.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "service/mariadb_connection.h"
#include "service/outbox_store.h"

namespace assent::service {

class MariadbOutbox final : public OutboxStore {
 public:
  // A connection of its own, made again when it was lost; makes the table when it is not there.
  [[nodiscard]] static Result<std::unique_ptr<MariadbOutbox>> open(
      const mariadb::Address& address, std::chrono::milliseconds patience = std::chrono::seconds(5));

  // In the service's local transaction, on its own connection to the same database.
  [[nodiscard]] static Result<void> put(MYSQL& connection, ByteView message);

  [[nodiscard]] Result<std::vector<OutboxRow>> rows_after(std::int64_t sequence, std::size_t most) override;
  [[nodiscard]] Result<bool> assign(const OutboxRow& row, const std::string& txn_id) override;
  [[nodiscard]] Result<void> remove(const OutboxRow& row) override;

 private:
  MariadbOutbox(mariadb::Address address, std::chrono::milliseconds patience, mariadb::Handle connection)
      : address_(std::move(address)), patience_(patience), connection_(std::move(connection)) {}
  // The statement and its commit.
  [[nodiscard]] Result<mariadb::Rows> run(std::string_view text, const mariadb::Parameters& parameters);

  const mariadb::Address address_;
  const std::chrono::milliseconds patience_;
  mariadb::Handle connection_;
};

}  // namespace assent::service
