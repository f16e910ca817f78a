#include "service/postgres_barrier.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "service/connection_pool.h"
#include "service/postgres_connection.h"
#include "service/tables.h"

namespace assent::service {

namespace {

using postgres::connect;
using postgres::execute;
using postgres::Handle;
using postgres::Parameters;
using postgres::single_column;

// Two processes of a service that start at once would both make the tables; any number that nobody else takes.
constexpr const char* lock_schema = "SELECT pg_advisory_xact_lock(7311142560397542996)";
constexpr const char* schema =
    "CREATE TABLE IF NOT EXISTS assent_branches("
    "txn_id text COLLATE \"C\" NOT NULL, branch text COLLATE \"C\" NOT NULL, state text NOT NULL, epoch bigint, "
    "number bigint, coordinator text NOT NULL, refusal text NOT NULL, message text NOT NULL, result bytea NOT NULL, "
    "payload bytea NOT NULL, changed_at bigint NOT NULL, PRIMARY KEY(txn_id, branch));"
    "CREATE INDEX IF NOT EXISTS assent_branches_in_doubt ON assent_branches(changed_at) WHERE state = 'prepared';"
    "CREATE TABLE IF NOT EXISTS assent_barrier("
    "id integer PRIMARY KEY CHECK(id = 1), version integer NOT NULL, identity text NOT NULL, "
    "forgotten_through bigint NOT NULL)";

Result<void> check_durable(PGconn* connection) {
  const auto fsync = single_column(connection, "SHOW fsync", {});
  if (!fsync) return fail(fsync.error());
  if (!fsync->empty() && fsync->front() == "off") {
    return fail(ErrorCode::refused,
                "the PostgreSQL server runs with fsync=off: a yes may be lost with the power. Turn it on");
  }
  return {};
}

// false: not all of them are there yet.
Result<bool> check_tables(PGconn* connection) {
  bool all = true;
  for (const std::string_view table : {branches_table, barrier_table}) {
    const auto columns = single_column(connection,
                                       "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND "
                                       "attnum > 0 AND NOT attisdropped",
                                       Parameters().text(table));
    if (!columns) return fail(columns.error());
    all = all && !columns->empty();
    if (columns->empty()) continue;
    if (auto fine = check_columns(table, *columns); !fine) return fail(fine.error());
  }
  return all;
}

Result<void> make_tables(PGconn* connection) {
  if (auto locked = execute(connection, lock_schema); !locked) return locked;
  const auto there = check_tables(connection);
  if (!there) return fail(there.error());
  // Only what is missing: another owner's tables will do, and CREATE INDEX waits for whoever writes.
  if (!*there) {
    if (auto made = execute(connection, schema); !made) return made;
  }
  const auto first = execute(connection, "INSERT INTO assent_barrier VALUES(1, $1, $2, 0) ON CONFLICT DO NOTHING",
                             Parameters().integer(tables_version).text(new_identity()));
  if (!first) return fail(first.error());
  const auto version = single_column(connection, "SELECT version FROM assent_barrier", {});
  if (!version) return fail(version.error());
  if (version->size() == 1 && version->front() == std::to_string(tables_version)) return {};
  return fail(ErrorCode::unsupported,
              fmt::format("the barrier's tables are of version {}, and this program knows version {}",
                          version->empty() ? "?" : version->front(), tables_version));
}

Result<void> prepare_database(PGconn* connection) {
  if (auto fine = check_durable(connection); !fine) return fine;
  if (auto begun = execute(connection, "BEGIN"); !begun) return begun;
  auto made = make_tables(connection);
  if (made) return execute(connection, "COMMIT");
  static_cast<void>(execute(connection, "ROLLBACK"));
  return made;
}

// The row's identity, and the database's own number: a database that was made from this one as its template has the
// same row.
Result<std::string> identity_of(PGconn* connection) {
  const auto found = single_column(connection,
                                   "SELECT identity || '/' || (SELECT oid FROM pg_database WHERE datname = "
                                   "current_database()) FROM assent_barrier WHERE id = 1",
                                   {});
  if (!found) return fail(found.error());
  if (found->size() != 1) return fail(ErrorCode::corruption, "table assent_barrier has lost its row");
  return found->front();
}

}  // namespace

class PostgresBarrier::Pool : public ConnectionPool<Handle> {
  using ConnectionPool::ConnectionPool;
};

class PostgresBarrier::Local final : public LocalTransactionOn<PGconn> {
 public:
  Local(std::shared_ptr<Pool> pool, Handle handle) : pool_(std::move(pool)), handle_(std::move(handle)) {}
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  ~Local() override {
    const bool fit = PQstatus(db()) == CONNECTION_OK && PQtransactionStatus(db()) == PQTRANS_IDLE;
    pool_->give_back(fit ? std::move(handle_) : nullptr);
  }

