#include "sql_adapter/rows.h"

#include <fmt/format.h>

namespace assent::sql {
namespace {

std::string column_name(const Table& table, int column) {
  return quote_name(table.columns[static_cast<std::size_t>(column)].name);
}

std::string column_list(const Table& table, const std::vector<int>& columns) {
  std::string out;
  for (const int column : columns) out += (out.empty() ? "" : ", ") + column_name(table, column);
  return out;
}

std::string all_columns(const Table& table) {
  std::string out;
  for (const Column& column : table.columns) out += (out.empty() ? "" : ", ") + quote_name(column.name);
  return out;
}

// "a" = ?1 AND "b" = ?2. A key with a collation of its own finds by its index and then compares byte by byte.
std::string where_columns(const Table& table, const std::vector<int>& columns, int first, bool exact) {
  std::string out;
  for (const int column : columns) {
    const std::string name = column_name(table, column);
    if (!out.empty()) out += " AND ";
    out += fmt::format("{} = ?{}", name, first);
    if (exact) out += fmt::format(" AND {} = ?{} COLLATE BINARY", name, first);
    ++first;
  }
  return out;
}

std::string where_key(const Table& table, int first) {
  return where_columns(table, table.key, first, !table.plain_key);
}

std::string signature(const std::vector<int>& columns) {
  std::string out;
  for (const int column : columns) out += fmt::format("{},", column);
  return out;
}

}  // namespace

RowView pick(std::span<const ValueView> row, const std::vector<int>& columns) {
  RowView out;
  out.reserve(columns.size());
  for (const int column : columns) out.push_back(row[static_cast<std::size_t>(column)]);
  return out;
}

Result<Statement*> Rows::prepared(Statement& slot, const std::string& text) {
  if (slot) return &slot;
  auto made = db_.prepare(text);
  if (!made) return fail(made.error());
  slot = std::move(*made);
  return &slot;
}

Result<Statement*> Rows::find_statement(const Table& table) {
  Statement& slot = tables_[&table].find;
  if (slot) return &slot;
  return prepared(
      slot, fmt::format("SELECT {} FROM {} WHERE {}", all_columns(table), quote_name(table.name), where_key(table, 1)));
}

Result<Statement*> Rows::all_statement(const Table& table) {
  Statement& slot = tables_[&table].all;
  if (slot) return &slot;
  return prepared(slot, fmt::format("SELECT {} FROM {} ORDER BY {}", all_columns(table), quote_name(table.name),
                                    column_list(table, table.key)));
}

Result<std::optional<Row>> Rows::find(const Table& table, std::span<const ValueView> key) {
  std::optional<Row> out;
  auto looked = look(table, key, [&](std::span<const ValueView> row) {
    if (!row.empty()) out = own(row);
  });
  if (!looked) return fail(looked.error());
  return out;
}

Result<std::vector<Row>> Rows::keys_where(const Table& table, const std::vector<int>& columns,
                                          std::span<const ValueView> values) {
  Statement& slot = tables_[&table].lookups[signature(columns)];
  if (!slot) {
    auto made = prepared(slot, fmt::format("SELECT {} FROM {} WHERE {}", column_list(table, table.key),
                                           quote_name(table.name), where_columns(table, columns, 1, false)));
    if (!made) return fail(made.error());
  }
  Running running(slot);
  running->bind_all(values);
  std::vector<Row> out;
  int code = SQLITE_ROW;
  while ((code = running->step()) == SQLITE_ROW) out.push_back(own(running->row()));
  if (code != SQLITE_DONE) return fail(db_.error(code, "looking for rows"));
  return out;
}

Result<bool> Rows::null_key(const Table& table) {
  std::string where;
  for (const int column : table.key) where += (where.empty() ? "" : " OR ") + column_name(table, column) + " IS NULL";
  auto found = db_.rows(fmt::format("SELECT 1 FROM {} WHERE {} LIMIT 1", quote_name(table.name), where));
  if (!found) return fail(found.error());
  return !found->empty();
}

Result<void> Rows::change_one(Statement& statement) {
  Running running(statement);
  const int code = running->step();
  if (code != SQLITE_DONE) {
    const Error error = db_.error(code, "installing a row");
    if ((code & 0xFF) == SQLITE_CONSTRAINT || (code & 0xFF) == SQLITE_MISMATCH) {
      return fail(ErrorCode::corruption, error.message);
    }
    return fail(error);
  }
  if (sqlite3_changes64(db_.handle()) != 1) return fail(ErrorCode::corruption, "a row to change is not there");
  return {};
}

Result<void> Rows::insert(const Table& table, std::span<const ValueView> values) {
  Statement& slot = tables_[&table].insert;
  if (!slot) {
    std::string marks;
    for (std::size_t i = 1; i <= table.columns.size(); ++i) marks += fmt::format("{}?{}", i == 1 ? "" : ", ", i);
    // OR ABORT overrules an ON CONFLICT clause of the table: whatever it did is in the change already.
    auto made = prepared(slot, fmt::format("INSERT OR ABORT INTO {} ({}) VALUES ({})", quote_name(table.name),
                                           all_columns(table), marks));
    if (!made) return fail(made.error());
  }
  slot.bind_all(values);
  return change_one(slot);
}

Result<void> Rows::update(const Table& table, std::span<const ValueView> key, std::span<const ValueView> after) {
  std::vector<int> columns;
  RowView values;
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (after[i].type == ValueType::undefined) continue;
    columns.push_back(static_cast<int>(i));
    values.push_back(after[i]);
  }
  if (columns.empty()) return {};
  Statement& slot = tables_[&table].updates[signature(columns)];
  if (!slot) {
    std::string sets;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      sets += fmt::format("{}{} = ?{}", i == 0 ? "" : ", ", column_name(table, columns[i]), i + 1);
    }
    auto made = prepared(slot, fmt::format("UPDATE OR ABORT {} SET {} WHERE {}", quote_name(table.name), sets,
                                           where_key(table, static_cast<int>(columns.size()) + 1)));
    if (!made) return fail(made.error());
  }
  slot.bind_all(values).bind_all(key, static_cast<int>(values.size()) + 1);
  return change_one(slot);
}

Result<void> Rows::remove(const Table& table, std::span<const ValueView> key) {
  Statement& slot = tables_[&table].remove;
  if (!slot) {
    auto made = prepared(slot, fmt::format("DELETE FROM {} WHERE {}", quote_name(table.name), where_key(table, 1)));
    if (!made) return fail(made.error());
  }
  slot.bind_all(key);
  return change_one(slot);
}

}  // namespace assent::sql
