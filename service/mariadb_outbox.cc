#include "service/mariadb_outbox.h"

#include <utility>

namespace assent::service {

using mariadb::Address;
using mariadb::connect;
using mariadb::execute;
using mariadb::Handle;
using mariadb::idle;
using mariadb::Parameters;
using mariadb::Rows;
using mariadb::single_column;

Result<std::unique_ptr<MariadbOutbox>> MariadbOutbox::open(const Address& address, std::chrono::milliseconds patience) {
  Result<Handle> handle = connect(address, patience);
  if (!handle) return fail(handle.error());
  std::unique_ptr<MariadbOutbox> outbox(new MariadbOutbox(address, patience, std::move(*handle)));
  const auto made =
      execute(outbox->connection_.get(),
              "CREATE TABLE IF NOT EXISTS assent_outbox(sequence BIGINT AUTO_INCREMENT PRIMARY KEY, txn_id "
              "VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '', message LONGBLOB NOT "
              "NULL) ENGINE=InnoDB");
  if (!made) return fail(made.error());
  const auto engine = single_column(outbox->connection_.get(),
                                    "SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND "
                                    "table_name = 'assent_outbox'");
  if (!engine) return fail(engine.error());
  if (engine->empty() || engine->front() != "InnoDB") {
    return fail(ErrorCode::refused,
                "assent_outbox must be a table of InnoDB: another engine would send what was rolled back");
  }
  return outbox;
}

Result<void> MariadbOutbox::put(MYSQL& connection, ByteView message) {
  const auto done = execute(&connection, "INSERT INTO assent_outbox(message) VALUES(?)", Parameters().blob(message));
  if (!done) return fail(done.error());
  return {};
}

Result<Rows> MariadbOutbox::run(std::string_view text, const Parameters& parameters) {
  if (!idle(connection_.get())) {
    Result<Handle> handle = connect(address_, patience_);
    if (!handle) return fail(handle.error());
    connection_ = std::move(*handle);
  }
  Result<Rows> rows = execute(connection_.get(), text, parameters);
  const auto ended = execute(connection_.get(), rows ? "COMMIT" : "ROLLBACK");
  if (rows && !ended) return fail(ended.error());
  return rows;
}

Result<std::vector<OutboxRow>> MariadbOutbox::rows_after(std::int64_t sequence, std::size_t most) {
  const auto found =
      run("SELECT sequence, txn_id, message FROM assent_outbox WHERE sequence > ? ORDER BY sequence LIMIT ?",
          Parameters().integer(sequence).integer(static_cast<std::int64_t>(most)));
  if (!found) return fail(found.error());
  std::vector<OutboxRow> rows;
  for (std::size_t i = 0; i < found->rows.size(); ++i) {
    rows.push_back({found->number(i, 0), found->text(i, 1), found->text(i, 2)});
  }
  return rows;
}

Result<bool> MariadbOutbox::assign(const OutboxRow& row, const std::string& txn_id) {
  const auto done = run("UPDATE assent_outbox SET txn_id = ? WHERE sequence = ? AND txn_id = ?",
                        Parameters().text(txn_id).integer(row.sequence).text(row.txn_id));
  if (!done) return fail(done.error());
  return done->affected == 1;
}

Result<void> MariadbOutbox::remove(const OutboxRow& row) {
  const auto done = run("DELETE FROM assent_outbox WHERE sequence = ?", Parameters().integer(row.sequence));
  if (!done) return fail(done.error());
  return {};
}

}  // namespace assent::service
