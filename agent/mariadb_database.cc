#include "agent/mariadb_database.h"

#include <fmt/format.h>
#include <mysqld_error.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "agent/register_rows.h"
#include "service/connection_pool.h"
#include "service/tables.h"

namespace assent::agent {

namespace {

using service::Branch;
using service::Call;
using service::Vote;
using service::mariadb::execute;
using service::mariadb::Failure;
using service::mariadb::Handle;
using service::mariadb::Parameters;
using service::mariadb::Rows;
using service::mariadb::run_plain;

// Its connections have autocommit on, unlike the barrier's: without, the server lets none of them end what another has
// prepared (XAER_OUTSIDE).
constexpr std::chrono::milliseconds held_for{2'000};
constexpr std::chrono::milliseconds parting_for{60'000};  // how long a closed connection's number is kept
constexpr std::chrono::milliseconds detach_pause{10};
constexpr int detach_looks = 100;

constexpr const char* make_prepared =
    "CREATE TABLE IF NOT EXISTS assent_prepared("
    "gid varchar(130) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, "
    "txn_id char(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, branch varchar(200) NOT NULL, "
    "made_at bigint NOT NULL, KEY assent_prepared_made_at(made_at)) "
    "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
// Always empty, for whoever looks: a row lives as long as a local transaction, and keeps others out of it.
constexpr const char* make_fences =
    "CREATE TABLE IF NOT EXISTS assent_fences(name varchar(130) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY) "
    "ENGINE=InnoDB";

std::string xid(const Gid& gid) { return fmt::format("'{}','{}'", gid.gtrid(), gid.bqual()); }

Parameters values_of(const Statement& statement) {
  return values_as<Parameters>(statement, [](Parameters& out, bool yes) { out.integer(yes ? 1 : 0); });
}

Vote no_of(const Failure& failure, std::string_view what) {
  if (service::mariadb::lost(failure.number))
    return Vote::no("CONNECTION_LOST", fmt::format("{}: {}", what, failure.said));
  return Vote::no(fmt::format("SQL_{}", failure.number), fmt::format("{}: {}", what, failure.said));
}

bool in_transaction(MYSQL* connection) {
  unsigned status = 0;
  mariadb_get_infov(connection, MARIADB_CONNECTION_SERVER_STATUS, &status);
  return (status & static_cast<unsigned>(SERVER_STATUS_IN_TRANS)) != 0;
}

bool word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         (static_cast<unsigned char>(c) & 0x80U) != 0;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

}  // namespace

class MariadbDatabase::Pool : public service::ConnectionPool<Handle> {
  using ConnectionPool::ConnectionPool;
};

// A connection of the pool for one use; given back when it is fit for another.
class MariadbDatabase::Lease {
 public:
  explicit Lease(Pool& pool) : pool_(pool), handle_(pool.take()) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    if (handle_) pool_.give_back(fit_ && !lost() && !in_transaction(db()) ? std::move(*handle_) : nullptr);
  }
  [[nodiscard]] std::optional<Error> trouble() const { return handle_ ? std::nullopt : std::optional(handle_.error()); }
  [[nodiscard]] MYSQL* db() const { return handle_->get(); }
  [[nodiscard]] bool lost() const { return service::mariadb::lost(mysql_errno(db())); }
  [[nodiscard]] Result<void> renew() {
    auto fresh = pool_.make();
    if (!fresh) return fail(fresh.error());
    *handle_ = std::move(*fresh);
    return {};
  }
  // Closed at the end, whatever its state.
  void drop() { fit_ = false; }

 private:
  Pool& pool_;
  Result<Handle> handle_;
  bool fit_ = true;
};

MariadbDatabase::MariadbDatabase(std::unique_ptr<Pool> pool, std::size_t connections)
    : pool_(std::move(pool)), held_max_(connections / 2) {}

MariadbDatabase::~MariadbDatabase() {
  for (auto& [gid, held] : held_) {
    if (held.lease) held.lease->drop();
  }
}

Result<std::unique_ptr<MariadbDatabase>> MariadbDatabase::open(const MariadbDatabaseOptions& options) {
  auto make = [options]() -> Result<Handle> {
    auto handle = service::mariadb::connect(options.address, options.patience);
    if (!handle) return handle;
    const auto set = execute(
        handle->get(),
        fmt::format(
            "SET SESSION autocommit = 1, innodb_lock_wait_timeout = {0}, lock_wait_timeout = {0}, max_statement_time = "
            "{1}",
            std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(options.times.lock).count()),
            std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(options.times.statement).count())));
    if (!set) return fail(set.error());
    return handle;
  };
  auto pool = std::make_unique<Pool>(options.connections, options.patience, std::move(make));
  std::unique_ptr<MariadbDatabase> out(new MariadbDatabase(std::move(pool), options.connections));
  if (auto checked = out->check(); !checked) return fail(checked.error());
  if (auto looked = out->refresh(); !looked) return fail(looked.error());
  return out;
}

