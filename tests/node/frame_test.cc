#include "node/frame.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace assent {
namespace {

std::string hex(ByteView bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

Bytes sample() {
  Bytes frame;
  append_header(frame, FrameHeader{NodeId(1), NodeId(2), 3, 4});
  append_item(frame, ConsensusItem{GroupId(9), "abc"});
  append_item(frame, MessageItem{GroupId(9), GroupId(8), Epoch(7), "xy"});
  append_item(frame, HintItem{GroupId(8), Epoch(6), NodeId(5)});
  return frame;
}

TEST(Frame, AMapHasTheseBytes) {
  Bytes frame;
  append_header(frame, FrameHeader{NodeId(1), NodeId(2), 3, 4});
  const std::size_t before = frame.size();
  append_item(frame, MapItem{7, "map"});
  EXPECT_EQ(frame.size() - before, encoded_size(MapItem{7, "map"}));
  EXPECT_EQ(hex(ByteView(frame).substr(before)),
            "10070000000000000003000000"
            "6d6170");
  std::vector<FrameItem> items;
  ASSERT_TRUE(decode_frame(frame, items));
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0], FrameItem(MapItem{7, "map"}));
}

// The bytes are a format between versions of the program: this changes only with the version byte.
TEST(Frame, HasTheseBytes) {
  EXPECT_EQ(hex(sample()),
            "01"
            "0100000000000000"
            "0200000000000000"
            "0300000000000000"
            "0400000000000000"
            "01"
            "0900000000000000"
            "03000000"
            "616263"
            "02"
            "0900000000000000"
            "0800000000000000"
            "0700000000000000"
            "02000000"
            "7879"
            "03"
            "0800000000000000"
            "0600000000000000"
            "0500000000000000");
}

TEST(Frame, DecodesWhatWasEncoded) {
  const Bytes frame = sample();
  std::vector<FrameItem> items;
  const auto header = decode_frame(frame, items);
  ASSERT_TRUE(header);
  EXPECT_EQ(*header, (FrameHeader{NodeId(1), NodeId(2), 3, 4}));
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0], FrameItem(ConsensusItem{GroupId(9), "abc"}));
  EXPECT_EQ(items[1], FrameItem(MessageItem{GroupId(9), GroupId(8), Epoch(7), "xy"}));
  EXPECT_EQ(items[2], FrameItem(HintItem{GroupId(8), Epoch(6), NodeId(5)}));
}

TEST(Frame, SizesAreWhatIsAppended) {
  const auto grows_by = [](const auto& item) {
    Bytes out;
    append_item(out, item);
    return out.size() == encoded_size(item);
  };
  EXPECT_TRUE(grows_by(ConsensusItem{GroupId(9), "abc"}));
  EXPECT_TRUE(grows_by(MessageItem{GroupId(9), GroupId(8), Epoch(7), "xy"}));
  EXPECT_TRUE(grows_by(HintItem{GroupId(8), Epoch(6), NodeId(5)}));
  Bytes header;
  append_header(header, {});
  EXPECT_EQ(header.size(), frame_header_bytes);
}

TEST(Frame, TheTargetsIncarnationMayBeSetLate) {
  Bytes frame = sample();
  set_target_incarnation(frame, 0x1122334455667788ULL);
  std::vector<FrameItem> items;
  const auto header = decode_frame(frame, items);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->target_incarnation, 0x1122334455667788ULL);
  EXPECT_EQ(header->sender_incarnation, 3U);
  EXPECT_EQ(items.size(), 3U);
}

TEST(Frame, AHeaderAloneIsAFrame) {
  Bytes frame;
  append_header(frame, FrameHeader{NodeId(1), NodeId(2), 3, 0});
  std::vector<FrameItem> items;
  EXPECT_TRUE(decode_frame(frame, items));
  EXPECT_TRUE(items.empty());
}

// A frame cut anywhere but between two items is refused as a whole.
TEST(Frame, ATruncatedFrameGivesNothing) {
  const Bytes frame = sample();
  const std::size_t first = frame_header_bytes + encoded_size(ConsensusItem{GroupId(9), "abc"});
  const std::size_t second = first + encoded_size(MessageItem{GroupId(9), GroupId(8), Epoch(7), "xy"});
  for (std::size_t size = 0; size < frame.size(); ++size) {
    std::vector<FrameItem> items{HintItem{}};
    const auto header = decode_frame(ByteView(frame).substr(0, size), items);
    const bool whole = size == frame_header_bytes || size == first || size == second;
    EXPECT_EQ(header.has_value(), whole) << size;
    EXPECT_TRUE(whole || items.empty()) << size;
  }
}

TEST(Frame, AnotherVersionOrKindIsRefused) {
  std::vector<FrameItem> items;
  Bytes version = sample();
  version[0] = 2;
  EXPECT_EQ(decode_frame(version, items).error().code, ErrorCode::malformed);
  Bytes kind = sample();
  kind[frame_header_bytes] = 9;
  EXPECT_EQ(decode_frame(kind, items).error().code, ErrorCode::malformed);
}

TEST(Frame, AnyBytesAreDecodedOrRefused) {
  Rng rng(7);
  std::vector<FrameItem> items;
  std::uint64_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes = sample();
    if (rng.chance(0.3)) bytes.resize(rng.below(bytes.size() + 1));
    const std::uint64_t changes = rng.below(6);
    for (std::uint64_t i = 0; i < changes && !bytes.empty(); ++i) {
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    }
    if (decode_frame(bytes, items)) {
      ++accepted;
    } else {
      EXPECT_TRUE(items.empty());
    }
  }
  EXPECT_GT(accepted, 0U);
}

}  // namespace
}  // namespace assent
