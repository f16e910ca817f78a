// Judges a change against the rows as they are, and makes it. The same answer and words on every replica, because both
// look at nothing but rows, schema text and table versions.
//
// Why check() is enough: a transaction's locks are taken when its prepare is applied, but its work was run earlier on
// the leader. check() proves that every row it wrote or read is still as it was, every table it read as a whole is at
// the same version, every UNIQUE value it takes is free, and no foreign key breaks. From then on its locks keep it so,
// and install() cannot fail for content.
//
// It does not know of savepoints, commits or records: sqlite_store.cc does. Called from there.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sql_adapter/change_format.h"
#include "sql_adapter/rows.h"

namespace assent::sql {

// How often rows of a table were changed, by name.
using TableVersions = std::map<std::string, std::uint64_t, std::less<>>;

class Applier {
 public:
  Applier(Database& db, Rows& rows) : db_(db), rows_(rows) {}

  // conflict, with the thing that stands against it; io and corruption are the disk's.
  [[nodiscard]] Result<void> check(const Schema& schema, const TableVersions& versions, const RowsChange& change);
  // Counts the versions up. corruption when the change does not fit after all.
  [[nodiscard]] Result<void> install(const Schema& schema, TableVersions& versions, const RowsChange& change);

 private:
  struct Judged;
  struct JudgedRows;
  [[nodiscard]] Result<void> check_guard(const Schema& schema, const TableVersions& versions, const Guard& guard);
  [[nodiscard]] Result<void> check_row(const Table& table, const TableChange& change, const RowChange& row,
                                       Judged* judged);
  [[nodiscard]] Result<void> check_unique(const Judged& row, JudgedRows& all);
  [[nodiscard]] Result<void> check_parents(const Judged& row, JudgedRows& all);
  [[nodiscard]] Result<void> check_children(const Judged& row, JudgedRows& all);
  [[nodiscard]] Result<void> install_table(const Table& table, const TableChange& change);
  [[nodiscard]] Result<void> replace_rows(const Table& table, const std::vector<const RowChange*>& updates);

  Database& db_;
  Rows& rows_;
};

}  // namespace assent::sql
