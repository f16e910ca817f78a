#include "sql_adapter/sqlite_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "sql_adapter/database.h"

namespace assent {

using sql::Database;
using sql::Row;
using sql::Running;
using sql::Statement;
using sql::ValueView;

namespace {

constexpr std::int64_t application_id = 0x41534E4F;  // "ASNO"
constexpr std::int64_t format_version = 1;
constexpr int cache_kib = 16'384;
constexpr std::uint64_t mark_seed = 0x6B72616D;

std::string make_tables() {
  return fmt::format(
      "PRAGMA application_id={}; PRAGMA user_version={};"
      "CREATE TABLE chunk(first INTEGER PRIMARY KEY, records BLOB NOT NULL);"
      "CREATE TABLE place(txn BLOB NOT NULL PRIMARY KEY, first INTEGER NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE mark(one INTEGER PRIMARY KEY CHECK(one = 1), bytes BLOB NOT NULL);",
      application_id, format_version);
}

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

Bytes encode_chunk(const OutcomeChunk& chunk) {
  Bytes records;
  records.reserve(chunk.records.size() * settled_outcome_bytes);
  ByteWriter out(records);
  for (const SettledOutcome& record : chunk.records) assent::write(out, record);
  Bytes bytes;
  bytes.reserve(8 + records.size());
  ByteWriter(bytes).u64(xxh3(records, chunk.first)).raw(records);
  return bytes;
}

std::optional<OutcomeChunk> decode_chunk(std::uint64_t first, ByteView bytes) {
  ByteReader in(bytes);
  const std::uint64_t sum = in.u64();
  const ByteView records = in.raw(in.remaining());
  const bool whole = in.ok() && !records.empty() && records.size() % settled_outcome_bytes == 0;
  if (!whole || xxh3(records, first) != sum) return std::nullopt;
  OutcomeChunk chunk{.first = first, .records = std::vector<SettledOutcome>(records.size() / settled_outcome_bytes)};
  ByteReader each(records);
  for (SettledOutcome& record : chunk.records) {
    if (!read(each, record)) return std::nullopt;
  }
  return chunk;
}

Bytes encode_mark(const ArchiveMark& mark) {
  Bytes body;
  ByteWriter(body).id(mark.applied).raw(mark.machine);
  Bytes bytes;
  ByteWriter(bytes).u64(xxh3(body, mark_seed)).raw(body);
  return bytes;
}

std::optional<ArchiveMark> decode_mark(ByteView bytes) {
  ByteReader in(bytes);
  const std::uint64_t sum = in.u64();
  const ByteView body = in.raw(in.remaining());
  if (!in.ok() || xxh3(body, mark_seed) != sum) return std::nullopt;
  ByteReader inside(body);
  ArchiveMark mark;
  mark.applied = inside.id<Index>();
  mark.machine = Bytes(inside.raw(inside.remaining()));
  return inside.ok() ? std::optional(std::move(mark)) : std::nullopt;
}

}  // namespace

class SqliteArchive::Parts {
 public:
  Parts(std::unique_ptr<Database> db, SqliteArchiveOptions options)
      : options_(std::move(options)), db_(std::move(db)) {}

  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> write(const ArchiveWrite& write) { return remember(all_of(write)); }
  [[nodiscard]] Result<TxnId> newest() { return remember(look_for_newest()); }
  [[nodiscard]] Result<std::optional<Found>> find(const TxnId& txn) { return remember(look_for(txn)); }
  [[nodiscard]] Result<OutcomeChunk> chunk_with(std::uint64_t sequence) { return remember(look_at(sequence)); }
  [[nodiscard]] const ArchiveMark& mark() const { return mark_; }
  [[nodiscard]] std::uint64_t first() const { return first_; }
  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  [[nodiscard]] Result<void> identify();
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> measure();
  [[nodiscard]] Result<void> all_of(const ArchiveWrite& write);
  [[nodiscard]] Result<void> change(const ArchiveWrite& write);
  [[nodiscard]] Result<void> drop(std::string_view which, std::uint64_t bound);
  [[nodiscard]] Result<void> drop(std::uint64_t first);
  [[nodiscard]] Result<void> append(const OutcomeChunk& chunk);
  [[nodiscard]] Result<void> run(Statement& statement, std::span<const ValueView> parameters);
  // The one row's columns as numbers and bytes; none when there is no row.
  [[nodiscard]] Result<std::optional<Row>> row(Statement& statement, std::span<const ValueView> parameters);
  [[nodiscard]] Result<TxnId> look_for_newest();
  [[nodiscard]] Result<std::optional<Found>> look_for(const TxnId& txn);
  [[nodiscard]] Result<OutcomeChunk> look_at(std::uint64_t sequence);
  [[nodiscard]] tl::unexpected<Error> damaged(std::string_view what) const {
    return fail(ErrorCode::corruption, fmt::format("{} is damaged: {}", options_.path, what));
  }
  template <class T>
  [[nodiscard]] Result<T> remember(Result<T> result) {
    if (broken_) return fail(*broken_);
    if (!result) broken_ = result.error();
    return result;
  }

