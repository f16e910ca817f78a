#include "sql_adapter/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "participant/escrow.h"
#include "sql_adapter/counters.h"
#include "sql_adapter/refusals.h"

namespace assent::sql {

struct Evaluator::Run {
  Run(Database& db, const Schema& the_schema, const SqliteOptions& options, bool may_write)
      : schema(the_schema), writable(may_write), capture(db, the_schema, options.change_bytes_max) {}

  const Schema& schema;
  bool writable;
  bool wrote = false;  // a savepoint is open
  struct Counter {
    std::int64_t value = 0;
    CounterAdd add;
    std::string name;  // for people
  };

  Capture capture;
  Footprint footprint;
  bool counts = true;                        // columns declared ESCROW may be added to without being read
  bool counted = false;                      // and one was
  std::set<std::string_view> counters = {};  // keys that are only added to
  std::map<std::string, Counter> adds = {};
  Row key_in_use;  // of the point read at hand
  WorkResult result;
  std::size_t result_bytes = 0;
};

namespace {

// While alive: users' limits hold, and what their statements touch is captured.
class UserMode {
 public:
  UserMode(Database& db, RowWatcher* watcher, const SqliteOptions& options) : db_(db) {
    db_.watch(watcher);
    db_.limit(options.instructions_max, options.value_bytes_max);
  }
  ~UserMode() {
    db_.unlimited();
    db_.watch(nullptr);
  }
  UserMode(const UserMode&) = delete;
  UserMode& operator=(const UserMode&) = delete;

