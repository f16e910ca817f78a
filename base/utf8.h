// Text for those who take nothing but UTF-8, and for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace assent {

// How many bytes the character at the front has; 0: it is none (a stray byte, too long a form, a surrogate, cut off).
[[nodiscard]] inline std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const auto follows = [&](std::size_t at) { return at < text.size() && (byte(at) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80U) return 1;
  if (first >= 0xC2U && first <= 0xDFU) return follows(1) ? 2 : 0;
  if (first >= 0xE0U && first <= 0xEFU) {
    if (!follows(1) || !follows(2)) return 0;
    if (first == 0xE0U && byte(1) < 0xA0U) return 0;
    return first == 0xEDU && byte(1) >= 0xA0U ? 0 : 3;
  }
  if (first < 0xF0U || first > 0xF4U || !follows(1) || !follows(2) || !follows(3)) return 0;
  if (first == 0xF0U && byte(1) < 0x90U) return 0;
  return first == 0xF4U && byte(1) >= 0x90U ? 0 : 4;
}

// The text, with a question mark in the place of each byte that is no part of a character.
[[nodiscard]] inline std::string as_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    length == 0 ? out += '?' : out += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

// Any bytes as a name on one line: control characters and what is no part of a character as \xHH. At most so many
// bytes; what is longer ends with three dots.
[[nodiscard]] inline std::string as_name(std::string_view bytes, std::size_t most) {
  constexpr std::string_view digits = "0123456789abcdef";
  constexpr std::string_view dots = "...";
  std::string out;
  std::size_t whole = 0;  // up to where there is room for the dots behind it
  while (!bytes.empty() && out.size() <= most) {
    const std::size_t length = utf8_length(bytes);
    const auto first = static_cast<unsigned char>(bytes.front());
    if (length == 0 || first < 0x20U || first == 0x7FU) {
      out.append({'\\', 'x', digits[first >> 4U], digits[first & 0xFU]});
    } else {
      out += bytes.substr(0, length);
    }
    bytes.remove_prefix(length == 0 ? 1 : length);
    if (out.size() + dots.size() <= most) whole = out.size();
  }
  return out.size() <= most ? out : out.substr(0, whole).append(dots);
}

}  // namespace assent
