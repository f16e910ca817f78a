// The schema as the store needs it: for each table its primary key, what its values obey (UNIQUE, foreign keys,
// collations), and a fingerprint of the whole text. Read from SQLite after each change of the schema; a value in
// between.
//
// Deterministic: equal schema text gives equal content in equal order on every replica. Pointers to Table, UniqueIndex
// and ForeignKey live as long as the Schema.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sql_adapter/database.h"

namespace assent::sql {

// How a column changes what is stored in it or compared with it (https://sqlite.org/datatype3.html, 3.1).
enum class Affinity : std::uint8_t { none, text, numeric, integer, real };

// Of a column declared ESCROW (sql_adapter/counters.h).
struct EscrowBounds {
  std::optional<std::int64_t> floor;
  std::optional<std::int64_t> ceiling;
  bool operator==(const EscrowBounds&) const = default;
};

struct Column {
  std::string name;
  Affinity affinity = Affinity::none;
  bool may_be_null = true;
  std::optional<EscrowBounds> escrow = std::nullopt;
};

struct UniqueIndex {
  std::string name;
  std::vector<int> columns;
};

struct Table;

struct ForeignKey {
  std::string words;  // transfers.account -> accounts.id
  const Table* child = nullptr;
  std::vector<int> child_columns;
  std::string parent_table_name;
  std::vector<std::string> parent_names;   // columns as declared; empty strings: the parent's primary key
  const Table* parent = nullptr;           // nullptr: there is no such table (yet)
  std::vector<int> parent_columns;         // of the parent, in the order of child_columns
  bool to_primary_key = false;             // parent_columns are the primary key, as a set
  const UniqueIndex* to_unique = nullptr;  // or those of this index
};

struct Table {
  std::string name;
  std::vector<Column> columns;
  std::vector<int> key;    // columns of the primary key, in its order; empty: there is none
  int rowid_column = -1;   // the INTEGER PRIMARY KEY, when that is the key
  bool internal = false;   // assent_...
  bool generated = false;  // has generated columns
  bool is_virtual = false;
  bool plain_key = true;         // compared byte by byte (BINARY)
  bool plain_unique = true;      // all UNIQUE indexes are on whole columns, BINARY and without a WHERE
  bool skips_conflicts = false;  // ON CONFLICT IGNORE somewhere
  bool has_triggers = false;
  bool has_checks = false;
  std::vector<UniqueIndex> uniques;  // the plain ones, besides the primary key; ascending by name
  std::vector<ForeignKey> foreign_keys;
  std::vector<const ForeignKey*> referenced_by;

  // Values cannot be locked one by one: whoever writes locks the table.
  [[nodiscard]] bool coarse() const { return !plain_key || !plain_unique; }
  // Triggers or foreign keys act when its rows change.
  [[nodiscard]] bool enforced() const { return has_triggers || !foreign_keys.empty() || !referenced_by.empty(); }
  [[nodiscard]] int column(std::string_view column_name) const;  // -1: none
  [[nodiscard]] bool in_key(int column_index) const;
  // Why this column, declared ESCROW, cannot be added to without knowing its value; empty when it can.
  [[nodiscard]] std::string escrow_objection(int column_index) const;
  [[nodiscard]] bool has_escrow() const;
};

class Schema {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Schema>> load(Database& db);
  // What sqlite_schema says, but for SQLite's own objects: equal rows, equal schemas.
  [[nodiscard]] static Result<std::vector<Row>> objects(Database& db);
  // ... when it has been asked for that already, in the same transaction.
  [[nodiscard]] static Result<std::unique_ptr<Schema>> load(Database& db, const std::vector<Row>& objects);
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;

  [[nodiscard]] const Table* find(std::string_view name) const;  // in any case; nullptr: no such table
  [[nodiscard]] bool is_view(std::string_view name) const;
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Table>, std::less<>>& tables() const { return tables_; }
  // XXH3-64 of names and SQL text of everything but the store's own tables.
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }
  // The same of the store's own tables, which no user may change.
  [[nodiscard]] std::uint64_t internal_fingerprint() const { return internal_fingerprint_; }
  // Why a replicated shard cannot have this schema; empty when it can.
  [[nodiscard]] std::string objection() const;

 private:
  Schema() = default;
  void load_objects(const std::vector<Row>& rows);
  [[nodiscard]] Result<void> load_columns(Database& db);
  [[nodiscard]] Result<void> load_indexes(Database& db);
  [[nodiscard]] Result<void> load_foreign_keys(Database& db);
  // The table that the first column of a row names; nullptr: none of ours.
  [[nodiscard]] Table* table_of(const Row& row);
  void link_foreign_keys();
  void link(ForeignKey& key);

  std::map<std::string, std::unique_ptr<Table>, std::less<>> tables_;  // by name in lower case
  std::vector<std::string> views_;
  std::vector<std::string> broken_;  // objections found on the way
  std::uint64_t fingerprint_ = 0;
  std::uint64_t internal_fingerprint_ = 0;
};

}  // namespace assent::sql
