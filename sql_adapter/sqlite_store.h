// SqliteStore: one shard's data in one SQLite database, behind both seams of participant/store.h. As Store it keeps
// rows and records; as ResourceManager it runs SQL and key-value operations inside a savepoint, notes what they would
// change and what they read, and takes everything back.
//
// It is not a connection pool and not a query planner: there is exactly one connection, used from the loop's thread
// alone. It never blocks on another writer (no other process writes the file) and never leaves a transaction of a
// statement open.
//
// Invariants
//  * Between two commits of SQLite's own transaction everything is volatile; a destructor is a crash, and the log
//  replays
//    from applied() on. Rows, records and the applied index become durable in one SQLite transaction, in checkpoint().
//  * evaluate() and query() leave no trace, whatever goes wrong in them: when SQLite itself rolls the open transaction
//  back
//    (interrupt, full memory, RAISE(ROLLBACK)), the changes installed since the last commit are installed again.
//  * check() gives the same verdict and words on every replica: it looks at rows, schema text and per-table versions
//  only.
//  * What check() has passed and whose locks are held, install() cannot refuse.
//  * When the file is closed it has all that was installed and put. Records that are put while it is closed wait in
//  memory for the next commit, as they do while it is open: the log has them.
//  * Names that begin with assent_ or sqlite_ belong to the store; no user statement reads or writes them.
//
// Not kept: that AUTOINCREMENT never gives an id twice. An id of a row that was gone before its transaction ended may
// come again; SQLite's other promises hold.
//
// The bytes of a change are specified in sql_adapter/change_format.h, lock keys in sql_adapter/lock_keys.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "participant/store.h"

namespace assent {

namespace sql {
class SchemaCache;
}

struct SqliteOptions {
  std::string path = ":memory:";  // a file, whose directory exists, or :memory:
  std::string vfs = {};           // SQLite's name of the file system that the file is on; empty: the machine's
  int wal_pages_max = 4'000;      // of SQLite's log, before they are brought into the database file
  // Of a scratch file on the machine's file system, in which snapshots are made of a database with more bytes than may
  // be taken of memory for one; empty: all are made in memory.
  std::string copy_path = {};
  std::uint64_t copy_memory_max = 64ULL << 20U;

  // Over one of these the work is refused with reason too_large.
  std::size_t statement_bytes_max = 256ULL << 10U;  // text of one statement, or one key or value
  std::size_t value_bytes_max = 1ULL << 20U;        // any string or blob that SQLite makes or stores
  std::size_t result_bytes_max = 1ULL << 20U;       // rows returned by one evaluate() or query()
  std::size_t change_bytes_max = 2ULL << 20U;       // effects of one evaluate()
  std::uint64_t instructions_max =
      20'000'000;  // of SQLite's virtual machine, in one evaluate() or query(); about 0.2 s

  std::size_t row_locks_max = 1'000;        // of one table in one evaluate(); beyond it the table is locked instead
  std::size_t cached_statements_max = 256;  // user statements kept prepared and analysed, by text
  // Installs and records that are gathered in one SQLite transaction before checkpoint() commits it. The more, the
  // fewer times a page is written that many of them change; after a crash they come again from the log.
  std::size_t changes_per_commit = 4'096;
  std::size_t commit_bytes_max = 4ULL << 20U;  // the same, in bytes of both

  bool lets_go = false;            // let_go() closes the file; not for a database in memory
  int let_go_wal_pages_max = 256;  // of SQLite's log, which is read whole when the file is opened again; over it,
                                   // letting go brings them into the file first, which waits for the disk

  std::shared_ptr<sql::SchemaCache> schemas = nullptr;  // shared with others of the same thread; none: one of its own
};

class SqliteStore final : public Store, public ResourceManager {
 public:
  // Opens or creates. io when the file cannot be opened; corruption when it is not a database of this store;
  // unsupported when a newer version wrote it.
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open(const SqliteOptions& options);
  ~SqliteStore() override;  // like a crash: what no checkpoint() committed is gone
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  [[nodiscard]] Result<void> check(ByteView change) const override;
  [[nodiscard]] Result<void> install(ByteView change) override;
  [[nodiscard]] Result<std::int64_t> counter(std::string_view key) const override;
  [[nodiscard]] Result<void> add(std::string_view key, std::int64_t delta) override;

  [[nodiscard]] Result<void> put_record(const TxnId& txn, ByteView record) override;
  [[nodiscard]] Result<void> erase_record(const TxnId& txn) override;
  [[nodiscard]] Result<std::map<TxnId, Bytes>> records() const override;
  [[nodiscard]] Result<void> put_machine_record(ByteView record) override;
  [[nodiscard]] Result<Bytes> machine_record() const override;

  [[nodiscard]] Result<void> healthy() const override;
  [[nodiscard]] Index applied() const override;
  void set_applied(Index index) override;
  // Commits SQLite's transaction once options.changes_per_commit installs or commit_bytes_max are gathered, else
  // gathers on.
  [[nodiscard]] Result<void> checkpoint() override;
  // With options.lets_go: commits what is gathered, and closes the file; whatever needs the rows opens it again. An
  // error when the file is then not as it was left. Some 20 KiB of memory are left of a store in place of some 160.
  [[nodiscard]] Result<void> let_go() override;

  [[nodiscard]] Result<Bytes> snapshot() override;
  // Each step commits SQLite's transaction.
  [[nodiscard]] Result<std::optional<SnapshotMade>> snapshot_step(std::size_t bytes) override;
  void drop_snapshot() override;
  [[nodiscard]] Result<void> restore(ByteView snapshot) override;
  [[nodiscard]] Result<std::unique_ptr<Store>> image(ByteView snapshot) const override;
  // Over the schema's text, all rows in primary-key order, all records and the machine record; not over applied().
  [[nodiscard]] Result<std::uint64_t> digest() override;

  [[nodiscard]] tl::expected<Evaluation, Refusal> evaluate(const Work& work) override;
  [[nodiscard]] tl::expected<Evaluation, Refusal> query(const Work& work) override;
  [[nodiscard]] std::string lock_name(ByteView key) const override;

  // Commits SQLite's transaction now, whatever is gathered; for a graceful stop, after the last checkpoint().
  [[nodiscard]] Result<void> commit();

 private:
  class Parts;
  explicit SqliteStore(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace assent
