#include "sql_adapter/sqlite_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "base/planted.h"
#include "base/utf8.h"
#include "sql_adapter/applier.h"
#include "sql_adapter/counters.h"
#include "sql_adapter/evaluator.h"
#include "sql_adapter/image.h"
#include "sql_adapter/lock_keys.h"
#include "sql_adapter/schema_cache.h"
#include "txn_proto/sight.h"

namespace assent {

using sql::Applier;
using sql::Change;
using sql::Database;
using sql::Evaluator;
using sql::Row;
using sql::Rows;
using sql::RowsChange;
using sql::Running;
using sql::Schema;
using sql::SchemaChange;
using sql::Statement;
using sql::TableVersions;
using sql::ValueView;

namespace {

constexpr const char* meta_applied = "applied";
constexpr const char* meta_machine = "machine";
constexpr std::string_view meta_version_prefix = "version/";

std::string make_tables() {
  return fmt::format(
      "BEGIN IMMEDIATE; PRAGMA application_id={}; PRAGMA user_version={};"
      "CREATE TABLE assent_kv(key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE assent_record(txn BLOB NOT NULL PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE assent_meta(name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID; COMMIT;",
      sql::application_id, sql::format_version);
}

Bytes number_bytes(std::uint64_t value) {
  Bytes out;
  ByteWriter(out).u64(value);
  return out;
}

std::uint64_t number_of(ByteView bytes) { return ByteReader(bytes).u64(); }

SqliteOptions with_schemas(SqliteOptions options) {
  if (!options.schemas) options.schemas = std::make_shared<sql::SchemaCache>();
  return options;
}

}  // namespace

// SQLite's transaction is open all the time, from one commit to the next. What is cheap to keep in memory until then
// (records, the applied index, table versions) is written at commit, so that a record that is put and erased in between
// costs nothing; `pending_` holds what commit() has still to write, and `redo_` what must be installed again if SQLite
// gives up the transaction while a user's statement runs in it.
class SqliteStore::Parts {
 public:
  Parts(std::unique_ptr<Database> db, const SqliteOptions& the_options)
      : options_(with_schemas(the_options)),
        db_(std::move(db)),
        rows_(*db_),
        applier_(*db_, rows_),
        evaluator_(*db_, rows_, options_) {}

  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> check(ByteView change);
  [[nodiscard]] Result<void> install(ByteView change);
  [[nodiscard]] Result<std::int64_t> counter(std::string_view key);
  [[nodiscard]] Result<void> add(std::string_view key, std::int64_t delta);
  [[nodiscard]] Result<void> stored_records(std::map<TxnId, Bytes>& out);
  [[nodiscard]] Result<std::map<TxnId, Bytes>> records();
  [[nodiscard]] Result<void> commit();
  [[nodiscard]] Result<void> checkpoint();
  [[nodiscard]] Result<void> let_go();
  // Before whatever needs the rows: opens the file again. Also an error of before.
  [[nodiscard]] Result<void> ready();
  [[nodiscard]] bool closed() const { return db_->closed(); }
  [[nodiscard]] Result<Bytes> snapshot();
  [[nodiscard]] Result<std::optional<SnapshotMade>> snapshot_step(std::size_t bytes);
  void drop_snapshot() { copy_.reset(); }
  [[nodiscard]] Result<void> restore(ByteView snapshot);
  [[nodiscard]] const SqliteOptions& options() const { return options_; }
  [[nodiscard]] Result<std::uint64_t> digest();
  [[nodiscard]] tl::expected<Evaluation, Refusal> evaluate(const Work& work, bool may_write);

  [[nodiscard]] Result<void> healthy() const { return broken_ ? Result<void>(fail(*broken_)) : Result<void>(); }
  void put_record(const TxnId& txn, std::optional<Bytes> record) {
    pending_bytes_ += record ? record->size() : 0;
    pending_records_[txn] = std::move(record);
  }
  void put_machine_record(ByteView record) { machine_record_ = Bytes(record); }
  [[nodiscard]] const Bytes& machine_record() const { return machine_record_; }
  [[nodiscard]] Index applied() const { return applied_; }
  void set_applied(Index index) { applied_ = index; }

