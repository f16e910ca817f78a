#include "sql_adapter/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "participant/escrow.h"
#include "sql_adapter/counters.h"
#include "sql_adapter/evaluator_run.h"
#include "sql_adapter/refusals.h"

namespace assent::sql {

namespace {

std::size_t bytes_of(const SqlStatement& statement) {
  std::size_t out = statement.text.size();
  for (const SqlValue& value : statement.parameters) out += view(value).bytes.size();
  return out;
}

}  // namespace

// ---- whole works ----

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

// ---- operations ----

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

// ---- savepoint, errors ----

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