 private:
  Database& db_;
};

std::string show_bytes(const std::optional<Bytes>& value) {
  return value ? show(ValueView::of_text(*value)) : std::string("nothing");
}

std::size_t bytes_of(const SqlStatement& statement) {
  std::size_t out = statement.text.size();
  for (const SqlValue& value : statement.parameters) out += view(value).bytes.size();
  return out;
}

bool is_schema_statement(const Operation& operation) {
  const auto* statement = std::get_if<SqlStatement>(&operation);
  return statement != nullptr && read_statement(statement->text).kind == StatementKind::schema;
}

}  // namespace

// ---- whole works
// -----------------------------------------------------------------------------------------------------

Evaluator::Outcome Evaluator::evaluate(const Schema& schema, const TableVersions& versions, const Work& work) {
  if (changes_schema(work)) return evaluate_schema(schema, work);

  {
    Run run(db_, schema, options_, true);
    Outcome out = run_all(run, versions, work);
    // What else the work does with such a row must see what was added, and nothing of it was in sight.
    if (!run.counted || (out && !run.footprint.meets_counted(run.capture.tables()))) return out;
  }
  Run run(db_, schema, options_, true);
  run.counts = false;
  return run_all(run, versions, work);
}

Evaluator::Outcome Evaluator::run_all(Run& run, const TableVersions& versions, const Work& work) {
  run.counters = counters_of(work);
  const std::int64_t changes_before = sqlite3_total_changes64(db_.handle());
  Done done;
  {
    const UserMode mode(db_, &run.capture, options_);
    db_.enforce(true);
    for (const Operation& operation : work) {
      if (done = run_operation(run, operation); !done) break;
    }
  }
  if (done && run.wrote) done = judge_writes(run, changes_before);
  if (done && run.wrote) {
    if (auto read = run.capture.read_after(rows_); !read) done = failed(read.error());
    if (done) done = judge_escrow_columns(run);
  }
  if (run.wrote) {
    if (auto undone = undo_savepoint(); !undone && done) done = undone;
  }
  if (!done) return tl::unexpected(std::move(done.error()));
  return finish(run, versions);
}

Evaluator::Outcome Evaluator::query(const Schema& schema, const Work& work) {
  if (changes_schema(work)) return tl::unexpected(read_only_refusal());
  Run run(db_, schema, options_, false);
  const UserMode mode(db_, nullptr, options_);
  for (const Operation& operation : work) {
    if (auto done = run_operation(run, operation); !done) return tl::unexpected(std::move(done.error()));
  }
  Evaluation out;
  out.effects.locks = run.footprint.locks({}, options_.row_locks_max);
  out.result = std::move(run.result);
  return out;
}

// What the cache holds was understood before, and it holds no CREATE, DROP or ALTER.
bool Evaluator::changes_schema(const Work& work) const {
  return std::any_of(work.begin(), work.end(), [&](const Operation& operation) {
    const auto* statement = std::get_if<SqlStatement>(&operation);
    return statement != nullptr && !cache_.contains(statement->text) && is_schema_statement(operation);
  });
}

void Evaluator::forget() {
  cache_.clear();
  savepoint_ = {};
  rollback_to_ = {};
  release_ = {};
}

std::optional<Error> Evaluator::take_failure() { return std::exchange(failure_, std::nullopt); }

// What only shows when all operations have run.
Evaluator::Done Evaluator::judge_writes(Run& run, std::int64_t changes_before) {
  for (const Table* table : run.capture.null_keys()) {
    auto found = rows_.null_key(*table);
    if (!found) return failed(found.error());
    if (!*found) continue;
    const std::string constraint = fmt::format("{} PRIMARY KEY", table->name);
    return tl::unexpected(refusal(AbortReason::constraint,
                                  fmt::format("a row of table {} has NULL in its primary key", table->name),
                                  constraint));
  }
  int unsettled = 0;
  int highest = 0;
  sqlite3_db_status(db_.handle(), SQLITE_DBSTATUS_DEFERRED_FKS, &unsettled, &highest, 0);
  if (unsettled != 0) {
    std::vector<const Table*> written;
    for (const auto& [table, rows] : run.capture.tables()) written.push_back(table);
    return tl::unexpected(foreign_key_refusal(written));
  }
  if (sqlite3_total_changes64(db_.handle()) - changes_before > run.capture.touches()) {
    return tl::unexpected(refusal(AbortReason::invalid, "the statement changes rows in a way that cannot be captured"));
  }
  return {};
}

// The bounds of a column bind whoever writes it.
Evaluator::Done Evaluator::judge_escrow_columns(const Run& run) {
  for (const auto& [table, rows] : run.capture.tables()) {
    if (!table->has_escrow()) continue;
    for (const auto& [name, row] : rows) {
      for (std::size_t i = 0; row.after && i < table->columns.size(); ++i) {
        const auto& bounds = table->columns[i].escrow;
        const SqlValue& value = (*row.after)[i];
        if (!bounds || std::holds_alternative<SqlNull>(value)) continue;
        const auto* number = std::get_if<std::int64_t>(&value);
        if (number != nullptr && *number >= bounds->floor.value_or(*number) &&
            *number <= bounds->ceiling.value_or(*number)) {
          continue;
        }
        const std::string column = fmt::format("{}.{}", table->name, table->columns[i].name);
        return tl::unexpected(refusal(AbortReason::constraint,
                                      fmt::format("{} would be {}, outside of its bounds", column, show(view(value))),
                                      fmt::format("ESCROW {}", column)));
      }
    }
  }
  return {};
}

Evaluator::Outcome Evaluator::finish(Run& run, const TableVersions& versions) {
  if (auto read = run.capture.read_before(rows_); !read) return failed(read.error());
  const TouchedTables& touched = run.capture.tables();
  RowsChange change;
  change.guards = run.footprint.guards(touched, versions);
  if (auto done = add_read_guards(run, change.guards); !done) return tl::unexpected(std::move(done.error()));
  change.tables = run.capture.changes();

  Evaluation out;
  out.effects.locks = run.footprint.locks(touched, options_.row_locks_max);
  if (!change.guards.empty() || !change.tables.empty()) {
    out.effects.change = encode_change({.schema = run.schema.fingerprint(), .body = std::move(change)});
  }
  for (auto& [key, counter] : run.adds) {
    counter.add.key = key;
    out.counter_names.push_back(std::move(counter.name));
    out.effects.adds.push_back(std::move(counter.add));
    out.counters.push_back(counter.value);
  }
  if (out.effects.change.size() > options_.change_bytes_max) {
    return tl::unexpected(too_large_refusal("the effects of the work", options_.change_bytes_max));
  }
  out.result = std::move(run.result);
  return out;
}

Evaluator::Done Evaluator::add_read_guards(Run& run, std::vector<Guard>& guards) {
  const TouchedTables& touched = run.capture.tables();
  for (const auto& [table, rows] : run.footprint.rows()) {
    const auto written = touched.find(table);
    for (const auto& [name, key] : rows) {
      if (written != touched.end() && written->second.contains(name)) continue;
      Guard guard{.kind = GuardKind::absent_row, .table = table->name, .key = view(key), .value = 0};
      auto looked = rows_.look(*table, guard.key, [&](std::span<const ValueView> row) {
        if (row.empty()) return;
        guard.kind = GuardKind::row;
        guard.value = row_hash(row);
      });
      if (!looked) return failed(looked.error());
      guards.push_back(std::move(guard));
    }
  }
  return {};
}

// ---- operations
// ------------------------------------------------------------------------------------------------------

Evaluator::Done Evaluator::run_operation(Run& run, const Operation& operation) {
  Done done = run_any(run, operation);
  if (!done || as_expected(operation, run.result.back())) return done;
  return tl::unexpected(refusal(AbortReason::conflict, "what it read before has changed"));
}

Evaluator::Done Evaluator::run_any(Run& run, const Operation& operation) {
  switch (operation.index()) {
    case 0: return run_statement(run, std::get<SqlStatement>(operation));
    case 1: return run_get(run, std::get<KvGet>(operation));
    case 2: return run_put(run, std::get<KvPut>(operation));
    case 3: return run_erase(run, std::get<KvErase>(operation));
    case 4: return run_expect(run, std::get<KvExpect>(operation));
    default: return run_add(run, std::get<KvAdd>(operation));
  }
}

Evaluator::Done Evaluator::run_statement(Run& run, const SqlStatement& statement) {
  if (bytes_of(statement) > options_.statement_bytes_max) {
    return tl::unexpected(too_large_refusal("a statement with its parameters", options_.statement_bytes_max));
  }
  auto found = cache_.get(run.schema, statement.text);
  if (!found) return tl::unexpected(std::move(found.error()));
  Analysis& analysis = **found;
  if (analysis.writes && !run.writable) {
    return tl::unexpected(read_only_refusal());
  }
  if (static_cast<std::size_t>(analysis.parameters) != statement.parameters.size()) {
    return tl::unexpected(
        refusal(AbortReason::invalid, fmt::format("the statement has {} parameters and {} values were given",
                                                  analysis.parameters, statement.parameters.size())));
  }
  if (run.writable && run.counts && !analysis.adds.empty()) {
    auto counted = run_counting(run, analysis, statement);
    if (!counted) return tl::unexpected(std::move(counted.error()));
    if (*counted) return {};
  }
  if (analysis.writes) {
    if (auto done = begin_savepoint(run.wrote); !done) return done;
  }
  note_reads(run, analysis, statement);
  OperationResult result;
  {
    Running running(analysis.statement);
    for (std::size_t i = 0; i < statement.parameters.size(); ++i) {
      running->bind(static_cast<int>(i) + 1, view(statement.parameters[i]));
    }
    if (auto done = step_through(run, analysis, result); !done) return done;
  }
  return add_result(run, std::move(result));
}

namespace {

std::optional<SqlValue> value_of(const Operand& operand, const SqlStatement& statement) {
  const auto index = static_cast<std::size_t>(operand.parameter);
  if (index > statement.parameters.size()) return std::nullopt;
  return index == 0 ? operand.value : statement.parameters[index - 1];
}

// The key's values as the table stores them; nothing when that is not certain.
std::optional<Row> stored_key(const Table& table, const std::vector<Operand>& operands, const SqlStatement& statement) {
  Row key;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const auto given = value_of(operands[i], statement);
    if (!given) return std::nullopt;
    auto value = as_stored(table.columns[static_cast<std::size_t>(table.key[i])].affinity, *given);
    if (!value) return std::nullopt;
    key.push_back(std::move(*value));
  }
  return key;
}

std::optional<std::int64_t> delta_of(const EscrowAdd& add, const SqlStatement& statement) {
  const auto value = value_of(add.operand, statement);
  const auto* number = value ? std::get_if<std::int64_t>(&*value) : nullptr;
  std::int64_t delta = 0;
  if (number == nullptr || __builtin_sub_overflow(std::int64_t{0}, *number, &delta)) return std::nullopt;
  return add.subtracts ? delta : *number;
}

}  // namespace

