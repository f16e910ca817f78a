#include "sql_adapter/database_check.h"

#include "sql_adapter/database.h"

namespace assent {

Result<std::vector<std::string>> check_database(const std::string& path) {
  constexpr std::string_view problems_max = "PRAGMA integrity_check(20)";
  sql::DatabaseFile file;
  file.path = path;
  file.read_only = true;
  const auto database = sql::Database::open(file);
  if (!database) return fail(database.error());
  const auto rows = (*database)->rows(problems_max);
  if (!rows) return fail(rows.error());
  std::vector<std::string> problems;
  for (const sql::Row& row : *rows) problems.emplace_back(sql::view(row.front()).bytes);
  if (problems == std::vector<std::string>{"ok"}) problems.clear();
  return problems;
}

}  // namespace assent
