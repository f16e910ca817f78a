#include "sql_adapter/database.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <thread>

#include "base/check.h"
#include "sql_adapter/statement_text.h"

namespace assent::sql {
namespace {

constexpr int instructions_per_look = 1'000;
constexpr int cache_kib = 65'536;
constexpr int scratch_cache_kib = 256;
constexpr int recovery_millis_max = 5'000;  // of reading SQLite's log, which is kept to some pages

std::string_view text_of(const char* text) { return text == nullptr ? std::string_view() : std::string_view(text); }

bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() && same_name(name.substr(0, prefix.size()), prefix);
}

}  // namespace

// ---- statements ----

Statement& Statement::bind(int parameter, const ValueView& value) {
  sqlite3_stmt* statement = get();
  // An empty view may have no address, which SQLite would take for NULL.
  const char* data = value.bytes.data() == nullptr ? "" : value.bytes.data();
  switch (value.type) {
    case ValueType::integer: sqlite3_bind_int64(statement, parameter, value.integer); break;
    case ValueType::real: sqlite3_bind_double(statement, parameter, value.real); break;
    case ValueType::text:
      sqlite3_bind_text64(statement, parameter, data, value.bytes.size(), SQLITE_STATIC, SQLITE_UTF8);
      break;
    case ValueType::blob: sqlite3_bind_blob64(statement, parameter, data, value.bytes.size(), SQLITE_STATIC); break;
    case ValueType::null:
    case ValueType::undefined: sqlite3_bind_null(statement, parameter); break;
  }
  return *this;
}

Statement& Statement::bind_all(std::span<const ValueView> values, int first) {
  for (const ValueView& value : values) bind(first++, value);
  return *this;
}

ValueView Statement::column(int index) const {
  sqlite3_stmt* statement = get();
  const auto bytes = [&](const void* data) {
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
    return size == 0 ? ByteView("") : ByteView(static_cast<const char*>(data), size);
  };
  switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER: return ValueView::of(std::int64_t{sqlite3_column_int64(statement, index)});
    case SQLITE_FLOAT: return ValueView::of(sqlite3_column_double(statement, index));
    case SQLITE_TEXT: return ValueView::of_text(bytes(sqlite3_column_text(statement, index)));
    case SQLITE_BLOB: return ValueView::of_blob(bytes(sqlite3_column_blob(statement, index)));
    default: return ValueView::of_null();
  }
}

RowView Statement::row() const {
  RowView out;
  const int size = columns();
  out.reserve(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) out.push_back(column(i));
  return out;
}

// ---- opening ----

Result<std::unique_ptr<Database>> Database::open(const DatabaseFile& file) {
  std::unique_ptr<Database> out(new Database);
  out->file_ = file;
  const int mode = file.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (file.scratch) out->give_name_back();  // of who crashed between the two
  if (auto done = out->connect(mode); !done) return fail(done.error());
  if (file.scratch) out->give_name_back();
  return out;
}

void Database::give_name_back() {
  sqlite3_vfs* const machine = sqlite3_vfs_find(nullptr);
  machine->xDelete(machine, file_.path.c_str(), 0);  // the file stays for as long as it is open
}

Result<void> Database::connect(int mode) {
  const int flags = mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code =
      sqlite3_open_v2(file_.path.c_str(), &handle_, flags, file_.vfs.empty() ? nullptr : file_.vfs.c_str());
  if (code != SQLITE_OK) return fail(error(code, fmt::format("opening {}", file_.path)));
  // Until reopen() is done: who looks at a closed file may just be reading SQLite's log in our place.
  sqlite3_busy_timeout(handle_, closed_before_ ? recovery_millis_max : 0);
  return configure();
}

void Database::close() {
  // Else SQLite would bring its log into the file now, and wait for the disk.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  const int code = sqlite3_close(handle_);
  ASSENT_CHECK(code == SQLITE_OK, "no statement outlives its connection");
  handle_ = nullptr;
  closed_before_ = true;
}

// Not made anew: an empty file in the place of one that is gone would be taken for the data.
Result<void> Database::reopen() {
  ASSENT_CHECK(closed(), "a connection is opened again after it was closed");
  enforcing_ = true;
  if (auto done = connect(SQLITE_OPEN_READWRITE); !done) return done;
  sqlite3_busy_timeout(handle_, 0);
  return {};
}

