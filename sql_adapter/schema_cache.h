// Schemas by their text. A Schema is a function of what sqlite_schema says and of nothing else, and asking SQLite for
// one takes longer than replaying fifty transactions; a store asks at its start, at each change of the schema, at each
// snapshot that it takes over, and mostly for one that it or its neighbour had before.
//
// And, for the same reason, a database in memory as it is before anything was stored in it.
//
// Holds a few and forgets all when they become too many; who uses one keeps it. Not thread-safe: shared by the stores
// of one loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "sql_adapter/schema.h"

namespace assent::sql {

class SchemaCache {
 public:
  // The schema that the database has now, inside a transaction or not.
  [[nodiscard]] Result<std::shared_ptr<const Schema>> load(Database& db);
  [[nodiscard]] std::size_t size() const { return schemas_.size(); }

  // Makes the database, which is in memory and empty, what these statements would make of it. They are run for the
  // first one; the others are copies. Always to be called with the same statements.
  [[nodiscard]] Result<void> fill(Database& empty, const std::string& statements);

  static constexpr std::size_t schemas_max = 64;

 private:
  std::map<std::string, std::shared_ptr<const Schema>, std::less<>> schemas_;  // by the whole text
  std::unique_ptr<Database> filled_;
};

}  // namespace assent::sql
