// The record of a transaction that needs no more work, and its bytes: the same 51 in snapshots and in archives
// (docs/FORMATS.md section 4). Values; called by whoever keeps outcomes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/byte_codec.h"
#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent {

struct SettledOutcome {
  TxnId txn;
  Attempt attempt;                // of a commit; none for a sealed abort
  std::uint64_t fingerprint = 0;  // of a commit; 0 when it is not known
  ClusterMillis decided_at;
  Outcome outcome = Outcome::none;
  Protocol protocol = Protocol::automatic;
  Mode mode = Mode::atomic;
  AbortReason reason = AbortReason::none;
  bool by_hand = false;  // an operator ended a service's part in it

  bool operator==(const SettledOutcome&) const = default;
};

inline constexpr std::size_t settled_outcome_bytes = 16 + 16 + 8 + 8 + 1 + 1 + 1;

void write(ByteWriter& out, const SettledOutcome& record);
// False when the bytes are not such a record.
[[nodiscard]] bool read(ByteReader& in, SettledOutcome& record);

// A byte of a record that names a protocol. False when it names none.
[[nodiscard]] bool read_protocol(ByteReader& in, Protocol& protocol);

}  // namespace assent