tl::expected<bool, Refusal> Evaluator::run_counting(Run& run, const Analysis& analysis, const SqlStatement& statement) {
  const Table& table = *analysis.point;
  const auto key = stored_key(table, analysis.point_key, statement);
  if (!key) return false;
  std::optional<Row> row;
  auto looked = rows_.look(table, view(*key), [&](std::span<const ValueView> found) {
    if (!found.empty()) row = own(found);
  });
  if (!looked) return failed(looked.error());
  std::vector<std::pair<std::int64_t, std::int64_t>> adds;  // what stands there, what is added
  for (const EscrowAdd& add : analysis.adds) {
    const auto delta = delta_of(add, statement);
    const auto* value = row ? std::get_if<std::int64_t>(&(*row)[static_cast<std::size_t>(add.column)]) : nullptr;
    if (!delta || value == nullptr) return false;  // no such row, or no number: as SQLite sees it
    adds.emplace_back(*value, *delta);
  }
  run.counted = true;
  run.footprint.count_row(table, key_of(view(*key)));
  for (std::size_t i = 0; i < adds.size(); ++i) {
    const int column = analysis.adds[i].column;
    Run::Counter& counter = run.adds[counter_of_column(table, column, *key)];
    counter.value = adds[i].first;
    counter.name = show(CounterPlace{&table, column, *key});
    const EscrowBounds& bounds = *table.columns[static_cast<std::size_t>(column)].escrow;
    if (join(counter.add, KvAdd{{}, adds[i].second, bounds.floor, bounds.ceiling, true})) continue;
    return tl::unexpected(refusal(AbortReason::constraint,
                                  fmt::format("adding {} to {} leaves its bounds", adds[i].second, counter.name),
                                  fmt::format("bounds {}", counter.name)));
  }
  OperationResult result;
  result.rows_affected = 1;
  if (auto done = add_result(run, std::move(result)); !done) return tl::unexpected(std::move(done.error()));
  return true;
}

