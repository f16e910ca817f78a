// A branch's statement on a PostgreSQL connection: its values, and what came of it as a vote. Internal to agent/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/work.h"
#include "service/branch.h"
#include "service/postgres_connection.h"

namespace assent::agent {

[[nodiscard]] service::postgres::Parameters values_of(const Statement& statement);
[[nodiscard]] bool fine(const service::postgres::Rows& rows);
// Of one that failed: a no, with SQLSTATE as its word.
[[nodiscard]] service::Vote no_of(PGconn* connection, const service::postgres::Rows& rows, std::string_view what);
// Of one that ran: nothing when it was done as it should.
[[nodiscard]] std::optional<service::Vote> judge_statement(PGconn* connection, const Statement& statement,
                                                           const service::postgres::Rows& rows,
                                                           const std::string& what);

}  // namespace assent::agent
