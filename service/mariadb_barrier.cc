#include "service/mariadb_barrier.h"

#include <fmt/format.h>
#include <mysqld_error.h>

#include <utility>
#include <vector>

#include "service/connection_pool.h"
#include "service/tables.h"

namespace assent::service {

namespace {

using mariadb::execute;
using mariadb::Handle;
using mariadb::Parameters;
using mariadb::Rows;
using mariadb::single_column;

// nopad: 'b' and 'b ' are two branches.
constexpr const char* make_branches =
    "CREATE TABLE IF NOT EXISTS assent_branches("
    "txn_id char(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, "
    "branch varchar(200) COLLATE utf8mb4_nopad_bin NOT NULL, "
    "state varchar(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, epoch bigint, number bigint, "
    "coordinator varchar(200) NOT NULL, refusal varchar(200) NOT NULL, message varchar(2000) NOT NULL, "
    "result longblob NOT NULL, payload longblob NOT NULL, changed_at bigint NOT NULL, PRIMARY KEY(txn_id, branch), "
    "KEY assent_branches_in_doubt(state, changed_at)) "
    "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
constexpr const char* make_barrier =
    "CREATE TABLE IF NOT EXISTS assent_barrier("
    "id integer PRIMARY KEY CHECK(id = 1), version integer NOT NULL, "
    "identity varchar(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, forgotten_through bigint NOT NULL) "
    "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";

Result<void> check_durable(MYSQL* connection) {
  const auto rows = execute(connection, "SELECT @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog");
  if (!rows) return fail(rows.error());
  const std::int64_t flush = rows->number(0, 0);
  if (flush != 1 && flush != 3) {
    return fail(ErrorCode::refused,
                fmt::format("the MariaDB server runs with innodb_flush_log_at_trx_commit={}: a yes may be lost with "
                            "the power. SET GLOBAL innodb_flush_log_at_trx_commit = 1",
                            flush));
  }
  if (rows->number(0, 1) != 0 && rows->number(0, 2) != 1) {
    return fail(ErrorCode::refused,
                "the MariaDB server writes a binary log and does not sync it with each commit: a yes may be lost with "
                "the power. SET GLOBAL sync_binlog = 1");
  }
  return {};
}

Result<void> check_tables(MYSQL* connection) {
  for (const std::string_view table : {branches_table, barrier_table}) {
    const auto columns = single_column(
        connection, fmt::format("SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() "
                                "AND table_name = '{}'",
                                table));
    if (!columns) return fail(columns.error());
    if (columns->empty()) continue;  // it is not there yet
    if (auto fine = check_columns(table, *columns); !fine) return fine;
    const auto engine = single_column(
        connection, fmt::format("SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND "
                                "table_name = '{}'",
                                table));
    if (!engine) return fail(engine.error());
    if (engine->size() == 1 && engine->front() == "InnoDB") continue;
    return fail(ErrorCode::refused,
                fmt::format("table {} is in the engine {}, which takes nothing back: the registers would not keep in "
                            "step with the work. ALTER TABLE {} ENGINE=InnoDB",
                            table, engine->empty() ? "?" : engine->front(), table));
  }
  return {};
}

Result<void> make_tables(MYSQL* connection) {
  if (auto fine = check_tables(connection); !fine) return fine;
  for (const char* const text : {make_branches, make_barrier}) {
    if (auto made = execute(connection, text); !made) return fail(made.error());
  }
  if (auto fine = check_tables(connection); !fine) return fine;  // the server may have put them elsewhere
  const auto first = execute(connection, "INSERT IGNORE INTO assent_barrier VALUES(1, ?, ?, 0)",
                             Parameters().integer(tables_version).text(new_identity()));
  if (!first) return fail(first.error());
  if (auto done = execute(connection, "COMMIT"); !done) return fail(done.error());
  const auto version = single_column(connection, "SELECT version FROM assent_barrier");
  if (!version) return fail(version.error());
  if (version->size() == 1 && version->front() == std::to_string(tables_version)) return {};
  return fail(ErrorCode::unsupported,
              fmt::format("the barrier's tables are of version {}, and this program knows version {}",
                          version->empty() ? "?" : version->front(), tables_version));
}

// MariaDB's CREATE TABLE is no part of a transaction: a lock by name keeps two processes that start at once apart.
Result<void> prepare_database(MYSQL* connection) {
  const auto database = single_column(connection, "SELECT DATABASE()");
  if (!database) return fail(database.error());
  if (database->empty() || database->front().empty()) {
    return fail(ErrorCode::malformed, "the address names no database: give the one that the service's work is in");
  }
  if (auto fine = check_durable(connection); !fine) return fine;
  const char* const lock = "SELECT GET_LOCK(CONCAT('assent.', LEFT(DATABASE(), 50)), @@innodb_lock_wait_timeout)";
  const auto locked = single_column(connection, lock);
  if (!locked) return fail(locked.error());
  if (locked->front() != "1") return fail(ErrorCode::busy, "another process is making the barrier's tables");
  auto made = make_tables(connection);
  static_cast<void>(execute(connection, "ROLLBACK"));
  static_cast<void>(execute(connection, "DO RELEASE_LOCK(CONCAT('assent.', LEFT(DATABASE(), 50)))"));
  return made;
}

// The row's identity and the database's name: a copy of the tables in another database of the server has the same row.
Result<std::string> identity_of(MYSQL* connection) {
  const auto found =
      single_column(connection,
                    "SELECT CONCAT(identity, '/', @@hostname, '/', @@port, '/', @@datadir, '/', DATABASE()) FROM "
                    "assent_barrier WHERE id = 1");
  if (!found) return fail(found.error());
  if (found->size() != 1) return fail(ErrorCode::corruption, "table assent_barrier has lost its row");
  return found->front();
}

}  // namespace

class MariadbBarrier::Pool : public ConnectionPool<Handle> {
  using ConnectionPool::ConnectionPool;
};

class MariadbBarrier::Local final : public LocalTransactionOn<MYSQL> {
 public:
  Local(std::shared_ptr<Pool> pool, Handle handle) : pool_(std::move(pool)), handle_(std::move(handle)) {}
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  ~Local() override { pool_->give_back(!broken_ && mariadb::idle(db()) ? std::move(handle_) : nullptr); }