// Who looks at the file at the same time (database_check.h) may hold up some of it: then that much is left for later.
Result<void> Database::empty_wal() {
  const int code = sqlite3_wal_checkpoint_v2(handle_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if ((code & 0xFF) == SQLITE_BUSY) return {};
  if (code != SQLITE_OK) return fail(error(code, "bringing its log into the file"));
  wal_pages_ = 0;
  return {};
}

// As SQLite's own hook, which does not tell how much there is.
int Database::committed(void* self, sqlite3* handle, const char* database, int pages) {
  auto& db = *static_cast<Database*>(self);
  db.wal_pages_ = pages;
  if (pages >= db.file_.wal_pages_max) sqlite3_wal_checkpoint(handle, database);
  return SQLITE_OK;
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  DatabaseFile file;
  file.path = path;
  return open(file);
}

Result<void> Database::configure() {
  sqlite3_limit(handle_, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(handle_, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1'000);
  sqlite3_limit(handle_, SQLITE_LIMIT_WORKER_THREADS, 0);
  for (const int on : {SQLITE_DBCONFIG_DEFENSIVE, SQLITE_DBCONFIG_ENABLE_FKEY, SQLITE_DBCONFIG_ENABLE_TRIGGER}) {
    sqlite3_db_config(handle_, on, 1, nullptr);
  }
  for (const int off : {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_DQS_DDL,
                        SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_WRITABLE_SCHEMA}) {
    sqlite3_db_config(handle_, off, 0, nullptr);
  }
  sqlite3_set_authorizer(handle_, authorize, this);
  sqlite3_progress_handler(handle_, instructions_per_look, progress, this);
  sqlite3_preupdate_hook(handle_, preupdate, this);
  const bool in_memory = file_.path == ":memory:";  // no log to keep, nothing to sync
  if (file_.scratch) {
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);  // which wants a journal
    return execute(
        fmt::format("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY; "
                    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-{};",
                    scratch_cache_kib));
  }
  if (file_.read_only || in_memory) return execute("PRAGMA temp_store=MEMORY");
  if (auto done = execute(fmt::format("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                                      "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{};",
                                      cache_kib));
      !done) {
    return done;
  }
  sqlite3_wal_hook(handle_, committed, this);
  return {};
}

// The last close of a file without a name frees what the system keeps of it, a second for some gigabytes: a thread of
// its own waits for that.
Database::~Database() {
  if (file_.scratch && handle_ != nullptr) {
    try {
      std::thread([handle = handle_] { sqlite3_close_v2(handle); }).detach();
      return;
    } catch (const std::system_error&) {  // there may be no further thread
    }
  }
  sqlite3_close_v2(handle_);
}

// ---- internal use ----

Result<Statement> Database::prepare(std::string_view text) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, text.data(), static_cast<int>(text.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return fail(error(code, text));
  return Statement(statement);
}

Result<void> Database::execute(const std::string& text) {
  const int code = sqlite3_exec(handle_, text.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code, text));
  return {};
}

Result<std::vector<Row>> Database::rows(std::string_view text, std::span<const ValueView> parameters) {
  auto statement = prepare(text);
  if (!statement) return fail(statement.error());
  statement->bind_all(parameters);
  std::vector<Row> out;
  int code = SQLITE_ROW;
  while ((code = statement->step()) == SQLITE_ROW) out.push_back(own(statement->row()));
  if (code != SQLITE_DONE) return fail(error(code, text));
  return out;
}

Error Database::error(int code, std::string_view doing) const {
  const int primary = code & 0xFF;
  const bool corrupt = primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
  const char* const file = sqlite3_db_filename(handle_, "main");
  const bool on_disk = file != nullptr && *file != '\0';
  std::string words = fmt::format("SQLite could not go on{}{} ({}): {}", on_disk ? " with " : "", on_disk ? file : "",
                                  doing.substr(0, 200), message());
  const int system = sqlite3_system_errno(handle_);
  if (primary == SQLITE_IOERR && system != 0) words += ": " + std::system_category().message(system);
  if (primary == SQLITE_BUSY) words += "; another process has the file open for writing: end it";
  return Error{corrupt ? ErrorCode::corruption : ErrorCode::io, std::move(words), {}};
}

void Database::limit(std::uint64_t instructions, std::size_t value_bytes_max) {
  instructions_left_ = instructions;
  limited_ = true;
  exhausted_ = false;
  value_bytes_before_ = sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, static_cast<int>(value_bytes_max));
}

void Database::unlimited() {
  limited_ = false;
  if (value_bytes_before_ > 0) sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, value_bytes_before_);
  value_bytes_before_ = 0;
}

void Database::enforce(bool on) {
  if (on == enforcing_) return;
  enforcing_ = on;
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_FKEY, on ? 1 : 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_TRIGGER, on ? 1 : 0, nullptr);
}

int Database::progress(void* self) {
  auto& db = *static_cast<Database*>(self);
  if (!db.limited_) return 0;
  if (db.exhausted_ || db.instructions_left_ < instructions_per_look) {
    db.exhausted_ = true;
    return 1;
  }
  db.instructions_left_ -= instructions_per_look;
  return 0;
}

