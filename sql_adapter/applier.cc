#include "sql_adapter/applier.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace assent::sql {

// A row of the change in full, before and after; kept for tables with more to obey than their primary key.
struct Applier::Judged {
  const Table* table = nullptr;
  Bytes key;  // of key_of()
  std::optional<Row> before;
  std::optional<Row> after;
};

struct Applier::JudgedRows {
  std::vector<Judged> rows;
  std::set<std::pair<const Table*, Bytes>> present_before;
  std::map<const ForeignKey*, std::set<Bytes>> offered;  // parents' keys that the change makes; filled when asked for

  [[nodiscard]] bool was_present(const Table* table, const Bytes& key) const {
    return present_before.contains({table, key});
  }
  [[nodiscard]] bool offers(const ForeignKey& key, const Row& values);
};

namespace {

tl::unexpected<Error> conflict(std::string words) { return fail(ErrorCode::conflict, std::move(words)); }

tl::unexpected<Error> row_conflict(const Table& table, std::span<const ValueView> key, std::string_view what) {
  return conflict(fmt::format("row {} of table {} {}", show(key), table.name, what));
}

bool defined(const ValueView& value) { return value.type != ValueType::undefined; }

RowView key_values(const Table& table, const RowChange& row) {
  return pick(row.op == RowOp::insert ? row.after : row.before, table.key);
}

// Does the record have the shape that change_format.h promises for this table?
bool well_formed(const Table& table, const RowChange& row) {
  const auto all_defined = [](const RowView& values) { return std::all_of(values.begin(), values.end(), defined); };
  const RowView& keyed = row.op == RowOp::insert ? row.after : row.before;
  for (const int column : table.key) {
    const ValueView& value = keyed[static_cast<std::size_t>(column)];
    if (!defined(value) || value.type == ValueType::null) return false;
  }
  if (row.op == RowOp::insert) return all_defined(row.after);
  if (row.op == RowOp::remove) return all_defined(row.before);
  for (std::size_t i = 0; i < row.after.size(); ++i) {
    const bool in_key = table.in_key(static_cast<int>(i));
    if (in_key ? defined(row.after[i]) : defined(row.before[i]) != defined(row.after[i])) return false;
  }
  return true;
}

bool fits(const Table& table, const TableChange& change) {
  if (table.key.empty() || table.columns.size() != change.key_flags.size()) return false;
  for (std::size_t i = 0; i < change.key_flags.size(); ++i) {
    if ((change.key_flags[i] != 0) != table.in_key(static_cast<int>(i))) return false;
  }
  return std::all_of(change.rows.begin(), change.rows.end(),
                     [&](const RowChange& row) { return well_formed(table, row); });
}

bool matches(const RowChange& row, std::span<const ValueView> stored) {
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (defined(row.before[i]) && !(row.before[i] == stored[i])) return false;
  }
  return row.op == RowOp::remove || row_hash(stored) == row.before_hash;
}

bool needs_judging(const Table& table) { return !table.uniques.empty() || table.enforced(); }

// Columns out of an owned row, or nothing when one of them is NULL: then neither UNIQUE nor a foreign key applies.
std::optional<Row> without_null(const Row& row, const std::vector<int>& columns) {
  Row out;
  for (const int column : columns) {
    const SqlValue& value = row[static_cast<std::size_t>(column)];
    if (std::holds_alternative<SqlNull>(value)) return std::nullopt;
    out.push_back(value);
  }
  return out;
}

bool changed(const std::optional<Row>& before, const std::optional<Row>& after, const std::vector<int>& columns) {
  if (!before || !after) return true;
  return std::any_of(columns.begin(), columns.end(), [&](int column) {
    const auto i = static_cast<std::size_t>(column);
    return !((*before)[i] == (*after)[i]);
  });
}

}  // namespace

// Will the change leave a parent with these values?
bool Applier::JudgedRows::offers(const ForeignKey& key, const Row& values) {
  const auto [it, fresh] = offered.try_emplace(&key);
  if (fresh) {
    for (const Judged& row : rows) {
      if (row.table != key.parent || !row.after) continue;
      if (const auto made = without_null(*row.after, key.parent_columns)) it->second.insert(key_of(view(*made)));
    }
  }
  return it->second.contains(key_of(view(values)));
}

// ---- check ----

