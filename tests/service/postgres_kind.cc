#include "tests/service/postgres_kind.h"

#include <chrono>
#include <stdexcept>

#include "tests/local.h"

namespace assent::service::testing {

DatabaseServer& PostgresKind::server() {
  static DatabaseServer only({.user = "postgres",
                              .prepare = "bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1); $bin/initdb -D $dir "
                                         "-A trust -U postgres -E UTF8 --locale=C --no-sync",
                              .serve = "$bin/postgres -D $dir -p $port -k $PWD -c listen_addresses=127.0.0.1 -c "
                                       "max_connections=300 -c max_prepared_transactions=300 -c fsync=on -c "
                                       "dynamic_shared_memory_type=mmap",
                              .stop = "QUIT"});
  return only;
}

std::string PostgresKind::conninfo(const std::string& database) {
  return fmt::format("host=127.0.0.1 port={} user=postgres dbname={}", server().port(), database);
}

PGconn* PostgresKind::connect(const std::string& database) {
  PGconn* made = nullptr;
  std::string said;
  const bool up = assent::testing::eventually(std::chrono::seconds(60), [&] {
    made = PQconnectdb(conninfo(database).c_str());
    if (PQstatus(made) == CONNECTION_OK) return true;
    said = PQerrorMessage(made);
    PQfinish(made);
    return false;
  });
  if (!up) throw std::runtime_error(said + server().log());
  return made;
}

PostgresKind::PostgresKind() {
  static int count = 0;
  name_ = fmt::format("test{}", ++count);
  PGconn* admin = connect("postgres");
  execute(*admin, "CREATE DATABASE " + name_);
  PQfinish(admin);
  look_ = connect(name_);
}

PostgresKind::~PostgresKind() { PQfinish(look_); }

void PostgresKind::look_again() {
  PQfinish(look_);
  look_ = connect(name_);
}

void PostgresKind::execute(PGconn& connection, const std::string& sql) {
  PGresult* result = PQexec(&connection, sql.c_str());
  const bool fine = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
  const std::string said = PQresultErrorMessage(result);
  PQclear(result);
  if (!fine) throw std::runtime_error(sql + ": " + said);
}

bool PostgresKind::try_execute(PGconn& connection, const std::string& sql) {
  PGresult* result = PQexec(&connection, sql.c_str());
  const bool fine = PQresultStatus(result) == PGRES_COMMAND_OK;
  PQclear(result);
  return fine;
}

std::int64_t PostgresKind::number(PGconn& connection, const std::string& sql) {
  PGresult* result = PQexec(&connection, sql.c_str());
  if (PQresultStatus(result) != PGRES_TUPLES_OK) throw std::runtime_error(sql + ": " + PQresultErrorMessage(result));
  const std::int64_t out = PQntuples(result) == 0 ? -1 : std::stoll(PQgetvalue(result, 0, 0));
  PQclear(result);
  return out;
}

}  // namespace assent::service::testing
