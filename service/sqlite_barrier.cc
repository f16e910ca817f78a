#include "service/sqlite_barrier.h"

#include <fmt/format.h>

#include <filesystem>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "service/sqlite_connection.h"
#include "service/tables.h"

namespace assent::service {

namespace {

using sqlite::error_of;
using sqlite::execute;
using sqlite::Query;
using sqlite::single_column;
using sqlite::single_number;

constexpr const char* schema =
    "CREATE TABLE IF NOT EXISTS assent_branches("
    "txn_id TEXT NOT NULL, branch TEXT NOT NULL, state TEXT NOT NULL, epoch INTEGER, number INTEGER, "
    "coordinator TEXT NOT NULL, refusal TEXT NOT NULL, message TEXT NOT NULL, result BLOB NOT NULL, "
    "payload BLOB NOT NULL, changed_at INTEGER NOT NULL, PRIMARY KEY(txn_id, branch));"
    "CREATE INDEX IF NOT EXISTS assent_branches_in_doubt ON assent_branches(changed_at) WHERE state = 'prepared';"
    "CREATE TABLE IF NOT EXISTS assent_barrier("
    "id INTEGER PRIMARY KEY CHECK(id = 1), version INTEGER NOT NULL, identity TEXT NOT NULL, "
    "forgotten_through INTEGER NOT NULL);";

// ---- what is refused ----

Result<void> check_place(sqlite3* db, const std::string& path) {
  const char* const name = sqlite3_db_filename(db, "main");
  const std::string file = name == nullptr ? "" : name;
  if (file.empty()) {
    return fail(
        ErrorCode::refused,
        "the SQLite database is in memory or temporary: a yes would not outlive the process. Give a file's path");
  }
  std::error_code trouble;
  if (!std::filesystem::equivalent(file, path, trouble)) {
    return fail(
        ErrorCode::refused,
        fmt::format("the connection is to {}, and the service's work is in {}: they cannot commit together. Give "
                    "the barrier a connection to the database of the work",
                    file, path));
  }
  if (sqlite3_db_readonly(db, "main") == 1) return fail(ErrorCode::refused, fmt::format("{} is read-only", file));
  return {};
}

Result<void> check_attached(sqlite3* db) {
  Query query(db, "PRAGMA database_list");
  const auto names = single_column(query, 1);
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    if (name == "main" || name == "temp") continue;
    return fail(
        ErrorCode::refused,
        fmt::format("the connection has '{}' attached: SQLite does not commit several files as one when the power "
                    "fails. Detach it, or keep all of the work in one file",
                    tidy_text(name, name_bytes_max)));
  }
  return {};
}

Result<void> check_durable(sqlite3* db) {
  const auto synchronous = single_number(db, "PRAGMA synchronous");
  if (!synchronous) return fail(synchronous.error());
  if (*synchronous < 2) {
    return fail(ErrorCode::refused,
                "the connection does not sync each commit, so that a yes may be lost with the power. PRAGMA "
                "synchronous=FULL");
  }
  Query query(db, "PRAGMA journal_mode");
  const auto modes = single_column(query, 0);
  if (!modes) return fail(modes.error());
  if (!modes->empty() && (modes->front() == "off" || modes->front() == "memory")) {
    return fail(ErrorCode::refused,
                fmt::format("journal_mode is {}: a crash would leave half a transaction. PRAGMA journal_mode=WAL",
                            modes->front()));
  }
  if (sqlite3_get_autocommit(db) == 0) {
    return fail(ErrorCode::refused, "the connection is inside a transaction; give the barrier one that is not");
  }
  return {};
}

Result<void> make_tables(sqlite3* db) {
  for (const std::string_view table : {branches_table, barrier_table}) {
    Query query(db,
                table == branches_table ? "PRAGMA table_info(assent_branches)" : "PRAGMA table_info(assent_barrier)");
    const auto columns = single_column(query, 1);
    if (!columns) return fail(columns.error());
    if (columns->empty()) continue;  // it is not there yet
    if (auto fine = check_columns(table, *columns); !fine) return fine;
  }
  if (auto made = execute(db, schema); !made) return made;
  Query first(db, "INSERT INTO assent_barrier VALUES(1, ?1, ?2, 0) ON CONFLICT DO NOTHING");
  const std::string identity = new_identity();
  if (auto made = first.integer(tables_version).text(identity).run(); !made) return made;
  const auto version = single_number(db, "SELECT version FROM assent_barrier");
  if (!version) return fail(version.error());
  if (*version == tables_version) return {};
  return fail(ErrorCode::unsupported,
              fmt::format("the barrier's tables are of version {}, and this program knows version {}", *version,
                          tables_version));
}

Result<std::string> identity_of(sqlite3* db) {
  Query query(db, "SELECT identity FROM assent_barrier WHERE id = 1");
  const auto found = single_column(query, 0);
  if (!found) return fail(found.error());
  if (found->size() != 1) return fail(ErrorCode::corruption, "table assent_barrier has lost its row");
  return found->front();
}

}  // namespace