 private:
  [[nodiscard]] Result<void> identify();
  [[nodiscard]] Result<void> load();
  [[nodiscard]] Result<void> load_schema();
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] bool owes() const;
  [[nodiscard]] bool copying() const { return copy_ != nullptr && !copied_; }
  [[nodiscard]] Result<void> reopen();
  [[nodiscard]] Result<void> write_pending();
  [[nodiscard]] Result<void> write_meta(std::string_view name, ByteView value);
  [[nodiscard]] Result<void> run(Statement& statement, std::span<const ValueView> parameters);
  [[nodiscard]] Result<void> install_decoded(const Change& change);
  [[nodiscard]] Result<void> try_schema(const SchemaChange& change);
  [[nodiscard]] Result<void> mend();
  // conflict is a verdict; anything else ends the use of this store, reads included: on an error of the disk SQLite
  // takes the whole open transaction back, and what follows would be committed piece by piece, apart from the applied
  // index.
  template <class T>
  [[nodiscard]] Result<T> remember(Result<T> result) {
    if (!result && result.error().code != ErrorCode::conflict && !broken_) broken_ = result.error();
    return result;
  }
  void forget_statements();

  const SqliteOptions options_;
  std::unique_ptr<Database> db_;
  Rows rows_;
  Applier applier_;
  Evaluator evaluator_;
  std::shared_ptr<const Schema> schema_;

  Statement put_record_;
  Statement erase_record_;
  Statement all_records_;
  Statement put_meta_;

  std::map<TxnId, std::optional<Bytes>> pending_records_;  // nullopt: erased
  Bytes machine_record_;
  Bytes machine_record_written_;
  Index applied_;
  Index applied_written_;
  TableVersions versions_;
  TableVersions versions_written_;
  std::vector<Bytes> redo_;
  std::size_t pending_bytes_ = 0;
  bool schema_changed_ = false;           // in the open transaction
  std::unique_ptr<sql::ImageCopy> copy_;  // of a snapshot in the making; before db_ goes
  std::optional<Index> copied_;           // what it holds, once it is whole
  std::optional<Error> broken_;           // the disk's error after which nothing here can be trusted
};

// ---- opening ----

Result<void> SqliteStore::Parts::start() {
  const bool in_memory = options_.path == ":memory:";
  if (auto done = in_memory ? options_.schemas->fill(*db_, make_tables()) : identify(); !done) return done;
  if (auto done = load(); !done) return done;
  return begin();
}

Result<void> SqliteStore::Parts::identify() {
  std::array<std::int64_t, 3> found = {};
  constexpr std::array questions = {"PRAGMA application_id", "PRAGMA user_version",
                                    "SELECT count(*) FROM sqlite_schema"};
  for (std::size_t i = 0; i < questions.size(); ++i) {
    auto rows = db_->rows(questions[i]);
    if (!rows) return fail(rows.error());
    const auto* number = rows->empty() ? nullptr : std::get_if<std::int64_t>(&rows->front().front());
    found[i] = number == nullptr ? 0 : *number;
  }
  const auto [application, version, objects] = found;
  if (application == 0 && objects == 0) return db_->execute(make_tables());
  if (application != sql::application_id) {
    return fail(ErrorCode::corruption,
                fmt::format("{} is a database, but not one of a shard: move it away", options_.path));
  }
  if (version > sql::format_version) {
    return fail(ErrorCode::unsupported, fmt::format("{} has format {}, and this build knows {}: use a newer build",
                                                    options_.path, version, sql::format_version));
  }
  return {};
}

Result<void> SqliteStore::Parts::load() {
  auto meta = db_->rows("SELECT name, value FROM assent_meta");
  if (!meta) return fail(meta.error());
  machine_record_.clear();
  applied_ = {};
  versions_.clear();
  for (const Row& row : *meta) {
    const std::string name(sql::view(row[0]).bytes);
    const ByteView value = sql::view(row[1]).bytes;
    if (name == meta_machine) machine_record_ = Bytes(value);
    if (name == meta_applied) applied_ = Index(number_of(value));
    if (name.starts_with(meta_version_prefix)) versions_[name.substr(meta_version_prefix.size())] = number_of(value);
  }
  machine_record_written_ = machine_record_;
  applied_written_ = applied_;
  versions_written_ = versions_;
  pending_records_.clear();
  redo_.clear();
  pending_bytes_ = 0;
  return load_schema();
}

