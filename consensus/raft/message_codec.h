// The bytes of Raft messages (base/byte_codec.h, little-endian). Decoding is total: any bytes give a well-formed
// message or nothing.
//
//     u8 kind | u64 group | u64 term | body                                     between founders
//     u8 kind + 128 | u64 group | u64 term | u64 from | u64 to | body           between members of these incarnations
//     kind 1 PreVoteRequest   u64 last.epoch, u64 last.index
//          2 PreVoteReply     u64 proposed, u8 granted
//          3 VoteRequest      u64 last.epoch, u64 last.index, u8 forced
//          4 VoteReply        u8 granted
//          5 AppendRequest    u64 prev.epoch, u64 prev.index, u64 commit, u32 count,
//                             count times: u64 epoch, u64 stamp, u8 entry kind, u32 length, payload
//          6 AppendAccept     u64 match
//          7 AppendReject     u64 rejected, u64 hint.epoch, u64 hint.index
//          8 Heartbeat        u64 commit, u64 round
//          9 HeartbeatReply   u64 round
//         10 TimeoutNow       -
//         11 StaleTerm        -
//         12 Sleep            u64 last, u64 round
//         13 SleepReply       u64 round
//         14 LeaseRequest     u64 sent
//         15 LeaseGrant       u64 sent
//
// Well-formed means: nothing left over, the group is the expected one, no term, epoch or index reaches number_max,
// booleans are 0 or 1, memberships are valid, and entries ascend as a log does: indices by one, epochs and stamps never
// down, epochs at most the term.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "consensus/raft/messages.h"

namespace assent::raft {

// Far beyond any honest term or index, and far enough below 2^64 that adding to one never wraps around.
constexpr std::uint64_t number_max = 1ULL << 62U;
static_assert(no_request.value < number_max, "it travels");

// What an entry counts for in byte limits.
constexpr std::size_t entry_overhead_bytes = 64;
[[nodiscard]] inline std::size_t entry_bytes(const Entry& entry) { return entry.payload.size() + entry_overhead_bytes; }

// Of sender and addressee: a message is between members, not nodes. Who lost a disk has nothing to do with what was
// said to, or by, the member that was there before.
struct Incarnations {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

struct Letter {
  Incarnations between;
  Message message;
};

[[nodiscard]] Bytes encode(GroupId group, const Message& message, const Incarnations& between = {});
[[nodiscard]] std::optional<Letter> decode_letter(GroupId group, ByteView bytes);
// The message alone.
[[nodiscard]] std::optional<Message> decode(GroupId group, ByteView bytes);

}  // namespace assent::raft
