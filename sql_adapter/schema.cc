#include "sql_adapter/schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"
#include "sql_adapter/counters.h"
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

// One kind of part of all tables in one statement: to compile one for each table and index would cost more than all the
// rest of loading a schema. What a virtual table looks like is asked of its module, and not by us (it has no root
// page).
std::string of_tables(std::string_view columns, std::string_view parts, std::string_view rest) {
  return fmt::format(
      "SELECT t.name, {} FROM sqlite_schema AS t CROSS JOIN {} WHERE t.type = 'table' AND t.rootpage > 0 "
      "AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' {}",
      columns, parts, rest);
}

}  // namespace

int Table::column(std::string_view column_name) const {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (same_name(columns[i].name, column_name)) return static_cast<int>(i);
  }
  return -1;
}

bool Table::in_key(int column_index) const { return std::find(key.begin(), key.end(), column_index) != key.end(); }

bool Table::has_escrow() const {
  return std::any_of(columns.begin(), columns.end(), [](const Column& one) { return one.escrow.has_value(); });
}

// Whatever else looks at the value would look at one of many that are possible.
std::string Table::escrow_objection(int column_index) const {
  const auto in = [&](const std::vector<int>& some) {
    return std::find(some.begin(), some.end(), column_index) != some.end();
  };
  if (columns[static_cast<std::size_t>(column_index)].affinity != Affinity::integer) return "it is no INTEGER";
  if (in_key(column_index)) return "it is in the primary key";
  if (has_checks) return "the table has a CHECK";
  if (has_triggers) return "the table has a trigger";
  if (coarse()) return "the table's rows cannot be locked one by one";
  for (const UniqueIndex& unique : uniques) {
    if (in(unique.columns)) return "it is UNIQUE";
  }
  for (const ForeignKey& foreign : foreign_keys) {
    if (in(foreign.child_columns)) return "it is in a foreign key";
  }
  for (const ForeignKey* foreign : referenced_by) {
    if (in(foreign->parent_columns)) return "a foreign key refers to it";
  }
  return {};
}

const Table* Schema::find(std::string_view name) const {
  auto it = tables_.find(name);
  if (it == tables_.end()) it = tables_.find(lower(name));
  return it == tables_.end() ? nullptr : it->second.get();
}

bool Schema::is_view(std::string_view name) const {
  return std::any_of(views_.begin(), views_.end(), [&](const std::string& view) { return same_name(view, name); });
}

Result<std::unique_ptr<Schema>> Schema::load(Database& db) {
  auto rows = objects(db);
  if (!rows) return fail(rows.error());
  return load(db, *rows);
}

Result<std::unique_ptr<Schema>> Schema::load(Database& db, const std::vector<Row>& objects) {
  std::unique_ptr<Schema> out(new Schema);
  out->load_objects(objects);
  for (const auto part : {&Schema::load_columns, &Schema::load_indexes, &Schema::load_foreign_keys}) {
    if (auto done = (out.get()->*part)(db); !done) return fail(done.error());
  }
  out->link_foreign_keys();
  return out;
}

Result<std::vector<Row>> Schema::objects(Database& db) {
  return db.rows(
      "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
      "ORDER BY type, name");
}

void Schema::load_objects(const std::vector<Row>& rows) {
  Digest user;
  Digest internal;
  for (const Row& row : rows) {
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
    table->has_checks = has_word(sql, "CHECK");
    table->is_virtual = read_statement(sql).virtual_table;
    tables_.emplace(lower(name), std::move(table));
  }
  for (const Row& row : rows) {
    if (text_of(row[0]) != "trigger") continue;
    if (const auto it = tables_.find(lower(text_of(row[2]))); it != tables_.end()) it->second->has_triggers = true;
  }
  fingerprint_ = user.value();
  internal_fingerprint_ = internal.value();
}

Table* Schema::table_of(const Row& row) {
  const auto found = tables_.find(lower(text_of(row.front())));
  return found == tables_.end() ? nullptr : found->second.get();
}

