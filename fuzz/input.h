// An input taken apart by a target that needs choices and not only bytes. Never runs out: past the end everything is
// zero and empty. Two takes never stand in the arguments of one call: their order would be the compiler's, and an input
// would mean one thing to the fuzzer and another to the test that replays it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/byte_codec.h"
#include "base/bytes.h"

namespace assent::fuzz {

class Input {
 public:
  explicit Input(ByteView bytes) : reader_(bytes) {}

  [[nodiscard]] bool empty() const { return reader_.remaining() == 0; }
  std::uint8_t byte() { return empty() ? 0 : reader_.u8(); }
  std::uint64_t below(std::uint64_t bound) { return byte() % bound; }
  bool flag() { return (byte() & 1U) != 0; }
  // Mostly below 8, so that two of them meet; sometimes up to 55, rarely any.
  std::uint64_t number() {
    const std::uint8_t first = byte();
    if (first < 0xC0) return first % 8;
    return first < 0xF0 || reader_.remaining() < 8 ? first - 0xC0ULL + 8 : reader_.u64();
  }
  // A piece with its length in one byte, or two when the first is 255.
  ByteView piece() {
    std::size_t size = byte();
    if (size == 0xFF) size = std::size_t{byte()} << 8U | byte();
    return reader_.raw(std::min(size, reader_.remaining()));
  }
  ByteView rest() { return reader_.raw(reader_.remaining()); }

 private:
  ByteReader reader_;
};

// The other way round, for seeds.
class Seed {
 public:
  Seed& byte(std::uint64_t value) {
    bytes_.push_back(static_cast<char>(value));
    return *this;
  }
  Seed& number(std::uint64_t value) {
    if (value < 8) return byte(value);
    if (value < 0x38) return byte(value - 8 + 0xC0);
    byte(0xF0);
    ByteWriter(bytes_).u64(value);
    return *this;
  }
  Seed& piece(ByteView value) {
    if (value.size() < 0xFF) {
      byte(value.size());
    } else {
      byte(0xFF).byte(value.size() >> 8U).byte(value.size());
    }
    bytes_.append(value);
    return *this;
  }
  Seed& rest(ByteView value) {
    bytes_.append(value);
    return *this;
  }
  operator Bytes() const { return bytes_; }  // NOLINT(google-explicit-constructor): ends a chain

 private:
  Bytes bytes_;
};

}  // namespace assent::fuzz
