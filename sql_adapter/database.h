// SQLite's C interface with owners, values and Results, and the one connection of a store: its settings, what user
// statements may do (authorizer), how long they may run (progress handler), and which rows they touch (pre-update
// hook).
//
// Not a query interface for users: evaluator.cc runs their statements. Called from the loop's thread alone.
// Invariant: a Statement is reset as soon as its caller is done; an open one would keep ROLLBACK TO from working.
#pragma once

// What the session extension is built on, and the extension itself (used by the tests as an independent witness).
#ifndef SQLITE_ENABLE_SESSION
#define SQLITE_ENABLE_SESSION 1
#endif
#ifndef SQLITE_ENABLE_PREUPDATE_HOOK
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#endif
#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sql_adapter/value.h"

namespace assent::sql {

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  [[nodiscard]] explicit operator bool() const { return statement_ != nullptr; }
  [[nodiscard]] sqlite3_stmt* get() const { return statement_.get(); }
  // Binds from 1 on; the values must live until reset().
  Statement& bind(int parameter, const ValueView& value);
  Statement& bind_all(std::span<const ValueView> values, int first = 1);
  [[nodiscard]] int step() { return sqlite3_step(get()); }
  int reset() { return sqlite3_reset(get()); }
  [[nodiscard]] int columns() const { return sqlite3_column_count(get()); }
  // Valid until the next step() or reset().
  [[nodiscard]] ValueView column(int index) const;
  [[nodiscard]] RowView row() const;

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

// Resets on the way out.
class Running {
 public:
  explicit Running(Statement& statement) : statement_(statement) {}
  ~Running() { statement_.reset(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  Statement* operator->() { return &statement_; }

 private:
  Statement& statement_;
};

// What SQLite's authorizer reported while a user's statement was prepared. A name that the store keeps to itself makes
// the preparation fail, with the reason in denied.
struct Access {
  enum class Kind : std::uint8_t { read, insert, update, remove };
  struct Table {
    Kind kind;
    std::string name;
    bool from_trigger;  // or from a view
  };
  std::vector<Table> tables;
  std::string denied;
};

// Rows that statements touch, told by primary key, while it is set.
class RowWatcher {
 public:
  virtual ~RowWatcher() = default;
  // The row before or after: sqlite3_preupdate_old and _new work inside the call; rowids are those of the hook.
  virtual void touched(int op, std::string_view table, std::int64_t old_rowid, std::int64_t new_rowid) = 0;
};

struct DatabaseFile {
  std::string path;
  std::string vfs;            // SQLite's name of the file system; empty: the machine's
  int wal_pages_max = 4'000;  // of SQLite's log, before they are brought into the database file
  bool read_only = false;     // for whoever only looks; the file must exist then
  bool scratch = false;       // on the machine's file system; nobody opens it again: no log, no syncs, a small cache,
                              // its name is given back at once, and its place on the disk when it is closed
};

class Database {
 public:
  // Opens the file, or a database in memory, for one writer; corruption when the bytes are not a database.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const DatabaseFile& file);
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Gives the connection back with all its memory and files, and leaves SQLite's log as it is; an open transaction is
  // taken back. No statement of it may be left, and nothing but reopen() may follow.
  void close();
  // The same file again: io when it is not there any more, corruption when it is no database.
  [[nodiscard]] Result<void> reopen();
  [[nodiscard]] bool closed() const { return handle_ == nullptr; }
  // Pages in SQLite's log, which who opens the file has to read: as of the last commit here.
  [[nodiscard]] int wal_pages() const { return wal_pages_; }
  // Brings them into the file, and syncs it: all, unless another connection reads them. Outside of a transaction.
  [[nodiscard]] Result<void> empty_wal();

  [[nodiscard]] sqlite3* handle() const { return handle_; }
  // Internal statements: no authorizer, kept for long.
  [[nodiscard]] Result<Statement> prepare(std::string_view text);
  [[nodiscard]] Result<void> execute(const std::string& text);
  // All rows of an internal query.
  [[nodiscard]] Result<std::vector<Row>> rows(std::string_view text, std::span<const ValueView> parameters = {});

  // A user's statement: its accesses are noted, and reserved names and forbidden actions refused. `tail` is what
  // follows the first statement of the text. The code of SQLite; message() has the words.
  [[nodiscard]] int prepare_user(std::string_view text, Access& access, Statement& out, std::string_view& tail);
  // A user's CREATE, DROP or ALTER, which is run at once. The same rules.
  [[nodiscard]] int execute_schema(std::string_view text, Access& access, std::string_view& tail);

  [[nodiscard]] std::string message() const { return sqlite3_errmsg(handle_); }
  // io or corruption, by SQLite's code.
  [[nodiscard]] Error error(int code, std::string_view doing) const;
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

  void watch(RowWatcher* watcher) { watcher_ = watcher; }
  // From now on statements may run that many instructions together and make no longer value, until unlimited(). Who
  // runs longer is interrupted.
  void limit(std::uint64_t instructions, std::size_t value_bytes_max);
  void unlimited();
  void interrupt() { exhausted_ = true; }  // the running statement, at its next instructions
  [[nodiscard]] bool exhausted() const { return exhausted_; }

  // Foreign keys and triggers act while statements of users run, and not while effects are installed. Each change of
  // the mode makes SQLite prepare everything again, so a schema without any of them keeps it as it is.
  void enforce(bool on);

 private:
  enum class Mode : std::uint8_t { internal, rows, schema };

  Database() = default;
  void give_name_back();
  [[nodiscard]] Result<void> connect(int flags);
  [[nodiscard]] Result<void> configure();
  static int committed(void* self, sqlite3* handle, const char* database, int pages);
  static int authorize(void* self, int action, const char* a, const char* b, const char* database, const char* inner);
  [[nodiscard]] bool allowed(int action, std::string_view a, std::string_view b, std::string_view database);
  void note(int action, std::string_view a, bool inner);
  static int progress(void* self);
  static void preupdate(void* self, sqlite3*, int op, const char* database, const char* table, sqlite3_int64 old_rowid,
                        sqlite3_int64 new_rowid);

  DatabaseFile file_;
  sqlite3* handle_ = nullptr;
  int wal_pages_ = 0;
  bool closed_before_ = false;
  Mode mode_ = Mode::internal;
  Access* access_ = nullptr;
  RowWatcher* watcher_ = nullptr;
  std::uint64_t instructions_left_ = 0;
  int value_bytes_before_ = 0;  // while limited, what to go back to
  bool limited_ = false;
  bool exhausted_ = false;
  bool enforcing_ = true;
};

// "name", with quotes inside doubled.
[[nodiscard]] std::string quote_name(std::string_view name);
[[nodiscard]] bool reserved_name(std::string_view name);  // assent_..., sqlite_...

}  // namespace assent::sql
