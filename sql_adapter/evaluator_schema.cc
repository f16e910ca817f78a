// The evaluator's CREATE, DROP and ALTER.
#include <algorithm>

#include "sql_adapter/evaluator.h"
#include "sql_adapter/evaluator_run.h"
#include "sql_adapter/refusals.h"
#include "sql_adapter/schema_cache.h"

namespace assent::sql {

namespace {

bool is_schema_statement(const Operation& operation) {
  const auto* statement = std::get_if<SqlStatement>(&operation);
  return statement != nullptr && read_statement(statement->text).kind == StatementKind::schema;
}

}  // namespace

// What the cache holds was understood before, and it holds no CREATE, DROP or ALTER.
bool Evaluator::changes_schema(const Work& work) const {
  return std::any_of(work.begin(), work.end(), [&](const Operation& operation) {
    const auto* statement = std::get_if<SqlStatement>(&operation);
    return statement != nullptr && !cache_.contains(statement->text) && is_schema_statement(operation);
  });
}

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
  auto after = options_.schemas->load(db_);
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

}  // namespace assent::sql