Evaluator::Done Evaluator::step_through(Run& run, Analysis& analysis, OperationResult& result) {
  int code = SQLITE_ROW;
  while ((code = analysis.statement.step()) == SQLITE_ROW) {
    result.rows.push_back(own(analysis.statement.row()));
    for (const SqlValue& value : result.rows.back()) run.result_bytes += size_of(value);
    if (run.result_bytes > options_.result_bytes_max) {
      return tl::unexpected(too_large_refusal("the rows returned", options_.result_bytes_max));
    }
  }
  if (code != SQLITE_DONE) return tl::unexpected(refusal_of(code, run, analysis));
  result.columns = analysis.columns;
  if (analysis.writes) result.rows_affected = static_cast<std::uint64_t>(sqlite3_changes64(db_.handle()));
  return {};
}

void Evaluator::note_reads(Run& run, const Analysis& analysis, const SqlStatement& statement) {
  for (const Table* table : analysis.whole) run.footprint.read_table(*table);
  if (analysis.point == nullptr) return;
  run.key_in_use.clear();
  for (const Operand& operand : analysis.point_key) {
    const auto index = static_cast<std::size_t>(operand.parameter);
    if (index > statement.parameters.size()) return run.footprint.read_table(*analysis.point);
    run.key_in_use.push_back(index == 0 ? operand.value : statement.parameters[index - 1]);
  }
  run.footprint.read_row(*analysis.point, run.key_in_use);
}

Evaluator::Done Evaluator::add_result(Run& run, OperationResult result) {
  run.result.push_back(std::move(result));
  return {};
}

// ---- keys and values
// -------------------------------------------------------------------------------------------------

tl::expected<std::optional<Bytes>, Refusal> Evaluator::kv_read(Run& run, const std::string& key) {
  auto out = kv_look(run, key);
  const std::array key_values = {ValueView::of_blob(key)};
  if (out) run.footprint.read_row(*run.schema.find(kv_table), own(key_values));
  return out;
}

