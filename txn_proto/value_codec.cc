#include "txn_proto/value_codec.h"

namespace assent {
namespace {

// The length of the UTF-8 sequence that begins with this byte, 0 when none does.
std::size_t sequence_length(unsigned char first) {
  if (first < 0x80U) return 1;
  if (first >= 0xC2U && first <= 0xDFU) return 2;
  if (first >= 0xE0U && first <= 0xEFU) return 3;
  if (first >= 0xF0U && first <= 0xF4U) return 4;
  return 0;
}

// Second bytes are restricted for some first bytes: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool second_byte_fits(unsigned char first, unsigned char second) {
  switch (first) {
    case 0xE0U: return second >= 0xA0U && second <= 0xBFU;
    case 0xEDU: return second >= 0x80U && second <= 0x9FU;
    case 0xF0U: return second >= 0x90U && second <= 0xBFU;
    case 0xF4U: return second >= 0x80U && second <= 0x8FU;
    default: return second >= 0x80U && second <= 0xBFU;
  }
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t length = sequence_length(first);
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if (k == 1 ? !second_byte_fits(first, next) : (next & 0xC0U) != 0x80U) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace assent
