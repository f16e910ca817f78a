// What the text of one SQL statement says before SQLite is asked: which kind of statement it is, and whether it reads
// just one row by values that stand in the text. Cut into tokens by SQLite's lexical rules; not a parser: whatever is
// not plainly one of the simple shapes below is "anything else", which costs a wider lock and never a wrong one.
//
// Pure. Called from statement_cache.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "txn_proto/types.h"

namespace assent::sql {

enum class TokenKind : std::uint8_t { word, quoted_name, string, number, blob, parameter, symbol };

struct Token {
  TokenKind kind = TokenKind::symbol;
  std::string_view text;  // as written, quotes included

  [[nodiscard]] bool is(std::string_view keyword) const;  // an unquoted word, in any case; or a symbol
  [[nodiscard]] bool is_name() const { return kind == TokenKind::word || kind == TokenKind::quoted_name; }
  [[nodiscard]] std::string name() const;  // without quotes
};

// Comments and white space are left out. Total: what SQLite would call an illegal token comes as a symbol.
[[nodiscard]] std::vector<Token> tokenize(std::string_view text);
[[nodiscard]] bool same_name(std::string_view a, std::string_view b);  // ASCII case does not count

enum class StatementKind : std::uint8_t {
  empty,      // nothing but white space and comments
  rows,       // SELECT, INSERT, UPDATE, DELETE, ... and what is none at all: SQLite says the rest
  schema,     // CREATE, DROP, ALTER
  forbidden,  // transaction control, ATTACH, PRAGMA and the like
};

// A value that stands in the text, or the n-th parameter (1-based; 0 with a name: SQLite knows its number).
struct Operand {
  int parameter = 0;
  std::string parameter_name;
  SqlValue value;
};

// `WHERE a = 1 AND b = ? AND ...` on one table and nothing else read: only rows with these values matter.
struct PointTerm {
  std::string column;
  Operand operand;
};
struct PointShape {
  std::string table;
  std::vector<PointTerm> terms;
};

// `UPDATE table SET a = a + 1, b = b - ? WHERE ...` with nothing else in it, where point names all of its WHERE: one
// row by these values is added to.
struct AddTerm {
  std::string column;
  bool subtracts = false;
  Operand operand;
};

struct StatementText {
  StatementKind kind = StatementKind::empty;
  std::string verb;            // the first word, in upper case
  bool says_rollback = false;  // ON CONFLICT ROLLBACK, RAISE(ROLLBACK): would end the store's own transaction
  bool virtual_table = false;  // CREATE VIRTUAL TABLE
  bool inserts = false;        // INSERT or REPLACE
  bool plain_insert = false;   // and no other row can matter than those it writes, when no trigger reads
  std::optional<PointShape> point;
  std::vector<AddTerm> adds;  // empty: it is no such statement
};

[[nodiscard]] StatementText read_statement(std::string_view text);
// Does the text say this name anywhere, as a word, in quotes or in a string?
[[nodiscard]] bool mentions(std::string_view text, std::string_view name);
// Is there anything but white space, comments and semicolons?
[[nodiscard]] bool blank(std::string_view text);

}  // namespace assent::sql