tl::expected<std::optional<Bytes>, Refusal> Evaluator::kv_look(const Run& run, const std::string& key) {
  if (key.empty()) return tl::unexpected(refusal(AbortReason::invalid, "a key is empty"));
  if (key.size() > options_.statement_bytes_max) {
    return tl::unexpected(too_large_refusal("a key", options_.statement_bytes_max));
  }
  const Table& table = *run.schema.find(kv_table);
  std::optional<Bytes> out;
  const std::array key_values = {ValueView::of_blob(key)};
  auto looked = rows_.look(table, key_values, [&](std::span<const ValueView> row) {
    if (!row.empty()) out = Bytes(row[1].bytes);
  });
  if (!looked) return failed(looked.error());
  return out;
}

Evaluator::Done Evaluator::kv_write(Run& run, const std::string& key, const Bytes& value) {
  if (value.size() > options_.statement_bytes_max) {
    return tl::unexpected(too_large_refusal("a value", options_.statement_bytes_max));
  }
  auto before = kv_read(run, key);
  if (!before) return tl::unexpected(std::move(before.error()));
  if (auto done = begin_savepoint(run.wrote); !done) return done;
  const Table& table = *run.schema.find(kv_table);
  const std::array key_values = {ValueView::of_blob(key)};
  const std::array row = {ValueView::of_blob(key), ValueView::of_blob(value)};
  const std::array after = {ValueView{}, ValueView::of_blob(value)};
  auto written = *before ? rows_.update(table, key_values, after) : rows_.insert(table, row);
  if (run.capture.too_large()) return tl::unexpected(too_large_refusal("the rows written", options_.change_bytes_max));
  if (!written) return failed(written.error());
  return {};
}

Evaluator::Done Evaluator::run_get(Run& run, const KvGet& operation) {
  auto value = kv_read(run, operation.key);
  if (!value) return tl::unexpected(std::move(value.error()));
  OperationResult result;
  if (*value) {
    result.columns = {"value"};
    run.result_bytes += (*value)->size();
    if (run.result_bytes > options_.result_bytes_max) {
      return tl::unexpected(too_large_refusal("the rows returned", options_.result_bytes_max));
    }
    result.rows.push_back({SqlBlob{std::move(**value)}});
  }
  return add_result(run, std::move(result));
}

Evaluator::Done Evaluator::run_put(Run& run, const KvPut& operation) {
  if (!run.writable) return tl::unexpected(read_only_refusal());
  if (auto done = kv_write(run, operation.key, operation.value); !done) return done;
  OperationResult result;
  result.rows_affected = 1;
  return add_result(run, std::move(result));
}

Evaluator::Done Evaluator::run_erase(Run& run, const KvErase& operation) {
  if (!run.writable) return tl::unexpected(read_only_refusal());
  auto before = kv_read(run, operation.key);
  if (!before) return tl::unexpected(std::move(before.error()));
  OperationResult result;
  if (*before) {
    if (auto done = begin_savepoint(run.wrote); !done) return done;
    const std::array key_values = {ValueView::of_blob(operation.key)};
    if (auto removed = rows_.remove(*run.schema.find(kv_table), key_values); !removed) return failed(removed.error());
    result.rows_affected = 1;
  }
  return add_result(run, std::move(result));
}

Evaluator::Done Evaluator::run_expect(Run& run, const KvExpect& operation) {
  auto value = kv_read(run, operation.key);
  if (!value) return tl::unexpected(std::move(value.error()));
  if (*value != operation.value) {
    const std::string key = show(ValueView::of_text(operation.key));
    return tl::unexpected(refusal(
        AbortReason::constraint,
        fmt::format("key {} holds {} where {} was expected", key, show_bytes(*value), show_bytes(operation.value)),
        fmt::format("expect {}", key)));
  }
  return add_result(run, {});
}

