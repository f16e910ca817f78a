#include "sql_adapter/capture.h"

namespace assent::sql {
namespace {

bool same_bits(const Row& a, const Row& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(view(a[i]) == view(b[i]))) return false;
  }
  return a.size() == b.size();
}

ValueView view_of(sqlite3_value* value) {
  const auto bytes = [&](const void* data) {
    const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
    return size == 0 ? ByteView("") : ByteView(static_cast<const char*>(data), size);
  };
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER: return ValueView::of(std::int64_t{sqlite3_value_int64(value)});
    case SQLITE_FLOAT: return ValueView::of(sqlite3_value_double(value));
    case SQLITE_TEXT: return ValueView::of_text(bytes(sqlite3_value_text(value)));
    case SQLITE_BLOB: return ValueView::of_blob(bytes(sqlite3_value_blob(value)));
    default: return ValueView::of_null();
  }
}

RowChange row_change(RowOp op, RowView before, RowView after) {
  return {.op = op, .before = std::move(before), .after = std::move(after)};
}

// Key columns and changed columns only, as the format wants it.
RowChange update_of(const Table& table, const Row& before, const Row& after) {
  RowChange out = row_change(RowOp::update, view(before), view(after));
  out.before_hash = row_hash(out.before);
  for (std::size_t i = 0; i < before.size(); ++i) {
    const bool in_key = table.in_key(static_cast<int>(i));
    const bool same = out.before[i] == out.after[i];
    if (same || in_key) out.after[i] = {};
    if (same && !in_key) out.before[i] = {};
  }
  return out;
}

void add_changes(const Table& table, const TouchedRow& row, std::vector<RowChange>& out) {
  if (!row.changed()) return;
  if (row.before && row.after) {
    if (pick(view(*row.before), table.key) == pick(view(*row.after), table.key)) {
      out.push_back(update_of(table, *row.before, *row.after));
      return;
    }
  }
  if (row.before) out.push_back(row_change(RowOp::remove, view(*row.before), {}));
  if (row.after) out.push_back(row_change(RowOp::insert, {}, view(*row.after)));
}

}  // namespace

bool TouchedRow::changed() const {
  if (before.has_value() != after.has_value()) return true;
  return before && !same_bits(*before, *after);
}

void Capture::touched(int op, std::string_view table, std::int64_t old_rowid, std::int64_t new_rowid) {
  if (last_ == nullptr || last_->name != table) {
    last_ = schema_.find(table);
    if (last_ == nullptr) return;  // sqlite_sequence: follows from the rows on every replica
  }
  ++touches_;
  if (op != SQLITE_INSERT) add(*last_, true, old_rowid);
  if (op != SQLITE_DELETE) add(*last_, false, new_rowid);
}

void Capture::add(const Table& table, bool old, std::int64_t rowid) {
  RowView key;
  for (const int column : table.key) {
    if (column == table.rowid_column) {
      key.push_back(ValueView::of(rowid));
      continue;
    }
    sqlite3_value* value = nullptr;
    const int code =
        old ? sqlite3_preupdate_old(db_.handle(), column, &value) : sqlite3_preupdate_new(db_.handle(), column, &value);
    if (code == SQLITE_OK && value != nullptr) key.push_back(view_of(value));
    if (key.empty() || key.back().type == ValueType::null || code != SQLITE_OK) {
      null_keys_.insert(&table);
      return;
    }
  }
  Bytes name = key_of(key);
  auto& rows = tables_[&table];
  if (rows.contains(name)) return;
  bytes_ += 2 * name.size() + 1;
  if (bytes_ > bytes_max_) {
    too_large_ = true;
    db_.interrupt();
    return;
  }
  rows.emplace(std::move(name), TouchedRow{.key = own(key), .before = {}, .after = {}});
}

Result<void> Capture::read_after(Rows& rows) {
  for (auto& [table, touched] : tables_) {
    for (auto& [name, row] : touched) {
      auto found = rows.find(*table, view(row.key));
      if (!found) return fail(found.error());
      row.after = std::move(*found);
    }
  }
  return {};
}

Result<void> Capture::read_before(Rows& rows) {
  for (auto& [table, touched] : tables_) {
    for (auto& [name, row] : touched) {
      auto found = rows.find(*table, view(row.key));
      if (!found) return fail(found.error());
      row.before = std::move(*found);
    }
  }
  return {};
}

std::vector<TableChange> Capture::changes() const {
  std::vector<TableChange> out;
  for (const auto& [table, touched] : tables_) {
    TableChange change;
    change.table = table->name;
    for (const auto& [name, row] : touched) add_changes(*table, row, change.rows);
    if (change.rows.empty()) continue;
    change.key_flags.resize(table->columns.size());
    for (std::size_t i = 0; i < table->key.size(); ++i) {
      change.key_flags[static_cast<std::size_t>(table->key[i])] = static_cast<std::uint8_t>(i + 1);
    }
    out.push_back(std::move(change));
  }
  return out;
}

}  // namespace assent::sql