// Prepares something and rolls it back: whatever right is missing is found now.
Result<void> MariadbDatabase::check() {
  Lease lease(*pool_);
  if (lease.trouble()) return fail(*lease.trouble());
  MYSQL* const db = lease.db();
  if (mysql_get_server_version(db) < 100'500) {
    return fail(
        ErrorCode::unsupported,
        fmt::format("MariaDB {} forgets what is prepared when its connection ends: the agent needs 10.5 or later",
                    mysql_get_server_info(db)));
  }
  const auto identity = service::mariadb::single_column(db, "SELECT identity FROM assent_barrier WHERE id = 1");
  if (!identity) return fail(identity.error());
  if (identity->size() != 1) return fail(ErrorCode::corruption, "table assent_barrier has lost its row");
  identity_ = identity->front();
  if (auto made = check_tables(db); !made) return made;
  Branch probe;
  probe.txn = TxnId::make(ClusterMillis(1), 1, 1);
  const Gid gid{probe.txn, database_of(identity_), {}, digest_of_name(service::new_identity())};
  const std::string delete_text = fmt::format("DELETE FROM assent_prepared WHERE gid = '{}'", gid.text());
  for (const std::string& text :
       {"XA START " + xid(gid), fmt::format("INSERT INTO assent_prepared VALUES('{}', '', '', 0)", gid.text()),
        delete_text, "XA END " + xid(gid), "XA PREPARE " + xid(gid), "XA ROLLBACK " + xid(gid),
        std::string("XA RECOVER")}) {
    if (auto done = execute(db, text); !done) {
      lease.drop();
      return fail(done.error());
    }
  }
  return {};
}

Result<void> MariadbDatabase::check_tables(MYSQL* connection) {
  // Only when they are not there: what is prepared holds on to them.
  const auto there = service::mariadb::single_column(
      connection,
      "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN "
      "('assent_prepared', 'assent_fences')");
  if (!there) return fail(there.error());
  for (const char* const text : {make_prepared, make_fences}) {
    if (there->size() == 2) break;
    if (auto made = execute(connection, text); !made) return fail(made.error());
  }
  const auto strange = service::mariadb::single_column(
      connection,
      "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN "
      "('assent_prepared', 'assent_fences') AND engine <> 'InnoDB'");
  if (!strange) return fail(strange.error());
  if (strange->empty()) return {};
  return fail(ErrorCode::refused,
              fmt::format("table {0} is not in InnoDB. ALTER TABLE {0} ENGINE=InnoDB", strange->front()));
}

// ---- prepare ----

Vote MariadbDatabase::prepare(const Gid& gid, const Branch& branch, const Work& work) {
  auto lease = std::make_unique<Lease>(*pool_);
  if (lease->trouble()) return Vote::no("UNAVAILABLE", lease->trouble()->message);
  auto begun = run_plain(lease->db(), "XA START " + xid(gid));
  if (!begun && service::mariadb::lost(begun.error().number)) {
    // Lost while nobody used it: nothing hangs on it yet.
    if (auto renewed = lease->renew(); !renewed) return Vote::no("UNAVAILABLE", renewed.error().message);
    begun = run_plain(lease->db(), "XA START " + xid(gid));
  }
  if (!begun) {
    lease->drop();
    return no_of(begun.error(), "XA START");
  }
  if (auto refused = work_in(lease->db(), gid, branch, work)) {
    // Whatever state it is in: the server rolls back what is not prepared when the connection ends.
    const bool ended = run_plain(lease->db(), "XA END " + xid(gid)).has_value();
    if (!ended || !run_plain(lease->db(), "XA ROLLBACK " + xid(gid))) lease->drop();
    return *refused;
  }
  auto done = run_plain(lease->db(), "XA END " + xid(gid));
  if (done) done = run_plain(lease->db(), "XA PREPARE " + xid(gid));
  if (done) {
    hold(gid, std::move(lease));
    return Vote::yes();
  }
  lease->drop();
  if (!service::mariadb::lost(done.error().number)) return no_of(done.error(), "XA PREPARE");
  // Whether it was prepared is not known, nor whether the register's connection is there still, which keeps others
  // away: so it is not touched here. The register will say no, or nothing, and the sweeper rolls it back.
  return Vote::no("CONNECTION_LOST", "the connection to the database was lost in the last step; nothing of it stays");
}

