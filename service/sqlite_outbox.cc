#include "service/sqlite_outbox.h"

#include "service/sqlite_connection.h"

namespace assent::service {

using sqlite::error_of;
using sqlite::execute;
using sqlite::Query;

namespace {

// Never a number twice: what was removed is told apart from what comes later.
constexpr const char* schema =
    "CREATE TABLE IF NOT EXISTS assent_outbox("
    "sequence INTEGER PRIMARY KEY AUTOINCREMENT, txn_id TEXT NOT NULL DEFAULT '', message BLOB NOT NULL)";

}  // namespace

Result<std::unique_ptr<SqliteOutbox>> SqliteOutbox::open(const std::string& path) {
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  std::unique_ptr<SqliteOutbox> outbox(new SqliteOutbox(opened));
  if (code != SQLITE_OK) return fail(error_of(opened, code, "open"));
  sqlite3_busy_timeout(opened, 5'000);
  if (auto set = execute(opened, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"); !set) return fail(set.error());
  if (auto made = execute(opened, schema); !made) return fail(made.error());
  return outbox;
}

SqliteOutbox::~SqliteOutbox() { sqlite3_close(connection_); }

Result<void> SqliteOutbox::put(sqlite3& connection, ByteView message) {
  return Query(&connection, "INSERT INTO assent_outbox(message) VALUES(?1)").blob(message).run();
}

Result<std::vector<OutboxRow>> SqliteOutbox::rows_after(std::int64_t sequence, std::size_t most) {
  Query query(connection_,
              "SELECT sequence, txn_id, message FROM assent_outbox WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
  query.integer(sequence).integer(static_cast<std::int64_t>(most));
  std::vector<OutboxRow> rows;
  for (;;) {
    const Result<bool> row = query.step();
    if (!row) return fail(row.error());
    if (!*row) return rows;
    rows.push_back({query.number(0), query.bytes(1), query.bytes(2)});
  }
}

Result<bool> SqliteOutbox::assign(const OutboxRow& row, const std::string& txn_id) {
  Query query(connection_, "UPDATE assent_outbox SET txn_id = ?1 WHERE sequence = ?2 AND txn_id = ?3");
  if (auto done = query.text(txn_id).integer(row.sequence).text(row.txn_id).run(); !done) return fail(done.error());
  return sqlite3_changes(connection_) == 1;
}

Result<void> SqliteOutbox::remove(const OutboxRow& row) {
  return Query(connection_, "DELETE FROM assent_outbox WHERE sequence = ?1").integer(row.sequence).run();
}

}  // namespace assent::service
