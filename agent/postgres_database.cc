#include "agent/postgres_database.h"

#include <fmt/format.h>

#include <utility>

#include "agent/postgres_statement.h"
#include "agent/register_rows.h"
#include "service/tables.h"

namespace assent::agent {

namespace {

using service::Branch;
using service::Call;
using service::Vote;
using service::postgres::execute;
using service::postgres::Handle;
using service::postgres::Parameters;
using service::postgres::Rows;

constexpr const char* schema =
    "SELECT pg_advisory_xact_lock(7311142560397542997);"
    "CREATE TABLE IF NOT EXISTS assent_prepared(gid text COLLATE \"C\" PRIMARY KEY, txn_id text COLLATE \"C\" NOT "
    "NULL, "
    "branch text COLLATE \"C\" NOT NULL, made_at bigint NOT NULL);"
    "CREATE INDEX IF NOT EXISTS assent_prepared_made_at ON assent_prepared(made_at)";

// Nothing when it was done as it should.
std::optional<Vote> run(PGconn* connection, const Statement& statement, const std::string& what) {
  const Rows rows = values_of(statement).run(connection, statement.sql.c_str());
  auto refused = judge_statement(connection, statement, rows, what);
  if (!refused && PQtransactionStatus(connection) != PQTRANS_INTRANS) {
    return Vote::no("NOT_ALLOWED", what + ": it ended the transaction by itself");
  }
  return refused;
}

}  // namespace

PostgresDatabase::PostgresDatabase(std::unique_ptr<PostgresPool> pool, Times times)
    : pool_(std::move(pool)), times_(times) {}
PostgresDatabase::~PostgresDatabase() = default;

Result<std::unique_ptr<PostgresDatabase>> PostgresDatabase::open(const PostgresDatabaseOptions& options) {
  auto make = [options]() -> Result<std::unique_ptr<PostgresSession>> {
    auto connection = service::postgres::connect(
        {.conninfo = options.conninfo, .patience = options.patience, .name = "assent agent"});
    if (!connection) return fail(connection.error());
    return std::make_unique<PostgresSession>(PostgresSession{std::move(*connection), {}, 0});
  };
  auto pool = std::make_unique<PostgresPool>(options.connections, options.patience, std::move(make));
  std::unique_ptr<PostgresDatabase> out(new PostgresDatabase(std::move(pool), options.times));
  if (auto checked = out->check(); !checked) return fail(checked.error());
  return out;
}

// Prepares something and rolls it back: whatever right is missing is found now.
Result<void> PostgresDatabase::check() {
  PostgresLease lease(*pool_);
  if (lease.trouble()) return fail(*lease.trouble());
  const auto most = service::postgres::single_column(lease.db(), "SHOW max_prepared_transactions", {});
  if (!most) return fail(most.error());
  if (most->size() == 1 && most->front() == "0") {
    return fail(ErrorCode::refused,
                "PostgreSQL prepares no transactions (max_prepared_transactions = 0). ALTER SYSTEM SET "
                "max_prepared_transactions = 100; and restart the server: it holds for each transaction in doubt at a "
                "time, and should not be below max_connections");
  }
  const auto identity =
      service::postgres::single_column(lease.db(), "SELECT identity FROM assent_barrier WHERE id = 1", {});
  if (!identity) return fail(identity.error());
  if (identity->size() != 1) return fail(ErrorCode::corruption, "table assent_barrier has lost its row");
  identity_ = identity->front();
  const auto there =
      service::postgres::single_column(lease.db(), "SELECT 1 WHERE to_regclass('assent_prepared') IS NOT NULL", {});
  if (!there) return fail(there.error());
  // Only when it is not there: CREATE INDEX, whatever it finds, waits for all that is prepared.
  if (there->empty()) {
    if (auto made = execute(lease.db(), schema); !made) return made;
  }
  Branch probe;
  probe.txn = TxnId::make(ClusterMillis(1), 1, 1);
  const Gid gid{probe.txn, database_of(identity_), {}, digest_of_name(service::new_identity())};
  const std::string text = fmt::format(
      "BEGIN; INSERT INTO assent_prepared VALUES('{0}', '', '', 0); DELETE FROM assent_prepared WHERE gid = '{0}'; "
      "PREPARE TRANSACTION '{0}'",
      gid.text());
  auto tried = execute(lease.db(), text.c_str());
  if (!tried) return tried;
  return execute(lease.db(), fmt::format("ROLLBACK PREPARED '{}'", gid.text()).c_str());
}

// One round trip. What an earlier branch's statements may have set in the connection is reset.
std::string PostgresDatabase::begin_text(const Branch& branch) const {
  auto statement = times_.statement;
  if (branch.time_left.count() > 0) statement = std::min(statement, branch.time_left);
  return fmt::format(
      "RESET SESSION AUTHORIZATION; RESET ALL; BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
      "SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
      times_.lock.count(), statement.count());
}

Result<void> PostgresDatabase::begin(PostgresLease& lease, const Branch& branch) {
  const std::string text = begin_text(branch);
  auto begun = execute(lease.db(), text.c_str());
  if (begun || !lease.lost()) return begun;
  // Lost while nobody used it: nothing hangs on it yet.
  if (auto renewed = lease.renew(); !renewed) return renewed;
  return execute(lease.db(), text.c_str());
}

Vote PostgresDatabase::prepare(const Gid& gid, const Branch& branch, const Work& work) {
  PostgresLease lease(*pool_);
  if (lease.trouble()) return Vote::no("UNAVAILABLE", lease.trouble()->message);
  if (auto begun = begin(lease, branch); !begun) return Vote::no("UNAVAILABLE", begun.error().message);
  const Rows marked = Parameters()
                          .text(gid.text())
                          .text(branch.txn.to_hex())
                          .text(branch.name)
                          .integer(static_cast<std::int64_t>(branch.txn.created().value))
                          .run(lease.db(), "INSERT INTO assent_prepared VALUES($1, $2, $3, $4)");
  if (!fine(marked)) return no_of(lease.db(), marked, "the marker");
  for (std::size_t i = 0; i < work.statements.size(); ++i) {
    auto refused = run(lease.db(), work.statements[i], fmt::format("statement {}", i + 1));
    if (refused) return *refused;
  }
  const Rows rows = Parameters().run(lease.db(), fmt::format("PREPARE TRANSACTION '{}'", gid.text()).c_str());
  // A transaction that has failed is rolled back instead, and that is called a success.
  if (fine(rows) && rows.command() == "PREPARE TRANSACTION") return Vote::yes();
  const Vote no = no_of(lease.db(), rows, "PREPARE TRANSACTION");
  if (!lease.lost()) return no;
  // Whether it was prepared is not known, nor whether the register's connection is there still, which keeps others
  // away: so it is not touched here. The register will say no, or nothing, and the sweeper rolls it back.
  return Vote::no("CONNECTION_LOST", "the connection to the database was lost in the last step; nothing of it stays");
}

Result<bool> PostgresDatabase::finish(const Gid& gid, Call call) { return end_prepared(gid.text(), call); }

Result<bool> PostgresDatabase::end_prepared(const std::string& gid, Call call) {
  PostgresLease lease(*pool_);
  if (lease.trouble()) return fail(*lease.trouble());
  const std::string text = fmt::format("{} PREPARED '{}'", call == Call::commit ? "COMMIT" : "ROLLBACK", gid);
  auto done = execute(lease.db(), text.c_str());
  if (!done && lease.lost()) {
    // It may have happened; the second time it is not found then, and the marker or the register tells.
    if (auto renewed = lease.renew(); !renewed) return fail(renewed.error());
    done = execute(lease.db(), text.c_str());
  }
  if (done) return true;
  if (done.error().code == ErrorCode::not_found) return false;
  return fail(done.error());
}

Result<Rows> PostgresDatabase::ask(const char* text, const Parameters& parameters) {
  PostgresLease lease(*pool_);
  if (lease.trouble()) return fail(*lease.trouble());
  auto rows = execute(lease.db(), text, parameters);
  if (rows || !lease.lost()) return rows;
  if (auto renewed = lease.renew(); !renewed) return fail(renewed.error());
  return execute(lease.db(), text, parameters);
}

Result<bool> PostgresDatabase::committed(const Gid& gid) {
  const auto rows = ask("SELECT 1 FROM assent_prepared WHERE gid = $1", Parameters().text(gid.text()));
  if (!rows) return fail(rows.error());
  return rows->count() > 0;
}

Result<std::vector<std::string>> PostgresDatabase::prepared() {
  const auto rows = ask("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()", {});
  if (!rows) return fail(rows.error());
  std::vector<std::string> out;
  for (int i = 0; i < rows->count(); ++i) out.push_back(rows->text(i, 0));
  return out;
}

Result<std::vector<KnownRegister>> PostgresDatabase::registers_of(const TxnId& txn) {
  const auto rows = ask("SELECT branch, state, epoch, number FROM assent_branches WHERE txn_id = $1",
                        Parameters().text(txn.to_hex()));
  if (!rows) return fail(rows.error());
  return registers_from(*rows);
}

Result<std::vector<Unrecorded>> PostgresDatabase::unrecorded() {
  const auto rows = ask(
      "SELECT b.txn_id, b.branch, b.epoch, b.number, m.gid FROM assent_branches b JOIN assent_prepared m ON m.txn_id = "
      "b.txn_id AND m.branch = b.branch WHERE b.state = 'prepared'",
      {});
  if (!rows) return fail(rows.error());
  return unrecorded_from(*rows);
}

Result<void> PostgresDatabase::forget_markers(ClusterMillis before) {
  const auto rows =
      ask("DELETE FROM assent_prepared m WHERE m.made_at < $1 AND NOT EXISTS (SELECT 1 FROM assent_branches b WHERE "
          "b.txn_id = m.txn_id AND b.branch = m.branch)",
          Parameters().integer(static_cast<std::int64_t>(before.value)));
  if (!rows) return fail(rows.error());
  return {};
}

Result<void> PostgresDatabase::fence(PGconn& registers, const std::string& branch) {
  const auto rows =
      execute(&registers, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", Parameters().text(branch));
  if (!rows) return fail(rows.error());
  return {};
}

}  // namespace assent::agent
