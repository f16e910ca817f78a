#include "sql_adapter/statement_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace assent::sql {
namespace {

// ---- tokens ----

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80U;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::optional<Token> next() {
    skip_blanks();
    if (at_ >= text_.size()) return std::nullopt;
    const std::size_t start = at_;
    const TokenKind kind = advance();
    return Token{kind, text_.substr(start, at_ - start)};
  }

 private:
  [[nodiscard]] char look(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      if (is_space(look())) {
        ++at_;
      } else if (look() == '-' && look(1) == '-') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (look() == '/' && look(1) == '*') {
        const std::size_t end = text_.find("*/", at_ + 2);
        at_ = end == std::string_view::npos ? text_.size() : end + 2;
      } else {
        return;
      }
    }
  }

  TokenKind advance() {
    const char c = look();
    if (c == '\'') return quoted('\'', TokenKind::string);
    if (c == '"' || c == '`') return quoted(c, TokenKind::quoted_name);
    if (c == '[') {
      at_ = std::min(text_.find(']', at_), text_.size() - 1) + 1;
      return TokenKind::quoted_name;
    }
    if ((c == 'x' || c == 'X') && look(1) == '\'') {
      ++at_;
      return quoted('\'', TokenKind::blob);
    }
    if (is_digit(c) || (c == '.' && is_digit(look(1)))) return number();
    if (c == '?' || ((c == ':' || c == '@' || c == '$' || c == '#') && is_word(look(1)))) {
      ++at_;
      while (c == '?' ? is_digit(look()) : is_word(look())) ++at_;
      return TokenKind::parameter;
    }
    if (is_word(c)) {
      while (is_word(look())) ++at_;
      return TokenKind::word;
    }
    ++at_;
    if ((c == '=' && look() == '=') || (c == '|' && look() == '|') || (c == '<' && look() == '>') ||
        ((c == '<' || c == '>' || c == '!') && look() == '=')) {
      ++at_;
    }
    return TokenKind::symbol;
  }

  TokenKind quoted(char quote, TokenKind kind) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] != quote) continue;
      if (look(1) != quote) {
        ++at_;
        return kind;
      }
      ++at_;
    }
    return TokenKind::symbol;  // never closed: SQLite will say so
  }

  TokenKind number() {
    while (is_word(look()) || look() == '.' || ((look() == '+' || look() == '-') && exponent())) ++at_;
    return TokenKind::number;
  }
  [[nodiscard]] bool exponent() const { return upper(text_[at_ - 1]) == 'E' && is_digit(look(1)); }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string unquote(std::string_view text, char quote) {
  std::string out;
  text = text.substr(1, text.size() - 2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    out.push_back(text[i]);
    if (text[i] == quote && i + 1 < text.size() && text[i + 1] == quote) ++i;
  }
  return out;
}

// ---- shapes ----

using Tokens = std::span<const Token>;

bool any(Tokens tokens, std::initializer_list<std::string_view> words) {
  return std::any_of(tokens.begin(), tokens.end(), [&](const Token& token) {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return token.is(word); });
  });
}

std::size_t count(Tokens tokens, std::string_view word) {
  return static_cast<std::size_t>(
      std::count_if(tokens.begin(), tokens.end(), [&](const Token& token) { return token.is(word); }));
}

// `x IN table` and `x IN function(...)` read another table without saying FROM.
bool reads_by_in(Tokens tokens) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (tokens[i].is("IN") && !tokens[i + 1].is("(")) return true;
  }
  return false;
}

// Numbers the parameters as SQLite does, in the order of the text.
class ParameterCounter {
 public:
  Operand operand(const Token& token) {
    Operand out;
    if (token.text == "?") {
      out.parameter = ++last_;
    } else if (token.text.front() == '?') {
      std::from_chars(token.text.data() + 1, token.text.data() + token.text.size(), out.parameter);
      last_ = std::max(last_, out.parameter);
    } else {
      out.parameter_name = std::string(token.text);
      mixed_ = true;
    }
    return out;
  }
  // A plain ? after a named parameter has a number that only SQLite knows.
  [[nodiscard]] bool certain(const Token& token) const { return token.text != "?" || !mixed_; }

