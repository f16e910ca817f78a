// What one evaluation has gathered, shared by the files that run the kinds of operations. Private to the evaluator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "sql_adapter/capture.h"
#include "sql_adapter/evaluator.h"
#include "sql_adapter/footprint.h"

namespace assent::sql {

struct Evaluator::Run {
  Run(Database& db, const Schema& the_schema, const SqliteOptions& options, bool may_write)
      : schema(the_schema), writable(may_write), capture(db, the_schema, options.change_bytes_max) {}

  const Schema& schema;
  bool writable;
  bool wrote = false;  // a savepoint is open
  struct Counter {
    std::int64_t value = 0;
    CounterAdd add;
    std::string name;  // for people
  };

  Capture capture;
  Footprint footprint;
  bool counts = true;                        // columns declared ESCROW may be added to without being read
  bool counted = false;                      // and one was
  std::set<std::string_view> counters = {};  // keys that are only added to
  std::map<std::string, Counter> adds = {};
  Row key_in_use;  // of the point read at hand
  WorkResult result;
  std::size_t result_bytes = 0;
};

// While alive: users' limits hold, and what their statements touch is captured.
class UserMode {
 public:
  UserMode(Database& db, RowWatcher* watcher, const SqliteOptions& options) : db_(db) {
    db_.watch(watcher);
    db_.limit(options.instructions_max, options.value_bytes_max);
  }
  ~UserMode() {
    db_.unlimited();
    db_.watch(nullptr);
  }
  UserMode(const UserMode&) = delete;
  UserMode& operator=(const UserMode&) = delete;

 private:
  Database& db_;
};

}  // namespace assent::sql
