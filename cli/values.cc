#include "cli/values.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "client/options.h"
#include "txn_proto/service_target.h"

namespace assent::cli {

namespace {

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::optional<SqlValue> blob(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  SqlBlob out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    if (error != std::errc() || end != hex.data() + i + 2) return std::nullopt;
    out.bytes.push_back(static_cast<char>(byte));
  }
  return out;
}

template <class Number>
std::optional<SqlValue> as_value(std::optional<Number> number) {
  return number ? std::optional<SqlValue>(SqlValue(*number)) : std::nullopt;
}

// Cuts the next word or sign off the text: words in upper case, quoted things and comments as nothing of interest.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  // A word, a single sign, or empty at the end. A quoted thing gives "'".
  std::string next() {
    skip_blanks();
    if (text_.empty()) return {};
    const char first = text_.front();
    if (first == '\'' || first == '"' || first == '`' || first == '[') return quoted(first == '[' ? ']' : first);
    if (!is_word(first)) {
      text_.remove_prefix(1);
      return {first};
    }
    std::string word;
    while (!text_.empty() && is_word(text_.front())) {
      word.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(text_.front()))));
      text_.remove_prefix(1);
    }
    return word;
  }

 private:
  static bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

  void skip_blanks() {
    for (;;) {
      if (text_.starts_with("--")) {
        cut(text_.find('\n'), 1);
      } else if (text_.starts_with("/*")) {
        cut(text_.find("*/", 2), 2);
      } else if (!text_.empty() && std::isspace(static_cast<unsigned char>(text_.front())) != 0) {
        text_.remove_prefix(1);
      } else {
        return;
      }
    }
  }
  std::string quoted(char end) {
    cut(text_.find(end, 1), 1);
    return "'";
  }
  void cut(std::size_t at, std::size_t more) {
    text_.remove_prefix(at == std::string_view::npos ? text_.size() : at + more);
  }

  std::string_view text_;
};

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double millis;
  };
  constexpr std::array units{Unit{"ms", 1}, Unit{"s", 1'000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}};
  constexpr double year = 365.0 * 24 * 3'600'000;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::optional<double> number = parse_number<double>(text.substr(0, digits));
  const auto* unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == text.substr(digits); });
  if (!number || unit == units.end()) return std::nullopt;
  const double millis = *number * unit->millis;
  if (!(millis >= 0 && millis <= year)) return std::nullopt;
  return std::chrono::milliseconds(std::llround(millis));
}

std::optional<SqlValue> parse_parameter(std::string_view text) {
  const auto rest = [&](std::string_view prefix) { return text.substr(prefix.size()); };
  if (text.starts_with("text:")) return SqlValue(std::string(rest("text:")));
  if (text.starts_with("int:")) return as_value(parse_number<std::int64_t>(rest("int:")));
  if (text.starts_with("real:")) return as_value(parse_number<double>(rest("real:")));
  if (text.starts_with("hex:")) return blob(rest("hex:"));
  if (text == "null" || text == "NULL") return SqlValue(SqlNull{});
  if (const auto integer = parse_number<std::int64_t>(text)) return SqlValue(*integer);
  // Not "inf", "nan" or a name that begins like a number.
  const bool numeric = text.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
  if (const auto real = numeric ? parse_number<double>(text) : std::nullopt) return SqlValue(*real);
  return SqlValue(std::string(text));
}

std::optional<std::string> parse_payload(std::string_view text) {
  if (text.starts_with("text:")) return std::string(text.substr(5));
  if (!text.starts_with("hex:")) return std::string(text);
  const std::optional<SqlValue> value = blob(text.substr(4));
  return value ? std::optional(std::get<SqlBlob>(*value).bytes) : std::nullopt;
}

std::optional<std::string> parse_target(std::string_view text) {
  const auto parsed = client::parse_endpoints(text);
  return parsed && parsed->size() == 1 ? std::optional(parsed->front()) : std::nullopt;
}

std::optional<std::string> parse_service_target(std::string_view text) {
  const bool scheme = text.find("://") != std::string_view::npos;
  if (!scheme) return parse_target(text);
  return is_service_target(text) ? std::optional(std::string(text)) : std::nullopt;
}

std::optional<client::ServiceCall> parse_service_call(std::string_view service, std::string_view payload) {
  const std::size_t at = service.find('@');
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  const std::string_view place = service.substr(at + 1);
  const auto target = parse_service_target(place);
  const auto work = parse_payload(payload);
  if (!target || !work) return std::nullopt;
  return client::ServiceCall{.name = std::string(service.substr(0, at)), .target = *target, .payload = *work};
}

bool only_reads(std::string_view statement) {
  Words words(statement);
  std::string first = words.next();
  while (first == "(" || first == ";") first = words.next();
  if (first == "SELECT" || first == "VALUES" || first == "EXPLAIN") return true;
  if (first != "WITH") return false;
  // The statement proper begins at the first verb outside all parentheses.
  int depth = 0;
  for (std::string word = words.next(); !word.empty(); word = words.next()) {
    if (word == "(") ++depth;
    if (word == ")") --depth;
    if (depth > 0) continue;
    if (word == "SELECT" || word == "VALUES") return true;
    if (word == "INSERT" || word == "UPDATE" || word == "DELETE" || word == "REPLACE") return false;
  }
  return false;
}

}  // namespace assent::cli
