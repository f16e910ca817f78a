// Users' statements, prepared and understood once per text: what they read and write as a whole, whether one row by its
// primary key is all they look at. Least recently used ones go first; all go when the schema changes.
//
// What is not plainly a read of single rows by full primary key counts as a read of the whole table: a wider lock,
// never a wrong one. Called from evaluator.cc.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sql_adapter/database.h"
#include "sql_adapter/schema.h"
#include "sql_adapter/statement_text.h"

namespace assent::sql {

struct EscrowAdd {
  int column = 0;
  bool subtracts = false;
  Operand operand;
};

struct Analysis {
  std::string text;
  Statement statement;
  bool writes = false;
  int parameters = 0;
  std::vector<std::string> columns;   // of the rows it returns
  const Table* point = nullptr;       // only rows of this table with the key below matter
  std::vector<Operand> point_key;     // in the order of the primary key
  std::vector<const Table*> whole;    // read as a whole
  std::vector<const Table*> written;  // by the statement itself or by triggers
  std::vector<EscrowAdd> adds;        // that is all it does, to the row of `point`; empty: it does something else
};

class StatementCache {
 public:
  StatementCache(Database& db, std::size_t entries_max) : db_(db), entries_max_(entries_max) {}

  [[nodiscard]] bool contains(std::string_view text) const { return by_text_.contains(text); }
  // Valid until the next get() or clear(). Refusals: invalid, with SQLite's words and where.
  [[nodiscard]] tl::expected<Analysis*, Refusal> get(const Schema& schema, std::string_view text);
  void clear();

 private:
  using Entries = std::list<std::unique_ptr<Analysis>>;
  [[nodiscard]] tl::expected<std::unique_ptr<Analysis>, Refusal> analyse(const Schema& schema, std::string_view text);

  Database& db_;
  std::size_t entries_max_;
  Entries entries_;  // most recently used first
  std::unordered_map<std::string_view, Entries::iterator> by_text_;
};

[[nodiscard]] Refusal refusal(AbortReason reason, std::string message, std::string constraint = {});
// SQLite's words for a statement that it would not prepare, with the place in the text when it knows one.
[[nodiscard]] Refusal refusal_of_prepare(const Database& db, const Access& access);

}  // namespace assent::sql