// Statements hold on to tables of the old schema, so they go first.
Result<void> SqliteStore::Parts::load_schema() {
  forget_statements();
  auto schema = options_.schemas->load(*db_);
  if (!schema) return fail(schema.error());
  schema_ = std::move(*schema);
  return {};
}

void SqliteStore::Parts::forget_statements() {
  rows_.forget();
  evaluator_.forget();
  put_record_ = {};
  erase_record_ = {};
  all_records_ = {};
  put_meta_ = {};
}

Result<void> SqliteStore::Parts::begin() { return db_->execute("BEGIN IMMEDIATE"); }

// ---- changes ----

Result<void> SqliteStore::Parts::check(ByteView bytes) {
  if (bytes.empty()) return {};
  const Result<Change> change = sql::decode_change(bytes);
  if (!change) return fail(ErrorCode::conflict, change.error().message);
  if (change->schema != schema_->fingerprint()) {
    return fail(ErrorCode::conflict, "the schema has changed since the work was run");
  }
  if (const auto* rows = std::get_if<RowsChange>(&change->body)) {
    return remember(applier_.check(*schema_, versions_, *rows));
  }
  auto done = remember(try_schema(std::get<SchemaChange>(change->body)));
  if (auto mended = mend(); !mended) return mended;
  return done;
}

// Rows may have come since the work was run that a new index or column does not allow.
Result<void> SqliteStore::Parts::try_schema(const SchemaChange& change) {
  db_->enforce(true);
  if (auto done = db_->execute("SAVEPOINT assent_check"); !done) return done;
  Result<void> verdict;
  for (const std::string_view statement : change.statements) {
    sql::Access access;
    std::string_view tail;
    const int code = db_->execute_schema(statement, access, tail);
    if (code == SQLITE_OK) continue;
    const Error error = db_->error(code, statement);
    const int primary = code & 0xFF;
    const bool disk = primary == SQLITE_IOERR || primary == SQLITE_FULL || error.code == ErrorCode::corruption;
    verdict = disk
                  ? fail(error)
                  : fail(ErrorCode::conflict, fmt::format("the schema cannot be changed any more: {}", db_->message()));
    break;
  }
  if (!db_->in_transaction()) return verdict;
  if (auto done = db_->execute("ROLLBACK TO assent_check; RELEASE assent_check"); !done) return done;
  return verdict;
}

Result<void> SqliteStore::Parts::install(ByteView bytes) {
  if (bytes.empty()) return {};
  const Result<Change> change = sql::decode_change(bytes);
  if (!change) return fail(ErrorCode::corruption, change.error().message);
  if (auto done = remember(install_decoded(*change)); !done) return done;
  redo_.emplace_back(bytes);
  pending_bytes_ += bytes.size();
  return {};
}

Result<void> SqliteStore::Parts::install_decoded(const Change& change) {
  if (const auto* rows = std::get_if<RowsChange>(&change.body)) return applier_.install(*schema_, versions_, *rows);
  db_->enforce(true);
  for (const std::string_view statement : std::get<SchemaChange>(change.body).statements) {
    if (auto done = db_->execute(std::string(statement)); !done)
      return fail(ErrorCode::corruption, done.error().message);
  }
  schema_changed_ = true;
  return load_schema();
}

Result<std::int64_t> SqliteStore::Parts::counter(std::string_view name) {
  const auto place = sql::find_counter(*schema_, name);
  if (!place) return fail(ErrorCode::conflict, "there is no such counter");
  std::optional<std::int64_t> value;
  auto looked = remember(rows_.look(*place->table, sql::view(place->key),
                                    [&](std::span<const ValueView> row) { value = sql::counter_in(*place, row); }));
  if (!looked) return fail(looked.error());
  if (!value) return fail(ErrorCode::conflict, fmt::format("{} holds no whole number", sql::show(*place)));
  return *value;
}