  MYSQL& connection() override { return *db(); }

  Result<void> begin(Access access) override {
    writes_ = access == Access::write;
    auto begun = start();
    if (begun || !mariadb::lost(mysql_errno(db()))) return begun;
    // Lost while nobody used it, as after a restart of the server: nothing hangs on it yet.
    auto fresh = pool_->make();
    if (!fresh) return fail(fresh.error());
    handle_ = std::move(*fresh);
    return start();
  }

  Result<std::optional<Register>> load(const BranchKey& key) override {
    const std::string_view look =
        "SELECT state, epoch, number, coordinator, refusal, message, result, payload, changed_at "
        "FROM assent_branches WHERE txn_id = ? AND branch = ?";
    auto rows = execute(db(), std::string(look) + (writes_ ? " FOR UPDATE" : ""),
                        Parameters().text(key.txn.to_hex()).text(key.name));
    if (!rows) return fail(rows.error());
    if (rows->rows.empty()) return std::optional<Register>();
    Result<Register> found =
        from_row({rows->text(0, 0), rows->number_or_null(0, 1), rows->number_or_null(0, 2), rows->text(0, 3),
                  rows->text(0, 4), rows->text(0, 5), rows->text(0, 6), rows->text(0, 7), rows->number(0, 8)});
    if (!found) return fail(found.error());
    return std::optional(std::move(*found));
  }

  // Not INSERT IGNORE, which would also let by what does not fit into a column.
  Result<bool> insert(const BranchKey& key, const Register& value) override {
    Parameters parameters;
    parameters.text(key.txn.to_hex()).text(key.name);
    const std::string_view text = "INSERT INTO assent_branches VALUES(?,?,?,?,?,?,?,?,?,?,?)";
    const auto done = add_row(parameters, to_row(value)).run(db(), text);
    if (done) return true;
    if (done.error().number == ER_DUP_ENTRY) return false;
    return fail(mariadb::error_of(done.error(), text));
  }

  Result<void> update(const BranchKey& key, const Register& value) override {
    Parameters parameters;
    add_row(parameters, to_row(value)).text(key.txn.to_hex()).text(key.name);
    const auto done = execute(db(),
                              "UPDATE assent_branches SET state = ?, epoch = ?, number = ?, coordinator = ?, "
                              "refusal = ?, message = ?, result = ?, payload = ?, changed_at = ? "
                              "WHERE txn_id = ? AND branch = ?",
                              parameters);
    if (!done) return fail(done.error());
    if (done->affected == 1) return {};
    return fail(ErrorCode::corruption, "the branch's row in assent_branches is gone: somebody else deleted it");
  }

  Result<ClusterMillis> forgotten_through() override {
    const auto rows = execute(db(), "SELECT forgotten_through FROM assent_barrier WHERE id = 1");
    if (!rows) return fail(rows.error());
    return ClusterMillis(rows->rows.size() == 1 ? static_cast<std::uint64_t>(rows->number(0, 0)) : 0);
  }

  Result<void> begin_work() override { return plain("SAVEPOINT assent_work"); }
  Result<void> keep_work() override { return settle("RELEASE SAVEPOINT assent_work"); }
  Result<void> undo_work() override {
    if (auto undone = settle("ROLLBACK TO SAVEPOINT assent_work"); !undone) return undone;
    return plain("RELEASE SAVEPOINT assent_work");
  }

  Result<void> commit() override { return plain("COMMIT"); }
  void rollback() override { broken_ = !plain("ROLLBACK"); }

