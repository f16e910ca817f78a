#include "sql_adapter/counters.h"

#include <fmt/format.h>

#include <charconv>

#include "sql_adapter/change_format.h"
#include "sql_adapter/statement_text.h"

namespace assent::sql {
namespace {

constexpr char mark = '\0';
constexpr char of_column = 'c';
constexpr char of_key = 'k';

Row key_row(std::string_view key) { return Row{SqlBlob{Bytes(key)}}; }

std::optional<CounterPlace> column_place(const Schema& schema, std::string_view name) {
  const std::size_t first = name.find(mark);
  const std::size_t second = first == std::string_view::npos ? first : name.find(mark, first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const Table* table = schema.find(name.substr(0, first));
  if (table == nullptr || table->internal) return std::nullopt;
  const int column = table->column(name.substr(first + 1, second - first - 1));
  const auto values = decode_values(name.substr(second + 1));
  if (column < 0 || !values || values->size() != table->key.size()) return std::nullopt;
  return CounterPlace{table, column, own(*values)};
}

// A number as a whole token, maybe behind a minus; moves `at` behind it.
std::optional<std::int64_t> number_at(const std::vector<Token>& tokens, std::size_t& at) {
  std::string text;
  if (at < tokens.size() && (tokens[at].is("-") || tokens[at].is("+"))) {
    if (tokens[at++].is("-")) text.push_back('-');
  }
  if (at >= tokens.size() || tokens[at].kind != TokenKind::number) return std::nullopt;
  text += tokens[at++].text;
  return decimal(text);
}

}  // namespace

std::optional<std::int64_t> decimal(ByteView text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty()) return std::nullopt;
  return value;
}

std::string counter_of_key(std::string_view key) {
  if (key.empty() || key.front() != mark) return std::string(key);
  std::string out;
  out.push_back(mark);
  out.push_back(of_key);
  out.append(key);
  return out;
}

std::string counter_of_column(const Table& table, int column, const Row& key) {
  std::string out;
  out.push_back(mark);
  out.push_back(of_column);
  out.append(table.name).push_back(mark);
  out.append(table.columns[static_cast<std::size_t>(column)].name).push_back(mark);
  for (const SqlValue& value : key) append_record_value(out, view(value));
  return out;
}

std::optional<CounterPlace> find_counter(const Schema& schema, std::string_view name) {
  if (name.empty()) return std::nullopt;
  const bool marked = name.front() == mark;
  if (marked && name.size() < 2) return std::nullopt;
  if (marked && name[1] == of_column) return column_place(schema, name.substr(2));
  if (marked && name[1] != of_key) return std::nullopt;
  return CounterPlace{schema.find(kv_table), 1, key_row(marked ? name.substr(2) : name)};
}

std::string show(const CounterPlace& place) {
  if (place.table->internal) return fmt::format("key {}", show(view(place.key)));
  const std::string& column = place.table->columns[static_cast<std::size_t>(place.column)].name;
  return fmt::format("{}.{} of {}", place.table->name, column, show(view(place.key)));
}

std::optional<std::int64_t> counter_in(const CounterPlace& place, std::span<const ValueView> row) {
  if (place.table->internal) return row.empty() ? std::optional<std::int64_t>(0) : decimal(row[1].bytes);
  if (row.empty()) return std::nullopt;
  const ValueView& value = row[static_cast<std::size_t>(place.column)];
  return value.type == ValueType::integer ? std::optional(value.integer) : std::nullopt;
}

Result<std::optional<EscrowBounds>> escrow_of(std::string_view type) {
  const std::vector<Token> tokens = tokenize(type);
  std::size_t at = 0;
  while (at < tokens.size() && !tokens[at].is("ESCROW")) ++at;
  if (at == tokens.size()) return std::optional<EscrowBounds>();
  EscrowBounds bounds;
  ++at;
  if (at == tokens.size()) return std::optional(bounds);
  const auto wrong = fail(ErrorCode::malformed, "ESCROW takes a floor and a ceiling, whole numbers: ESCROW(0, 1000)");
  if (!tokens[at++].is("(")) return wrong;
  bounds.floor = number_at(tokens, at);
  if (!bounds.floor) return wrong;
  if (at < tokens.size() && tokens[at].is(",")) {
    ++at;
    bounds.ceiling = number_at(tokens, at);
    if (!bounds.ceiling || *bounds.ceiling < *bounds.floor) return wrong;
  }
  if (at + 1 != tokens.size() || !tokens[at].is(")")) return wrong;
  return std::optional(bounds);
}

}  // namespace assent::sql
