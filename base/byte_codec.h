// Little-endian fixed-width encoding of small records: WAL records, consensus messages, hard states, snapshot headers.
// The formats built with it are specified in docs/FORMATS.md. Reading is total: any bytes give values or a failed
// reader.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"

namespace assent {

class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  ByteWriter& u8(std::uint8_t value);
  ByteWriter& u32(std::uint32_t value);
  ByteWriter& u64(std::uint64_t value);
  template <class Tag>
  ByteWriter& id(Id<Tag> value) {
    return u64(value.value);
  }
  ByteWriter& txn(const TxnId& value);
  ByteWriter& bytes(ByteView value);  // u32 length, then the bytes
  ByteWriter& raw(ByteView value);    // the bytes alone

 private:
  Bytes& out_;
};

// After the first short read every further read gives zero or empty, and ok() stays false.
class ByteReader {
 public:
  explicit ByteReader(ByteView in) : in_(in) {}

  std::uint8_t u8();
  std::uint32_t u32();
  std::uint64_t u64();
  template <class T>
  T id() {
    return T(u64());
  }
  TxnId txn();
  ByteView bytes();                // u32 length, then a view into the input
  ByteView raw(std::size_t size);  // a view into the input
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t remaining() const { return in_.size(); }
  [[nodiscard]] bool complete() const { return ok_ && in_.empty(); }

 private:
  ByteView in_;
  bool ok_ = true;
};

}  // namespace assent