namespace {

tl::unexpected<Refusal> add_refusal(const KvAdd& add, const std::string& what, const std::string& rule) {
  const std::string key = show(ValueView::of_text(add.key));
  return tl::unexpected(refusal(AbortReason::constraint, fmt::format("adding {} to key {} {}", add.delta, key, what),
                                fmt::format("add {}: {}", key, rule)));
}

}  // namespace

// Whether the bounds hold is for those to say who know what else is being added.
Evaluator::Done Evaluator::run_escrowed_add(Run& run, const KvAdd& operation, std::int64_t value) {
  Run::Counter& counter = run.adds[counter_of_key(operation.key)];
  counter.value = value;
  counter.name = operation.key;
  if (!join(counter.add, operation)) return add_refusal(operation, "leaves its bounds whatever it holds", "bounds");
  OperationResult result;
  result.rows_affected = 1;
  return add_result(run, std::move(result));
}

Evaluator::Done Evaluator::run_add(Run& run, const KvAdd& operation) {
  if (!run.writable) return tl::unexpected(read_only_refusal());
  const bool counts = run.counters.contains(operation.key);
  auto before = kv_look(run, operation.key);
  if (!before) return tl::unexpected(std::move(before.error()));
  const std::array key_values = {ValueView::of_blob(operation.key)};
  if (!counts) run.footprint.read_row(*run.schema.find(kv_table), own(key_values));
  if (counts) run.footprint.count_row(*run.schema.find(kv_table), key_of(key_values));
  const auto no = [&](const std::string& what, const std::string& rule) { return add_refusal(operation, what, rule); };
  const auto value = *before ? decimal(**before) : 0;
  if (!value) return no(fmt::format("needs a decimal integer there, not {}", show_bytes(*before)), "integer");
  if (counts) return run_escrowed_add(run, operation, *value);
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*value, operation.delta, &sum)) return no("overflows", "64 bits");
  if (operation.floor && sum < *operation.floor) {
    return no(fmt::format("gives {}, below its floor {}", sum, *operation.floor),
              fmt::format("floor {}", *operation.floor));
  }
  if (operation.ceiling && sum > *operation.ceiling) {
    return no(fmt::format("gives {}, above its ceiling {}", sum, *operation.ceiling),
              fmt::format("ceiling {}", *operation.ceiling));
  }
  if (auto done = kv_write(run, operation.key, std::to_string(sum)); !done) return done;
  OperationResult result;
  if (!operation.escrow) {
    result.columns = {"value"};
    result.rows.push_back({SqlValue(sum)});
  }
  result.rows_affected = 1;
  return add_result(run, std::move(result));
}

// ---- changes of the schema
// -------------------------------------------------------------------------------------------

Evaluator::Outcome Evaluator::evaluate_schema(const Schema& schema, const Work& work) {
  if (!std::all_of(work.begin(), work.end(), is_schema_statement)) {
    return tl::unexpected(
        refusal(AbortReason::invalid,
                "CREATE, DROP and ALTER do not mix with other work: put them in a transaction of their own"));
  }
  bool open = false;
  bool changed = false;
  Done done = begin_savepoint(open);
  if (done) {
    const UserMode mode(db_, nullptr, options_);
    db_.enforce(true);
    for (const Operation& operation : work) {
      if (done = run_schema_statement(std::get<SqlStatement>(operation)); !done) break;
    }
  }
  if (done) done = judge_schema(schema, changed);
  if (open) {
    if (auto undone = undo_savepoint(); !undone && done) done = undone;
  }
  if (!done) return tl::unexpected(std::move(done.error()));

  Evaluation out;
  out.result.resize(work.size());
  out.effects.locks = {{root_lock(), changed ? LockMode::exclusive : LockMode::intention_shared}};
  if (changed) {
    SchemaChange change;
    for (const Operation& operation : work) change.statements.push_back(std::get<SqlStatement>(operation).text);
    out.effects.change = encode_change({.schema = schema.fingerprint(), .body = std::move(change)});
  }
  return out;
}