 private:
  int last_ = 0;
  bool mixed_ = false;
};

std::optional<SqlValue> literal(const Token& token, bool negative) {
  if (token.kind == TokenKind::string && !negative) return SqlValue(unquote(token.text, '\''));
  if (token.kind != TokenKind::number) return std::nullopt;
  std::int64_t value = 0;
  const std::string digits = (negative ? "-" : "") + std::string(token.text);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;  // reals, hex: a wider lock
  return SqlValue(value);
}

// Operands of all parameter tokens, so that each has its number; index by position of the token.
struct Numbered {
  std::vector<std::optional<Operand>> operands;
};
Numbered number_parameters(Tokens tokens) {
  ParameterCounter counter;
  Numbered out;
  for (const Token& token : tokens) {
    auto& slot = out.operands.emplace_back();
    if (token.kind != TokenKind::parameter) continue;
    const bool certain = counter.certain(token);
    Operand operand = counter.operand(token);
    if (certain) slot = std::move(operand);
  }
  return out;
}

std::optional<Operand> operand_at(Tokens tokens, const Numbered& numbered, std::size_t first, std::size_t size) {
  if (size == 1 && tokens[first].kind == TokenKind::parameter) return numbered.operands[first];
  const bool negative = size == 2 && tokens[first].is("-");
  if (size != 1 && !negative) return std::nullopt;
  auto value = literal(tokens[first + size - 1], negative);
  if (!value) return std::nullopt;
  Operand out;
  out.value = std::move(*value);
  return out;
}

// [table .] column, of `size` tokens.
std::optional<std::string> column_at(Tokens tokens, std::size_t first, std::size_t size) {
  if (size == 3 && tokens[first].is_name() && tokens[first + 1].is(".")) return column_at(tokens, first + 2, 1);
  if (size != 1 || !tokens[first].is_name()) return std::nullopt;
  return tokens[first].name();
}

// One conjunct [first, last): column = value or value = column.
std::optional<PointTerm> term_at(Tokens tokens, const Numbered& numbered, std::size_t first, std::size_t last) {
  std::size_t equals = first;
  while (equals < last && !tokens[equals].is("=") && !tokens[equals].is("==")) ++equals;
  if (equals == first || equals + 1 >= last) return std::nullopt;
  const std::size_t right = equals + 1;
  auto column = column_at(tokens, first, equals - first);
  auto operand = operand_at(tokens, numbered, right, last - right);
  if (!column || !operand) {
    column = column_at(tokens, right, last - right);
    operand = operand_at(tokens, numbered, first, equals - first);
  }
  if (!column || !operand) return std::nullopt;
  return PointTerm{std::move(*column), std::move(*operand)};
}

bool ends_where(const Token& token) {
  static constexpr std::array words = {"GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW", "RETURNING", ";"};
  return std::any_of(words.begin(), words.end(), [&](const char* word) { return token.is(word); });
}

// The conjuncts of a WHERE clause that are column = value. Splitting at AND is right only where nothing binds weaker
// than AND and no AND belongs to a BETWEEN: none of those words may stand outside parentheses.
std::vector<PointTerm> terms_of_where(Tokens tokens, const Numbered& numbered, std::size_t where) {
  std::vector<PointTerm> out;
  std::size_t first = where + 1;
  int depth = 0;
  const auto close = [&](std::size_t last) {
    if (auto term = term_at(tokens, numbered, first, last)) out.push_back(std::move(*term));
    first = last + 1;
  };
  for (std::size_t i = where + 1; i < tokens.size(); ++i) {
    if (tokens[i].is("(")) ++depth;
    if (tokens[i].is(")")) --depth;
    if (depth < 0) return {};
    if (depth > 0) continue;
    if (any(tokens.subspan(i, 1), {"OR", "BETWEEN", "CASE", "NOT"})) return {};
    if (ends_where(tokens[i])) {
      close(i);
      return out;
    }
    if (tokens[i].is("AND")) close(i);
  }
  close(tokens.size());
  return out;
}

