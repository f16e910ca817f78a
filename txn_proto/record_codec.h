// Fixed little-endian encodings of the plain values that machines keep in their records and snapshots
// (docs/FORMATS.md). Not the wire: that is wire_codec.h, which needs protobuf. Reading is total: after bad bytes the
// reader is not ok().
#pragma once

#include <vector>

#include "base/byte_codec.h"
#include "txn_proto/acceptor.h"
#include "txn_proto/types.h"

namespace assent {

void write(ByteWriter& out, const Attempt& attempt);
void write(ByteWriter& out, const std::vector<GroupId>& groups);
void write(ByteWriter& out, const Acceptor& acceptor);
void write(ByteWriter& out, const Refusal& refusal);
void write(ByteWriter& out, const Effects& effects);
void write(ByteWriter& out, const WorkResult& result);

// False when the bytes are bad; the value is then unspecified.
[[nodiscard]] bool read(ByteReader& in, Attempt& attempt);
[[nodiscard]] bool read(ByteReader& in, std::vector<GroupId>& groups);
[[nodiscard]] bool read(ByteReader& in, Acceptor& acceptor);
[[nodiscard]] bool read(ByteReader& in, Refusal& refusal);
[[nodiscard]] bool read(ByteReader& in, Effects& effects);
[[nodiscard]] bool read_without_adds(ByteReader& in, Effects& effects);  // as older records have them
[[nodiscard]] bool read(ByteReader& in, WorkResult& result);
// One byte, from first to last.
template <class Enum>
[[nodiscard]] bool read_enum(ByteReader& in, Enum& to, Enum first, Enum last) {
  const std::uint8_t value = in.u8();
  if (value < static_cast<std::uint8_t>(first) || value > static_cast<std::uint8_t>(last)) return false;
  to = static_cast<Enum>(value);
  return in.ok();
}

}  // namespace assent
