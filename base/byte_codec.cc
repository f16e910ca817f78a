#include "base/byte_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstring>

namespace assent {
namespace {

// Little-endian, whatever the machine is.
template <std::unsigned_integral T>
T little(T value) {
  if constexpr (std::endian::native == std::endian::big) {
    auto raw = std::bit_cast<std::array<unsigned char, sizeof(T)>>(value);
    std::reverse(raw.begin(), raw.end());
    return std::bit_cast<T>(raw);
  }
  return value;
}

template <std::unsigned_integral T>
void put(Bytes& out, T value) {
  const auto raw = std::bit_cast<std::array<char, sizeof(T)>>(little(value));
  out.append(raw.data(), raw.size());
}

template <std::unsigned_integral T>
T get(ByteView raw) {
  T value = 0;
  if (raw.size() == sizeof(T)) std::memcpy(&value, raw.data(), sizeof(T));
  return little(value);
}

}  // namespace

ByteWriter& ByteWriter::u8(std::uint8_t value) {
  out_.push_back(static_cast<char>(value));
  return *this;
}

ByteWriter& ByteWriter::u32(std::uint32_t value) {
  put(out_, value);
  return *this;
}

ByteWriter& ByteWriter::u64(std::uint64_t value) {
  put(out_, value);
  return *this;
}

ByteWriter& ByteWriter::txn(const TxnId& value) {
  return raw({reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()});
}

ByteWriter& ByteWriter::bytes(ByteView value) {
  u32(static_cast<std::uint32_t>(value.size()));
  return raw(value);
}

ByteWriter& ByteWriter::raw(ByteView value) {
  out_.append(value);
  return *this;
}

std::uint8_t ByteReader::u8() { return get<std::uint8_t>(raw(1)); }
std::uint32_t ByteReader::u32() { return get<std::uint32_t>(raw(4)); }
std::uint64_t ByteReader::u64() { return get<std::uint64_t>(raw(8)); }

TxnId ByteReader::txn() { return TxnId::from_raw(raw(16)).value_or(TxnId{}); }

ByteView ByteReader::bytes() { return raw(u32()); }

ByteView ByteReader::raw(std::size_t size) {
  if (!ok_ || size > in_.size()) {
    ok_ = false;
    in_ = {};
    return {};
  }
  const ByteView taken = in_.substr(0, size);
  in_.remove_prefix(size);
  return taken;
}

}  // namespace assent
