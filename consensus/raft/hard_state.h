// What a Raft node promised and must never forget: its term and its vote in it. Nothing volatile belongs here.
// Bytes: u8 version, u64 term, u64 vote (0: none), and in version 2 u64 the vote's incarnation; version 1 stands for
// founders. No bytes at all stand for a new group.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/membership.h"

namespace assent::raft {

struct HardState {
  Epoch term;
  Member vote;

  bool operator==(const HardState&) const = default;
};

[[nodiscard]] Bytes encode_hard_state(const HardState& state);
[[nodiscard]] std::optional<HardState> decode_hard_state(ByteView bytes);

}  // namespace assent::raft