// As a change like any other, so that it is made again with the others when SQLite gives up the transaction.
Result<void> SqliteStore::Parts::add(std::string_view name, std::int64_t delta) {
  const auto before = counter(name);
  std::int64_t sum = 0;
  if (!before || __builtin_add_overflow(*before, delta, &sum)) {
    return fail(ErrorCode::corruption, "a counter that was judged cannot be added to");
  }
  const auto place = sql::find_counter(*schema_, name);
  const sql::Table& table = *place->table;
  auto stored = remember(rows_.find(table, sql::view(place->key)));
  if (!stored) return fail(stored.error());
  const std::string text = std::to_string(sum);
  const ValueView after = table.internal ? ValueView::of_blob(text) : ValueView::of(sum);
  sql::RowChange row;
  if (*stored) {
    const auto column = static_cast<std::size_t>(place->column);
    const sql::RowView whole = sql::view(**stored);
    row.op = sql::RowOp::update;
    row.before_hash = sql::row_hash(whole);
    row.before.resize(whole.size());
    row.after.resize(whole.size());
    for (const int key : table.key) row.before[static_cast<std::size_t>(key)] = whole[static_cast<std::size_t>(key)];
    row.before[column] = whole[column];
    row.after[column] = after;
  } else {
    row.after = {sql::view(place->key[0]), after};  // a key: rows of users' tables are there
  }
  sql::TableChange change{.table = table.name, .key_flags = {}, .rows = {std::move(row)}};
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    change.key_flags.push_back(table.in_key(static_cast<int>(i)) ? 1 : 0);
  }
  RowsChange rows;
  rows.tables.push_back(std::move(change));
  return install(sql::encode_change({.schema = schema_->fingerprint(), .body = std::move(rows)}));
}

// After a user's statement that made SQLite give up the whole transaction: do it all again.
Result<void> SqliteStore::Parts::mend() {
  if (db_->in_transaction() || broken_) return healthy();
  if (auto done = remember(begin()); !done) return done;
  if (schema_changed_) {
    if (auto done = remember(load_schema()); !done) return done;
  }
  versions_ = versions_written_;
  for (const Bytes& bytes : redo_) {
    const Result<Change> change = sql::decode_change(bytes);
    if (!change) return remember(Result<void>(fail(change.error())));
    if (auto done = remember(install_decoded(*change)); !done) return done;
  }
  return {};
}

// ---- commit ----

Result<void> SqliteStore::Parts::run(Statement& statement, std::span<const ValueView> parameters) {
  Running running(statement);
  running->bind_all(parameters);
  const int code = running->step();
  if (code != SQLITE_DONE) return fail(db_->error(code, "writing the store's own records"));
  return {};
}

Result<void> SqliteStore::Parts::write_meta(std::string_view name, ByteView value) {
  const std::array parameters = {ValueView::of_text(name), ValueView::of_blob(value)};
  return run(put_meta_, parameters);
}

Result<void> SqliteStore::Parts::write_pending() {
  if (!put_meta_) {
    const std::array<std::pair<Statement*, const char*>, 3> texts = {
        {{&put_meta_, "INSERT OR REPLACE INTO assent_meta(name, value) VALUES(?1, ?2)"},
         {&put_record_, "INSERT OR REPLACE INTO assent_record(txn, record) VALUES(?1, ?2)"},
         {&erase_record_, "DELETE FROM assent_record WHERE txn = ?1"}}};
    for (const auto& [slot, text] : texts) {
      auto made = db_->prepare(text);
      if (!made) return fail(made.error());
      *slot = std::move(*made);
    }
  }
  for (const auto& [txn, record] : pending_records_) {
    const Bytes id = txn.to_raw();
    const std::array parameters = {ValueView::of_blob(id), ValueView::of_blob(record ? ByteView(*record) : ByteView())};
    auto done = record ? run(put_record_, parameters) : run(erase_record_, std::span(parameters).first(1));
    if (!done) return done;
  }
  if (machine_record_ != machine_record_written_) {
    if (auto done = write_meta(meta_machine, machine_record_); !done) return done;
  }
  if (applied_ != applied_written_) {
    const Index stored = planted(Bug::applied_apart_from_data) ? applied_written_ : applied_;
    if (auto done = write_meta(meta_applied, number_bytes(stored.value)); !done) return done;
  }
  for (const auto& [table, version] : versions_) {
    const auto written = versions_written_.find(table);
    if (written != versions_written_.end() && written->second == version) continue;
    const std::string name = std::string(meta_version_prefix) + table;
    if (auto done = write_meta(name, number_bytes(version)); !done) return done;
  }
  return {};
}

