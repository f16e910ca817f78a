#include "sql_adapter/refusals.h"

#include <fmt/format.h>

#include <algorithm>

namespace assent::sql {
namespace {

// "CHECK constraint failed: balance >= 0" -> "balance >= 0"
std::string after_colon(const std::string& message) {
  const std::size_t at = message.find(": ");
  return at == std::string::npos ? message : message.substr(at + 2);
}

bool is_one_name(const std::string& text) {
  const std::vector<Token> tokens = tokenize(text);
  return tokens.size() == 1 && tokens.front().is_name();
}

Refusal violated(std::string message, std::string constraint) {
  return refusal(AbortReason::constraint, std::move(message), std::move(constraint));
}

Refusal check_refusal(const std::string& message, const std::vector<const Table*>& written) {
  std::string constraint = after_colon(message);
  if (!is_one_name(constraint) && written.size() == 1)
    constraint = fmt::format("{}.{}", written.front()->name, constraint);
  return violated(fmt::format("CHECK constraint failed: {}", constraint), constraint);
}

void add_words(std::vector<std::string>& all, const ForeignKey& key) {
  if (std::find(all.begin(), all.end(), key.words) == all.end()) all.push_back(key.words);
}

}  // namespace

Refusal too_large_refusal(std::string_view what, std::size_t bytes_max) {
  return refusal(AbortReason::too_large, fmt::format("{} must not take more than {} bytes", what, bytes_max));
}

Refusal too_long_refusal(std::uint64_t instructions_max) {
  return refusal(
      AbortReason::too_large,
      fmt::format("the work runs too long: it was stopped after {} instructions of SQLite", instructions_max));
}

Refusal read_only_refusal() {
  return refusal(AbortReason::invalid, "a query only reads: send what writes as a transaction");
}

Refusal foreign_key_refusal(const std::vector<const Table*>& written) {
  std::vector<std::string> candidates;
  for (const Table* table : written) {
    for (const ForeignKey& key : table->foreign_keys) add_words(candidates, key);
    for (const ForeignKey* key : table->referenced_by) add_words(candidates, *key);
  }
  std::string constraint;
  for (const std::string& words : candidates) constraint += (constraint.empty() ? "" : " or ") + words;
  if (constraint.empty()) constraint = "FOREIGN KEY";
  return violated(fmt::format("FOREIGN KEY constraint failed: {}", constraint), constraint);
}

Refusal constraint_refusal(const Database& db, int code, const std::vector<const Table*>& written) {
  const std::string message = db.message();
  switch (code) {
    case SQLITE_CONSTRAINT_CHECK: return check_refusal(message, written);
    case SQLITE_CONSTRAINT_FOREIGNKEY: return foreign_key_refusal(written);
    case SQLITE_CONSTRAINT_NOTNULL: return violated(message, after_colon(message) + " NOT NULL");
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID: return violated(message, after_colon(message));
    default: return violated(message, message);  // RAISE() in a trigger, STRICT types, datatype mismatch
  }
}

std::optional<Error> disk_failure(const Database& db, int code) {
  switch (code & 0xFF) {
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PROTOCOL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return db.error(code, "running a statement");
    default: return std::nullopt;
  }
}

}  // namespace assent::sql
