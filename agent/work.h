// What a branch does to a database: SQL statements with values, read from the payload of its Prepare.
//
//   {"statements": [{"sql": "UPDATE acct SET balance = balance - $1 WHERE id = $2", "params": [30, "alice"], "rows":
//   1}]}
//
// params: text, whole numbers, true, false, null; the placeholders are the database's own ($1, or ?). rows: how many
// the statement must find, or the branch is refused. Pure; whatever the bytes are, the answer is a Work or an Error.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace assent::agent {

enum class Dialect : std::uint8_t { postgres, mariadb };

using Value = std::variant<std::monostate, bool, std::int64_t, std::string>;

struct Statement {
  std::string sql;
  std::vector<Value> params;
  std::optional<std::uint64_t> rows;
};

struct Work {
  std::vector<Statement> statements;
};

inline constexpr std::size_t statements_max = 1'000;

// Error malformed: it cannot be read, and why. Error refused: a statement that has no place in a transaction that
// somebody else ends, as COMMIT, SET or (in MariaDB) CREATE TABLE.
[[nodiscard]] Result<Work> read_work(ByteView payload, Dialect dialect);

// What a database's client library takes beside a statement.
template <class List>
concept ValueList = std::default_initializable<List> && requires(List& list) {
  list.text(std::string_view());
  list.integer(std::int64_t{});
  list.null();
};
// truth: how the database writes true and false.
template <ValueList List, std::invocable<List&, bool> Truth>
[[nodiscard]] List values_as(const Statement& statement, const Truth& truth) {
  List out;
  for (const Value& value : statement.params) {
    if (const auto* const text = std::get_if<std::string>(&value)) {
      out.text(*text);
    } else if (const auto* const number = std::get_if<std::int64_t>(&value)) {
      out.integer(*number);
    } else if (const auto* const yes = std::get_if<bool>(&value)) {
      truth(out, *yes);
    } else {
      out.null();
    }
  }
  return out;
}

}  // namespace assent::agent