void Database::preupdate(void* self, sqlite3*, int op, const char* database, const char* table, sqlite3_int64 old_rowid,
                         sqlite3_int64 new_rowid) {
  RowWatcher* watcher = static_cast<Database*>(self)->watcher_;
  if (watcher != nullptr && text_of(database) == "main") watcher->touched(op, text_of(table), old_rowid, new_rowid);
}

// ---- users' statements ----

int Database::prepare_user(std::string_view text, Access& access, Statement& out, std::string_view& tail) {
  mode_ = Mode::rows;
  access_ = &access;
  sqlite3_stmt* statement = nullptr;
  const char* end = nullptr;
  const int code = sqlite3_prepare_v3(handle_, text.data(), static_cast<int>(text.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, &end);
  mode_ = Mode::internal;
  access_ = nullptr;
  out = Statement(statement);
  tail = end == nullptr ? std::string_view() : text.substr(static_cast<std::size_t>(end - text.data()));
  return code;
}

int Database::execute_schema(std::string_view text, Access& access, std::string_view& tail) {
  mode_ = Mode::schema;
  access_ = &access;
  sqlite3_stmt* statement = nullptr;
  const char* end = nullptr;
  int code = sqlite3_prepare_v2(handle_, text.data(), static_cast<int>(text.size()), &statement, &end);
  tail = end == nullptr ? std::string_view() : text.substr(static_cast<std::size_t>(end - text.data()));
  if (code == SQLITE_OK) {
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) continue;
    if (code == SQLITE_DONE) code = SQLITE_OK;
  }
  const int finalized = sqlite3_finalize(statement);  // repeats the error, so that message() has its words
  mode_ = Mode::internal;
  access_ = nullptr;
  return code == SQLITE_OK ? finalized : code;
}

int Database::authorize(void* self, int action, const char* a, const char* b, const char* database, const char* inner) {
  auto& db = *static_cast<Database*>(self);
  if (db.mode_ == Mode::internal) return SQLITE_OK;
  if (!db.allowed(action, text_of(a), text_of(b), text_of(database))) return SQLITE_DENY;
  if (db.mode_ == Mode::rows) db.note(action, text_of(a), inner != nullptr);
  return SQLITE_OK;
}

bool Database::allowed(int action, std::string_view a, std::string_view b, std::string_view database) {
  const auto deny = [&](std::string why) {
    if (access_->denied.empty()) access_->denied = std::move(why);
    return false;
  };
  const auto mine = [&](std::string_view name) {
    if (mode_ == Mode::schema && !has_prefix(name, "assent_")) return true;  // its own bookkeeping is in sqlite_...
    if (!reserved_name(name) && !has_prefix(name, "pragma_")) return true;
    return deny(fmt::format("the name {} is reserved: it belongs to the database itself", name));
  };
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return true;
    case SQLITE_READ:
    case SQLITE_UPDATE:
    case SQLITE_INSERT:
    case SQLITE_DELETE: return mine(a);
    case SQLITE_FUNCTION: return same_name(b, "load_extension") ? deny("load_extension() is not allowed") : true;
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT: return deny("transaction control is not allowed: the whole work is one transaction");
    default: break;
  }
  if (mode_ == Mode::rows) return deny("that is not allowed in a statement on rows");
  if (same_name(database, "temp")) return deny("nothing temporary is allowed on a replicated shard");
  switch (action) {
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_VIEW: return mine(a);
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_ALTER_TABLE: return mine(a) && mine(b);
    case SQLITE_REINDEX: return true;                        // the filling of a new index
    case SQLITE_PRAGMA: return same_name(a, "quick_check");  // ALTER TABLE looks with it whether rows fit
    default: return deny("that is not allowed on a replicated shard");
  }
}

void Database::note(int action, std::string_view a, bool inner) {
  using Kind = Access::Kind;
  Kind kind = Kind::read;
  switch (action) {
    case SQLITE_READ: break;
    case SQLITE_INSERT: kind = Kind::insert; break;
    case SQLITE_UPDATE: kind = Kind::update; break;
    case SQLITE_DELETE: kind = Kind::remove; break;
    default: return;
  }
  const auto same = [&](const Access::Table& table) {
    return table.kind == kind && table.from_trigger == inner && table.name == a;
  };
  if (std::any_of(access_->tables.begin(), access_->tables.end(), same)) return;
  access_->tables.push_back({kind, std::string(a), inner});
}

std::string quote_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

bool reserved_name(std::string_view name) { return has_prefix(name, "assent_") || has_prefix(name, "sqlite_"); }

}  // namespace assent::sql