Result<void> Applier::check(const Schema& schema, const TableVersions& versions, const RowsChange& change) {
  for (const Guard& guard : change.guards) {
    if (auto done = check_guard(schema, versions, guard); !done) return done;
  }
  JudgedRows judged;
  for (const TableChange& part : change.tables) {
    const Table* table = schema.find(part.table);
    if (table == nullptr || !fits(*table, part)) return conflict("the change does not fit the tables of this shard");
    const bool judge = needs_judging(*table);
    for (const RowChange& row : part.rows) {
      Judged* kept = judge ? &judged.rows.emplace_back() : nullptr;
      if (auto done = check_row(*table, part, row, kept); !done) return done;
    }
  }
  for (const Judged& row : judged.rows) {
    if (row.before) judged.present_before.emplace(row.table, row.key);
  }
  for (const Judged& row : judged.rows) {
    for (const auto rule : {&Applier::check_unique, &Applier::check_parents, &Applier::check_children}) {
      if (auto done = (this->*rule)(row, judged); !done) return done;
    }
  }
  return {};
}

Result<void> Applier::check_guard(const Schema& schema, const TableVersions& versions, const Guard& guard) {
  const Table* table = schema.find(guard.table);
  if (table == nullptr) return conflict(fmt::format("table {} is gone", guard.table));
  if (guard.kind == GuardKind::table) {
    const auto it = versions.find(table->name);
    if ((it == versions.end() ? 0 : it->second) == guard.value) return {};
    return conflict(fmt::format("table {} has changed since it was read", table->name));
  }
  if (guard.key.size() != table->key.size()) return conflict("the change does not fit the tables of this shard");
  bool same = false;
  auto looked = rows_.look(*table, guard.key, [&](std::span<const ValueView> row) {
    same = row.empty() ? guard.kind == GuardKind::absent_row
                       : guard.kind == GuardKind::row && row_hash(row) == guard.value;
  });
  if (!looked) return looked;
  if (!same) return row_conflict(*table, guard.key, "has changed since it was read");
  return {};
}

Result<void> Applier::check_row(const Table& table, const TableChange& change, const RowChange& row, Judged* judged) {
  const RowView key = key_values(table, row);
  bool present = false;
  bool same = false;
  auto looked = rows_.look(table, key, [&](std::span<const ValueView> stored) {
    present = !stored.empty();
    same = present && row.op != RowOp::insert && matches(row, stored);
    if (judged == nullptr || !present || row.op == RowOp::insert) return;
    judged->before = own(stored);
    if (row.op != RowOp::update) return;
    judged->after = judged->before;
    for (std::size_t i = 0; i < stored.size(); ++i) {
      if (defined(row.after[i])) (*judged->after)[i] = own(row.after[i]);
    }
  });
  if (!looked) return looked;
  if (judged != nullptr) {
    judged->table = &table;
    judged->key = key_of(key);
    if (row.op == RowOp::insert) judged->after = own(row.after);
  }
  if (row.op != RowOp::insert) {
    if (!present) return row_conflict(table, key, "is gone since the work was run");
    if (!same) return row_conflict(table, key, "has changed since the work was run");
    return {};
  }
  if (!present) return {};
  const Bytes mine = key_of(key);
  const bool replaces_itself = std::any_of(change.rows.begin(), change.rows.end(), [&](const RowChange& other) {
    return other.op == RowOp::remove && key_of(key_values(table, other)) == mine;
  });
  if (!replaces_itself) return row_conflict(table, key, "was inserted by somebody else");
  return {};
}

Result<void> Applier::check_unique(const Judged& row, JudgedRows& all) {
  if (!row.after) return {};
  for (const UniqueIndex& unique : row.table->uniques) {
    const auto values =
        changed(row.before, row.after, unique.columns) ? without_null(*row.after, unique.columns) : std::nullopt;
    if (!values) continue;
    auto holders = rows_.keys_where(*row.table, unique.columns, view(*values));
    if (!holders) return fail(holders.error());
    for (const Row& holder : *holders) {
      // A row of the change itself made way, or the work could not have been run.
      if (!all.was_present(row.table, key_of(view(holder))))
        return row_conflict(*row.table, view(holder), "has taken a unique value since the work was run");
    }
  }
  return {};
}

