// What the work read and wrote, turned into locks and into the guards that check() holds against the state at apply.
//
// clang-format off
//   read by full primary key                  the row shared, the table intention_shared      guard: the row's hash, or its absence
//   anything else that is read                the table shared                                guard: the table's version
//   written rows                              the row exclusive, the table intention_exclusive  the row's old state is in the change
//   touched and left as it was                the row shared                                  guard: the row's hash, or its absence
//   UNIQUE values taken or given up           the value exclusive
//   a row of a child table                    the parent's key shared
//   a parent's row                            its key is exclusive already, as a row or as a UNIQUE value
//   a key that is only added to               the row in escrow                               none: the add is no part of the change
//   a table that cannot be locked by row      the table exclusive                             guard: the table's version
//     (Table::coarse), or with more written
//     rows than row_locks_max
// clang-format on
//
// The store's own tables have no table lock: nobody reads them as a whole. Pure. Called from evaluator.cc.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "sql_adapter/applier.h"
#include "sql_adapter/capture.h"
#include "sql_adapter/lock_keys.h"

namespace assent::sql {

class Footprint {
 public:
  // The key in the form in which the table stores it; when that is not certain the whole table is read.
  void read_row(const Table& table, const Row& key);
  void read_table(const Table& table) { whole_.insert(&table); }
  // A row to which is added without knowing its value.
  void count_row(const Table& table, Bytes key) { counted_[&table].insert(std::move(key)); }
  // Whether the work also does something else with a row of a user's table to which it adds.
  [[nodiscard]] bool meets_counted(const TouchedTables& touched) const;

  // Rows read by key that the work did not change, for their guards.
  using ReadRows = std::map<Bytes, Row>;  // by key_of()
  [[nodiscard]] const std::map<const Table*, ReadRows, ByTableName>& rows() const { return rows_; }

  // Locks of reads, and of writes when there were any.
  [[nodiscard]] std::vector<LockRequest> locks(const TouchedTables& touched, std::size_t row_locks_max) const;
  // Guards of what was read as a whole or written to coarse tables, and of rows touched but left; those of rows() are
  // the caller's, who looks them up. Views into this and into `touched`.
  [[nodiscard]] std::vector<Guard> guards(const TouchedTables& touched, const TableVersions& versions) const;

 private:
  std::map<const Table*, ReadRows, ByTableName> rows_;
  std::set<const Table*, ByTableName> whole_;
  std::map<const Table*, std::set<Bytes>, ByTableName> counted_;
};

// A value as a column of this affinity stores or compares it; nothing when that depends on more than we know.
[[nodiscard]] std::optional<SqlValue> as_stored(Affinity affinity, const SqlValue& value);

}  // namespace assent::sql