std::optional<Vote> MariadbDatabase::work_in(MYSQL* connection, const Gid& gid, const Branch& branch,
                                             const Work& work) {
  const auto marked = Parameters()
                          .text(gid.text())
                          .text(branch.txn.to_hex())
                          .text(branch.name)
                          .integer(static_cast<std::int64_t>(branch.txn.created().value))
                          .run(connection, "INSERT INTO assent_prepared VALUES(?, ?, ?, ?)");
  if (!marked) return no_of(marked.error(), "the marker");
  for (std::size_t i = 0; i < work.statements.size(); ++i) {
    if (auto refused = run(connection, work.statements[i], fmt::format("statement {}", i + 1))) return refused;
  }
  // The server warns here, and only here, when something was changed that it cannot take back.
  for (const char* const text : {"SAVEPOINT assent_end", "ROLLBACK TO SAVEPOINT assent_end"}) {
    const auto done = run_plain(connection, text);
    if (!done && done.error().number == ER_CHECK_NOT_IMPLEMENTED) break;  // an engine that cannot even do this
    if (!done) return no_of(done.error(), text);
    if (*text == 'R' && mysql_warning_count(connection) == 0) return std::nullopt;
  }
  return Vote::no("NOT_TRANSACTIONAL",
                  "a table that was changed is in an engine that takes nothing back (MyISAM, Aria, ...): that change "
                  "stays. ALTER TABLE ... ENGINE=InnoDB");
}

std::optional<Vote> MariadbDatabase::run(MYSQL* connection, const Statement& statement, const std::string& what) {
  if (const auto table = unsafe_table_in(statement.sql)) {
    return Vote::no("NOT_TRANSACTIONAL",
                    fmt::format("{}: table {} is in an engine that takes nothing back. ALTER TABLE {} ENGINE=InnoDB",
                                what, *table, *table));
  }
  const auto done = values_of(statement).run(connection, statement.sql);
  if (!done) return no_of(done.error(), what);
  const bool reads = mysql_field_count(connection) > 0 || !done->rows.empty();
  const std::uint64_t rows = reads ? done->rows.size() : done->affected;
  if (statement.rows && rows != *statement.rows) {
    return Vote::no("ROWS", fmt::format("{}: {} rows instead of {}", what, rows, *statement.rows));
  }
  return std::nullopt;
}

// By every word of it: a column of the same name is refused as well, rather than a change that cannot be taken back be
// made.
std::optional<std::string> MariadbDatabase::unsafe_table_in(const std::string& sql) {
  const std::scoped_lock lock(mutex_);
  if (unsafe_tables_.empty()) return std::nullopt;
  for (std::size_t at = 0; at < sql.size();) {
    std::size_t end = at;
    while (end < sql.size() && word_byte(sql[end])) ++end;
    std::string word = lower(std::string_view(sql).substr(at, end - at));
    if (unsafe_tables_.contains(word)) return word;
    at = std::max(end, at + 1);
  }
  return std::nullopt;
}

// ---- end ----
//
// The server parts a prepared transaction from a connection that ends in two moves: first its list of names lets others
// have it, then InnoDB does. An XA COMMIT between the two is answered with OK, takes the name from the list, and ends
// nothing (10.11; the engine's answer is not looked at): until the server is restarted nobody can end it. So another
// connection than the one that prepared waits until that one has gone, and believes no OK without the marker.