  Result<std::vector<InDoubt>> in_doubt(ClusterMillis before, std::size_t at_most) override {
    auto out = read_in_doubt(before, at_most);
    rollback();  // a transaction has begun by itself
    return out;
  }

  Result<std::size_t> forget_rows(const Horizon& horizon, std::size_t at_most) override {
    const auto found = execute(db(),
                               "SELECT txn_id, branch FROM assent_branches WHERE txn_id < ? AND state <> 'prepared' "
                               "AND changed_at < ? ORDER BY txn_id LIMIT ? FOR UPDATE SKIP LOCKED",
                               Parameters()
                                   .text(first_id_of(horizon.created))
                                   .integer(static_cast<std::int64_t>(horizon.ended.value))
                                   .integer(static_cast<std::int64_t>(at_most)));
    if (!found) return fail(found.error());
    std::vector<std::string> gone;
    for (std::size_t i = 0; i < found->rows.size(); ++i) {
      const auto done = execute(db(), "DELETE FROM assent_branches WHERE txn_id = ? AND branch = ?",
                                Parameters().text(found->text(i, 0)).text(found->text(i, 1)));
      if (!done) return fail(done.error());
      gone.push_back(found->text(i, 0));
    }
    const auto marked =
        execute(db(), "UPDATE assent_barrier SET forgotten_through = GREATEST(forgotten_through, ?) WHERE id = 1",
                Parameters().integer(static_cast<std::int64_t>(latest_created(gone).value)));
    if (!marked) return fail(marked.error());
    return gone.size();
  }

 private:
  [[nodiscard]] MYSQL* db() const { return handle_.get(); }

  Result<void> plain(std::string_view text) {
    if (auto done = execute(db(), text); !done) return fail(done.error());
    return {};
  }

  Result<void> start() { return plain("START TRANSACTION READ WRITE"); }

  // MariaDB forgets its savepoints when the transaction ends, by the work or by a deadlock.
  Result<void> settle(const char* text) {
    auto done = plain(text);
    if (done) return done;
    return fail(done.error().code,
                "the service's work ended the local transaction by itself, or MariaDB had to: " + done.error().message);
  }

  Result<std::vector<InDoubt>> read_in_doubt(ClusterMillis before, std::size_t at_most) {
    const auto rows = execute(
        db(),
        "SELECT txn_id, branch, epoch, number, coordinator, changed_at FROM assent_branches "
        "WHERE state = 'prepared' AND changed_at <= ? ORDER BY changed_at LIMIT ?",
        Parameters().integer(static_cast<std::int64_t>(before.value)).integer(static_cast<std::int64_t>(at_most)));
    if (!rows) return fail(rows.error());
    std::vector<InDoubt> out;
    for (std::size_t i = 0; i < rows->rows.size(); ++i) {
      auto one = in_doubt_from(rows->text(i, 0), rows->text(i, 1), rows->number(i, 2), rows->number(i, 3),
                               rows->text(i, 4), rows->number(i, 5));
      if (!one) return fail(one.error());
      out.push_back(std::move(*one));
    }
    return out;
  }

  const std::shared_ptr<Pool> pool_;
  Handle handle_;
  bool writes_ = false;
  bool broken_ = false;
};

MariadbBarrier::MariadbBarrier(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}
MariadbBarrier::~MariadbBarrier() = default;

Result<std::unique_ptr<MariadbBarrier>> MariadbBarrier::open(const MariadbOptions& options) {
  auto pool = std::make_shared<Pool>(options.connections, options.patience,
                                     [options] { return mariadb::connect(options.address, options.patience); });
  auto first = pool->take();
  if (!first) return fail(first.error());
  auto fine = prepare_database(first->get());
  pool->give_back(fine ? std::move(*first) : nullptr);
  if (!fine) return fail(fine.error());
  std::unique_ptr<MariadbBarrier> out(new MariadbBarrier(std::move(pool)));
  if (options.work != nullptr) {
    if (auto same = out->same_database(*options.work); !same) return fail(same.error());
  }
  return out;
}

Result<std::unique_ptr<LocalTransactionOn<MYSQL>>> MariadbBarrier::take() {
  auto handle = pool_->take();
  if (!handle) return fail(handle.error());
  return std::make_unique<Local>(pool_, std::move(*handle));
}

Result<void> MariadbBarrier::same_database(MYSQL& other) {
  auto handle = pool_->take();
  if (!handle) return fail(handle.error());
  const Result<std::string> own = identity_of(handle->get());
  const bool fit = execute(handle->get(), "ROLLBACK").has_value();
  pool_->give_back(fit ? std::move(*handle) : nullptr);
  if (!own) return fail(own.error());
  const Result<std::string> theirs = identity_of(&other);
  if (theirs && *own == *theirs) return {};
  return fail(ErrorCode::refused,
              fmt::format("the work's connection is to database {} at {}, which is not the barrier's: what is done on "
                          "it does not commit with the registers",
                          other.db == nullptr ? "?" : other.db, mysql_get_host_info(&other)));
}

}  // namespace assent::service
