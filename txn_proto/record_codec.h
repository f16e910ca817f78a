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

}  // namespace assent