// name [[AS] alias] from `at`; moves `at` behind it.
std::optional<std::string> table_at(Tokens tokens, std::size_t& at, std::string_view until) {
  if (at + 1 >= tokens.size() || !tokens[at].is_name()) return std::nullopt;
  if (tokens[at + 1].is(".")) {  // main.accounts
    if (!same_name(tokens[at].name(), "main") || at + 3 >= tokens.size()) return std::nullopt;
    at += 2;
  }
  std::string name = tokens[at].name();
  ++at;
  if (tokens[at].is("AS")) ++at;
  if (at < tokens.size() && !tokens[at].is(until) && tokens[at].is_name()) ++at;
  if (at >= tokens.size() || !tokens[at].is(until)) return std::nullopt;
  return name;
}

std::size_t find(Tokens tokens, std::string_view word, std::size_t from) {
  int depth = 0;
  for (std::size_t i = from; i < tokens.size(); ++i) {
    if (tokens[i].is("(")) ++depth;
    if (tokens[i].is(")")) --depth;
    if (depth == 0 && tokens[i].is(word)) return i;
  }
  return tokens.size();
}

// SELECT ... FROM table WHERE, UPDATE [OR x] table SET ... WHERE, DELETE FROM table WHERE, with nothing in it that
// could read another row.
std::optional<PointShape> point_shape(Tokens tokens) {
  if (any(tokens, {"WITH", "JOIN", "UNION", "EXCEPT", "INTERSECT", "INDEXED", "IGNORE"})) return std::nullopt;
  if (reads_by_in(tokens)) return std::nullopt;
  const Token& verb = tokens.front();
  std::size_t at = 1;
  std::optional<std::string> table;
  if (verb.is("SELECT")) {
    if (count(tokens, "SELECT") != 1 || count(tokens, "FROM") != 1) return std::nullopt;
    at = find(tokens, "FROM", 1) + 1;
    table = table_at(tokens, at, "WHERE");
  } else if (verb.is("DELETE")) {
    if (any(tokens, {"SELECT"}) || count(tokens, "FROM") != 1) return std::nullopt;
    at = 2;
    table = table_at(tokens, at, "WHERE");
  } else if (verb.is("UPDATE")) {
    if (any(tokens, {"SELECT", "FROM"})) return std::nullopt;
    if (tokens.size() > 3 && tokens[1].is("OR")) at = 3;
    table = table_at(tokens, at, "SET");
    at = find(tokens, "WHERE", at);
  }
  if (!table || at >= tokens.size()) return std::nullopt;
  return PointShape{std::move(*table), terms_of_where(tokens, number_parameters(tokens), at)};
}

// One assignment [first, last): column = column + value, or minus.
std::optional<AddTerm> add_at(Tokens tokens, const Numbered& numbered, std::size_t first, std::size_t last) {
  if (last < first + 5 || !tokens[first].is_name() || !tokens[first + 1].is("=") || !tokens[first + 2].is_name()) {
    return std::nullopt;
  }
  const bool subtracts = tokens[first + 3].is("-");
  if (!subtracts && !tokens[first + 3].is("+")) return std::nullopt;
  std::string column = tokens[first].name();
  if (!same_name(column, tokens[first + 2].name())) return std::nullopt;
  auto operand = operand_at(tokens, numbered, first + 4, last - first - 4);
  if (!operand) return std::nullopt;
  return AddTerm{std::move(column), subtracts, std::move(*operand)};
}