  PGconn& connection() override { return *db(); }

  Result<void> begin(Access access) override {
    writes_ = access == Access::write;
    const char* const text = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    auto begun = execute(db(), text);
    if (begun || PQstatus(db()) == CONNECTION_OK) return begun;
    // Lost while nobody used it, as after a restart of the server: nothing hangs on it yet.
    PQreset(db());
    if (PQstatus(db()) != CONNECTION_OK) return begun;
    if (auto fine = postgres::configure(*db(), pool_->patience()); !fine) return fine;
    return execute(db(), text);
  }

  Result<std::optional<Register>> load(const BranchKey& key) override {
    const char* const look =
        "SELECT state, epoch, number, coordinator, refusal, message, result, payload, changed_at "
        "FROM assent_branches WHERE txn_id = $1 AND branch = $2";
    const std::string lock = std::string(look) + " FOR UPDATE";
    const auto rows = execute(db(), writes_ ? lock.c_str() : look, Parameters().text(key.txn.to_hex()).text(key.name));
    if (!rows) return fail(rows.error());
    if (rows->count() == 0) return std::optional<Register>();
    Result<Register> found =
        from_row({rows->text(0, 0), rows->number_or_null(0, 1), rows->number_or_null(0, 2), rows->text(0, 3),
                  rows->text(0, 4), rows->text(0, 5), rows->bytes(0, 6), rows->bytes(0, 7), rows->number(0, 8)});
    if (!found) return fail(found.error());
    return std::optional(std::move(*found));
  }

  Result<bool> insert(const BranchKey& key, const Register& value) override {
    Parameters parameters;
    parameters.text(key.txn.to_hex()).text(key.name);
    const auto done =
        execute(db(), "INSERT INTO assent_branches VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT DO NOTHING",
                add_row(parameters, to_row(value)));
    if (!done) return fail(done.error());
    return done->affected() == "1";
  }

  Result<void> update(const BranchKey& key, const Register& value) override {
    Parameters parameters;
    parameters.text(key.txn.to_hex()).text(key.name);
    const auto done = execute(db(),
                              "UPDATE assent_branches SET state = $3, epoch = $4, number = $5, coordinator = $6, "
                              "refusal = $7, message = $8, result = $9, payload = $10, changed_at = $11 "
                              "WHERE txn_id = $1 AND branch = $2",
                              add_row(parameters, to_row(value)));
    if (!done) return fail(done.error());
    if (done->affected() == "1") return {};
    return fail(ErrorCode::corruption, "the branch's row in assent_branches is gone: somebody else deleted it");
  }

  Result<ClusterMillis> forgotten_through() override {
    const auto rows = execute(db(), "SELECT forgotten_through FROM assent_barrier WHERE id = 1", {});
    if (!rows) return fail(rows.error());
    return ClusterMillis(rows->count() == 1 ? static_cast<std::uint64_t>(rows->number(0, 0)) : 0);
  }

  Result<void> begin_work() override { return execute(db(), "SAVEPOINT assent_work"); }
  Result<void> keep_work() override { return settle("RELEASE SAVEPOINT assent_work"); }
  Result<void> undo_work() override {
    if (auto undone = settle("ROLLBACK TO SAVEPOINT assent_work"); !undone) return undone;
    return execute(db(), "RELEASE SAVEPOINT assent_work");
  }

  // PostgreSQL answers a COMMIT of a transaction that has failed with a ROLLBACK, and calls that a success.
  Result<void> commit() override {
    const auto done = execute(db(), "COMMIT", {});
    if (!done) return fail(done.error());
    if (done->command() == "COMMIT") return {};
    return fail(ErrorCode::io, "PostgreSQL rolled the local transaction back instead of committing it");
  }

