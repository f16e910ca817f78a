// PostgreSQL for the tests: one server for a test program, and a database of its own for each Kind (database_kinds.h).
#pragma once

#include <fmt/format.h>
#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>

#include "service/postgres_barrier.h"
#include "tests/service/database_server.h"

namespace assent::service::testing {

class PostgresKind {
 public:
  using Connection = PGconn;
  static constexpr int histories = 6;

  PostgresKind();
  ~PostgresKind();
  PostgresKind(const PostgresKind&) = delete;
  PostgresKind& operator=(const PostgresKind&) = delete;

  [[nodiscard]] static DatabaseServer& server();
  [[nodiscard]] static std::string conninfo(const std::string& database);
  // Waits for a server that is starting.
  [[nodiscard]] static PGconn* connect(const std::string& database);

  [[nodiscard]] Result<std::unique_ptr<PostgresBarrier>> open() {
    return PostgresBarrier::open({.conninfo = conninfo(name_)});
  }
  [[nodiscard]] PGconn& look() { return *look_; }
  // After the server was killed.
  void look_again();
  [[nodiscard]] const std::string& name() const { return name_; }

  static void execute(PGconn& connection, const std::string& sql);
  static bool try_execute(PGconn& connection, const std::string& sql);
  static std::int64_t number(PGconn& connection, const std::string& sql);

 private:
  std::string name_;
  PGconn* look_ = nullptr;
};

}  // namespace assent::service::testing