Result<void> Applier::check_parents(const Judged& row, JudgedRows& all) {
  if (!row.after) return {};
  for (const ForeignKey& key : row.table->foreign_keys) {
    if (key.parent == nullptr || !changed(row.before, row.after, key.child_columns)) continue;
    const auto values = without_null(*row.after, key.child_columns);
    if (!values) continue;
    auto parents = rows_.keys_where(*key.parent, key.parent_columns, view(*values));
    if (!parents) return fail(parents.error());
    if (!parents->empty()) continue;
    if (!all.offers(key, *values)) {
      return conflict(fmt::format("the row {} that {} needs is gone", show(view(*values)), key.words));
    }
  }
  return {};
}

Result<void> Applier::check_children(const Judged& row, JudgedRows& all) {
  if (!row.before) return {};
  for (const ForeignKey* key : row.table->referenced_by) {
    if (!changed(row.before, row.after, key->parent_columns)) continue;
    const auto values = without_null(*row.before, key->parent_columns);
    if (!values) continue;
    auto children = rows_.keys_where(*key->child, key->child_columns, view(*values));
    if (!children) return fail(children.error());
    for (const Row& child : *children) {
      if (all.was_present(key->child, key_of(view(child)))) continue;
      if (!all.offers(*key, *values))
        return row_conflict(*key->child, view(child), fmt::format("refers by {} to a row that goes", key->words));
    }
  }
  return {};
}

// ---- install ----

Result<void> Applier::install(const Schema& schema, TableVersions& versions, const RowsChange& change) {
  const auto table_of = [&](const TableChange& part) { return schema.find(part.table); };
  for (const TableChange& part : change.tables) {
    const Table* table = table_of(part);
    if (table == nullptr || !fits(*table, part)) {
      return fail(ErrorCode::corruption, "a change that was checked does not fit the tables of this shard");
    }
    // Triggers and foreign-key actions have run where the work was run; their effects are in the change.
    if (table->enforced()) db_.enforce(false);
  }
  for (const TableChange& part : change.tables) {
    const Table& table = *table_of(part);
    if (auto done = install_table(table, part); !done) return done;
    if (!table.internal) ++versions[table.name];
  }
  return {};
}

// What goes makes way for what comes: first deletes, then updates, then inserts.
Result<void> Applier::install_table(const Table& table, const TableChange& change) {
  std::vector<const RowChange*> updates;
  std::size_t moving = 0;  // updates of a column in a UNIQUE index
  for (const RowChange& row : change.rows) {
    if (row.op == RowOp::remove) {
      if (auto done = rows_.remove(table, key_values(table, row)); !done) return done;
    }
    if (row.op != RowOp::update) continue;
    updates.push_back(&row);
    const auto moves = [&](int column) { return column < 0 || defined(row.after[static_cast<std::size_t>(column)]); };
    moving += std::any_of(table.uniques.begin(), table.uniques.end(), [&](const UniqueIndex& unique) {
      return std::any_of(unique.columns.begin(), unique.columns.end(), moves);
    });
  }
  // Two rows may swap a unique value, which cannot be done one after the other.
  if (updates.size() > 1 && (moving > 1 || !table.plain_unique)) {
    if (auto done = replace_rows(table, updates); !done) return done;
    updates.clear();
  }
  for (const RowChange* row : updates) {
    if (auto done = rows_.update(table, key_values(table, *row), row->after); !done) return done;
  }
  for (const RowChange& row : change.rows) {
    if (row.op != RowOp::insert) continue;
    if (auto done = rows_.insert(table, row.after); !done) return done;
  }
  return {};
}

Result<void> Applier::replace_rows(const Table& table, const std::vector<const RowChange*>& updates) {
  std::vector<Row> after;
  for (const RowChange* row : updates) {
    const RowView key = key_values(table, *row);
    auto stored = rows_.find(table, key);
    if (!stored) return fail(stored.error());
    if (!*stored) return fail(ErrorCode::corruption, "a row to change is not there");
    for (std::size_t i = 0; i < row->after.size(); ++i) {
      if (defined(row->after[i])) (**stored)[i] = own(row->after[i]);
    }
    after.push_back(std::move(**stored));
    if (auto done = rows_.remove(table, key); !done) return done;
  }
  for (const Row& row : after) {
    if (auto done = rows_.insert(table, view(row)); !done) return done;
  }
  return {};
}

}  // namespace assent::sql
