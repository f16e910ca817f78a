// Single rows by primary key, and keys of rows by the values of some columns, through statements that are prepared once
// per table and shape. What SQLite's own changeset applier prepares anew for each call.
//
// It does not judge and does not know of changes: applier.cc and evaluator.cc do. Values go in and come out as they are
// stored. Errors are the disk's, except that writes answer with SQLite's code and words when a constraint objects.
#pragma once

#include <span>
#include <unordered_map>

#include "sql_adapter/database.h"
#include "sql_adapter/schema.h"

namespace assent::sql {

class Rows {
 public:
  explicit Rows(Database& db) : db_(db) {}

  // Forgets all statements: before the schema they are about goes, and before the file is replaced.
  void forget() { tables_.clear(); }

  // Calls use(row) with the row, or with an empty span when there is none; the row is valid inside the call.
  template <class Use>
  [[nodiscard]] Result<void> look(const Table& table, std::span<const ValueView> key, Use&& use) {
    auto found = find_statement(table);
    if (!found) return fail(found.error());
    Running running(**found);
    running->bind_all(key);
    const int code = running->step();
    if (code == SQLITE_ROW) {
      const RowView row = running->row();
      use(std::span<const ValueView>(row));
      return {};
    }
    if (code != SQLITE_DONE) return fail(db_.error(code, "reading a row"));
    use(std::span<const ValueView>());
    return {};
  }
  [[nodiscard]] Result<std::optional<Row>> find(const Table& table, std::span<const ValueView> key);
  // Primary keys of the rows in which these columns equal these values.
  [[nodiscard]] Result<std::vector<Row>> keys_where(const Table& table, const std::vector<int>& columns,
                                                    std::span<const ValueView> values);

  // All rows, in the order of the primary key; use(row) with a row that is valid inside the call.
  template <class Use>
  [[nodiscard]] Result<void> each(const Table& table, Use&& use) {
    auto all = all_statement(table);
    if (!all) return fail(all.error());
    Running running(**all);
    int code = SQLITE_ROW;
    while ((code = running->step()) == SQLITE_ROW) {
      const RowView row = running->row();
      use(std::span<const ValueView>(row));
    }
    if (code != SQLITE_DONE) return fail(db_.error(code, "reading all rows"));
    return {};
  }

  // Is there a row with NULL in its primary key? SQLite allows it; a replicated table cannot.
  [[nodiscard]] Result<bool> null_key(const Table& table);

  [[nodiscard]] Result<void> insert(const Table& table, std::span<const ValueView> values);
  // Columns that are undefined in `after` stay as they are. corruption when the row is not there.
  [[nodiscard]] Result<void> update(const Table& table, std::span<const ValueView> key,
                                    std::span<const ValueView> after);
  [[nodiscard]] Result<void> remove(const Table& table, std::span<const ValueView> key);

 private:
  struct TableStatements {
    Statement find;
    Statement all;
    Statement insert;
    Statement remove;
    std::unordered_map<std::string, Statement> updates;  // by which columns
    std::unordered_map<std::string, Statement> lookups;  // by which columns
  };

  [[nodiscard]] Result<Statement*> find_statement(const Table& table);
  [[nodiscard]] Result<Statement*> all_statement(const Table& table);
  [[nodiscard]] Result<Statement*> prepared(Statement& slot, const std::string& text);
  [[nodiscard]] Result<void> change_one(Statement& statement);

  Database& db_;
  std::unordered_map<const Table*, TableStatements> tables_;
};

// The values of these columns out of a whole row.
[[nodiscard]] RowView pick(std::span<const ValueView> row, const std::vector<int>& columns);

}  // namespace assent::sql