// Of the applied index alone nothing is owed: the log has those entries, and they changed nothing.
bool SqliteStore::Parts::owes() const {
  return !redo_.empty() || !pending_records_.empty() || machine_record_ != machine_record_written_;
}

Result<void> SqliteStore::Parts::commit() {
  if (closed() && !owes()) return healthy();
  if (auto done = ready(); !done) return done;
  if (auto done = remember(write_pending()); !done) return done;
  if (auto done = remember(db_->execute("COMMIT")); !done) return done;
  pending_records_.clear();
  redo_.clear();
  pending_bytes_ = 0;
  schema_changed_ = false;
  machine_record_written_ = machine_record_;
  applied_written_ = applied_;
  versions_written_ = versions_;
  return remember(begin());
}

Result<void> SqliteStore::Parts::checkpoint() {
  const std::size_t changes = redo_.size() + pending_records_.size();
  // While a change of the schema is uncommitted, each rollback to a savepoint makes SQLite read the schema again.
  if (changes >= options_.changes_per_commit || pending_bytes_ >= options_.commit_bytes_max || schema_changed_)
    return commit();
  return healthy();
}

// ---- rest ----

Result<void> SqliteStore::Parts::let_go() {
  if (broken_ || closed() || copying() || !options_.lets_go || options_.path == ":memory:") return healthy();
  if (owes() && !planted(Bug::let_go_uncommitted)) {
    if (auto done = commit(); !done) return done;
  }
  forget_statements();
  if (db_->wal_pages() > options_.let_go_wal_pages_max) {
    if (auto done = remember(db_->execute("COMMIT")); !done) return done;
    if (auto done = remember(db_->empty_wal()); !done) return done;
  }
  db_->close();
  return {};
}

Result<void> SqliteStore::Parts::ready() {
  if (broken_ || !closed()) return healthy();
  auto done = reopen();
  if (!done && done.error().code == ErrorCode::corruption) {
    done.error().message +=
        "; move the file away (with its -wal and -shm) and start the node again: it is made anew from snapshot and log";
  }
  return remember(std::move(done));
}

Result<void> SqliteStore::Parts::reopen() {
  if (auto done = db_->reopen(); !done) return done;
  const std::array parameters = {ValueView::of_text(meta_applied)};
  const auto found = db_->rows("SELECT value FROM assent_meta WHERE name = ?1", parameters);
  if (!found) return fail(found.error());
  const Index stored(found->empty() ? 0 : number_of(sql::view(found->front().front()).bytes));
  if (stored != applied_written_) {
    return fail(ErrorCode::corruption,
                fmt::format("{} is not the file that this node closed: it holds the rows as of entry {}, not {}; "
                            "nobody else may touch it while the node runs",
                            options_.path, stored, applied_written_));
  }
  return begin();
}

// ---- the whole ----

Result<void> SqliteStore::Parts::stored_records(std::map<TxnId, Bytes>& out) {
  if (!all_records_) {
    auto made = db_->prepare("SELECT txn, record FROM assent_record");
    if (!made) return fail(made.error());
    all_records_ = std::move(*made);
  }
  Running running(all_records_);
  int code = SQLITE_ROW;
  while ((code = running->step()) == SQLITE_ROW) {
    const auto txn = TxnId::from_raw(running->column(0).bytes);
    if (!txn) return fail(ErrorCode::corruption, "a record of the shard has no transaction id");
    out[*txn] = Bytes(running->column(1).bytes);
  }
  return code == SQLITE_DONE ? Result<void>() : fail(db_->error(code, "reading the records"));
}