// ---- the connection ----

class SqliteBarrier::Connection {
 public:
  Connection(sqlite3* db, bool owned, std::chrono::milliseconds patience)
      : db_(db), owned_(owned), patience_(patience) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (owned_) sqlite3_close_v2(db_);
  }

  [[nodiscard]] sqlite3* db() const { return db_; }
  [[nodiscard]] Result<std::unique_lock<std::timed_mutex>> lock() {
    std::unique_lock turn(turn_, patience_);
    if (!turn.owns_lock()) return fail(ErrorCode::busy, "the database was in use by other branches all the time");
    return turn;
  }

 private:
  sqlite3* const db_;
  const bool owned_;
  const std::chrono::milliseconds patience_;
  std::timed_mutex turn_;  // whose turn it is on db_
};

class SqliteBarrier::Local final : public LocalTransactionOn<sqlite3> {
 public:
  Local(sqlite3* db, std::unique_lock<std::timed_mutex> turn) : db_(db), turn_(std::move(turn)) {}

  sqlite3& connection() override { return *db_; }

  Result<void> begin(Access access) override {
    return execute(db_, access == Access::write ? "BEGIN IMMEDIATE" : "BEGIN");
  }

  Result<std::optional<Register>> load(const BranchKey& key) override {
    Query query(db_,
                "SELECT state, epoch, number, coordinator, refusal, message, result, payload, changed_at "
                "FROM assent_branches WHERE txn_id = ?1 AND branch = ?2");
    const std::string txn = key.txn.to_hex();
    const Result<bool> row = query.text(txn).text(key.name).step();
    if (!row) return fail(row.error());
    if (!*row) return std::optional<Register>();
    Result<Register> found =
        from_row({query.bytes(0), query.number_or_null(1), query.number_or_null(2), query.bytes(3), query.bytes(4),
                  query.bytes(5), query.bytes(6), query.bytes(7), query.number(8)});
    if (!found) return fail(found.error());
    return std::optional(std::move(*found));
  }

  Result<bool> insert(const BranchKey& key, const Register& value) override {
    Query query(db_, "INSERT INTO assent_branches VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) ON CONFLICT DO NOTHING");
    const std::string txn = key.txn.to_hex();
    const RegisterRow row = to_row(value);
    query.text(txn).text(key.name);
    if (auto done = add_row(query, row).run(); !done) return fail(done.error());
    return sqlite3_changes(db_) == 1;
  }

  Result<void> update(const BranchKey& key, const Register& value) override {
    Query query(db_,
                "UPDATE assent_branches SET state = ?1, epoch = ?2, number = ?3, coordinator = ?4, refusal = ?5, "
                "message = ?6, result = ?7, payload = ?8, changed_at = ?9 WHERE txn_id = ?10 AND branch = ?11");
    const std::string txn = key.txn.to_hex();
    const RegisterRow row = to_row(value);
    if (auto done = add_row(query, row).text(txn).text(key.name).run(); !done) return done;
    if (sqlite3_changes(db_) == 1) return {};
    return fail(ErrorCode::corruption, "the branch's row in assent_branches is gone: somebody else deleted it");
  }

  Result<ClusterMillis> forgotten_through() override {
    const auto found = single_number(db_, "SELECT forgotten_through FROM assent_barrier WHERE id = 1");
    if (!found) return fail(found.error());
    return ClusterMillis(static_cast<std::uint64_t>(*found));
  }

  Result<void> begin_work() override { return execute(db_, "SAVEPOINT assent_work"); }
  Result<void> keep_work() override { return settle("RELEASE assent_work"); }
  Result<void> undo_work() override {
    if (auto undone = settle("ROLLBACK TO assent_work"); !undone) return undone;
    return execute(db_, "RELEASE assent_work");
  }

  Result<void> commit() override { return execute(db_, "COMMIT"); }
  void rollback() override {
    // Fails only where SQLite has rolled back by itself.
    if (sqlite3_get_autocommit(db_) == 0) static_cast<void>(execute(db_, "ROLLBACK"));
  }