  const SqliteArchiveOptions options_;
  std::unique_ptr<Database> db_;
  ArchiveMark mark_;
  std::uint64_t first_ = 0;
  std::uint64_t end_ = 0;
  Statement put_chunk_;
  Statement put_place_;
  Statement put_mark_;
  Statement drop_chunk_;
  Statement drop_place_;
  Statement find_place_;
  Statement find_chunk_;
  std::optional<Error> broken_;
};

// ---- opening ----

Result<void> SqliteArchive::Parts::start() {
  if (auto done = db_->execute(fmt::format("PRAGMA cache_size=-{}", cache_kib)); !done) return done;
  if (auto done = identify(); !done) return done;
  if (auto done = prepare(); !done) return done;
  auto marks = db_->rows("SELECT bytes FROM mark");
  if (!marks) return fail(marks.error());
  if (!marks->empty()) {
    auto mark = decode_mark(sql::view(marks->front().front()).bytes);
    if (!mark) return damaged("what says how far it is cannot be read");
    mark_ = std::move(*mark);
  }
  return measure();
}

Result<void> SqliteArchive::Parts::identify() {
  auto found = db_->rows(
      "SELECT (SELECT application_id FROM pragma_application_id), "
      "(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema), "
      "(SELECT count(*) FROM sqlite_schema WHERE name IN ('chunk', 'place', 'mark'))");
  if (!found) return fail(found.error());
  const auto column = [&](std::size_t at) { return sql::view(found->front()[at]).integer; };
  if (column(0) == 0 && column(2) == 0 && !options_.read_only) {
    return db_->execute("BEGIN IMMEDIATE;" + make_tables() + "COMMIT;");
  }
  if (column(0) != application_id) {
    return fail(ErrorCode::corruption,
                fmt::format("{} is a database, but not one of a coordinator: move it away", options_.path));
  }
  if (column(1) > format_version) {
    return fail(ErrorCode::unsupported, fmt::format("{} has format {}, and this build knows {}: use a newer build",
                                                    options_.path, column(1), format_version));
  }
  return column(3) == 3 ? Result<void>() : Result<void>(damaged("it lacks a table"));
}

Result<void> SqliteArchive::Parts::prepare() {
  const std::array<std::pair<Statement*, const char*>, 7> texts = {
      {{&put_chunk_, "INSERT INTO chunk(first, records) VALUES(?1, ?2)"},
       {&put_place_, "INSERT OR REPLACE INTO place(txn, first) VALUES(?1, ?2)"},
       {&put_mark_, "INSERT OR REPLACE INTO mark(one, bytes) VALUES(1, ?1)"},
       {&drop_chunk_, "DELETE FROM chunk WHERE first = ?1"},
       {&drop_place_, "DELETE FROM place WHERE txn = ?1 AND first = ?2"},
       {&find_place_, "SELECT first FROM place WHERE txn = ?1"},
       {&find_chunk_, "SELECT first, records FROM chunk WHERE first <= ?1 ORDER BY first DESC LIMIT 1"}}};
  for (const auto& [slot, text] : texts) {
    auto made = db_->prepare(text);
    if (!made) return fail(made.error());
    *slot = std::move(*made);
  }
  return {};
}

Result<void> SqliteArchive::Parts::measure() {
  first_ = end_ = 0;
  auto bounds = db_->rows("SELECT min(first), (SELECT max(first) FROM chunk) FROM chunk");
  if (!bounds) return fail(bounds.error());
  const ValueView least = sql::view(bounds->front()[0]);
  if (least.type != sql::ValueType::integer) return {};
  first_ = static_cast<std::uint64_t>(least.integer);
  auto last = look_at(static_cast<std::uint64_t>(sql::view(bounds->front()[1]).integer));
  if (!last) return fail(last.error());
  end_ = last->end();
  return {};
}

// ---- writing ----

Result<void> SqliteArchive::Parts::all_of(const ArchiveWrite& write) {
  if (broken_) return fail(*broken_);
  if (write.sync) {
    if (auto done = db_->execute("PRAGMA synchronous=FULL"); !done) return done;
  }
  if (auto done = db_->execute("BEGIN IMMEDIATE"); !done) return done;
  if (auto done = change(write); !done) return done;
  if (auto done = db_->execute("COMMIT"); !done) return done;
  if (write.sync) {
    if (auto done = db_->execute("PRAGMA synchronous=NORMAL"); !done) return done;
  }
  if (write.mark) mark_ = *write.mark;
  return {};
}

Result<void> SqliteArchive::Parts::change(const ArchiveWrite& write) {
  if (write.drop_from <= first_ || (write.drop_before >= end_ && first_ < end_)) {
    if (auto done = db_->execute("DELETE FROM chunk; DELETE FROM place;"); !done) return done;
    first_ = end_ = 0;
  } else if (write.drop_from < end_) {
    if (auto done = drop("first >= ?1", write.drop_from); !done) return done;
    if (auto done = measure(); !done) return done;
  }
  if (write.drop_before > first_) {
    if (write.drop_before < end_) {  // the chunk with the bound stays
      auto chunk = look_at(write.drop_before);
      if (!chunk) return fail(chunk.error());
      if (auto done = drop("first < ?1", chunk->first); !done) return done;
    }
    if (auto done = measure(); !done) return done;
  }
  for (const OutcomeChunk& chunk : write.append) {
    if (auto done = append(chunk); !done) return done;
  }
  if (!write.mark) return {};
  const Bytes bytes = encode_mark(*write.mark);
  const std::array parameters = {ValueView::of_blob(bytes)};
  return run(put_mark_, parameters);
}

Result<void> SqliteArchive::Parts::drop(std::string_view which, std::uint64_t bound) {
  const std::array parameters = {ValueView::of(number(bound))};
  auto found = db_->rows(fmt::format("SELECT first FROM chunk WHERE {}", which), parameters);
  if (!found) return fail(found.error());
  for (const Row& row : *found) {
    if (auto done = drop(static_cast<std::uint64_t>(sql::view(row.front()).integer)); !done) return done;
  }
  return {};
}

Result<void> SqliteArchive::Parts::drop(std::uint64_t first) {
  auto chunk = look_at(first);
  if (!chunk) return fail(chunk.error());
  for (const SettledOutcome& record : chunk->records) {
    const Bytes txn = record.txn.to_raw();
    const std::array parameters = {ValueView::of_blob(txn), ValueView::of(number(first))};
    if (auto done = run(drop_place_, parameters); !done) return done;
  }
  const std::array parameters = {ValueView::of(number(first))};
  return run(drop_chunk_, parameters);
}

Result<void> SqliteArchive::Parts::append(const OutcomeChunk& chunk) {
  const Bytes bytes = encode_chunk(chunk);
  const std::array whole = {ValueView::of(number(chunk.first)), ValueView::of_blob(bytes)};
  if (auto done = run(put_chunk_, whole); !done) return done;
  for (const SettledOutcome& record : chunk.records) {
    const Bytes txn = record.txn.to_raw();
    const std::array parameters = {ValueView::of_blob(txn), ValueView::of(number(chunk.first))};
    if (auto done = run(put_place_, parameters); !done) return done;
  }
  if (first_ == end_) first_ = chunk.first;
  end_ = chunk.end();
  return {};
}

Result<void> SqliteArchive::Parts::run(Statement& statement, std::span<const ValueView> parameters) {
  Running running(statement);
  running->bind_all(parameters);
  const int code = running->step();
  if (code != SQLITE_DONE) return fail(db_->error(code, "writing outcomes"));
  return {};
}

// ---- reading ----

Result<std::optional<Row>> SqliteArchive::Parts::row(Statement& statement, std::span<const ValueView> parameters) {
  Running running(statement);
  running->bind_all(parameters);
  const int code = running->step();
  if (code == SQLITE_DONE) return std::optional<Row>();
  if (code != SQLITE_ROW) return fail(db_->error(code, "reading outcomes"));
  return std::optional(sql::own(running->row()));
}

Result<TxnId> SqliteArchive::Parts::look_for_newest() {
  auto found = db_->rows("SELECT txn FROM place ORDER BY txn DESC LIMIT 1");
  if (!found) return fail(found.error());
  if (found->empty()) return TxnId();
  const auto txn = TxnId::from_raw(sql::view(found->front().front()).bytes);
  if (!txn) return damaged("an outcome has no transaction id");
  return *txn;
}

Result<std::optional<OutcomeArchive::Found>> SqliteArchive::Parts::look_for(const TxnId& txn) {
  const Bytes raw = txn.to_raw();
  const std::array parameters = {ValueView::of_blob(raw)};
  auto place = row(find_place_, parameters);
  if (!place) return fail(place.error());
  if (!place->has_value()) return std::optional<Found>();
  const auto first = static_cast<std::uint64_t>(sql::view((**place)[0]).integer);
  auto chunk = look_at(first);
  if (!chunk) return fail(chunk.error());
  const auto record = std::find_if(chunk->records.begin(), chunk->records.end(),
                                   [&](const SettledOutcome& one) { return one.txn == txn; });
  if (chunk->first != first || record == chunk->records.end()) {
    return damaged(fmt::format("the outcome of {} is not where it should be", txn));
  }
  return std::optional(Found{first + static_cast<std::uint64_t>(record - chunk->records.begin()), *record});
}

Result<OutcomeChunk> SqliteArchive::Parts::look_at(std::uint64_t sequence) {
  const std::array parameters = {ValueView::of(number(sequence))};
  auto found = row(find_chunk_, parameters);
  if (!found) return fail(found.error());
  if (!found->has_value()) return damaged(fmt::format("outcome {} is missing", sequence));
  const auto first = static_cast<std::uint64_t>(sql::view((**found)[0]).integer);
  auto chunk = decode_chunk(first, sql::view((**found)[1]).bytes);
  if (!chunk) return damaged(fmt::format("the outcomes from {} on have a wrong checksum", first));
  if (chunk->end() <= sequence) return damaged(fmt::format("outcome {} is missing", sequence));
  return std::move(*chunk);
}

// ---- the class itself ----

Result<std::unique_ptr<SqliteArchive>> SqliteArchive::open(const SqliteArchiveOptions& options) {
  auto db = Database::open({options.path, options.vfs, options.wal_pages_max, options.read_only});
  if (!db) return fail(db.error());
  auto parts = std::make_unique<Parts>(std::move(*db), options);
  if (auto done = parts->start(); !done) return fail(done.error());
  return std::unique_ptr<SqliteArchive>(new SqliteArchive(std::move(parts)));
}

SqliteArchive::SqliteArchive(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
SqliteArchive::~SqliteArchive() = default;

Result<void> SqliteArchive::write(const ArchiveWrite& write) { return parts_->write(write); }
const ArchiveMark& SqliteArchive::mark() const { return parts_->mark(); }
std::uint64_t SqliteArchive::first() const { return parts_->first(); }
std::uint64_t SqliteArchive::end() const { return parts_->end(); }
Result<TxnId> SqliteArchive::newest() const { return parts_->newest(); }
Result<std::optional<OutcomeArchive::Found>> SqliteArchive::find(const TxnId& txn) const { return parts_->find(txn); }
Result<OutcomeChunk> SqliteArchive::chunk_with(std::uint64_t sequence) const { return parts_->chunk_with(sequence); }

}  // namespace assent
