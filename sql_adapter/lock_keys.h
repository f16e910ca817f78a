// What the effects of SQL lock, and how the keys are spelt. The lock table compares keys for equality alone.
//
//   *                                the shard: intention modes for rows, exclusive for a change of the schema
//   t <table>                        a table
//   r <table> NUL <key values>       a row, present or absent, by its primary key
//   u <index> NUL <key values>       a value of a UNIQUE index
//
// Values are written by append_key_value(). Table and index names are those of the schema, whatever case a statement
// used; renaming needs the shard's exclusive lock, so that a name means one thing while anybody holds a lock with it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "sql_adapter/value.h"
#include "txn_proto/types.h"

namespace assent::sql {

[[nodiscard]] Bytes root_lock();
[[nodiscard]] Bytes table_lock(std::string_view table);
[[nodiscard]] Bytes row_lock(std::string_view table, std::string_view key);     // key: of key_of()
[[nodiscard]] Bytes unique_lock(std::string_view index, std::string_view key);  // key: of key_of()

// For people: the schema; table accounts; accounts('alice'); unique accounts_email('a@b.c'); a key of the key-value API
// as it is. Total.
[[nodiscard]] std::string show_lock(ByteView lock);

// Collects in any order; gives what Effects asks for: ascending by key, one per key, modes joined by cover().
class LockSet {
 public:
  void add(Bytes key, LockMode mode) { requests_.push_back({std::move(key), mode}); }
  [[nodiscard]] std::vector<LockRequest> take();

 private:
  std::vector<LockRequest> requests_;
};

}  // namespace assent::sql
