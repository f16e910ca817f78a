// Which rows the work touched, told by SQLite's pre-update hook, and what they were before and became after. The hook
// only names the rows; their values are read back through SELECT, before and after the rollback, so that a change holds
// exactly what any reader on any replica sees (defaults of added columns and type affinity included), and several
// touches of one row come out as their net effect. A row that was touched and came out as it was is kept: the work
// depended on it.
//
// SQLite's session extension stands on the same hook. It is not used itself because it prepares statements anew for
// each capture (65 us instead of 9 for a transfer, bench/sql_bench.cc), passes over rows with NULL in their key, and is
// silent about rows that came out as they were. The tests compare with it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "sql_adapter/change_format.h"
#include "sql_adapter/database.h"
#include "sql_adapter/rows.h"
#include "sql_adapter/schema.h"

namespace assent::sql {

struct TouchedRow {
  Row key;
  std::optional<Row> before;
  std::optional<Row> after;

  [[nodiscard]] bool changed() const;
};

struct ByTableName {
  bool operator()(const Table* a, const Table* b) const { return a->name < b->name; }
};
using TouchedRows = std::map<Bytes, TouchedRow>;  // by key_of() of the primary key
using TouchedTables = std::map<const Table*, TouchedRows, ByTableName>;

class Capture final : public RowWatcher {
 public:
  Capture(Database& db, const Schema& schema, std::size_t bytes_max)
      : db_(db), schema_(schema), bytes_max_(bytes_max) {}

  void touched(int op, std::string_view table, std::int64_t old_rowid, std::int64_t new_rowid) override;

  // Called while the work's effects are in sight, and after they were rolled back.
  [[nodiscard]] Result<void> read_after(Rows& rows);
  [[nodiscard]] Result<void> read_before(Rows& rows);

  [[nodiscard]] const TouchedTables& tables() const { return tables_; }
  [[nodiscard]] bool too_large() const { return too_large_; }  // and the statement was interrupted
  // Tables of which a row had NULL in its primary key for a while; whether one still has, the rows say.
  [[nodiscard]] const std::set<const Table*, ByTableName>& null_keys() const { return null_keys_; }
  [[nodiscard]] std::int64_t touches() const { return touches_; }
  // Net effects, as views into this.
  [[nodiscard]] std::vector<TableChange> changes() const;

 private:
  void add(const Table& table, bool old, std::int64_t rowid);

  Database& db_;
  const Schema& schema_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::int64_t touches_ = 0;
  bool too_large_ = false;
  std::set<const Table*, ByTableName> null_keys_;
  const Table* last_ = nullptr;
  TouchedTables tables_;
};

}  // namespace assent::sql
