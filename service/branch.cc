#include "service/branch.h"

namespace assent::service {

namespace {

bool continues(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
}

// The length of the character at the place, or 0 where there is no valid one (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
std::size_t character_at(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80U) return 1;
  const auto second = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0U;
  if (first >= 0xC2U && first <= 0xDFU) return continues(text, at + 1) ? 2 : 0;
  if (first >= 0xE0U && first <= 0xEFU) {
    const bool overlong = first == 0xE0U && second < 0xA0U;
    const bool surrogate = first == 0xEDU && second >= 0xA0U;
    return continues(text, at + 1) && continues(text, at + 2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0U && first <= 0xF4U) {
    const bool overlong = first == 0xF0U && second < 0x90U;
    const bool beyond = first == 0xF4U && second >= 0x90U;
    const bool whole = continues(text, at + 1) && continues(text, at + 2) && continues(text, at + 3);
    return whole && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

// C0 and DEL; C1, which is U+0080 to U+009F, commands terminals as well.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20U || first == 0x7FU;
  return first == 0xC2U && static_cast<unsigned char>(character[1]) < 0xA0U;
}

}  // namespace

bool valid_name(std::string_view text) {
  if (text.size() > name_bytes_max) return false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_at(text, at);
    if (length == 0 || is_control(text.substr(at, length))) return false;
    at += length;
  }
  return true;
}

std::string tidy_text(std::string_view text, std::size_t bytes_max) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_at(text, at);
    const bool fine = length > 0 && !is_control(text.substr(at, length));
    const std::string_view piece = fine ? text.substr(at, length) : std::string_view("?");
    if (out.size() + piece.size() > bytes_max) break;
    out += piece;
    at += fine ? length : 1;
  }
  return out;
}

}  // namespace assent::service