void MariadbDatabase::hold(const Gid& gid, std::unique_ptr<Lease> lease) {
  const std::scoped_lock lock(mutex_);
  const unsigned long connection = mysql_thread_id(lease->db());
  const bool kept = leases_held_ < held_max_;
  if (!kept) lease->drop();
  leases_held_ += kept ? 1 : 0;
  held_[gid.text()] = {kept ? std::move(lease) : nullptr, connection, std::chrono::steady_clock::now()};
}

std::unique_ptr<MariadbDatabase::Lease> MariadbDatabase::take_held(const Gid& gid, unsigned long& connection) {
  const std::scoped_lock lock(mutex_);
  const auto found = held_.find(gid.text());
  if (found == held_.end()) return nullptr;
  connection = found->second.connection;
  leases_held_ -= found->second.lease ? 1 : 0;
  return std::move(found->second.lease);
}

void MariadbDatabase::let_go(const Gid& gid) {
  const std::scoped_lock lock(mutex_);
  held_.erase(gid.text());
}

Result<bool> MariadbDatabase::finish(const Gid& gid, Call call) {
  const std::string text = fmt::format("XA {} {}", call == Call::commit ? "COMMIT" : "ROLLBACK", xid(gid));
  unsigned long connection = 0;
  if (auto lease = take_held(gid, connection)) {
    const auto done = run_plain(lease->db(), text);
    if (!done) lease->drop();  // lost; or it lost it, and then it is found by another
    if (done) {
      let_go(gid);
      return true;
    }
  }
  for (int look = 0; look < detach_looks; ++look) {
    if (look > 0) std::this_thread::sleep_for(detach_pause);
    if (connection != 0) {
      const auto there = ask("SELECT 1 FROM information_schema.processlist WHERE id = ?",
                             Parameters().integer(static_cast<std::int64_t>(connection)));
      if (!there) return fail(there.error());
      if (there->rows.empty()) connection = 0;
      continue;
    }
    const auto done = attempt(text);
    if (!done) return fail(done.error());
    if (!*done) {
      // Not there; or with another connection, whose end the server has not noticed yet.
      const auto names = prepared();
      if (!names) return fail(names.error());
      if (std::find(names->begin(), names->end(), gid.text()) != names->end()) continue;
    }
    const auto stays = unended(gid);
    if (!stays) return fail(stays.error());
    if (*stays) return fail(ErrorCode::busy, stuck(gid));
    let_go(gid);
    return *done;
  }
  return fail(ErrorCode::busy,
              fmt::format("{} is with the connection that prepared it, which is open still", gid.text()));
}

// False when the server knows no such name, or not for this connection.
Result<bool> MariadbDatabase::attempt(const std::string& text) {
  Lease lease(*pool_);
  if (lease.trouble()) return fail(*lease.trouble());
  auto done = run_plain(lease.db(), text);
  if (!done && lease.lost()) {
    if (auto renewed = lease.renew(); !renewed) return fail(renewed.error());
    done = run_plain(lease.db(), text);
  }
  if (done) return true;
  if (done.error().number == ER_XAER_NOTA) return false;
  return fail(service::mariadb::error_of(done.error(), text));
}

