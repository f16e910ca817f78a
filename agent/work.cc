#include "agent/work.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace assent::agent {

namespace {

using Json = nlohmann::json;

tl::unexpected<Error> malformed(std::string what) {
  return fail(ErrorCode::malformed,
              fmt::format("{}; a payload is {{\"statements\":[{{\"sql\":\"...\",\"params\":[...],\"rows\":1}}]}}",
                          std::move(what)));
}

bool has_zero(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// What stands before the first word: blanks, comments, parentheses. A comment that MariaDB executes is no comment.
std::string_view skip_to_word(std::string_view sql) {
  for (;;) {
    const std::size_t begin = sql.find_first_not_of(" \t\r\n\f\v(");
    if (begin == std::string_view::npos) return {};
    sql.remove_prefix(begin);
    std::size_t end = std::string_view::npos;
    if (sql.starts_with("--")) {
      end = sql.find('\n');
    } else if (sql.starts_with("/*") && !sql.starts_with("/*!") && !sql.starts_with("/*M!")) {
      end = sql.find("*/");
    } else {
      return sql;
    }
    if (end == std::string_view::npos) return {};
    sql.remove_prefix(end + (sql.starts_with("--") ? 1 : 2));
  }
}

std::string first_word(std::string_view sql) {
  std::string out;
  for (const char c : skip_to_word(sql)) {
    const bool lower = c >= 'a' && c <= 'z';
    if (!lower && !(c >= 'A' && c <= 'Z')) break;
    out += lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

// By the first word, those alone that can be prepared and leave nothing behind in the connection.
bool allowed(std::string_view word, Dialect dialect) {
  static constexpr std::string_view everywhere[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "CALL"};
  static constexpr std::string_view postgres[] = {"MERGE", "TABLE", "LOCK",     "CREATE",
                                                  "ALTER", "DROP",  "TRUNCATE", "COMMENT"};
  const auto among = [&](const auto& words) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
  };
  return among(everywhere) || (dialect == Dialect::postgres ? among(postgres) : word == "REPLACE");
}

Result<Value> read_value(const Json& value) {
  if (value.is_null()) return Value();
  if (value.is_boolean()) return Value(value.get<bool>());
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) return malformed("a number is too large");
  if (value.is_number_integer()) return Value(value.get<std::int64_t>());
  if (value.is_number()) return malformed("a number with a fraction is not exact: give it as text");
  if (!value.is_string()) return malformed("a value is text, a whole number, true, false or null");
  auto text = value.get<std::string>();
  if (has_zero(text)) return malformed("a text has a byte of zero, which databases do not take");
  return Value(std::move(text));
}

Result<Statement> read_statement(const Json& from, Dialect dialect) {
  if (!from.is_object()) return malformed("a statement is an object");
  Statement out;
  for (const auto& [key, value] : from.items()) {
    if (key == "sql" && value.is_string()) {
      out.sql = value.get<std::string>();
    } else if (key == "rows" && value.is_number_unsigned()) {
      out.rows = value.get<std::uint64_t>();
    } else if (key == "params" && value.is_array()) {
      for (const Json& one : value) {
        auto read = read_value(one);
        if (!read) return fail(read.error());
        out.params.push_back(std::move(*read));
      }
    } else {
      return malformed("a statement has sql (text), and perhaps params (a list) and rows (a number), and nothing else");
    }
  }
  if (out.sql.empty() || has_zero(out.sql)) return malformed("a statement has no sql");
  const std::string word = first_word(out.sql);
  if (allowed(word, dialect)) return out;
  return fail(ErrorCode::refused,
              fmt::format("it begins with {}, which has no place here: it could not be taken back, or would last "
                          "beyond the transaction, which is begun and ended from outside",
                          word.empty() ? "no word" : word.substr(0, 40)));
}

}  // namespace

Result<Work> read_work(ByteView payload, Dialect dialect) {
  const Json document = Json::parse(payload, nullptr, false);
  if (document.is_discarded() || !document.is_object()) return malformed("it is no JSON object");
  const auto list = document.find("statements");
  if (list == document.end() || document.size() != 1 || !list->is_array()) return malformed("it has no statements");
  if (list->empty()) return malformed("it has no statement");
  if (list->size() > statements_max) return malformed(fmt::format("it has above {} statements", statements_max));
  Work out;
  for (const Json& one : *list) {
    auto read = read_statement(one, dialect);
    if (!read) {
      return fail(read.error().code, fmt::format("statement {}: {}", out.statements.size() + 1, read.error().message));
    }
    out.statements.push_back(std::move(*read));
  }
  return out;
}

}  // namespace assent::agent
