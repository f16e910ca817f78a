#include "sql_adapter/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "sql_adapter/statement_text.h"

namespace assent::sql {
namespace {

std::string lower(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string text_of(const SqlValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? std::string() : *text;
}

int int_of(const SqlValue& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  return number == nullptr ? 0 : static_cast<int>(*number);
}

Affinity affinity_of(std::string_view type, bool strict) {
  const std::string name = lower(type);
  const auto says = [&](std::string_view word) { return name.find(word) != std::string::npos; };
  if (strict && name == "any") return Affinity::none;
  if (says("int")) return Affinity::integer;
  if (says("char") || says("clob") || says("text")) return Affinity::text;
  if (says("blob") || name.empty()) return Affinity::none;
  if (says("real") || says("floa") || says("doub")) return Affinity::real;
  return Affinity::numeric;
}

bool same_set(std::vector<int> a, std::vector<int> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

bool has_word(std::string_view sql, std::string_view word) {
  const std::vector<Token> tokens = tokenize(sql);
  return std::any_of(tokens.begin(), tokens.end(), [&](const Token& token) { return token.is(word); });
}

// One index as PRAGMA index_xinfo tells it.
struct IndexColumns {
  std::vector<int> columns;
  bool plain = true;
};

Result<IndexColumns> index_columns(Database& db, const std::string& index) {
  const std::array parameters = {ValueView::of_text(index)};
  auto rows = db.rows("SELECT cid, coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno", parameters);
  if (!rows) return fail(rows.error());
  IndexColumns out;
  for (const Row& row : *rows) {
    out.columns.push_back(int_of(row[0]));
    if (int_of(row[0]) < 0 || !same_name(text_of(row[1]), "BINARY")) out.plain = false;
  }
  return out;
}

}  // namespace

int Table::column(std::string_view column_name) const {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (same_name(columns[i].name, column_name)) return static_cast<int>(i);
  }
  return -1;
}

bool Table::in_key(int column_index) const { return std::find(key.begin(), key.end(), column_index) != key.end(); }

const Table* Schema::find(std::string_view name) const {
  auto it = tables_.find(name);
  if (it == tables_.end()) it = tables_.find(lower(name));
  return it == tables_.end() ? nullptr : it->second.get();
}

bool Schema::is_view(std::string_view name) const {
  return std::any_of(views_.begin(), views_.end(), [&](const std::string& view) { return same_name(view, name); });
}

Result<std::unique_ptr<Schema>> Schema::load(Database& db) {
  std::unique_ptr<Schema> out(new Schema);
  if (auto done = out->load_objects(db); !done) return fail(done.error());
  for (const auto& [name, table] : out->tables_) {
    if (table->is_virtual) continue;
    for (const auto part : {&Schema::load_columns, &Schema::load_indexes, &Schema::load_foreign_keys}) {
      if (auto done = (out.get()->*part)(db, *table); !done) return fail(done.error());
    }
  }
  out->link_foreign_keys();
  return out;
}

Result<void> Schema::load_objects(Database& db) {
  auto rows = db.rows(
      "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
      "ORDER BY type, name");
  if (!rows) return fail(rows.error());
  Digest user;
  Digest internal;
  for (const Row& row : *rows) {
    const std::string type = text_of(row[0]);
    const std::string name = text_of(row[1]);
    const std::string sql = text_of(row[3]);
    const bool ours = reserved_name(text_of(row[2]));
    (ours ? internal : user).add(type).add(name).add(text_of(row[2])).add(sql);
    if (type == "view") views_.push_back(name);
    if (type != "table") continue;
    auto table = std::make_unique<Table>();
    table->name = name;
    table->internal = ours;
    table->skips_conflicts = has_word(sql, "IGNORE");
    table->is_virtual = read_statement(sql).virtual_table;
    tables_.emplace(lower(name), std::move(table));
  }
  for (const Row& row : *rows) {
    if (text_of(row[0]) != "trigger") continue;
    if (const auto it = tables_.find(lower(text_of(row[2]))); it != tables_.end()) it->second->has_triggers = true;
  }
  fingerprint_ = user.value();
  internal_fingerprint_ = internal.value();
  return {};
}

Result<void> Schema::load_columns(Database& db, Table& table) {
  const std::array parameters = {ValueView::of_text(table.name)};
  auto list = db.rows("SELECT wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'", parameters);
  if (!list) return fail(list.error());
  const bool strict = !list->empty() && int_of(list->front()[1]) != 0;
  auto rows =
      db.rows("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid", parameters);
  if (!rows) return fail(rows.error());
  std::map<int, int> key;  // place in the key -> column
  for (const Row& row : *rows) {
    if (int_of(row[4]) != 0) table.generated = true;
    if (int_of(row[3]) > 0) key[int_of(row[3])] = static_cast<int>(table.columns.size());
    table.columns.push_back({.name = text_of(row[0]),
                             .affinity = affinity_of(text_of(row[1]), strict),
                             .may_be_null = int_of(row[2]) == 0});
  }
  for (const auto& [place, column] : key) table.key.push_back(column);
  // An INTEGER PRIMARY KEY is the rowid itself and has no index; load_indexes() takes this back when it finds one.
  if (table.key.size() == 1) table.rowid_column = table.key.front();
  return {};
}

Result<void> Schema::load_indexes(Database& db, Table& table) {
  const std::array parameters = {ValueView::of_text(table.name)};
  auto rows =
      db.rows("SELECT name, origin, partial FROM pragma_index_list(?1) WHERE \"unique\" = 1 ORDER BY name", parameters);
  if (!rows) return fail(rows.error());
  for (const Row& row : *rows) {
    auto columns = index_columns(db, text_of(row[0]));
    if (!columns) return fail(columns.error());
    if (text_of(row[1]) == "pk") {
      table.rowid_column = -1;
      table.plain_key = columns->plain;
    } else if (!columns->plain || int_of(row[2]) != 0) {
      table.plain_unique = false;
    } else {
      table.uniques.push_back({text_of(row[0]), columns->columns});
    }
  }
  return {};
}

Result<void> Schema::load_foreign_keys(Database& db, Table& table) {
  const std::array parameters = {ValueView::of_text(table.name)};
  auto rows =
      db.rows("SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq", parameters);
  if (!rows) return fail(rows.error());
  int last = -1;
  for (const Row& row : *rows) {
    const std::string parent = text_of(row[1]);
    if (int_of(row[0]) != last) {
      last = int_of(row[0]);
      ForeignKey& added = table.foreign_keys.emplace_back();
      added.child = &table;
      added.parent = find(parent);
      if (reserved_name(parent))
        broken_.push_back(fmt::format("table {} refers to {}, which is reserved", table.name, parent));
    }
    ForeignKey& key = table.foreign_keys.back();
    key.child_columns.push_back(table.column(text_of(row[2])));
    key.parent_names.push_back(text_of(row[3]));  // empty: the parent's primary key
    key.parent_table_name = parent;
  }
  return {};
}

void Schema::link_foreign_keys() {
  for (const auto& [name, table] : tables_) {
    for (ForeignKey& key : table->foreign_keys) link(key);
  }
}

void Schema::link(ForeignKey& key) {
  std::string from;
  for (const int column : key.child_columns) {
    from += fmt::format("{}{}", from.empty() ? "" : ", ", key.child->columns[static_cast<std::size_t>(column)].name);
  }
  key.words = fmt::format("{}.({}) -> {}", key.child->name, from, key.parent_table_name);
  if (key.child_columns.size() == 1)
    key.words = fmt::format("{}.{} -> {}", key.child->name, from, key.parent_table_name);
  if (key.parent == nullptr) return;
  if (key.parent_names.front().empty()) {
    key.parent_columns = key.parent->key;
  } else {
    for (const std::string& column : key.parent_names) key.parent_columns.push_back(key.parent->column(column));
  }
  if (std::find(key.parent_columns.begin(), key.parent_columns.end(), -1) != key.parent_columns.end() ||
      key.parent_columns.size() != key.child_columns.size()) {
    key.parent = nullptr;  // a mismatch: SQLite refuses whatever would use it
    return;
  }
  key.to_primary_key = same_set(key.parent_columns, key.parent->key);
  for (const UniqueIndex& unique : key.parent->uniques) {
    if (!key.to_primary_key && same_set(key.parent_columns, unique.columns)) key.to_unique = &unique;
  }
  tables_.find(lower(key.parent->name))->second->referenced_by.push_back(&key);
}

std::string Schema::objection() const {
  if (!broken_.empty()) return broken_.front();
  for (const auto& [name, table] : tables_) {
    if (table->internal) continue;
    if (table->is_virtual) return fmt::format("virtual tables are not replicated: {}", table->name);
    if (table->key.empty()) {
      return fmt::format("table {} has no PRIMARY KEY, which every table of a replicated shard needs", table->name);
    }
    if (table->generated)
      return fmt::format("table {} has generated columns, which are not replicated yet", table->name);
  }
  return {};
}

}  // namespace assent::sql
