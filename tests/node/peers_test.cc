#include "node/peers.h"

#include <gtest/gtest.h>

#include <set>

namespace assent {
namespace {

constexpr NodeId self{1};
constexpr NodeId peer{2};

struct FakeTransport final : Transport {
  [[nodiscard]] bool ready(NodeId to) const override {
    return !blocked.contains(to) && (!one_at_a_time || sent.empty());
  }
  void send(NodeId to, Bytes frame) override { sent.emplace_back(to, std::move(frame)); }
  void send_snapshot(NodeId, SnapshotTransfer) override {}

  std::vector<FrameItem> items(std::size_t i) {
    EXPECT_TRUE(decode_frame(sent.at(i).second, scratch));
    return scratch;
  }
  FrameHeader header(std::size_t i) { return *decode_frame(sent.at(i).second, scratch); }

  std::set<NodeId> blocked;
  bool one_at_a_time = false;
  std::vector<std::pair<NodeId, Bytes>> sent;
  std::vector<FrameItem> scratch;
};

struct PeersTest : testing::Test {
  PeersTest() {
    limits.frame_bytes_max = 200;
    limits.peer_queue_bytes_max = 1000;
    limits.peer_stalled_ticks_max = 3;
  }
  Peers make() {
    Peers peers(self, 10, {self, peer, NodeId(3)}, limits);
    FakeTransport greetings;
    peers.send(greetings);
    EXPECT_EQ(greetings.sent.size(), 2U) << "each peer learns of the new life at once";
    return peers;
  }
  Limits limits;
  FakeTransport transport;
};

// The append that brings a laggard up to date may be larger than all that may wait. Found by the simulator: the
// follower stayed behind for ever.
TEST_F(PeersTest, AMessageLargerThanTheQueueLeavesWhileThereIsRoom) {
  Peers peers = make();
  peers.queue(peer, ConsensusItem{GroupId(1), "heartbeat"});
  peers.queue(peer, ConsensusItem{GroupId(1), std::string(5000, 'x')});
  peers.queue(peer, ConsensusItem{GroupId(1), "one more"});
  EXPECT_EQ(peers.counts().messages_dropped, 1U);
  peers.send(transport);
  peers.send(transport);
  ASSERT_EQ(transport.sent.size(), 2U);
  EXPECT_EQ(transport.items(0).size(), 1U);
  EXPECT_EQ(transport.items(1).size(), 1U);
}

TEST_F(PeersTest, OneFrameHoldsTheMessagesOfAllGroups) {
  Peers peers = make();
  peers.queue(peer, ConsensusItem{GroupId(1), "a"});
  peers.queue(peer, ConsensusItem{GroupId(2), "b"});
  peers.queue(peer, MessageItem{GroupId(1), GroupId(2), Epoch(3), "c"});
  peers.send(transport);
  ASSERT_EQ(transport.sent.size(), 1U);
  EXPECT_EQ(transport.items(0).size(), 3U);
  peers.send(transport);
  EXPECT_EQ(transport.sent.size(), 1U);
}

TEST_F(PeersTest, AFrameIsClosedBeforeItGrowsTooLarge) {
  Peers peers = make();
  const Bytes half(90, 'x');
  for (int i = 0; i < 5; ++i) peers.queue(peer, ConsensusItem{GroupId(1), half});
  peers.send(transport);
  EXPECT_EQ(transport.sent.size(), 5U);
  for (const auto& [to, frame] : transport.sent) EXPECT_LE(frame.size(), limits.frame_bytes_max);
}

TEST_F(PeersTest, AMessageLargerThanAFrameTravelsAlone) {
  Peers peers = make();
  peers.queue(peer, ConsensusItem{GroupId(1), "a"});
  peers.queue(peer, ConsensusItem{GroupId(1), Bytes(500, 'x')});
  peers.queue(peer, ConsensusItem{GroupId(1), "b"});
  peers.send(transport);
  ASSERT_EQ(transport.sent.size(), 3U);
  EXPECT_EQ(std::get<ConsensusItem>(transport.items(1)[0]).bytes.size(), 500U);
}

TEST_F(PeersTest, FramesLeaveOneByOneAsTheTransportIsReady) {
  Peers peers = make();
  transport.one_at_a_time = true;
  peers.queue(peer, ConsensusItem{GroupId(1), Bytes(150, 'x')});
  peers.queue(peer, ConsensusItem{GroupId(1), Bytes(150, 'y')});
  peers.send(transport);
  ASSERT_EQ(transport.sent.size(), 1U);
  peers.queue(peer, ConsensusItem{GroupId(1), "z"});
  transport.sent.clear();
  peers.send(transport);
  ASSERT_EQ(transport.sent.size(), 1U);
  EXPECT_EQ(std::get<ConsensusItem>(transport.items(0)[0]).bytes, Bytes(150, 'y')) << "oldest first";
}

TEST_F(PeersTest, AFullQueueDropsAndCounts) {
  Peers peers = make();
  transport.blocked = {peer};
  for (int i = 0; i < 20; ++i) peers.queue(peer, ConsensusItem{GroupId(1), Bytes(90, 'x')});
  const std::uint64_t dropped = peers.counts().messages_dropped;
  EXPECT_GT(dropped, 0U);
  transport.blocked.clear();
  peers.send(transport);
  EXPECT_EQ(transport.sent.size() + dropped, 20U);
}

TEST_F(PeersTest, TheQueueOfAPeerThatTakesNothingIsDropped) {
  Peers peers = make();
  transport.blocked = {peer};
  peers.queue(peer, ConsensusItem{GroupId(1), "old"});
  for (int i = 0; i < 3; ++i) peers.tick(transport);
  EXPECT_EQ(peers.counts().messages_dropped, 1U);
  transport.blocked.clear();
  peers.queue(peer, ConsensusItem{GroupId(1), "new"});
  peers.send(transport);
  ASSERT_EQ(transport.sent.size(), 1U);
  EXPECT_EQ(std::get<ConsensusItem>(transport.items(0).at(0)).bytes, "new");
}

TEST_F(PeersTest, HintsOfOneGroupReplaceEachOther) {
  Peers peers = make();
  for (std::uint64_t i = 1; i <= 100; ++i) peers.queue(peer, HintItem{GroupId(1), Epoch(i), NodeId(3)});
  peers.send(transport);
  ASSERT_EQ(transport.sent.size(), 1U);
  EXPECT_EQ(transport.items(0), std::vector<FrameItem>{(HintItem{GroupId(1), Epoch(100), NodeId(3)})});
}

TEST_F(PeersTest, StrangersAndMiswiredFramesAreNotAdmitted) {
  Peers peers = make();
  EXPECT_TRUE(peers.admit(peer, FrameHeader{peer, self, 1, 0}));
  EXPECT_FALSE(peers.admit(NodeId(9), FrameHeader{NodeId(9), self, 1, 0}));
  EXPECT_FALSE(peers.admit(peer, FrameHeader{NodeId(3), self, 1, 0})) << "says to be another";
  EXPECT_FALSE(peers.admit(peer, FrameHeader{peer, NodeId(3), 1, 0})) << "meant for another";
}

TEST_F(PeersTest, FramesOfAnEarlierLifeAreNotAdmitted) {
  Peers peers = make();
  EXPECT_TRUE(peers.admit(peer, FrameHeader{peer, self, 5, 10}));
  EXPECT_FALSE(peers.admit(peer, FrameHeader{peer, self, 4, 10}));
  EXPECT_TRUE(peers.admit(peer, FrameHeader{peer, self, 6, 10}));
  peers.queue(peer, ConsensusItem{GroupId(1), "a"});
  peers.send(transport);
  EXPECT_EQ(transport.header(0).target_incarnation, 6U);
  EXPECT_EQ(transport.header(0).sender_incarnation, 10U);
}

// Otherwise a restarted node would stay deaf until it spoke by itself.
TEST_F(PeersTest, WhoeverWritesToAnEarlierLifeIsGreeted) {
  Peers peers = make();
  EXPECT_FALSE(peers.admit(peer, FrameHeader{peer, self, 5, 9}));
  peers.send(transport);
  ASSERT_EQ(transport.sent.size(), 1U);
  EXPECT_TRUE(transport.items(0).empty());
  EXPECT_EQ(transport.header(0), (FrameHeader{self, peer, 10, 5}));
}

}  // namespace
}  // namespace assent