// UPDATE name SET add, ... WHERE term AND ..., and no word more.
std::vector<AddTerm> add_shape(Tokens tokens, const PointShape& point) {
  if (tokens.size() < 4 || !tokens[0].is("UPDATE") || !tokens[1].is_name() || !tokens[2].is("SET")) return {};
  if (any(tokens, {"RETURNING", "ORDER", "LIMIT", "(", ";"})) return {};
  const std::size_t where = find(tokens, "WHERE", 3);
  if (where == tokens.size() || count(tokens.subspan(where), "AND") + 1 != point.terms.size()) return {};
  const Numbered numbered = number_parameters(tokens);
  std::vector<AddTerm> out;
  for (std::size_t first = 3; first < where;) {
    std::size_t last = first;
    while (last < where && !tokens[last].is(",")) ++last;
    auto add = add_at(tokens, numbered, first, last);
    if (!add) return {};
    out.push_back(std::move(*add));
    first = last + 1;
  }
  return out;
}

// INSERT ... VALUES that writes each of its rows: no source that reads, no row skipped because of another one.
bool is_plain_insert(Tokens tokens) {
  if (any(tokens, {"SELECT", "WITH", "IGNORE", "NOTHING"}) || reads_by_in(tokens)) return false;
  return !any(tokens, {"WHERE"});  // ON CONFLICT ... DO UPDATE ... WHERE may leave a row as it is
}

StatementKind kind_of(const Token& verb) {
  static constexpr std::array schema = {"CREATE", "DROP", "ALTER"};
  static constexpr std::array forbidden = {"ATTACH",   "DETACH",    "PRAGMA",  "BEGIN",  "COMMIT",  "END",
                                           "ROLLBACK", "SAVEPOINT", "RELEASE", "VACUUM", "REINDEX", "ANALYZE"};
  const auto in = [&](const auto& words) {
    return std::any_of(words.begin(), words.end(), [&](const char* word) { return verb.is(word); });
  };
  if (in(schema)) return StatementKind::schema;
  if (in(forbidden)) return StatementKind::forbidden;
  return StatementKind::rows;  // also what is no statement at all: SQLite's own words say why
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return upper(x) == upper(y); });
}

bool Token::is(std::string_view keyword) const {
  return (kind == TokenKind::word || kind == TokenKind::symbol) && same_name(text, keyword);
}

std::string Token::name() const {
  if (kind != TokenKind::quoted_name || text.size() < 2) return std::string(text);
  return unquote(text, text.front() == '[' ? ']' : text.front());
}

std::vector<Token> tokenize(std::string_view text) {
  std::vector<Token> out;
  Lexer lexer(text);
  while (auto token = lexer.next()) out.push_back(*token);
  return out;
}

StatementText read_statement(std::string_view text) {
  std::vector<Token> all = tokenize(text);
  while (!all.empty() && all.back().is(";")) all.pop_back();
  StatementText out;
  if (all.empty()) return out;
  const Tokens tokens(all);
  std::transform(tokens[0].text.begin(), tokens[0].text.end(), std::back_inserter(out.verb), upper);
  out.kind = kind_of(tokens[0]);
  out.says_rollback = any(tokens, {"ROLLBACK"});
  out.virtual_table = tokens.size() > 1 && tokens[1].is("VIRTUAL");
  if (out.kind != StatementKind::rows) return out;
  out.inserts = tokens[0].is("INSERT") || tokens[0].is("REPLACE");
  out.plain_insert = out.inserts && is_plain_insert(tokens);
  if (!out.inserts) out.point = point_shape(tokens);
  if (out.point) out.adds = add_shape(tokens, *out.point);
  return out;
}

bool mentions(std::string_view text, std::string_view name) {
  const std::vector<Token> tokens = tokenize(text);
  return std::any_of(tokens.begin(), tokens.end(), [&](const Token& token) {
    if (token.kind == TokenKind::string && token.text.size() >= 2) return same_name(unquote(token.text, '\''), name);
    return token.is_name() && same_name(token.name(), name);
  });
}

bool blank(std::string_view text) {
  const std::vector<Token> tokens = tokenize(text);
  return std::all_of(tokens.begin(), tokens.end(), [](const Token& token) { return token.is(";"); });
}

}  // namespace assent::sql
