// Statements on a MariaDB connection, as values: libmariadb with owners and Errors. Internal to service/ and agent/.
// Not thread-safe: one connection, one thread at a time.
//
// Its connections keep the statements with values that they have met, prepared at the server: the next time such a
// statement is one request and not two. The least used of many go.
//
// Its connections have autocommit off: when the server takes a transaction back by itself (a deadlock), what comes
// after is in a transaction again, and a rollback takes it back as well. They count the rows that a statement found,
// not those that it changed, as other databases do.
#pragma once

#include <mysql.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace assent::service::mariadb {

struct Close {
  void operator()(MYSQL* connection) const;
};
using Handle = std::unique_ptr<MYSQL, Close>;

// Where a database is. A socket is taken before host and port.
struct Address {
  std::string host = "127.0.0.1";
  std::uint16_t port = 3306;
  std::string socket = {};
  std::string user = {};
  std::string password = {};
  std::string database = {};
};

// What a statement gave: its rows as text, and how many it found to change.
struct Rows {
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::uint64_t affected = 0;

  [[nodiscard]] int count() const { return static_cast<int>(rows.size()); }
  [[nodiscard]] std::string text(std::size_t row, std::size_t column) const { return rows[row][column].value_or(""); }
  [[nodiscard]] std::int64_t number(std::size_t row, std::size_t column) const;
  [[nodiscard]] std::optional<std::int64_t> number_or_null(std::size_t row, std::size_t column) const;
};

// A statement that failed: the server's number (or the library's, from 2000 on), SQLSTATE and words.
struct Failure {
  unsigned number = 0;
  std::string state;
  std::string said;
};
[[nodiscard]] Failure failure_of(MYSQL* connection);
[[nodiscard]] bool lost(unsigned number);  // with the connection
// Errors as LocalTransaction has them, and not_found of an unknown XA transaction, refused of a missing right.
[[nodiscard]] Error error_of(const Failure& failure, std::string_view doing);

// The values of ?, in their order.
class Parameters {
 public:
  Parameters& text(std::string_view value) { return add({Kind::text, std::string(value), 0}); }
  Parameters& blob(std::string_view value) { return add({Kind::blob, std::string(value), 0}); }
  Parameters& integer(std::optional<std::int64_t> value) {
    return value ? add({Kind::integer, {}, *value}) : add({Kind::null, {}, 0});
  }
  Parameters& null() { return add({Kind::null, {}, 0}); }

  // One statement. The failure, when there is one, is for the caller to look at.
  [[nodiscard]] tl::expected<Rows, Failure> run(MYSQL* connection, std::string_view text) const;

 private:
  enum class Kind : std::uint8_t { text, blob, integer, null };
  struct Value {
    Kind kind;
    std::string bytes;
    std::int64_t number;
  };
  Parameters& add(Value value);
  [[nodiscard]] tl::expected<Rows, Failure> run(MYSQL_STMT* statement) const;

  std::vector<Value> values_;
};

[[nodiscard]] Result<Rows> execute(MYSQL* connection, std::string_view text, const Parameters& parameters);
// Without values, and what prepared statements do not take (XA).
[[nodiscard]] Result<Rows> execute(MYSQL* connection, std::string_view text);
[[nodiscard]] tl::expected<Rows, Failure> run_plain(MYSQL* connection, std::string_view text);
[[nodiscard]] Result<std::vector<std::string>> single_column(MYSQL* connection, std::string_view text);

// patience: for the connection, and (in whole seconds, at least one) for locks.
[[nodiscard]] Result<Handle> connect(const Address& address, std::chrono::milliseconds patience);
// Fit for another use: not lost, outside of a transaction, as connect() left it.
[[nodiscard]] bool idle(MYSQL* connection);

}  // namespace assent::service::mariadb
