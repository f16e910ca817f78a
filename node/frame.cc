#include "node/frame.h"

#include <optional>

#include "base/byte_codec.h"
#include "base/check.h"

namespace assent {
namespace {

constexpr std::uint8_t frame_version = 1;
constexpr std::uint8_t kind_consensus = 1;
constexpr std::uint8_t kind_message = 2;
constexpr std::uint8_t kind_hint = 3;
constexpr std::uint8_t kind_map = 16;
constexpr std::uint8_t kind_leads = 17;
constexpr std::uint8_t kind_belong = 18;
constexpr std::uint8_t kind_left = 19;
constexpr std::size_t target_incarnation_offset = frame_header_bytes - 8;

std::optional<FrameItem> read_item(ByteReader& in) {
  switch (in.u8()) {
    case kind_consensus: {
      const auto group = in.id<GroupId>();
      return ConsensusItem{group, in.bytes()};
    }
    case kind_message: {
      const auto from = in.id<GroupId>();
      const auto to = in.id<GroupId>();
      const auto epoch = in.id<Epoch>();
      return MessageItem{from, to, epoch, in.bytes()};
    }
    case kind_hint: {
      const auto group = in.id<GroupId>();
      const auto epoch = in.id<Epoch>();
      return HintItem{group, epoch, in.id<NodeId>()};
    }
    case kind_map: {
      const std::uint64_t epoch = in.u64();
      return MapItem{epoch, in.bytes()};
    }
    case kind_leads: return LeadsItem{in.u64()};
    case kind_belong: {
      const auto group = in.id<GroupId>();
      return BelongItem{group, in.u64()};
    }
    case kind_left: {
      const auto group = in.id<GroupId>();
      const std::uint64_t member = in.u64();
      const auto epoch = in.id<Epoch>();
      return LeftItem{group, member, {epoch, in.id<Index>()}};
    }
    default: return std::nullopt;
  }
}

}  // namespace

void append_header(Bytes& frame, const FrameHeader& header) {
  ByteWriter(frame)
      .u8(frame_version)
      .id(header.sender)
      .id(header.target)
      .u64(header.sender_incarnation)
      .u64(header.target_incarnation);
}

void append_item(Bytes& frame, const ConsensusItem& item) {
  ByteWriter(frame).u8(kind_consensus).id(item.group).bytes(item.bytes);
}

void append_item(Bytes& frame, const MessageItem& item) {
  ByteWriter(frame).u8(kind_message).id(item.from).id(item.to).id(item.epoch).bytes(item.payload);
}

void append_item(Bytes& frame, const HintItem& item) {
  ByteWriter(frame).u8(kind_hint).id(item.group).id(item.epoch).id(item.leader);
}

void append_item(Bytes& frame, const MapItem& item) { ByteWriter(frame).u8(kind_map).u64(item.epoch).bytes(item.map); }

void append_item(Bytes& frame, const LeadsItem& item) { ByteWriter(frame).u8(kind_leads).u64(item.groups); }

void append_item(Bytes& frame, const BelongItem& item) {
  ByteWriter(frame).u8(kind_belong).id(item.group).u64(item.member);
}

void append_item(Bytes& frame, const LeftItem& item) {
  ByteWriter(frame).u8(kind_left).id(item.group).u64(item.member).id(item.at.epoch).id(item.at.index);
}

std::size_t encoded_size(const ConsensusItem& item) { return 1 + 8 + 4 + item.bytes.size(); }
std::size_t encoded_size(const MessageItem& item) { return 1 + 3 * 8 + 4 + item.payload.size(); }
std::size_t encoded_size(const HintItem&) { return 1 + 3 * 8; }
std::size_t encoded_size(const LeadsItem&) { return 1 + 8; }
std::size_t encoded_size(const BelongItem&) { return 1 + 2 * 8; }
std::size_t encoded_size(const LeftItem&) { return 1 + 4 * 8; }
std::size_t encoded_size(const MapItem& item) { return 1 + 8 + 4 + item.map.size(); }

void set_target_incarnation(Bytes& frame, std::uint64_t incarnation) {
  ASSENT_CHECK(frame.size() >= frame_header_bytes, "a frame begins with its header");
  for (std::size_t i = 0; i < 8; ++i) {
    frame[target_incarnation_offset + i] = static_cast<char>((incarnation >> (8 * i)) & 0xFFU);
  }
}

Result<FrameHeader> decode_frame(ByteView frame, std::vector<FrameItem>& items) {
  items.clear();
  ByteReader in(frame);
  const std::uint8_t version = in.u8();
  FrameHeader header;
  header.sender = in.id<NodeId>();
  header.target = in.id<NodeId>();
  header.sender_incarnation = in.u64();
  header.target_incarnation = in.u64();
  if (!in.ok()) return fail(ErrorCode::malformed, "a frame ends inside its header");
  if (version != frame_version)
    return fail(ErrorCode::malformed, "a frame has a version that this build does not know");
  while (in.ok() && in.remaining() > 0) {
    auto item = read_item(in);
    if (!item || !in.ok()) {
      items.clear();
      return fail(ErrorCode::malformed, "a frame holds an item that cannot be read");
    }
    items.push_back(*item);
  }
  return header;
}

}  // namespace assent
