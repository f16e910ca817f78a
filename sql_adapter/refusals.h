// SQLite's error codes as refusals: one clear sentence, and the constraint by name.
// Pure but for asking the connection for its last message. Called from evaluator.cc.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "sql_adapter/schema.h"
#include "sql_adapter/statement_cache.h"

namespace assent::sql {

[[nodiscard]] Refusal too_large_refusal(std::string_view what, std::size_t bytes_max);
[[nodiscard]] Refusal too_long_refusal(std::uint64_t instructions_max);
[[nodiscard]] Refusal read_only_refusal();
// `written` are the tables that the statement writes.
[[nodiscard]] Refusal constraint_refusal(const Database& db, int code, const std::vector<const Table*>& written);
// SQLite does not say which foreign key: named is the only one it can be, or all that it can be.
[[nodiscard]] Refusal foreign_key_refusal(const std::vector<const Table*>& written);
// An error that is the disk's and not the statement's.
[[nodiscard]] std::optional<Error> disk_failure(const Database& db, int code);

}  // namespace assent::sql
