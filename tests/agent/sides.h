// What the agent's tests need of each database besides its Kind (tests/service/database_kinds.h).
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <memory>
#include <string>

#include "agent/agent.h"
#include "agent/mariadb_database.h"
#include "agent/postgres_database.h"
#include "tests/service/mariadb_kind.h"
#include "tests/service/postgres_kind.h"

namespace assent::agent::testing {

using service::testing::MariadbKind;
using service::testing::PostgresKind;

struct Postgres {
  using Kind = PostgresKind;
  static std::string branch_name() { return "b"; }  // with which a branch is prepared at once
  static std::string url(const std::string& database, int port = 0, const std::string& user = "postgres") {
    return fmt::format("postgres://{}@127.0.0.1:{}/{}", user, port == 0 ? Kind::server().port() : port, database);
  }
  static Result<std::unique_ptr<PostgresDatabase>> database(const std::string& name) {
    return PostgresDatabase::open(
        {.conninfo = url(name), .connections = 3, .times = {.lock = std::chrono::milliseconds(200)}});
  }
  static std::string placeholder(int number) { return fmt::format("${}", number); }
  static std::int64_t prepared(PGconn& look) {
    return Kind::number(look, "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()");
  }
  // Somebody else's, and its end.
  static void prepare_foreign(PGconn& look, const std::string& gid) {
    Kind::execute(look, "BEGIN; INSERT INTO notes VALUES('foreign'); PREPARE TRANSACTION '" + gid + "'");
  }
  static void roll_back(PGconn& look, const std::string& gid) {
    Kind::execute(look, "ROLLBACK PREPARED '" + gid + "'");
  }
};

// A name that is too long for a promise (agent/promise.h): such a branch is prepared in steps.
struct PostgresInSteps : Postgres {
  static std::string branch_name() { return std::string(80, 'b'); }
};

struct Mariadb {
  using Kind = MariadbKind;
  static std::string branch_name() { return "b"; }
  static std::string url(const std::string& database, int port = 0, const std::string& user = "root") {
    return fmt::format("mariadb://{}@127.0.0.1:{}/{}", user, port == 0 ? Kind::server().port() : port, database);
  }
  static Result<std::unique_ptr<MariadbDatabase>> database(const std::string& name) {
    return MariadbDatabase::open(
        {.address = Kind::address(name), .connections = 3, .times = {.lock = std::chrono::milliseconds(200)}});
  }
  static std::string placeholder(int) { return "?"; }
  static std::int64_t prepared(MYSQL& look) {
    return static_cast<std::int64_t>(service::mariadb::execute(&look, "XA RECOVER").value().rows.size());
  }
  static std::string xid(const std::string& gid) {
    const auto ours = gid_from(gid);
    return ours ? fmt::format("'{}','{}'", ours->gtrid(), ours->bqual()) : "'" + gid + "'";
  }
  static void prepare_foreign(MYSQL& look, const std::string& gid) {
    for (const char* const step : {"XA START ", "INSERT INTO notes VALUES('foreign')", "XA END ", "XA PREPARE "}) {
      Kind::execute(look, std::string_view(step).starts_with("XA") ? step + xid(gid) : step);
    }
  }
  static void roll_back(MYSQL& look, const std::string& gid) { Kind::execute(look, "XA ROLLBACK " + xid(gid)); }
};

class SideNames {
 public:
  template <class Side>
  static std::string GetName(int) {
    if (std::same_as<Side, Mariadb>) return "Mariadb";
    return std::same_as<Side, Postgres> ? "Postgres" : "PostgresInSteps";
  }
};

}  // namespace assent::agent::testing
