// Columns declared ESCROW: numbers that many transactions add to at once (participant/escrow.h).
//
//   CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER ESCROW(0, 1000000) NOT NULL)
//
// The numbers are floor and ceiling, either may be left out from the right; they bind whoever writes the column. A
// plain `UPDATE t SET c = c + n WHERE key = k` of such columns alone adds in escrow. Its replicated effect is a
// CounterAdd, whose key names the column of a row; this file says how. A key of the key-value API names itself.
//
//   counter := NUL 'c' , table , NUL , column , NUL , record value *     -- of the primary key, in its order
//            | NUL 'k' , key                                             -- a key that begins with NUL
//            | key
//
// Pure. Called from evaluator.cc, schema.cc and sqlite_store.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sql_adapter/schema.h"
#include "sql_adapter/value.h"

namespace assent::sql {

constexpr const char* kv_table = "assent_kv";

[[nodiscard]] std::string counter_of_key(std::string_view key);
[[nodiscard]] std::string counter_of_column(const Table& table, int column, const Row& key);

// What a counter's name stands for in this schema. Total: nothing when it stands for nothing.
struct CounterPlace {
  const Table* table = nullptr;
  int column = -1;
  Row key;  // as stored, in key order
};
[[nodiscard]] std::optional<CounterPlace> find_counter(const Schema& schema, std::string_view name);
[[nodiscard]] std::string show(const CounterPlace& place);  // key 'n'; accounts.balance of 7

// The whole number in a counter's place; nothing when it is none. A key's value is text, and absent counts as 0.
[[nodiscard]] std::optional<std::int64_t> counter_in(const CounterPlace& place, std::span<const ValueView> row);
[[nodiscard]] std::optional<std::int64_t> decimal(ByteView text);

// Of the declared type of a column: nothing when it does not say ESCROW, an objection when it says it wrongly.
[[nodiscard]] Result<std::optional<EscrowBounds>> escrow_of(std::string_view type);

}  // namespace assent::sql