// Whether its marker is there and not committed. In this order: a commit between the two looks is no trouble.
Result<bool> MariadbDatabase::unended(const Gid& gid) {
  const auto written = ask("SELECT 1 FROM assent_prepared WHERE gid = ?", Parameters().text(gid.text()),
                           "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
  if (!written) return fail(written.error());
  if (written->rows.empty()) return false;
  const auto kept = committed(gid);
  if (!kept) return fail(kept.error());
  return !*kept;
}

std::string MariadbDatabase::stuck(const Gid& gid) {
  return fmt::format(
      "{} is in the database and not ended, and XA RECOVER does not name it: its statements run still, or the server "
      "ended it by halves, as MariaDB may when a connection is lost. If this stays, restart the MariaDB server: it "
      "finds it again, and it is ended then",
      gid.text());
}

// ---- looking ----

Result<Rows> MariadbDatabase::ask(std::string_view text, const Parameters& parameters, std::string_view before) {
  Lease lease(*pool_);
  if (lease.trouble()) return fail(*lease.trouble());
  const auto once = [&] {
    if (!before.empty()) {
      if (auto set = run_plain(lease.db(), before); !set) return set;
    }
    return parameters.run(lease.db(), text);
  };
  auto rows = once();
  if (!rows && service::mariadb::lost(rows.error().number)) {
    if (auto renewed = lease.renew(); !renewed) return fail(renewed.error());
    rows = once();
  }
  if (!rows) {
    lease.drop();
    return fail(service::mariadb::error_of(rows.error(), text));
  }
  return std::move(*rows);
}

Result<bool> MariadbDatabase::committed(const Gid& gid) {
  const auto rows = ask("SELECT 1 FROM assent_prepared WHERE gid = ?", Parameters().text(gid.text()));
  if (!rows) return fail(rows.error());
  return !rows->rows.empty();
}

// formatID, length of gtrid, length of bqual, both.
Result<std::vector<std::string>> MariadbDatabase::prepared() {
  Lease lease(*pool_);
  if (lease.trouble()) return fail(*lease.trouble());
  auto rows = execute(lease.db(), "XA RECOVER");
  if (!rows && lease.lost()) {
    if (auto renewed = lease.renew(); !renewed) return fail(renewed.error());
    rows = execute(lease.db(), "XA RECOVER");
  }
  if (!rows) return fail(rows.error());
  std::vector<std::string> out;
  for (std::size_t i = 0; i < rows->rows.size(); ++i) {
    const std::string data = rows->text(i, 3);
    const auto gtrid = static_cast<std::size_t>(rows->number(i, 1));
    const bool whole = rows->number(i, 0) == 1 && gtrid <= data.size();
    out.push_back(whole ? data.substr(0, gtrid) + "_" + data.substr(gtrid) : data);
  }
  return out;
}

Result<std::vector<KnownRegister>> MariadbDatabase::registers_of(const TxnId& txn) {
  const auto rows =
      ask("SELECT branch, state, epoch, number FROM assent_branches WHERE txn_id = ?", Parameters().text(txn.to_hex()));
  if (!rows) return fail(rows.error());
  return registers_from(*rows);
}

Result<std::vector<Unrecorded>> MariadbDatabase::unrecorded() {
  const auto rows =
      ask("SELECT b.txn_id, b.branch, b.epoch, b.number, m.gid FROM assent_branches b JOIN assent_prepared m ON "
          "m.txn_id = b.txn_id AND m.branch = b.branch WHERE b.state = 'prepared'",
          {});
  if (!rows) return fail(rows.error());
  return unrecorded_from(*rows);
}

Result<void> MariadbDatabase::forget_markers(ClusterMillis before) {
  const auto rows =
      ask("DELETE FROM assent_prepared WHERE made_at < ? AND NOT EXISTS (SELECT 1 FROM assent_branches b WHERE "
          "b.txn_id = assent_prepared.txn_id AND b.branch = assent_prepared.branch)",
          Parameters().integer(static_cast<std::int64_t>(before.value)));
  if (!rows) return fail(rows.error());
  return {};
}

Result<void> MariadbDatabase::refresh() {
  const auto now = std::chrono::steady_clock::now();
  {
    std::vector<std::unique_ptr<Lease>> parted;  // closed when others may go on
    const std::scoped_lock lock(mutex_);
    for (auto one = held_.begin(); one != held_.end();) {
      Held& held = one->second;
      if (held.lease && now - held.since >= held_for) {
        held.lease->drop();
        leases_held_ -= 1;
        parted.push_back(std::move(held.lease));
      }
      one = now - held.since >= parting_for ? held_.erase(one) : std::next(one);
    }
  }
  const auto rows =
      ask("SELECT DISTINCT LOWER(table_name) FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND "
          "engine <> 'InnoDB' AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')",
          {});
  if (!rows) return fail(rows.error());
  std::set<std::string> names;
  for (std::size_t i = 0; i < rows->rows.size(); ++i) names.insert(rows->text(i, 0));
  const std::scoped_lock lock(mutex_);
  unsafe_tables_ = std::move(names);
  return {};
}

Result<void> MariadbDatabase::fence(MYSQL& registers, const std::string& branch) {
  for (const std::string_view text :
       {"INSERT INTO assent_fences VALUES(?)", "DELETE FROM assent_fences WHERE name = ?"}) {
    if (auto done = execute(&registers, text, Parameters().text(branch)); !done) return fail(done.error());
  }
  return {};
}

}  // namespace assent::agent