  Result<std::vector<InDoubt>> in_doubt(ClusterMillis before, std::size_t at_most) override {
    Query query(db_,
                "SELECT txn_id, branch, epoch, number, coordinator, changed_at FROM assent_branches "
                "WHERE state = 'prepared' AND changed_at <= ?1 ORDER BY changed_at LIMIT ?2");
    query.integer(static_cast<std::int64_t>(before.value)).integer(static_cast<std::int64_t>(at_most));
    std::vector<InDoubt> out;
    for (;;) {
      const Result<bool> row = query.step();
      if (!row) return fail(row.error());
      if (!*row) return out;
      auto one = in_doubt_from(query.bytes(0), query.bytes(1), query.number(2), query.number(3), query.bytes(4),
                               query.number(5));
      if (!one) return fail(one.error());
      out.push_back(std::move(*one));
    }
  }

  Result<std::size_t> forget_rows(const Horizon& horizon, std::size_t at_most) override {
    Query query(
        db_,
        "DELETE FROM assent_branches WHERE (txn_id, branch) IN (SELECT txn_id, branch FROM assent_branches "
        "WHERE txn_id < ?1 AND state <> 'prepared' AND changed_at < ?2 ORDER BY txn_id LIMIT ?3) RETURNING txn_id");
    const std::string before = first_id_of(horizon.created);
    query.text(before)
        .integer(static_cast<std::int64_t>(horizon.ended.value))
        .integer(static_cast<std::int64_t>(at_most));
    const auto gone = single_column(query, 0);
    if (!gone) return fail(gone.error());
    Query mark(db_, "UPDATE assent_barrier SET forgotten_through = max(forgotten_through, ?1) WHERE id = 1");
    if (auto marked = mark.integer(static_cast<std::int64_t>(latest_created(*gone).value)).run(); !marked) {
      return fail(marked.error());
    }
    return gone->size();
  }

 private:
  // SQLite forgets its savepoints when the transaction ends.
  Result<void> settle(const char* text) {
    auto done = execute(db_, text);
    if (done) return done;
    return fail(done.error().code,
                "the service's work ended the local transaction by itself, or SQLite had to: " + done.error().message);
  }

  sqlite3* const db_;
  const std::unique_lock<std::timed_mutex> turn_;
};

// ---- the barrier ----

SqliteBarrier::SqliteBarrier(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
SqliteBarrier::~SqliteBarrier() = default;

Result<std::unique_ptr<SqliteBarrier>> SqliteBarrier::open(const SqliteOptions& options) {
  sqlite3* db = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(options.path.c_str(), &db, flags, nullptr);
  auto connection = std::make_unique<Connection>(db, true, options.patience);
  if (code != SQLITE_OK) return fail(error_of(db, code, "opening " + options.path));
  sqlite3_busy_timeout(db, static_cast<int>(options.patience.count()));
  auto set = execute(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");
  if (!set) return fail(set.error());
  return make(std::move(connection), options);
}

Result<std::unique_ptr<SqliteBarrier>> SqliteBarrier::adopt(sqlite3& connection, const SqliteOptions& options) {
  return make(std::make_unique<Connection>(&connection, false, options.patience), options);
}

Result<std::unique_ptr<SqliteBarrier>> SqliteBarrier::make(std::unique_ptr<Connection> connection,
                                                           const SqliteOptions& options) {
  sqlite3* const db = connection->db();
  if (auto fine = check_place(db, options.path); !fine) return fail(fine.error());
  if (auto fine = check_attached(db); !fine) return fail(fine.error());
  if (auto fine = check_durable(db); !fine) return fail(fine.error());
  if (auto made = make_tables(db); !made) return fail(made.error());
  std::unique_ptr<SqliteBarrier> out(new SqliteBarrier(std::move(connection)));
  if (options.work != nullptr) {
    if (auto same = out->same_database(*options.work); !same) return fail(same.error());
  }
  return out;
}

Result<std::unique_ptr<LocalTransactionOn<sqlite3>>> SqliteBarrier::take() {
  auto turn = connection_->lock();
  if (!turn) return fail(turn.error());
  return std::make_unique<Local>(connection_->db(), std::move(*turn));
}

Result<void> SqliteBarrier::same_database(sqlite3& other) {
  const auto turn = connection_->lock();
  if (!turn) return fail(turn.error());
  const char* const own_file = sqlite3_db_filename(connection_->db(), "main");
  const char* const other_file = sqlite3_db_filename(&other, "main");
  const Result<std::string> own = identity_of(connection_->db());
  if (!own) return fail(own.error());
  const Result<std::string> theirs = identity_of(&other);
  std::error_code trouble;
  const bool same_file =
      other_file != nullptr && *other_file != '\0' && std::filesystem::equivalent(own_file, other_file, trouble);
  if (theirs && *own == *theirs && same_file) return {};
  return fail(
      ErrorCode::refused,
      fmt::format("the barrier is in {}, and the work's connection is to {}: what is done on it does not commit "
                  "with the registers",
                  own_file, other_file == nullptr || *other_file == '\0' ? "no file" : other_file));
}

}  // namespace assent::service
