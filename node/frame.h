// The bytes that one node sends another: a header and any number of items, of all groups together.
//
//     frame         = version u8 (1), sender u64, target u64, sender incarnation u64, target incarnation u64, item*
//     item          = kind u8, then
//       1 consensus = group u64, length u32, the core's own bytes
//       2 message   = from group u64, to group u64, epoch u64, length u32, the envelope's bytes
//       3 hint      = group u64, epoch u64, leader u64
//      16 map       = epoch u64, length u32, the bytes of the cluster map of that epoch, or none
//      17 leads     = groups u64: how many the sender leads; said where raft.leaders is spread
//      18 belong    = group u64, member u64: does the sender, as this member, still belong to the group?
//      19 left      = group u64, member u64, epoch u64, index u64: as of this committed place the target does not
//
// Little-endian. The epoch of a message is the one in which the sending node leads the sending group, so that the
// receiver learns where that leader is. Items 18 and 19 (node/leaving.h) go to programs of protocol level 1 alone. A
// map without bytes says which epoch its sender has reached: no node says so before the map was changed for the first
// time, so that programs that do not know the item meet none till then. A target incarnation of 0 means that the sender
// has not heard from the target yet.
//
// Decoding is total: any bytes are a frame or a malformed error, and nothing of a malformed frame is used. Not a
// checksum: the stream below has its own. No state, no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace assent {

struct FrameHeader {
  NodeId sender;
  NodeId target;
  std::uint64_t sender_incarnation = 0;
  std::uint64_t target_incarnation = 0;  // 0: not known

  bool operator==(const FrameHeader&) const = default;
};
inline constexpr std::size_t frame_header_bytes = 1 + 4 * 8;

// The views point into the message when encoding, into the frame when decoded.
struct ConsensusItem {
  GroupId group;
  ByteView bytes;
  bool operator==(const ConsensusItem&) const = default;
};
struct MessageItem {
  GroupId from;
  GroupId to;
  Epoch epoch;
  ByteView payload;
  bool operator==(const MessageItem&) const = default;
};
struct HintItem {
  GroupId group;
  Epoch epoch;
  NodeId leader;
  bool operator==(const HintItem&) const = default;
};
struct MapItem {
  std::uint64_t epoch = 0;
  ByteView map;
  bool operator==(const MapItem&) const = default;
};
struct LeadsItem {
  std::uint64_t groups = 0;
  bool operator==(const LeadsItem&) const = default;
};
struct BelongItem {
  GroupId group;
  std::uint64_t member = 0;
  bool operator==(const BelongItem&) const = default;
};
struct LeftItem {
  GroupId group;
  std::uint64_t member = 0;
  Position at;
  bool operator==(const LeftItem&) const = default;
};
using FrameItem = std::variant<ConsensusItem, MessageItem, HintItem, MapItem, LeadsItem, BelongItem, LeftItem>;

void append_header(Bytes& frame, const FrameHeader& header);
void append_item(Bytes& frame, const ConsensusItem& item);
void append_item(Bytes& frame, const MessageItem& item);
void append_item(Bytes& frame, const HintItem& item);
void append_item(Bytes& frame, const MapItem& item);
void append_item(Bytes& frame, const LeadsItem& item);
void append_item(Bytes& frame, const BelongItem& item);
void append_item(Bytes& frame, const LeftItem& item);
[[nodiscard]] std::size_t encoded_size(const ConsensusItem& item);
[[nodiscard]] std::size_t encoded_size(const MessageItem& item);
[[nodiscard]] std::size_t encoded_size(const HintItem& item);
[[nodiscard]] std::size_t encoded_size(const MapItem& item);
[[nodiscard]] std::size_t encoded_size(const LeadsItem& item);
[[nodiscard]] std::size_t encoded_size(const BelongItem& item);
[[nodiscard]] std::size_t encoded_size(const LeftItem& item);

// Of a frame that is built and only now leaves: what is known of the target may have changed since it was begun.
void set_target_incarnation(Bytes& frame, std::uint64_t incarnation);

// Replaces items; empty after an error.
[[nodiscard]] Result<FrameHeader> decode_frame(ByteView frame, std::vector<FrameItem>& items);

}  // namespace assent