Result<void> Schema::load_columns(Database& db) {
  auto rows = db.rows(of_tables("l.strict, c.name, c.type, c.\"notnull\", c.pk, c.hidden",
                                "pragma_table_list(t.name) AS l CROSS JOIN pragma_table_xinfo(t.name) AS c",
                                "AND l.schema = 'main' ORDER BY t.name, c.cid"));
  if (!rows) return fail(rows.error());
  std::map<Table*, std::map<int, int>> keys;  // place in the key -> column
  for (const Row& row : *rows) {
    Table* table = table_of(row);
    if (table == nullptr) continue;
    if (int_of(row[6]) != 0) table->generated = true;
    if (int_of(row[5]) > 0) keys[table][int_of(row[5])] = static_cast<int>(table->columns.size());
    table->columns.push_back({.name = text_of(row[2]),
                              .affinity = affinity_of(text_of(row[3]), int_of(row[1]) != 0),
                              .may_be_null = int_of(row[4]) == 0});
    auto escrow = escrow_of(text_of(row[3]));
    if (escrow) table->columns.back().escrow = *escrow;
    if (!escrow) broken_.push_back(fmt::format("{}.{}: {}", table->name, text_of(row[2]), escrow.error().message));
  }
  for (const auto& [table, key] : keys) {
    for (const auto& [place, column] : key) table->key.push_back(column);
    // An INTEGER PRIMARY KEY is the rowid itself and has no index; load_indexes() takes this back when it finds one.
    if (table->key.size() == 1) table->rowid_column = table->key.front();
  }
  return {};
}

Result<void> Schema::load_indexes(Database& db) {
  auto rows = db.rows(of_tables("i.name, i.origin, i.partial, c.cid, c.coll",
                                "pragma_index_list(t.name) AS i CROSS JOIN pragma_index_xinfo(i.name) AS c",
                                "AND i.\"unique\" = 1 AND c.key = 1 ORDER BY t.name, i.name, c.seqno"));
  if (!rows) return fail(rows.error());
  for (std::size_t i = 0; i < rows->size();) {
    Table* table = table_of((*rows)[i]);
    const Row& first = (*rows)[i];
    UniqueIndex index{text_of(first[1]), {}};
    bool plain = true;
    for (; i < rows->size() && (*rows)[i][0] == first[0] && (*rows)[i][1] == first[1]; ++i) {
      const int column = int_of((*rows)[i][4]);
      index.columns.push_back(column);
      if (column < 0 || !same_name(text_of((*rows)[i][5]), "BINARY")) plain = false;
    }
    if (table == nullptr) continue;
    if (text_of(first[2]) == "pk") {
      table->rowid_column = -1;
      table->plain_key = plain;
    } else if (!plain || int_of(first[3]) != 0) {
      table->plain_unique = false;
    } else {
      table->uniques.push_back(std::move(index));
    }
  }
  return {};
}

Result<void> Schema::load_foreign_keys(Database& db) {
  auto rows = db.rows(of_tables("f.id, f.\"table\", f.\"from\", f.\"to\"", "pragma_foreign_key_list(t.name) AS f",
                                "ORDER BY t.name, f.id, f.seq"));
  if (!rows) return fail(rows.error());
  const Table* last_table = nullptr;
  int last = -1;
  for (const Row& row : *rows) {
    Table* table = table_of(row);
    if (table == nullptr) continue;
    const std::string parent = text_of(row[2]);
    if (table != last_table || int_of(row[1]) != last) {
      last_table = table;
      last = int_of(row[1]);
      ForeignKey& added = table->foreign_keys.emplace_back();
      added.child = table;
      added.parent = find(parent);
      if (reserved_name(parent))
        broken_.push_back(fmt::format("table {} refers to {}, which is reserved", table->name, parent));
    }
    ForeignKey& key = table->foreign_keys.back();
    key.child_columns.push_back(table->column(text_of(row[3])));
    key.parent_names.push_back(text_of(row[4]));  // empty: the parent's primary key
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
    for (std::size_t i = 0; i < table->columns.size(); ++i) {
      if (!table->columns[i].escrow) continue;
      const std::string why = table->escrow_objection(static_cast<int>(i));
      if (!why.empty()) return fmt::format("{}.{} cannot be ESCROW: {}", table->name, table->columns[i].name, why);
    }
  }
  return {};
}

}  // namespace assent::sql
