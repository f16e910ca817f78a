#include "base/ids.h"

#include <cstring>

namespace assent {

ClusterMillis TxnId::created() const {
  std::uint64_t millis = 0;
  for (std::size_t i = 0; i < 6; ++i) millis = (millis << 8U) | bytes[i];
  return ClusterMillis(millis);
}

std::string TxnId::to_hex() const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(32);
  for (const std::uint8_t b : bytes) {
    text.push_back(digits[b >> 4U]);
    text.push_back(digits[b & 15U]);
  }
  return text;
}

std::optional<TxnId> TxnId::from_hex(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  TxnId id;
  for (std::size_t i = 0; i < 16; ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return id;
}

std::optional<TxnId> TxnId::from_raw(std::string_view raw) {
  if (raw.size() != 16) return std::nullopt;
  TxnId id;
  std::memcpy(id.bytes.data(), raw.data(), 16);
  return id;
}

std::string TxnId::to_raw() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

TxnId TxnId::make(ClusterMillis now, std::uint64_t random_high, std::uint64_t random_low) {
  TxnId id;
  for (std::size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<std::uint8_t>(now.value >> (40U - 8U * i));
  id.bytes[6] = static_cast<std::uint8_t>(0x70U | ((random_high >> 8U) & 0x0FU));
  id.bytes[7] = static_cast<std::uint8_t>(random_high);
  for (std::size_t i = 0; i < 8; ++i) id.bytes[8 + i] = static_cast<std::uint8_t>(random_low >> (56U - 8U * i));
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3FU) | 0x80U);
  return id;
}

}  // namespace assent

// Ids are chosen by clients, who may count in any of their bits: every bit must reach the low ones, by which tables
// choose places (the finalizer of MurmurHash3).
std::size_t std::hash<assent::TxnId>::operator()(const assent::TxnId& id) const noexcept {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, id.bytes.data(), 8);
  std::memcpy(&low, id.bytes.data() + 8, 8);
  std::uint64_t mixed = low ^ (high * 0x9E3779B97F4A7C15ULL);
  mixed = (mixed ^ (mixed >> 33U)) * 0xFF51AFD7ED558CCDULL;
  mixed = (mixed ^ (mixed >> 33U)) * 0xC4CEB9FE1A85EC53ULL;
  return static_cast<std::size_t>(mixed ^ (mixed >> 33U));
}
