#include "service/postgres_outbox.h"

#include "service/postgres_connection.h"

namespace assent::service {

using postgres::configure;
using postgres::connect;
using postgres::execute;
using postgres::first_line;
using postgres::Handle;
using postgres::Parameters;

namespace {

// Two processes that start at once would both make it.
constexpr const char* schema =
    "BEGIN; SELECT pg_advisory_xact_lock(7311142560397542998);"
    "CREATE TABLE IF NOT EXISTS assent_outbox(sequence bigserial PRIMARY KEY, txn_id text NOT NULL DEFAULT '', message "
    "bytea NOT NULL); COMMIT";

}  // namespace

Result<std::unique_ptr<PostgresOutbox>> PostgresOutbox::open(const std::string& conninfo,
                                                             std::chrono::milliseconds patience) {
  Result<Handle> handle = connect({.conninfo = conninfo, .patience = patience, .name = "assent outbox"});
  if (!handle) return fail(handle.error());
  std::unique_ptr<PostgresOutbox> outbox(new PostgresOutbox(handle->release(), patience));
  if (auto made = execute(outbox->connection_, schema); !made) return fail(made.error());
  return outbox;
}

PostgresOutbox::~PostgresOutbox() { PQfinish(connection_); }

Result<void> PostgresOutbox::put(PGconn& connection, ByteView message) {
  auto done = execute(&connection, "INSERT INTO assent_outbox(message) VALUES($1)", Parameters().blob(message));
  if (!done) return fail(done.error());
  return {};
}

Result<void> PostgresOutbox::ready() {
  if (PQstatus(connection_) == CONNECTION_OK) return {};
  PQreset(connection_);
  if (PQstatus(connection_) != CONNECTION_OK) {
    return fail(ErrorCode::io, "PostgreSQL cannot be reached: " + first_line(PQerrorMessage(connection_)));
  }
  return configure(*connection_, patience_);
}

Result<std::vector<OutboxRow>> PostgresOutbox::rows_after(std::int64_t sequence, std::size_t most) {
  if (auto fit = ready(); !fit) return fail(fit.error());
  const auto found = execute(
      connection_, "SELECT sequence, txn_id, message FROM assent_outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2",
      Parameters().integer(sequence).integer(static_cast<std::int64_t>(most)));
  if (!found) return fail(found.error());
  std::vector<OutboxRow> rows;
  for (int i = 0; i < found->count(); ++i) rows.push_back({found->number(i, 0), found->text(i, 1), found->bytes(i, 2)});
  return rows;
}

Result<bool> PostgresOutbox::assign(const OutboxRow& row, const std::string& txn_id) {
  if (auto fit = ready(); !fit) return fail(fit.error());
  const auto done = execute(connection_, "UPDATE assent_outbox SET txn_id = $1 WHERE sequence = $2 AND txn_id = $3",
                            Parameters().text(txn_id).integer(row.sequence).text(row.txn_id));
  if (!done) return fail(done.error());
  return done->affected() == "1";
}

Result<void> PostgresOutbox::remove(const OutboxRow& row) {
  if (auto fit = ready(); !fit) return fail(fit.error());
  auto done = execute(connection_, "DELETE FROM assent_outbox WHERE sequence = $1", Parameters().integer(row.sequence));
  if (!done) return fail(done.error());
  return {};
}

}  // namespace assent::service
