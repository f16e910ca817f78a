// Statements on a PostgreSQL connection, as values: libpq with owners and Errors. Internal to service/ and agent/. Not
// thread-safe: one connection, one thread at a time.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace assent::service::postgres {

struct Close {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Handle = std::unique_ptr<PGconn, Close>;

// What a statement gave.
class Rows {
 public:
  explicit Rows(PGresult* result) : result_(result) {}
  [[nodiscard]] int count() const { return PQntuples(result_.get()); }
  [[nodiscard]] bool null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  [[nodiscard]] std::string text(int row, int column) const;
  [[nodiscard]] std::int64_t number(int row, int column) const;
  [[nodiscard]] std::optional<std::int64_t> number_or_null(int row, int column) const;
  [[nodiscard]] Bytes bytes(int row, int column) const;
  [[nodiscard]] std::string command() const { return PQcmdStatus(result_.get()); }   // "COMMIT", "UPDATE 1"
  [[nodiscard]] std::string affected() const { return PQcmdTuples(result_.get()); }  // empty: it is not counted
  [[nodiscard]] const PGresult* raw() const { return result_.get(); }

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

// $1, $2, ... in the order that they are added.
class Parameters {
 public:
  Parameters& text(std::string_view value) { return add(std::string(value), 0); }
  Parameters& blob(std::string_view value) { return add(std::string(value), 1); }
  Parameters& integer(std::optional<std::int64_t> value) {
    return value ? add(std::to_string(*value), 0) : add(std::nullopt, 0);
  }
  Parameters& null() { return add(std::nullopt, 0); }

  // One statement; what came of it is for the caller to look at.
  [[nodiscard]] Rows run(PGconn* connection, const char* text) const;
  // Sent and not waited for, as a statement or by the name of a prepared one. False: it could not be sent.
  [[nodiscard]] bool send(PGconn* connection, const char* text) const;
  [[nodiscard]] bool send_prepared(PGconn* connection, const char* name) const;
  [[nodiscard]] bool empty() const { return values_.empty(); }

 private:
  struct Raw {
    std::vector<const char*> values;
    std::vector<int> lengths;
  };
  [[nodiscard]] Raw raw() const;
  Parameters& add(std::optional<std::string> value, int format);

  std::vector<std::optional<std::string>> values_;
  std::vector<int> formats_;
};

// "" when it succeeded, or when the connection was lost.
[[nodiscard]] std::string sqlstate(const Rows& rows);
[[nodiscard]] std::string first_line(const char* text);

// Errors as LocalTransaction has them, and not_found of an object that is not there, refused of a missing right.
[[nodiscard]] Result<Rows> judged(PGconn* connection, Rows rows, std::string_view doing);
[[nodiscard]] Result<Rows> execute(PGconn* connection, const char* text, const Parameters& parameters);
// May be several statements.
[[nodiscard]] Result<void> execute(PGconn* connection, const char* text);
[[nodiscard]] Result<std::vector<std::string>> single_column(PGconn* connection, const char* text,
                                                             const Parameters& parameters);

struct ConnectOptions {
  std::string conninfo = {};
  std::chrono::milliseconds patience{5'000};  // for the connection, and for locks
  const char* name = "assent";                // application_name, unless the conninfo has one
};
[[nodiscard]] Result<Handle> connect(const ConnectOptions& options);
// What connect() sets, again after a reset.
[[nodiscard]] Result<void> configure(PGconn& connection, std::chrono::milliseconds patience);

}  // namespace assent::service::postgres
