// One of each: what seeds are made of.
#pragma once

#include <vector>

#include "txn_proto/commands.h"
#include "txn_proto/types.h"

namespace assent::fuzz {

inline constexpr std::uint64_t sample_millis = 1'700'000'000'000;

[[nodiscard]] TxnId sample_txn(std::uint64_t number);
[[nodiscard]] Work sample_work();  // of every operation
[[nodiscard]] WorkResult sample_result();
[[nodiscard]] Refusal sample_refusal();
[[nodiscard]] std::vector<TxnMessage> sample_messages();
[[nodiscard]] std::vector<CoordinatorCommand> sample_coordinator_commands();
[[nodiscard]] std::vector<ShardCommand> sample_shard_commands();

}  // namespace assent::fuzz
