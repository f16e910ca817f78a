// What a branch does to a database: SQL statements with values, read from the payload of its Prepare.
//
//   {"statements": [{"sql": "UPDATE acct SET balance = balance - $1 WHERE id = $2", "params": [30, "alice"], "rows":
//   1}]}
//
// params: text, whole numbers, true, false, null; the placeholders are the database's own ($1, or ?). rows: how many
// the statement must find, or the branch is refused. Pure; whatever the bytes are, the answer is a Work or an Error.
#pragma once

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

}  // namespace assent::agent