  void rollback() override {
    // What fails here leaves a connection that the pool does not take back.
    if (PQtransactionStatus(db()) != PQTRANS_IDLE) static_cast<void>(execute(db(), "ROLLBACK"));
  }

  Result<std::vector<InDoubt>> in_doubt(ClusterMillis before, std::size_t at_most) override {
    const auto rows = execute(
        db(),
        "SELECT txn_id, branch, epoch, number, coordinator, changed_at FROM assent_branches "
        "WHERE state = 'prepared' AND changed_at <= $1 ORDER BY changed_at LIMIT $2",
        Parameters().integer(static_cast<std::int64_t>(before.value)).integer(static_cast<std::int64_t>(at_most)));
    if (!rows) return fail(rows.error());
    std::vector<InDoubt> out;
    for (int i = 0; i < rows->count(); ++i) {
      auto one = in_doubt_from(rows->text(i, 0), rows->text(i, 1), rows->number(i, 2), rows->number(i, 3),
                               rows->text(i, 4), rows->number(i, 5));
      if (!one) return fail(one.error());
      out.push_back(std::move(*one));
    }
    return out;
  }

  Result<std::size_t> forget_rows(const Horizon& horizon, std::size_t at_most) override {
    const auto gone = single_column(
        db(),
        "DELETE FROM assent_branches WHERE (txn_id, branch) IN (SELECT txn_id, branch FROM assent_branches WHERE "
        "txn_id < $1 AND state <> 'prepared' AND changed_at < $2 ORDER BY txn_id LIMIT $3 FOR UPDATE SKIP LOCKED) "
        "RETURNING txn_id",
        Parameters()
            .text(first_id_of(horizon.created))
            .integer(static_cast<std::int64_t>(horizon.ended.value))
            .integer(static_cast<std::int64_t>(at_most)));
    if (!gone) return fail(gone.error());
    const auto marked =
        execute(db(), "UPDATE assent_barrier SET forgotten_through = greatest(forgotten_through, $1) WHERE id = 1",
                Parameters().integer(static_cast<std::int64_t>(latest_created(*gone).value)));
    if (!marked) return fail(marked.error());
    return gone->size();
  }

 private:
  [[nodiscard]] PGconn* db() const { return handle_.get(); }

  Result<void> settle(const char* text) {
    auto done = execute(db(), text);
    if (done) return done;
    return fail(done.error().code,
                "the service's work ended the local transaction by itself, or went on after a "
                "statement of it had failed: " +
                    done.error().message);
  }

  const std::shared_ptr<Pool> pool_;
  Handle handle_;
  bool writes_ = false;
};

PostgresBarrier::PostgresBarrier(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}
PostgresBarrier::~PostgresBarrier() = default;

Result<std::unique_ptr<PostgresBarrier>> PostgresBarrier::open(const PostgresOptions& options) {
  auto pool = std::make_shared<Pool>(options.connections, options.patience, [options] {
    return connect({.conninfo = options.conninfo, .patience = options.patience, .name = "assent barrier"});
  });
  auto first = pool->take();
  if (!first) return fail(first.error());
  auto fine = prepare_database(first->get());
  pool->give_back(fine ? std::move(*first) : nullptr);
  if (!fine) return fail(fine.error());
  std::unique_ptr<PostgresBarrier> out(new PostgresBarrier(std::move(pool)));
  if (options.work != nullptr) {
    if (auto same = out->same_database(*options.work); !same) return fail(same.error());
  }
  return out;
}

Result<std::unique_ptr<LocalTransactionOn<PGconn>>> PostgresBarrier::take() {
  auto handle = pool_->take();
  if (!handle) return fail(handle.error());
  return std::make_unique<Local>(pool_, std::move(*handle));
}

Result<void> PostgresBarrier::same_database(PGconn& other) {
  auto handle = pool_->take();
  if (!handle) return fail(handle.error());
  const Result<std::string> own = identity_of(handle->get());
  pool_->give_back(std::move(*handle));
  if (!own) return fail(own.error());
  const Result<std::string> theirs = identity_of(&other);
  if (theirs && *own == *theirs) return {};
  return fail(
      ErrorCode::refused,
      fmt::format("the work's connection is to database {} at {}:{}, which is not the barrier's: what is done on "
                  "it does not commit with the registers",
                  PQdb(&other), PQhost(&other), PQport(&other)));
}

}  // namespace assent::service
