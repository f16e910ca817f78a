#include "sql_adapter/footprint.h"

#include <algorithm>

namespace assent::sql {
namespace {

Guard row_guard(const Table& table, const Row& key, const std::optional<Row>& row) {
  Guard out;
  out.kind = row ? GuardKind::row : GuardKind::absent_row;
  out.table = table.name;
  out.key = view(key);
  if (row) out.value = row_hash(view(*row));
  return out;
}

bool any_changed(const TouchedRows& rows) {
  return std::any_of(rows.begin(), rows.end(), [](const auto& entry) { return entry.second.changed(); });
}

// Key bytes of these columns of a row; nothing when one is NULL, which no UNIQUE index and no foreign key minds.
std::optional<Bytes> values_key(const Row& row, const std::vector<int>& columns) {
  Bytes out;
  for (const int column : columns) {
    const ValueView value = view(row[static_cast<std::size_t>(column)]);
    if (value.type == ValueType::null) return std::nullopt;
    append_key_value(out, value);
  }
  return out;
}

void lock_unique(const Table& table, const TouchedRow& row, LockSet& locks) {
  for (const UniqueIndex& unique : table.uniques) {
    const auto before = row.before ? values_key(*row.before, unique.columns) : std::nullopt;
    const auto after = row.after ? values_key(*row.after, unique.columns) : std::nullopt;
    if (before == after) continue;
    if (before) locks.add(unique_lock(unique.name, *before), LockMode::exclusive);
    if (after) locks.add(unique_lock(unique.name, *after), LockMode::exclusive);
  }
}

// The parent's key bytes as its own row or UNIQUE lock spells them: in the parent's column order, in its spelling.
std::optional<Bytes> parent_key(const ForeignKey& key, const Row& child, const std::vector<int>& parent_order) {
  Bytes out;
  for (const int column : parent_order) {
    const auto place = std::find(key.parent_columns.begin(), key.parent_columns.end(), column);
    const auto child_column =
        static_cast<std::size_t>(key.child_columns[static_cast<std::size_t>(place - key.parent_columns.begin())]);
    const auto value = as_stored(key.parent->columns[static_cast<std::size_t>(column)].affinity, child[child_column]);
    if (!value) return std::nullopt;
    append_key_value(out, view(*value));
  }
  return out;
}

void lock_parent(const ForeignKey& key, const Row& child, LockSet& locks) {
  const std::vector<int>* order = nullptr;
  if (key.to_primary_key) order = &key.parent->key;
  if (key.to_unique != nullptr) order = &key.to_unique->columns;
  const auto bytes = order == nullptr ? std::nullopt : parent_key(key, child, *order);
  if (!bytes) {
    locks.add(table_lock(key.parent->name), LockMode::shared);
    return;
  }
  locks.add(table_lock(key.parent->name), LockMode::intention_shared);
  locks.add(key.to_primary_key ? row_lock(key.parent->name, *bytes) : unique_lock(key.to_unique->name, *bytes),
            LockMode::shared);
}

void lock_parents(const Table& table, const TouchedRow& row, LockSet& locks) {
  if (!row.after) return;
  for (const ForeignKey& key : table.foreign_keys) {
    const auto after = values_key(*row.after, key.child_columns);
    if (!after || key.parent == nullptr) continue;
    if (row.before && values_key(*row.before, key.child_columns) == after) continue;
    lock_parent(key, *row.after, locks);
  }
}

void lock_table_rows(const Table& table, const TouchedRows& rows, std::size_t row_locks_max, LockSet& locks) {
  const bool writes = any_changed(rows);
  const bool coarse = writes && (table.coarse() || rows.size() > row_locks_max);
  if (!table.internal) {
    const LockMode intent = writes ? LockMode::intention_exclusive : LockMode::intention_shared;
    locks.add(table_lock(table.name), coarse ? LockMode::exclusive : intent);
  }
  for (const auto& [name, row] : rows) {
    const bool changed = row.changed();
    if (!coarse || table.internal) {
      locks.add(row_lock(table.name, name), changed ? LockMode::exclusive : LockMode::shared);
    }
    if (!changed) continue;
    lock_unique(table, row, locks);
    lock_parents(table, row, locks);
  }
}

}  // namespace

void Footprint::read_row(const Table& table, const Row& key) {
  Row stored;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto column = static_cast<std::size_t>(table.key[i]);
    auto value = as_stored(table.columns[column].affinity, key[i]);
    if (!value) return read_table(table);
    stored.push_back(std::move(*value));
  }
  Bytes name = key_of(view(stored));
  rows_[&table].emplace(std::move(name), std::move(stored));
}

bool Footprint::meets_counted(const TouchedTables& touched) const {
  for (const auto& [table, keys] : counted_) {
    if (table->internal) continue;
    if (whole_.contains(table)) return true;
    const auto read = rows_.find(table);
    const auto written = touched.find(table);
    for (const Bytes& key : keys) {
      if (read != rows_.end() && read->second.contains(key)) return true;
      if (written != touched.end() && written->second.contains(key)) return true;
    }
  }
  return false;
}

std::vector<LockRequest> Footprint::locks(const TouchedTables& touched, std::size_t row_locks_max) const {
  LockSet out;
  LockMode root = LockMode::intention_shared;
  for (const auto& [table, rows] : touched) {
    lock_table_rows(*table, rows, row_locks_max, out);
    if (any_changed(rows)) root = LockMode::intention_exclusive;
  }
  for (const auto& [table, rows] : rows_) {
    if (!table->internal) out.add(table_lock(table->name), LockMode::intention_shared);
    for (const auto& [name, key] : rows) out.add(row_lock(table->name, name), LockMode::shared);
  }
  for (const Table* table : whole_) out.add(table_lock(table->name), LockMode::shared);
  for (const auto& [table, keys] : counted_) {
    if (!table->internal) out.add(table_lock(table->name), LockMode::intention_exclusive);
    for (const Bytes& key : keys) out.add(row_lock(table->name, key), LockMode::escrow);
    root = LockMode::intention_exclusive;
  }
  out.add(root_lock(), root);
  return out.take();
}

std::vector<Guard> Footprint::guards(const TouchedTables& touched, const TableVersions& versions) const {
  std::vector<Guard> out;
  std::set<const Table*, ByTableName> tables = whole_;
  for (const auto& [table, rows] : touched) {
    if (table->coarse() && any_changed(rows)) tables.insert(table);
    for (const auto& [name, row] : rows) {
      if (!row.changed()) out.push_back(row_guard(*table, row.key, row.before));
    }
  }
  for (const Table* table : tables) {
    const auto it = versions.find(table->name);
    out.push_back(
        {.kind = GuardKind::table, .table = table->name, .key = {}, .value = it == versions.end() ? 0 : it->second});
  }
  return out;
}

std::optional<SqlValue> as_stored(Affinity affinity, const SqlValue& value) {
  if (std::holds_alternative<SqlNull>(value)) return std::nullopt;
  const bool text = std::holds_alternative<std::string>(value);
  const bool blob = std::holds_alternative<SqlBlob>(value);
  if (affinity == Affinity::none || blob) return value;
  if (affinity == Affinity::text) {
    if (text) return value;
    const auto* integer = std::get_if<std::int64_t>(&value);
    return integer == nullptr ? std::nullopt : std::optional<SqlValue>(std::to_string(*integer));
  }
  if (text) return std::nullopt;
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (affinity == Affinity::real && integer != nullptr) return static_cast<double>(*integer);
  return value;
}

}  // namespace assent::sql
