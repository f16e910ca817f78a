// Where messages between groups and frames of peers go.
#include "tests/node/loop_fixture.h"

namespace assent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(LoopTest, AMessageToAGroupLedHereNeverLeaves) {
  open();
  lead(c0, 1);
  lead(s1, 1);
  node.transport.frames.clear();
  node.request(put_request(1, c0, s1, "hello"));
  node.flush();
  EXPECT_THAT(application(s1).received, ElementsAre(std::pair(c0, Bytes("hello"))));
  EXPECT_EQ(node.loop->statistics().local_messages, 1U);
  EXPECT_TRUE(node.transport.frames.empty());
}

TEST_F(LoopTest, AMessageGoesToTheLeaderAndCarriesTheSendersEpoch) {
  open();
  lead(c0, 7);
  log(s1).follow(4, third);
  settle(s1);
  node.transport.frames.clear();
  node.request(put_request(1, c0, s1, "hello"));
  node.flush();
  EXPECT_THAT(items_to(third), ElementsAre(FrameItem(MessageItem{c0, s1, Epoch(7), "hello"})));
  EXPECT_THAT(items_to(peer), IsEmpty());
}

TEST_F(LoopTest, WhileNobodyIsKnownAllMembersAreAsked) {
  open();
  lead(c0, 1);
  node.transport.frames.clear();
  node.request(put_request(1, c0, away, "x"));
  node.request(put_request(2, c0, away, "y"));
  node.flush();
  EXPECT_EQ(items_to(peer).size(), 2U);
  EXPECT_EQ(items_to(third).size(), 2U);
}

TEST_F(LoopTest, ANonLeaderAnswersAMessageWithAHint) {
  open();
  log(s1).follow(4, third);
  settle(s1);
  receive(peer, MessageItem{c0, s1, Epoch(2), "x"});
  receive(peer, MessageItem{c0, s1, Epoch(2), "y"});
  node.flush();
  EXPECT_THAT(items_to(peer), ElementsAre(FrameItem(HintItem{s1, Epoch(4), third})));
  EXPECT_THAT(application(s1).received, IsEmpty());
}

TEST_F(LoopTest, ANonLeaderThatKnowsNobodyOrOnlyTheAskerIsSilent) {
  open();
  receive(peer, MessageItem{c0, s1, Epoch(2), "x"});
  log(s1).follow(4, peer);
  settle(s1);
  receive(peer, MessageItem{c0, s1, Epoch(2), "x"});
  node.flush();
  EXPECT_THAT(items_to(peer), IsEmpty());
}

TEST_F(LoopTest, AHintIsFollowed) {
  open();
  lead(c0, 1);
  receive(third, HintItem{away, Epoch(5), peer});
  node.transport.frames.clear();
  node.request(put_request(1, c0, away, "x"));
  node.request(put_request(2, c0, away, "y"));
  node.flush();
  EXPECT_EQ(items_to(peer).size(), 2U);
}

TEST_F(LoopTest, AMessageTellsWhereItsGroupIsLed) {
  open();
  lead(c0, 1);
  receive(peer, MessageItem{away, c0, Epoch(5), "from the leader"});
  node.transport.frames.clear();
  node.request(put_request(1, c0, away, "x"));
  node.request(put_request(2, c0, away, "y"));
  node.flush();
  EXPECT_EQ(items_to(peer).size(), 2U);
  EXPECT_THAT(application(c0).received, ElementsAre(std::pair(away, Bytes("from the leader"))));
}

TEST_F(LoopTest, ConsensusMessagesReachTheirGroup) {
  open();
  receive(peer, ConsensusItem{s1, "vote"});
  receive(peer, ConsensusItem{away, "stray"});
  node.settle();
  EXPECT_THAT(log(s1).received, ElementsAre("vote"));
  EXPECT_THAT(log(c0).received, IsEmpty());
}

TEST_F(LoopTest, MalformedAndStrangeFramesAreCountedAndIgnored) {
  open();
  node.loop->handle(FrameReceived{peer, "rubbish"});
  node.loop->handle(FrameReceived{peer, ""});
  Bytes frame;
  append_header(frame, FrameHeader{NodeId(9), self, 1, 0});
  append_item(frame, ConsensusItem{c0, "x"});
  node.loop->handle(FrameReceived{NodeId(9), frame});
  node.settle();
  EXPECT_EQ(node.loop->statistics().frames_malformed, 2U);
  EXPECT_THAT(log(c0).received, IsEmpty());
  EXPECT_FALSE(node.loop->failure());
}

TEST_F(LoopTest, FramesGatherWhileTheTransportIsBusy) {
  open();
  node.transport.blocked = {peer};
  for (int i = 0; i < 3; ++i) {
    log(c0).next().send_now.push_back({peer, std::to_string(i)});
    flush(c0);
  }
  EXPECT_TRUE(node.transport.frames.empty());
  node.transport.blocked.clear();
  node.loop->handle(TransportReady{peer});
  node.flush();
  EXPECT_EQ(node.transport.frames.size(), 1U);
  EXPECT_THAT(consensus_to(peer), ElementsAre("0", "1", "2"));
}

}  // namespace
}  // namespace assent