Evaluator::Done Evaluator::run_schema_statement(const SqlStatement& statement) {
  const auto invalid = [](std::string words) {
    return tl::unexpected(refusal(AbortReason::invalid, std::move(words)));
  };
  if (statement.text.size() > options_.statement_bytes_max) {
    return tl::unexpected(too_large_refusal("a statement", options_.statement_bytes_max));
  }
  const StatementText text = read_statement(statement.text);
  if (statement.text.find('\0') != std::string::npos) return invalid("the statement holds a zero byte");
  if (!statement.parameters.empty()) return invalid("CREATE, DROP and ALTER take no parameters");
  if (text.says_rollback) return invalid("ROLLBACK is not allowed in a statement: use ABORT");
  if (text.virtual_table) return invalid("virtual tables are not replicated");
  Access access;
  std::string_view tail;
  const int code = db_.execute_schema(statement.text, access, tail);
  if (code != SQLITE_OK) {
    if (!access.denied.empty()) return invalid(access.denied);
    if (auto failure = disk_failure(db_, code)) return failed(*failure);
    if (db_.exhausted()) return tl::unexpected(too_long_refusal(options_.instructions_max));
    if ((code & 0xFF) == SQLITE_CONSTRAINT) return tl::unexpected(constraint_refusal(db_, code, {}));
    return tl::unexpected(refusal_of_prepare(db_, access));
  }
  if (!blank(tail)) return invalid("there are two statements where one is meant: send them as two operations");
  return {};
}

Evaluator::Done Evaluator::judge_schema(const Schema& before, bool& changed) {
  auto after = Schema::load(db_);
  if (!after) return failed(after.error());
  if ((*after)->internal_fingerprint() != before.internal_fingerprint()) {
    return tl::unexpected(refusal(AbortReason::invalid, "names that begin with assent_ are reserved"));
  }
  if (std::string words = (*after)->objection(); !words.empty()) {
    return tl::unexpected(refusal(AbortReason::invalid, std::move(words)));
  }
  changed = (*after)->fingerprint() != before.fingerprint();
  return {};
}

// ---- savepoint, errors
// -----------------------------------------------------------------------------------------------

Evaluator::Done Evaluator::begin_savepoint(bool& open) {
  if (open) return {};
  if (!savepoint_) {
    const std::array<std::pair<Statement*, const char*>, 3> texts = {{{&savepoint_, "SAVEPOINT assent_work"},
                                                                      {&rollback_to_, "ROLLBACK TO assent_work"},
                                                                      {&release_, "RELEASE assent_work"}}};
    for (const auto& [slot, text] : texts) {
      auto made = db_.prepare(text);
      if (!made) return failed(made.error());
      *slot = std::move(*made);
    }
  }
  Running running(savepoint_);
  if (const int code = running->step(); code != SQLITE_DONE) return failed(db_.error(code, "SAVEPOINT"));
  open = true;
  return {};
}

Evaluator::Done Evaluator::undo_savepoint() {
  if (!db_.in_transaction()) return {};  // SQLite has rolled back more than the savepoint; the store mends that
  for (Statement* statement : {&rollback_to_, &release_}) {
    Running running(*statement);
    if (const int code = running->step(); code != SQLITE_DONE) return failed(db_.error(code, "ROLLBACK TO"));
  }
  return {};
}

Refusal Evaluator::refusal_of(int code, const Run& run, const Analysis& analysis) {
  if (run.capture.too_large()) return too_large_refusal("the rows written", options_.change_bytes_max);
  if (db_.exhausted()) return too_long_refusal(options_.instructions_max);
  if (auto failure = disk_failure(db_, code)) return failed(*failure).value();
  switch (code & 0xFF) {
    case SQLITE_TOOBIG: return too_large_refusal("a value", options_.value_bytes_max);
    case SQLITE_NOMEM: return refusal(AbortReason::too_large, "the statement needs more memory than there is");
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH: return constraint_refusal(db_, code, analysis.written);
    default: return refusal(AbortReason::invalid, db_.message());
  }
}

tl::unexpected<Refusal> Evaluator::failed(const Error& error) {
  if (db_.exhausted()) return tl::unexpected(too_long_refusal(options_.instructions_max));
  failure_ = error;
  return tl::unexpected(refusal(AbortReason::invalid, fmt::format("the shard's database failed: {}", error.message)));
}

}  // namespace assent::sql
