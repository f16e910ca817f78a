// What a frame says to each of a node's loops, and which loop a group lives in.
#include "node/frame_demux.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "node/loop_placement.h"
#include "txn_proto/names.h"

namespace assent {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr NodeId peer{7};

// The first groups of loop 0 and of loop 1, of two.
GroupId group_in(std::size_t loop) {
  for (std::uint64_t i = 1;; ++i) {
    if (loop_of(GroupId(i), 2) == loop) return GroupId(i);
  }
}

FrameHeader header(std::uint64_t life = 1) { return {peer, NodeId(1), life, 0}; }

template <class... Items>
Bytes frame(const FrameHeader& header, const Items&... items) {
  Bytes out;
  append_header(out, header);
  (append_item(out, items), ...);
  return out;
}

std::vector<FrameItem> items_of(const Bytes& frame) {
  std::vector<FrameItem> items;
  EXPECT_TRUE(decode_frame(frame, items));
  return items;
}

TEST(LoopPlacement, IsAFunctionOfTheIdThatEverybodyCanCompute) {
  Bytes id;
  ByteWriter(id).u64(0x7331);
  EXPECT_EQ(loop_of(group_id("s1"), 5), xxh3(id) % 5);
  EXPECT_EQ(loop_of(group_id("s1"), 1), 0U);
  for (std::size_t loops = 1; loops < 10; ++loops) EXPECT_EQ(loop_of(group_id(map_group_name), loops), 0U);
  EXPECT_EQ(loop_folder(0), "");
  EXPECT_EQ(loop_folder(3), "loops/3");
}

TEST(LoopPlacement, SpreadsGroupsEvenly) {
  std::vector<int> groups(4);
  for (int i = 1; i <= 1'000; ++i) ++groups[loop_of(group_id("s" + std::to_string(i)), 4)];
  for (const int count : groups) EXPECT_NEAR(count, 250, 50);
}

TEST(FrameDemux, WhatIsForOneLoopIsNotTouched) {
  FrameDemux demux(2, 10);
  static_cast<void>(demux.split(peer, frame(header())));
  const Bytes whole =
      frame(header(), ConsensusItem{group_in(1), "raft"}, MessageItem{GroupId(9), group_in(1), {}, "m"});
  const auto parts = demux.split(peer, whole);
  ASSERT_THAT(parts, SizeIs(1));
  EXPECT_EQ(parts[0].loop, 1U);
  EXPECT_EQ(parts[0].frame, whole);
}

TEST(FrameDemux, EachLoopHearsWhatIsItsOwnInOrder) {
  FrameDemux demux(2, 10);
  const auto parts =
      demux.split(peer, frame(header(), ConsensusItem{group_in(0), "a"}, ConsensusItem{group_in(1), "b"},
                              HintItem{group_in(1), Epoch(3), NodeId(2)}, MapItem{4, ""}, LeadsItem{5},
                              MessageItem{group_in(1), group_in(0), Epoch(1), "c"}, ConsensusItem{group_in(1), "d"}));
  ASSERT_THAT(parts, SizeIs(2));
  const FrameItem hint = HintItem{group_in(1), Epoch(3), NodeId(2)};
  const std::vector<FrameItem> first{ConsensusItem{group_in(0), "a"}, hint, MapItem{4, ""}, LeadsItem{5},
                                     MessageItem{group_in(1), group_in(0), Epoch(1), "c"}};
  const std::vector<FrameItem> second{ConsensusItem{group_in(1), "b"}, hint, ConsensusItem{group_in(1), "d"}};
  EXPECT_EQ(items_of(parts[0].frame), first);
  EXPECT_EQ(items_of(parts[1].frame), second);
}

TEST(FrameDemux, WhatIsSaidOfAReplicaThatGoesIsForItsGroup) {
  FrameDemux demux(2, 10);
  static_cast<void>(demux.split(peer, frame(header())));
  const Bytes whole = frame(header(), BelongItem{group_in(1), 4}, LeftItem{group_in(1), 4, {}});
  const auto parts = demux.split(peer, whole);
  ASSERT_THAT(parts, SizeIs(1));
  EXPECT_EQ(parts[0].loop, 1U);
  EXPECT_EQ(parts[0].frame, whole);
}

TEST(FrameDemux, EveryLoopHearsThatAPeerLives) {
  FrameDemux demux(3, 10);
  EXPECT_THAT(demux.split(peer, frame(header())), SizeIs(3)) << "a sign of life";
  const Bytes busy = frame(header(), LeadsItem{1});
  EXPECT_THAT(demux.split(peer, busy), SizeIs(1));
  for (int i = 0; i < 9; ++i) demux.tick();
  EXPECT_THAT(demux.split(peer, busy), SizeIs(1));
  demux.tick();
  const auto parts = demux.split(peer, busy);
  ASSERT_THAT(parts, SizeIs(3)) << "the others had heard nothing for so long";
  EXPECT_THAT(items_of(parts[2].frame), IsEmpty());
  EXPECT_THAT(demux.split(peer, busy), SizeIs(1));
  EXPECT_THAT(demux.split(peer, frame(header(2), LeadsItem{1})), SizeIs(3)) << "another life";
  EXPECT_THAT(demux.split(NodeId(8), busy), SizeIs(3)) << "of each peer by itself";
}

TEST(FrameDemux, ALoopIsNotGivenWhatItSaid) {
  FrameDemux demux(3, 10);
  const auto parts = demux.split(NodeId(1), frame(header(), HintItem{GroupId(5), Epoch(1), NodeId(2)}), 1);
  ASSERT_THAT(parts, SizeIs(2));
  EXPECT_EQ(parts[0].loop, 0U);
  EXPECT_EQ(parts[1].loop, 2U);
}

TEST(FrameDemux, WhatCannotBeReadIsForLoopZeroToCount) {
  FrameDemux demux(2, 10);
  for (const Bytes& bad : {Bytes(), Bytes("x"), Bytes(40, '\xff'), frame(header(), LeadsItem{1}).substr(0, 40)}) {
    const auto parts = demux.split(peer, bad);
    ASSERT_THAT(parts, SizeIs(1));
    EXPECT_EQ(parts[0].loop, 0U);
    EXPECT_EQ(parts[0].frame, bad);
  }
}

}  // namespace
}  // namespace assent
