#include "agent/postgres_statement.h"

#include <fmt/format.h>

namespace assent::agent {

using service::Vote;
using service::postgres::Parameters;
using service::postgres::Rows;

Parameters values_of(const Statement& statement) {
  return values_as<Parameters>(statement, [](Parameters& out, bool yes) { out.text(yes ? "true" : "false"); });
}

Vote no_of(PGconn* connection, const Rows& rows, std::string_view what) {
  const std::string state = service::postgres::sqlstate(rows);
  const Result<Rows> told = service::postgres::judged(connection, Rows(nullptr), what);
  const std::string said =
      rows.raw() == nullptr ? told.error().message : service::postgres::first_line(PQresultErrorMessage(rows.raw()));
  const char* const hint = rows.raw() == nullptr ? nullptr : PQresultErrorField(rows.raw(), PG_DIAG_MESSAGE_HINT);
  return Vote::no(state.empty() ? "CONNECTION_LOST" : "SQL_" + state,
                  fmt::format("{}: {}{}{}", what, said, hint == nullptr ? "" : ". ", hint == nullptr ? "" : hint));
}

bool fine(const Rows& rows) {
  const ExecStatusType status = PQresultStatus(rows.raw());
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

std::optional<Vote> judge_statement(PGconn* connection, const Statement& statement, const Rows& rows,
                                    const std::string& what) {
  const ExecStatusType status = PQresultStatus(rows.raw());
  if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
    return Vote::no("NOT_ALLOWED", what + ": COPY has no place here");
  }
  if (!fine(rows)) return no_of(connection, rows, what);
  if (statement.rows && rows.affected() != std::to_string(*statement.rows)) {
    return Vote::no("ROWS", fmt::format("{}: {} rows instead of {}", what,
                                        rows.affected().empty() ? "no count of" : rows.affected(), *statement.rows));
  }
  return std::nullopt;
}

}  // namespace assent::agent