Result<std::map<TxnId, Bytes>> SqliteStore::Parts::records() {
  std::map<TxnId, Bytes> out;
  if (auto done = ready(); !done) return fail(done.error());
  if (auto stored = remember(stored_records(out)); !stored) return fail(stored.error());
  for (const auto& [txn, record] : pending_records_) {
    if (record) {
      out[txn] = *record;
    } else {
      out.erase(txn);
    }
  }
  return out;
}

Result<Bytes> SqliteStore::Parts::snapshot() {
  if (auto done = ready(); !done) return fail(done.error());
  if (auto done = commit(); !done) return fail(done.error());
  if (auto done = remember(db_->execute("COMMIT")); !done) return fail(done.error());
  auto image = sql::take_image(*db_);
  if (!image) return remember(std::move(image));
  if (auto done = remember(begin()); !done) return fail(done.error());
  return image;
}

Result<std::optional<SnapshotMade>> SqliteStore::Parts::snapshot_step(std::size_t bytes) {
  constexpr std::size_t sums_per_copy = 4;  // a checksum takes so much less time than a copy
  constexpr std::size_t sum_least = 4'096;
  if (broken_) return fail(*broken_);
  if (copy_ && copied_) {  // which needs the rows no more
    const auto summed = remember(copy_->sum(std::max(bytes, sum_least) * sums_per_copy));
    if (!summed) return fail(summed.error());
    if (!*summed) return std::optional<SnapshotMade>();
    return std::optional(SnapshotMade{*copied_, sql::ImageCopy::finish(std::move(copy_))});
  }
  if (auto done = ready(); !done) return fail(done.error());
  if (auto done = commit(); !done) return fail(done.error());
  if (auto done = remember(db_->execute("COMMIT")); !done) return fail(done.error());
  if (!copy_) {
    copied_.reset();
    auto begun = remember(sql::ImageCopy::begin(*db_, {options_.copy_path, options_.copy_memory_max}));
    if (!begun) return fail(begun.error());
    copy_ = std::move(*begun);
  }
  const auto whole = remember(copy_->copy(bytes));
  if (!whole) return fail(whole.error());
  if (*whole) copied_ = applied_;
  if (auto done = remember(begin()); !done) return fail(done.error());
  return std::optional<SnapshotMade>();
}

// The image is loaded beside before it replaces anything: whatever cannot be loaded leaves the old content.
Result<void> SqliteStore::Parts::restore(ByteView snapshot) {
  drop_snapshot();
  auto image = sql::open_image(snapshot);
  if (!image) return fail(image.error());
  SqliteOptions in_memory = options_;
  in_memory.path = ":memory:";
  Parts trial(std::move(*image), in_memory);
  if (auto loaded = trial.load(); !loaded) {
    return fail(ErrorCode::corruption, "the bytes are not a snapshot of this store: " + loaded.error().message);
  }
  trial.forget_statements();
  if (auto done = ready(); !done) return done;
  if (auto done = commit(); !done) return done;
  forget_statements();
  if (auto done = db_->execute("COMMIT"); !done) return remember(done);
  Result<void> put = sql::copy_content(*trial.db_, *db_);
  if (auto done = remember(load()); !done) return done;
  if (auto done = remember(begin()); !done) return done;
  return put;
}

// Who asks for it looks at a store, and does not use it: it is left as it was.
Result<std::uint64_t> SqliteStore::Parts::digest() {
  const bool was_closed = closed();
  if (auto done = ready(); !done) return fail(done.error());
  auto rows = remember(sql::digest_of_rows(rows_, *schema_));
  if (!rows) return rows;
  auto all = records();
  if (!all) return fail(all.error());
  Digest out;
  out.add(*rows).add(machine_record_);
  for (const auto& [txn, record] : *all) out.add(txn).add(record);
  if (was_closed) {
    if (auto done = let_go(); !done) return fail(done.error());
  }
  return out.value();
}

