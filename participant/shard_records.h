// The bytes of a shard's records in its store. docs/FORMATS.md has the layout; a change of it is a new version.
#pragma once

#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "participant/shard.h"

namespace assent {

[[nodiscard]] Bytes encode_record(const PreparedTxn& prepared);
[[nodiscard]] Bytes encode_record(const FinishedTxn& finished);
[[nodiscard]] Result<std::variant<PreparedTxn, FinishedTxn>> decode_record(ByteView bytes);

// What the shard knows beside its transactions.
struct MachineRecord {
  ClusterMillis stamp;
  HeuristicCounts heuristics = {};
};
[[nodiscard]] Bytes encode_machine_record(const MachineRecord& record);
// Of no bytes, a new store's: zeros.
[[nodiscard]] Result<MachineRecord> decode_machine_record(ByteView bytes);

[[nodiscard]] Bytes encode_detail(const Refusal& refusal);
[[nodiscard]] Bytes encode_detail(const WorkResult& result);

}  // namespace assent
