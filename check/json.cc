#include "check/json.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace assent::check {
namespace {

constexpr int depth_max = 16;

void append_utf8(std::string& out, std::uint32_t point) {
  const auto tail = [&](int shift) {
    out += static_cast<char>(0x80U | ((point >> static_cast<unsigned>(shift)) & 0x3FU));
  };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0U | (point >> 6U));
    tail(0);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0U | (point >> 12U));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0U | (point >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

// The length of the UTF-8 sequence that text begins with; 0 when it begins with none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  const std::size_t length = lead < 0x80                   ? 1
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                             : lead >= 0xE0                ? 3
                             : lead >= 0xC2                ? 2
                                                           : 0;
  if (length == 0 || lead >= 0xF5 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;
  if (lead == 0xED && byte(1) > 0x9F) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Json> all() {
    std::optional<Json> value = any(0);
    skip_space();
    if (!value || at_ != text_.size()) return fail(ErrorCode::malformed, fmt::format("no JSON at byte {}", at_ + 1));
    return std::move(*value);
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool take(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  std::optional<Json> any(int depth) {
    skip_space();
    if (at_ >= text_.size() || depth > depth_max) return std::nullopt;
    switch (text_[at_]) {
      case '{': return object(depth);
      case '[': return array(depth);
      case '"': return string();
      default: return plain();
    }
  }

  std::optional<Json> plain() {
    if (take_word("null")) return Json{};
    if (take_word("true")) return Json{true};
    if (take_word("false")) return Json{false};
    std::int64_t number = 0;
    const char* const end = text_.data() + text_.size();
    const auto parsed = std::from_chars(text_.data() + at_, end, number);
    if (parsed.ec != std::errc{}) return std::nullopt;
    at_ = static_cast<std::size_t>(parsed.ptr - text_.data());
    // A fraction or an exponent is no value of a history.
    if (at_ < text_.size() && std::string_view(".eE").find(text_[at_]) != std::string_view::npos) return std::nullopt;
    return Json{number};
  }

  std::optional<Json> array(int depth) {
    ++at_;
    Json::Array out;
    if (take(']')) return Json{std::move(out)};
    do {
      std::optional<Json> element = any(depth + 1);
      if (!element) return std::nullopt;
      out.push_back(std::move(*element));
    } while (take(','));
    if (!take(']')) return std::nullopt;
    return Json{std::move(out)};
  }

  std::optional<Json> object(int depth) {
    ++at_;
    Json::Object out;
    if (take('}')) return Json{std::move(out)};
    do {
      skip_space();
      if (at_ >= text_.size() || text_[at_] != '"') return std::nullopt;
      std::optional<Json> name = string();
      if (!name || !take(':')) return std::nullopt;
      std::optional<Json> value = any(depth + 1);
      if (!value) return std::nullopt;
      out.emplace_back(std::get<std::string>(std::move(name->value)), std::move(*value));
    } while (take(','));
    if (!take('}')) return std::nullopt;
    return Json{std::move(out)};
  }

  std::optional<Json> string() {
    ++at_;
    std::string out;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (static_cast<std::uint8_t>(text_[at_]) < 0x20) return std::nullopt;
      if (text_[at_] != '\\') {
        out += text_[at_++];
      } else if (!escape(out)) {
        return std::nullopt;
      }
    }
    if (at_ >= text_.size()) return std::nullopt;
    ++at_;
    return Json{std::move(out)};
  }

  bool escape(std::string& out) {
    if (++at_ >= text_.size()) return false;
    static constexpr std::string_view names = "\"\\/bfnrt";
    static constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    const char name = text_[at_++];
    if (const std::size_t found = names.find(name); found != std::string_view::npos) {
      out += meanings[found];
      return true;
    }
    if (name != 'u') return false;
    std::optional<std::uint32_t> point = four_digits();
    if (!point) return false;
    if (*point >= 0xD800 && *point < 0xDC00 && take_word("\\u")) {
      const std::optional<std::uint32_t> low = four_digits();
      if (!low || *low < 0xDC00 || *low > 0xDFFF) return false;
      point = 0x10000 + ((*point - 0xD800) << 10U) + (*low - 0xDC00);
    }
    if (*point >= 0xD800 && *point <= 0xDFFF) return false;
    append_utf8(out, *point);
    return true;
  }

  std::optional<std::uint32_t> four_digits() {
    if (text_.size() - at_ < 4) return std::nullopt;
    std::uint32_t out = 0;
    const auto parsed = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, out, 16);
    if (parsed.ec != std::errc{} || parsed.ptr != text_.data() + at_ + 4) return std::nullopt;
    at_ += 4;
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

const Json* Json::member(std::string_view name) const {
  const auto* object = as<Object>();
  if (object == nullptr) return nullptr;
  for (const auto& [key, found] : *object) {
    if (key == name) return &found;
  }
  return nullptr;
}

Result<Json> parse_json(std::string_view text) { return Parser(text).all(); }

std::string quote_json(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<std::uint8_t>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + '"';
}

}  // namespace assent::check