tl::expected<Evaluation, Refusal> SqliteStore::Parts::evaluate(const Work& work, bool may_write) {
  const auto broken = [&] {
    return tl::unexpected(
        sql::refusal(AbortReason::invalid, fmt::format("the shard's database failed: {}", broken_->message)));
  };
  if (!ready()) return broken();
  auto out = may_write ? evaluator_.evaluate(*schema_, versions_, work) : evaluator_.query(*schema_, work);
  if (auto failure = evaluator_.take_failure()) broken_ = std::move(failure);
  if (auto done = mend(); !done) return broken();
  return out;
}

// ---- the class itself ----

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const SqliteOptions& options) {
  auto db = Database::open({options.path, options.vfs, options.wal_pages_max});
  if (!db) return fail(db.error());
  auto parts = std::make_unique<Parts>(std::move(*db), options);
  if (auto done = parts->start(); !done) return fail(done.error());
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(parts)));
}

SqliteStore::SqliteStore(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
SqliteStore::~SqliteStore() = default;

Result<void> SqliteStore::check(ByteView change) const {
  if (auto done = parts_->ready(); !done) return done;
  return parts_->check(change);
}

Result<void> SqliteStore::install(ByteView change) {
  if (auto done = parts_->ready(); !done) return done;
  return parts_->install(change);
}

Result<std::int64_t> SqliteStore::counter(std::string_view key) const {
  if (auto done = parts_->ready(); !done) return fail(done.error());
  return parts_->counter(key);
}

Result<void> SqliteStore::add(std::string_view key, std::int64_t delta) {
  if (auto done = parts_->ready(); !done) return done;
  return parts_->add(key, delta);
}

Result<void> SqliteStore::put_record(const TxnId& txn, ByteView record) {
  parts_->put_record(txn, Bytes(record));
  return parts_->healthy();
}

Result<void> SqliteStore::erase_record(const TxnId& txn) {
  parts_->put_record(txn, std::nullopt);
  return parts_->healthy();
}

Result<std::map<TxnId, Bytes>> SqliteStore::records() const { return parts_->records(); }

Result<void> SqliteStore::put_machine_record(ByteView record) {
  parts_->put_machine_record(record);
  return parts_->healthy();
}

Result<Bytes> SqliteStore::machine_record() const { return parts_->machine_record(); }

Result<void> SqliteStore::healthy() const { return parts_->healthy(); }
Index SqliteStore::applied() const { return parts_->applied(); }
void SqliteStore::set_applied(Index index) { parts_->set_applied(index); }
Result<void> SqliteStore::checkpoint() { return parts_->checkpoint(); }
Result<void> SqliteStore::let_go() { return parts_->let_go(); }
Result<void> SqliteStore::commit() { return parts_->commit(); }

Result<Bytes> SqliteStore::snapshot() { return parts_->snapshot(); }
Result<std::optional<SnapshotMade>> SqliteStore::snapshot_step(std::size_t bytes) {
  return parts_->snapshot_step(bytes);
}
void SqliteStore::drop_snapshot() { parts_->drop_snapshot(); }
Result<void> SqliteStore::restore(ByteView snapshot) { return parts_->restore(snapshot); }
Result<std::unique_ptr<Store>> SqliteStore::image(ByteView snapshot) const {
  SqliteOptions in_memory = parts_->options();
  in_memory.path = ":memory:";
  in_memory.vfs.clear();
  in_memory.schemas = nullptr;
  auto store = open(in_memory);
  if (!store) return fail(store.error());
  if (auto restored = (*store)->restore(snapshot); !restored) return fail(restored.error());
  return std::move(*store);
}
Result<std::uint64_t> SqliteStore::digest() { return parts_->digest(); }

tl::expected<Evaluation, Refusal> SqliteStore::evaluate(const Work& work) { return parts_->evaluate(work, true); }
tl::expected<Evaluation, Refusal> SqliteStore::query(const Work& work) { return parts_->evaluate(work, false); }
std::string SqliteStore::lock_name(ByteView key) const { return as_name(sql::show_lock(key), sight_key_bytes_max); }

}  // namespace assent
