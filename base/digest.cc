#include "base/digest.h"

#include <array>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace assent {

std::uint64_t xxh3(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Digest& Digest::add(std::uint64_t value) {
  std::array<char, 8> raw{};
  for (std::size_t i = 0; i < 8; ++i) raw[i] = static_cast<char>(value >> (8U * i));
  state_ = xxh3({raw.data(), raw.size()}, state_);
  return *this;
}

Digest& Digest::add(std::string_view bytes) {
  add(static_cast<std::uint64_t>(bytes.size()));
  state_ = xxh3(bytes, state_);
  return *this;
}

Digest& Digest::add(const TxnId& id) {
  state_ = xxh3({reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()}, state_);
  return *this;
}

}  // namespace assent
