#include "sql_adapter/statement_cache.h"

#include <fmt/format.h>

#include <algorithm>

namespace assent::sql {
namespace {

void add_once(std::vector<const Table*>& tables, const Table* table) {
  if (std::find(tables.begin(), tables.end(), table) == tables.end()) tables.push_back(table);
}

// The operands of a full primary key among the terms; empty when one is missing.
std::vector<Operand> key_operands(const Table& table, const PointShape& shape, sqlite3_stmt* statement) {
  std::vector<Operand> out;
  for (const int column : table.key) {
    const std::string& name = table.columns[static_cast<std::size_t>(column)].name;
    const auto it = std::find_if(shape.terms.begin(), shape.terms.end(),
                                 [&](const PointTerm& term) { return same_name(term.column, name); });
    if (it == shape.terms.end()) return {};
    Operand operand = it->operand;
    if (!operand.parameter_name.empty()) {
      operand.parameter = sqlite3_bind_parameter_index(statement, operand.parameter_name.c_str());
    }
    out.push_back(std::move(operand));
  }
  return out;
}

// Adds to columns declared ESCROW, of the row that the primary key names and no other condition.
std::vector<EscrowAdd> escrow_adds(const Table& table, const StatementText& text, sqlite3_stmt* statement) {
  std::vector<EscrowAdd> out;
  if (text.point->terms.size() != table.key.size()) return out;
  for (const AddTerm& term : text.adds) {
    const int column = table.column(term.column);
    if (column < 0 || !table.columns[static_cast<std::size_t>(column)].escrow) return {};
    for (const EscrowAdd& other : out) {
      if (other.column == column) return {};
    }
    EscrowAdd add{column, term.subtracts, term.operand};
    if (!add.operand.parameter_name.empty()) {
      add.operand.parameter = sqlite3_bind_parameter_index(statement, add.operand.parameter_name.c_str());
    }
    out.push_back(std::move(add));
  }
  return out;
}

struct Reads {
  std::vector<const Table*> tables;
  std::vector<const Table*> by_triggers;  // a subset
};

Reads reads_of(const Schema& schema, const Access& access) {
  Reads out;
  for (const Access::Table& seen : access.tables) {
    const Table* table = schema.find(seen.name);
    if (table == nullptr || seen.kind == Access::Kind::insert) continue;  // a view: its tables are told as well
    add_once(out.tables, table);
    if (seen.from_trigger) add_once(out.by_triggers, table);
  }
  return out;
}

void find_reads(const Schema& schema, const StatementText& text, const Access& access, Analysis& out) {
  const Reads reads = reads_of(schema, access);
  const Table* narrow = nullptr;  // a table of which the statement itself reads no other rows than those we can name
  if (text.point) {
    const Table* table = schema.is_view(text.point->table) ? nullptr : schema.find(text.point->table);
    if (table != nullptr && table->plain_key && !table->skips_conflicts) {
      out.point_key = key_operands(*table, *text.point, out.statement.get());
      if (!out.point_key.empty()) narrow = out.point = table;
      if (narrow != nullptr) out.adds = escrow_adds(*table, text, out.statement.get());
    }
  }
  if (text.plain_insert) {
    for (const Access::Table& seen : access.tables) {
      if (seen.kind != Access::Kind::insert || seen.from_trigger) continue;
      narrow = schema.find(seen.name);
      if (narrow != nullptr && narrow->skips_conflicts) narrow = nullptr;
    }
  }
  for (const Table* table : reads.tables) {
    const bool by_trigger =
        std::find(reads.by_triggers.begin(), reads.by_triggers.end(), table) != reads.by_triggers.end();
    // SQLite reports the rows that foreign keys look up. What no text names and no trigger reads can be nothing else,
    // and it is guarded by the lock on the parent's key.
    const bool by_foreign_key = table->enforced() && !by_trigger && !mentions(out.text, table->name);
    if ((table != narrow && !by_foreign_key) || by_trigger) add_once(out.whole, table);
  }
  // A row that an INSERT passes over stays out of sight: the table is read for what is in its way.
  if (text.inserts && !text.plain_insert) {
    for (const Table* table : out.written) add_once(out.whole, table);
  }
  for (const Table* table : out.written) {
    if (table->skips_conflicts) add_once(out.whole, table);
  }
}

}  // namespace

Refusal refusal(AbortReason reason, std::string message, std::string constraint) {
  Refusal out;
  out.reason = reason;
  out.message = std::move(message);
  out.constraint = std::move(constraint);
  return out;
}

Refusal refusal_of_prepare(const Database& db, const Access& access) {
  if (!access.denied.empty()) return refusal(AbortReason::invalid, access.denied);
  const int offset = sqlite3_error_offset(db.handle());
  std::string words = db.message();
  if (offset >= 0) words += fmt::format(" (at byte {} of the statement)", offset);
  return refusal(AbortReason::invalid, std::move(words));
}

tl::expected<Analysis*, Refusal> StatementCache::get(const Schema& schema, std::string_view text) {
  if (const auto it = by_text_.find(text); it != by_text_.end()) {
    entries_.splice(entries_.begin(), entries_, it->second);
    return entries_.front().get();
  }
  auto made = analyse(schema, text);
  if (!made) return tl::unexpected(std::move(made.error()));
  if (entries_.size() >= entries_max_) {
    by_text_.erase(entries_.back()->text);
    entries_.pop_back();
  }
  entries_.push_front(std::move(*made));
  by_text_.emplace(entries_.front()->text, entries_.begin());
  return entries_.front().get();
}

void StatementCache::clear() {
  by_text_.clear();
  entries_.clear();
}

tl::expected<std::unique_ptr<Analysis>, Refusal> StatementCache::analyse(const Schema& schema, std::string_view text) {
  const auto invalid = [](std::string words) {
    return tl::unexpected(refusal(AbortReason::invalid, std::move(words)));
  };
  const StatementText read = read_statement(text);
  if (read.kind == StatementKind::empty) return invalid("the statement is empty");
  if (text.find('\0') != std::string_view::npos) return invalid("the statement holds a zero byte");
  if (read.kind == StatementKind::forbidden) {
    return invalid(fmt::format(
        "{} is not allowed here: the whole work is one transaction, and settings are the server's", read.verb));
  }
  if (read.says_rollback) return invalid("ROLLBACK is not allowed in a statement: use ABORT");

  auto out = std::make_unique<Analysis>();
  out->text = std::string(text);
  Access access;
  std::string_view tail;
  if (db_.prepare_user(out->text, access, out->statement, tail) != SQLITE_OK) {
    return tl::unexpected(refusal_of_prepare(db_, access));
  }
  if (!blank(tail)) return invalid("there are two statements where one is meant: send them as two operations");
  sqlite3_stmt* statement = out->statement.get();
  out->writes = sqlite3_stmt_readonly(statement) == 0;
  out->parameters = sqlite3_bind_parameter_count(statement);
  for (int i = 0; i < out->statement.columns(); ++i) out->columns.emplace_back(sqlite3_column_name(statement, i));
  for (const Access::Table& seen : access.tables) {
    const Table* table = schema.find(seen.name);
    if (seen.kind != Access::Kind::read && table != nullptr) add_once(out->written, table);
  }
  for (const Table* table : out->written) {
    if (table->key.empty())
      return invalid(fmt::format("table {} has no PRIMARY KEY and cannot be written", table->name));
  }
  find_reads(schema, read, access, *out);
  return out;
}

}  // namespace assent::sql
