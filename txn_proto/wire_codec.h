// The one codec between the plain structs that travel between groups or stand in logs, and their bytes (protobuf,
// wire.proto). Total: any bytes give a value or a malformed error. decode(encode(x)) == x.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "txn_proto/commands.h"
#include "txn_proto/types.h"

namespace assent {

[[nodiscard]] Bytes encode(const TxnMessage& message);
[[nodiscard]] Result<TxnMessage> decode_message(ByteView bytes);

[[nodiscard]] Bytes encode(const CoordinatorCommand& command);
[[nodiscard]] Result<CoordinatorCommand> decode_coordinator_command(ByteView bytes);

[[nodiscard]] Bytes encode(const ShardCommand& command);
[[nodiscard]] Result<ShardCommand> decode_shard_command(ByteView bytes);

// Pieces, for records of machines that keep them.
[[nodiscard]] Bytes encode(const WorkResult& result);
[[nodiscard]] Result<WorkResult> decode_work_result(ByteView bytes);
[[nodiscard]] Bytes encode(const Refusal& refusal);
[[nodiscard]] Result<Refusal> decode_refusal(ByteView bytes);

}  // namespace assent
