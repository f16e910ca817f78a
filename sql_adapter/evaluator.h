// Runs work to find out what it would do, inside a savepoint that is rolled back. Also the reverse of SQLite's error
// codes: refusals that name the constraint.
//
// It changes nothing that lasts. When SQLite itself ended the store's transaction on the way,
// Database::in_transaction() tells so afterwards and the store mends it. Called from sqlite_store.cc.
#pragma once

#include <optional>

#include "participant/store.h"
#include "sql_adapter/applier.h"
#include "sql_adapter/capture.h"
#include "sql_adapter/footprint.h"
#include "sql_adapter/sqlite_store.h"
#include "sql_adapter/statement_cache.h"

namespace assent::sql {

class Evaluator {
 public:
  using Outcome = tl::expected<Evaluation, Refusal>;

  Evaluator(Database& db, Rows& rows, const SqliteOptions& options)
      : db_(db), rows_(rows), options_(options), cache_(db, options.cached_statements_max) {}

  [[nodiscard]] Outcome evaluate(const Schema& schema, const TableVersions& versions, const Work& work);
  [[nodiscard]] Outcome query(const Schema& schema, const Work& work);

  // Forgets all statements: when the schema changes, and before the file is replaced.
  void forget();
  // The disk's error that a refusal stood for, if one did; the store is not to be used further.
  [[nodiscard]] std::optional<Error> take_failure();

 private:
  using Done = tl::expected<void, Refusal>;
  struct Run;  // one evaluate() or query()

  [[nodiscard]] Outcome run_all(Run& run, const TableVersions& versions, const Work& work);
  [[nodiscard]] bool changes_schema(const Work& work) const;
  [[nodiscard]] Done run_operation(Run& run, const Operation& operation);
  [[nodiscard]] Done run_any(Run& run, const Operation& operation);
  [[nodiscard]] Done run_statement(Run& run, const SqlStatement& statement);
  // Does the statement by adds in escrow, when that is all it is; false: it is to be run.
  [[nodiscard]] tl::expected<bool, Refusal> run_counting(Run& run, const Analysis& analysis,
                                                         const SqlStatement& statement);
  [[nodiscard]] Done step_through(Run& run, Analysis& analysis, OperationResult& result);
  void note_reads(Run& run, const Analysis& analysis, const SqlStatement& statement);
  [[nodiscard]] Done run_get(Run& run, const KvGet& operation);
  [[nodiscard]] Done run_put(Run& run, const KvPut& operation);
  [[nodiscard]] Done run_erase(Run& run, const KvErase& operation);
  [[nodiscard]] Done run_expect(Run& run, const KvExpect& operation);
  [[nodiscard]] Done run_add(Run& run, const KvAdd& operation);
  [[nodiscard]] Done run_escrowed_add(Run& run, const KvAdd& operation, std::int64_t value);
  [[nodiscard]] tl::expected<std::optional<Bytes>, Refusal> kv_look(const Run& run, const std::string& key);
  [[nodiscard]] tl::expected<std::optional<Bytes>, Refusal> kv_read(Run& run, const std::string& key);
  [[nodiscard]] Done kv_write(Run& run, const std::string& key, const Bytes& value);
  [[nodiscard]] Done add_result(Run& run, OperationResult result);

  [[nodiscard]] Done judge_writes(Run& run, std::int64_t changes_before);
  [[nodiscard]] static Done judge_escrow_columns(const Run& run);
  [[nodiscard]] Outcome finish(Run& run, const TableVersions& versions);
  [[nodiscard]] Done add_read_guards(Run& run, std::vector<Guard>& guards);

  [[nodiscard]] Outcome evaluate_schema(const Schema& schema, const Work& work);
  [[nodiscard]] Done run_schema_statement(const SqlStatement& statement);
  [[nodiscard]] Done judge_schema(const Schema& before, bool& changed);

  [[nodiscard]] Done begin_savepoint(bool& open);  // once: sets open
  [[nodiscard]] Done undo_savepoint();
  [[nodiscard]] Refusal refusal_of(int code, const Run& run, const Analysis& analysis);
  [[nodiscard]] tl::unexpected<Refusal> failed(const Error& error);

  Database& db_;
  Rows& rows_;
  const SqliteOptions& options_;
  StatementCache cache_;
  Statement savepoint_;
  Statement rollback_to_;
  Statement release_;
  std::optional<Error> failure_;
};

}  // namespace assent::sql
