#include "service/mariadb_connection.h"

#include <errmsg.h>
#include <fmt/format.h>
#include <mysqld_error.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace assent::service::mariadb {

namespace {

constexpr unsigned access_denied[] = {ER_DBACCESS_DENIED_ERROR,        ER_ACCESS_DENIED_ERROR,
                                      ER_TABLEACCESS_DENIED_ERROR,     ER_COLUMNACCESS_DENIED_ERROR,
                                      ER_SPECIFIC_ACCESS_DENIED_ERROR, ER_PROCACCESS_DENIED_ERROR};

ErrorCode code_of(unsigned number) {
  if (number == ER_LOCK_DEADLOCK) return ErrorCode::conflict;  // the whole transaction was taken back
  if (number == ER_LOCK_WAIT_TIMEOUT || number == ER_CON_COUNT_ERROR) return ErrorCode::busy;
  if (number == ER_XAER_NOTA) return ErrorCode::not_found;
  if (number == ER_NOT_KEYFILE || number == ER_CRASHED_ON_USAGE) return ErrorCode::corruption;
  const bool denied = std::find(std::begin(access_denied), std::end(access_denied), number) != std::end(access_denied);
  return denied ? ErrorCode::refused : ErrorCode::io;
}

std::int64_t to_number(const std::string& digits) {
  std::int64_t out = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

struct CloseStatement {
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};
using Statement = std::unique_ptr<MYSQL_STMT, CloseStatement>;

Failure failure_of(MYSQL_STMT* statement) {
  return {mysql_stmt_errno(statement), mysql_stmt_sqlstate(statement), mysql_stmt_error(statement)};
}

using FlagByte = my_bool;

// One row after the other: lengths first, then each column into a buffer of that length.
tl::expected<Rows, Failure> read_rows(MYSQL_STMT* statement) {
  Rows out;
  const unsigned columns = mysql_stmt_field_count(statement);
  out.affected = mysql_stmt_affected_rows(statement);
  if (columns == 0) return out;
  std::vector<MYSQL_BIND> binds(columns);
  std::vector<unsigned long> lengths(columns);
  std::vector<FlagByte> nulls(columns);
  for (unsigned i = 0; i < columns; ++i) {
    binds[i] = {};
    binds[i].buffer_type = MYSQL_TYPE_STRING;
    binds[i].length = &lengths[i];
    binds[i].is_null = &nulls[i];
  }
  if (mysql_stmt_bind_result(statement, binds.data()) != 0) return tl::unexpected(failure_of(statement));
  if (mysql_stmt_store_result(statement) != 0) return tl::unexpected(failure_of(statement));
  for (;;) {
    const int got = mysql_stmt_fetch(statement);
    if (got == MYSQL_NO_DATA) return out;
    if (got == 1) return tl::unexpected(failure_of(statement));
    std::vector<std::optional<std::string>> row(columns);
    for (unsigned i = 0; i < columns; ++i) {
      if (nulls[i] != 0) continue;
      std::string value(lengths[i], '\0');
      MYSQL_BIND one{};
      one.buffer_type = MYSQL_TYPE_STRING;
      one.buffer = value.data();
      one.buffer_length = lengths[i];
      if (lengths[i] > 0 && mysql_stmt_fetch_column(statement, &one, i, 0) != 0) {
        return tl::unexpected(failure_of(statement));
      }
      row[i] = std::move(value);
    }
    out.rows.push_back(std::move(row));
  }
}

constexpr std::size_t kept_max = 50;
constexpr const char* kept_key = "assent_statements";

// The statements that a connection has prepared, by their text. Belongs to the connection.
class KeptStatements {
 public:
  [[nodiscard]] MYSQL_STMT* find(std::string_view text) {
    const auto found = kept_.find(text);
    if (found == kept_.end()) return nullptr;
    found->second.used = ++uses_;
    return found->second.statement.get();
  }
  void keep(std::string_view text, Statement statement) {
    if (kept_.size() >= kept_max) {
      kept_.erase(std::min_element(kept_.begin(), kept_.end(),
                                   [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
    }
    kept_.insert_or_assign(std::string(text), Kept{std::move(statement), ++uses_});
  }
  void drop(std::string_view text) {
    if (const auto found = kept_.find(text); found != kept_.end()) kept_.erase(found);
  }

 private:
  struct Kept {
    Statement statement;
    std::uint64_t used = 0;
  };
  std::map<std::string, Kept, std::less<>> kept_;
  std::uint64_t uses_ = 0;
};

// Null for a connection that connect() did not make.
KeptStatements* kept_by(MYSQL* connection) {
  void* kept = nullptr;
  // The library takes what it only reads by a pointer to what could be written.
  mysql_get_optionv(connection, MARIADB_OPT_USERDATA, const_cast<char*>(kept_key), &kept);
  return static_cast<KeptStatements*>(kept);
}

// The server does not know it any more, or what it is about has changed: nothing was done.
bool forgotten(const Failure& failure) {
  return failure.number == ER_UNKNOWN_STMT_HANDLER || failure.number == ER_NEED_REPREPARE;
}

// Results that nobody asked for (of a procedure) must be taken before the next statement.
void drain(MYSQL* connection) {
  while (mysql_more_results(connection) != 0 && mysql_next_result(connection) == 0) {
    if (MYSQL_RES* const result = mysql_use_result(connection)) mysql_free_result(result);
  }
}

}  // namespace

std::int64_t Rows::number(std::size_t row, std::size_t column) const { return to_number(text(row, column)); }
std::optional<std::int64_t> Rows::number_or_null(std::size_t row, std::size_t column) const {
  return rows[row][column] ? std::optional(to_number(*rows[row][column])) : std::nullopt;
}

Failure failure_of(MYSQL* connection) {
  return {mysql_errno(connection), mysql_sqlstate(connection), mysql_error(connection)};
}

bool lost(unsigned number) {
  return number == CR_SERVER_GONE_ERROR || number == CR_SERVER_LOST || number == CR_SERVER_LOST_EXTENDED ||
         number == ER_CONNECTION_KILLED || number == ER_SERVER_SHUTDOWN || number == CR_COMMANDS_OUT_OF_SYNC;
}

Error error_of(const Failure& failure, std::string_view doing) {
  return {code_of(failure.number),
          fmt::format("MariaDB, {}: {}", doing.substr(0, 60),
                      failure.said.empty() ? "the connection is lost" : failure.said),
          {}};
}

Parameters& Parameters::add(Value value) {
  values_.push_back(std::move(value));
  return *this;
}

void Close::operator()(MYSQL* connection) const {
  delete kept_by(connection);
  mysql_close(connection);
}

tl::expected<Rows, Failure> Parameters::run(MYSQL* connection, std::string_view text) const {
  KeptStatements* const kept = values_.empty() ? nullptr : kept_by(connection);  // others are hardly met twice
  if (MYSQL_STMT* const known = kept == nullptr ? nullptr : kept->find(text)) {
    auto rows = run(known);
    if (!rows) kept->drop(text);
    if (rows || !forgotten(rows.error())) return rows;
  }
  Statement statement(mysql_stmt_init(connection));
  if (!statement) return tl::unexpected(mariadb::failure_of(connection));
  if (mysql_stmt_prepare(statement.get(), text.data(), text.size()) != 0) {
    return tl::unexpected(failure_of(statement.get()));
  }
  if (mysql_stmt_param_count(statement.get()) != values_.size()) {
    return tl::unexpected(Failure{ER_WRONG_ARGUMENTS, "HY000",
                                  fmt::format("the statement takes {} values, and {} are given",
                                              mysql_stmt_param_count(statement.get()), values_.size())});
  }
  auto rows = run(statement.get());
  if (rows && kept != nullptr) kept->keep(text, std::move(statement));
  return rows;
}

tl::expected<Rows, Failure> Parameters::run(MYSQL_STMT* statement) const {
  std::vector<MYSQL_BIND> binds(values_.size());
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const Value& value = values_[i];
    MYSQL_BIND& bind = binds[i];
    bind = {};
    // The library takes what it only reads by a pointer to what could be written.
    bind.buffer = const_cast<char*>(value.bytes.data());
    bind.buffer_length = value.bytes.size();
    bind.buffer_type = value.kind == Kind::blob ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
    if (value.kind == Kind::integer) {
      bind.buffer_type = MYSQL_TYPE_LONGLONG;
      bind.buffer = const_cast<std::int64_t*>(&value.number);
    }
    if (value.kind == Kind::null) bind.buffer_type = MYSQL_TYPE_NULL;
  }
  if (!binds.empty() && mysql_stmt_bind_param(statement, binds.data()) != 0) {
    return tl::unexpected(failure_of(statement));
  }
  if (mysql_stmt_execute(statement) != 0) return tl::unexpected(failure_of(statement));
  auto rows = read_rows(statement);
  while (mysql_stmt_more_results(statement) != 0 && mysql_stmt_next_result(statement) == 0) {
    mysql_stmt_free_result(statement);
  }
  mysql_stmt_free_result(statement);
  return rows;
}

Result<Rows> execute(MYSQL* connection, std::string_view text, const Parameters& parameters) {
  auto rows = parameters.run(connection, text);
  if (!rows) return fail(error_of(rows.error(), text));
  return std::move(*rows);
}

tl::expected<Rows, Failure> run_plain(MYSQL* connection, std::string_view text) {
  if (mysql_real_query(connection, text.data(), text.size()) != 0) return tl::unexpected(failure_of(connection));
  Rows out;
  MYSQL_RES* const result = mysql_store_result(connection);
  if (result == nullptr) {
    if (mysql_field_count(connection) > 0) return tl::unexpected(failure_of(connection));
    out.affected = mysql_affected_rows(connection);
  } else {
    const unsigned columns = mysql_num_fields(result);
    while (const MYSQL_ROW row = mysql_fetch_row(result)) {
      const unsigned long* const lengths = mysql_fetch_lengths(result);
      std::vector<std::optional<std::string>> values(columns);
      for (unsigned i = 0; i < columns; ++i) {
        if (row[i] != nullptr) values[i] = std::string(row[i], lengths[i]);
      }
      out.rows.push_back(std::move(values));
    }
    mysql_free_result(result);
  }
  drain(connection);
  return out;
}

Result<Rows> execute(MYSQL* connection, std::string_view text) {
  auto rows = run_plain(connection, text);
  if (!rows) return fail(error_of(rows.error(), text));
  return std::move(*rows);
}

Result<std::vector<std::string>> single_column(MYSQL* connection, std::string_view text) {
  const auto rows = execute(connection, text);
  if (!rows) return fail(rows.error());
  std::vector<std::string> out;
  for (std::size_t i = 0; i < rows->rows.size(); ++i) out.push_back(rows->text(i, 0));
  return out;
}

Result<Handle> connect(const Address& address, std::chrono::milliseconds patience) {
  static const int ready = mysql_library_init(0, nullptr, nullptr);  // not thread-safe by itself
  Handle out(mysql_init(nullptr));
  if (ready != 0 || !out) return fail(ErrorCode::io, "libmariadb cannot be initialized");
  auto kept = std::make_unique<KeptStatements>();
  if (mysql_optionsv(out.get(), MARIADB_OPT_USERDATA, kept_key, static_cast<void*>(kept.get())) != 0) {
    return fail(ErrorCode::io, "libmariadb cannot be initialized");
  }
  static_cast<void>(kept.release());  // the connection's, from now on
  const auto seconds =
      static_cast<unsigned>(std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(patience).count()));
  mysql_options(out.get(), MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
  mysql_options(out.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  const bool by_socket = !address.socket.empty();
  if (mysql_real_connect(out.get(), by_socket ? nullptr : address.host.c_str(), address.user.c_str(),
                         address.password.c_str(), address.database.c_str(), by_socket ? 0 : address.port,
                         by_socket ? address.socket.c_str() : nullptr, CLIENT_FOUND_ROWS) == nullptr) {
    const Failure failure = failure_of(out.get());
    return fail(
        code_of(failure.number),
        fmt::format("MariaDB at {} cannot be reached: {}",
                    by_socket ? address.socket : fmt::format("{}:{}", address.host, address.port), failure.said));
  }
  const auto set = execute(
      out.get(), fmt::format("SET SESSION autocommit = 0, innodb_lock_wait_timeout = {0}, lock_wait_timeout = {0}, "
                             "sql_mode = TRIM(BOTH ',' FROM CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')), "
                             "tx_isolation = 'READ-COMMITTED'",
                             seconds));
  if (!set) return fail(set.error());
  return out;
}

bool idle(MYSQL* connection) {
  unsigned status = 0;
  mariadb_get_infov(connection, MARIADB_CONNECTION_SERVER_STATUS, &status);
  constexpr unsigned in_transaction = SERVER_STATUS_IN_TRANS;
  constexpr unsigned autocommit = SERVER_STATUS_AUTOCOMMIT;
  return !lost(mysql_errno(connection)) && (status & (in_transaction | autocommit)) == 0;
}

}  // namespace assent::service::mariadb
