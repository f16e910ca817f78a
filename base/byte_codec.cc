#include "base/byte_codec.h"

#include <algorithm>

namespace assent {
namespace {

void put(Bytes& out, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) out.push_back(static_cast<char>(value >> (8U * i)));
}

std::uint64_t get(ByteView raw) {
  std::uint64_t value = 0;
  for (std::size_t i = raw.size(); i > 0; --i) value = (value << 8U) | static_cast<std::uint8_t>(raw[i - 1]);
  return value;
}

}  // namespace

ByteWriter& ByteWriter::u8(std::uint8_t value) {
  put(out_, value, 1);
  return *this;
}

ByteWriter& ByteWriter::u32(std::uint32_t value) {
  put(out_, value, 4);
  return *this;
}

ByteWriter& ByteWriter::u64(std::uint64_t value) {
  put(out_, value, 8);
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

std::uint8_t ByteReader::u8() { return static_cast<std::uint8_t>(get(raw(1))); }
std::uint32_t ByteReader::u32() { return static_cast<std::uint32_t>(get(raw(4))); }
std::uint64_t ByteReader::u64() { return get(raw(8)); }

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
