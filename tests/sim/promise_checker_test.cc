// Each rule of the durability and the Raft checker is shown a core that breaks it, and one that keeps it.
#include <gtest/gtest.h>

#include "consensus/raft/hard_state.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft_factory.h"
#include "sim/raft_checker.h"

namespace assent::sim {
namespace {

const GroupId group(1);
const Replica one{group, NodeId(1)};
const Replica two{group, NodeId(2)};

EntryPtr entry(std::uint64_t epoch, std::uint64_t index) {
  return std::make_shared<const Entry>(
      Entry{Epoch(epoch), Index(index), ClusterMillis(1), EntryKind::epoch_start, Bytes()});
}

struct PromiseTest : testing::Test {
  Schedule schedule;
  Recorder recorder{schedule};
  DurabilityChecker durability{recorder};
  RaftChecker raft{recorder, durability};
  std::vector<LogWatcher*> watchers{&durability, &raft};
  LogFactory factory = make_raft_factory(RaftOptions{});
  std::map<NodeId, std::unique_ptr<ReplicatedLog>> logs;

  static LogSetup setup(NodeId node, DurableLog durable = {}) {
    return LogSetup{node, group, {NodeId(1), NodeId(2), NodeId(3)}, 1, std::move(durable)};
  }
  static DurableLog stored(Epoch term, NodeId vote, std::vector<EntryPtr> entries) {
    return DurableLog{raft::encode_hard_state({term, vote}), {}, std::move(entries)};
  }
  // A core that was built from this, as the checkers see it.
  void build(NodeId node, DurableLog durable = {}, Position left = {}) {
    LogSetup from = setup(node, std::move(durable));
    from.left = left;
    logs[node] = *factory(from);
    for (LogWatcher* watcher : watchers) watcher->built({group, node}, from, *logs[node]);
  }
  void SetUp() override {
    for (const NodeId node : {NodeId(1), NodeId(2), NodeId(3)}) build(node);
  }
  void give(NodeId node, const Output& output) {
    for (LogWatcher* watcher : watchers) watcher->gave({group, node}, output, *logs[node]);
  }
  void sync(NodeId node, std::uint64_t number) {
    for (LogWatcher* watcher : watchers) watcher->synced({group, node}, number, *logs[node]);
  }
  // Node 1 is told that three entries of epoch 1 are durable.
  void hold_three(Epoch term) {
    Output write;
    write.number = 1;
    write.hard_state = raft::encode_hard_state({term, {}});
    write.append = {entry(1, 1), entry(1, 2), entry(1, 3)};
    give(NodeId(1), write);
    sync(NodeId(1), 1);
  }
  static Output says(std::uint64_t number, NodeId to, const raft::Message& message, bool now) {
    Output output;
    output.number = number;
    (now ? output.send_now : output.send_after_sync).push_back({to, raft::encode(group, message)});
    return output;
  }
  void expect_wrong(std::string_view rule) {
    EXPECT_EQ(recorder.verdict(), Verdict::wrong);
    EXPECT_TRUE(recorder.why().starts_with(rule)) << recorder.why();
  }
  void expect_fine() { EXPECT_EQ(recorder.verdict(), Verdict::ok) << recorder.why(); }
};

TEST_F(PromiseTest, AnEntryIsCommittedOnlyWhenAMajorityHoldsItDurably) {
  Output write;
  write.number = 1;
  write.append = {entry(1, 1)};
  give(NodeId(1), write);
  give(NodeId(2), write);
  sync(NodeId(1), 1);
  Output commit;
  commit.number = 2;
  commit.committed = {entry(1, 1)};
  give(NodeId(1), commit);
  expect_wrong("L4 durability");
}

TEST_F(PromiseTest, ALogThatComesBackShorterIsExplainedByDamageAndByNothingElse) {
  hold_three(Epoch(1));
  build(NodeId(1), stored(Epoch(1), {}, {entry(1, 1)}), {Epoch(1), Index(3)});
  expect_wrong("L4 durability: node 1 is rebuilt without entry 2");
}

TEST_F(PromiseTest, WhoWasHurtMayLackEntriesAndMayNotForgetIt) {
  hold_three(Epoch(1));
  durability.hurt(one);
  build(NodeId(1), stored(Epoch(1), {}, {entry(1, 1)}), {Epoch(1), Index(3)});
  expect_fine();
  EXPECT_TRUE(durability.view(one)->holds(Index(3), Epoch(1))) << "what it acknowledged still counts";
  EXPECT_FALSE(durability.view(one)->holds(Index(3), Epoch(2)));
  EXPECT_FALSE(durability.view(one)->holds(Index(4), Epoch(1)));
  EXPECT_EQ(durability.view(one)->reach(), Index(3));
  // Once more, with less to lose, and what is kept of the first time does not go back.
  durability.hurt(one);
  build(NodeId(1), stored(Epoch(1), {}, {}), {Epoch(1), Index(1)});
  expect_wrong("L4 durability: node 1 lost entries");
}

TEST_F(PromiseTest, WhoWasHurtAndSaysNothingOfItIsNoticed) {
  hold_three(Epoch(1));
  durability.hurt(one);
  build(NodeId(1), stored(Epoch(1), {}, {entry(1, 1)}), {Epoch(1), Index(2)});
  expect_wrong("L4 durability: node 1 lost entries");
}

TEST_F(PromiseTest, WhatWasLostCountsNoMoreOnceSomethingElseStandsThere) {
  hold_three(Epoch(1));
  durability.hurt(one);
  build(NodeId(1), stored(Epoch(1), {}, {entry(1, 1)}), {Epoch(1), Index(3)});
  Output same;
  same.number = 2;
  same.append = {entry(1, 2)};
  give(NodeId(1), same);
  sync(NodeId(1), 2);
  EXPECT_TRUE(durability.view(one)->holds(Index(3), Epoch(1)));
  Output other;
  other.number = 3;
  other.append = {entry(2, 2)};
  give(NodeId(1), other);
  sync(NodeId(1), 3);
  EXPECT_FALSE(durability.view(one)->holds(Index(3), Epoch(1)));
  expect_fine();
}

TEST_F(PromiseTest, DamageLeavesTheBeginningOfALog) {
  hold_three(Epoch(2));
  durability.hurt(one);
  build(NodeId(1), stored(Epoch(2), {}, {entry(1, 1), entry(2, 2)}), {Epoch(1), Index(3)});
  expect_wrong("L4 durability: node 1 is rebuilt without entry 2");
}

TEST_F(PromiseTest, ACommitThatAMajorityHoldsIsFine) {
  Output write;
  write.number = 1;
  write.append = {entry(1, 1)};
  for (const NodeId node : {NodeId(1), NodeId(2)}) {
    give(node, write);
    sync(node, 1);
  }
  Output commit;
  commit.number = 2;
  commit.committed = {entry(1, 1)};
  give(NodeId(3), commit);
  expect_fine();
}

TEST_F(PromiseTest, AReplicaIsRebuiltWithWhatItWasToldToBeDurable) {
  Output write;
  write.number = 1;
  write.hard_state = raft::encode_hard_state({Epoch(1), NodeId(2)});
  write.append = {entry(1, 1), entry(1, 2)};
  give(NodeId(1), write);
  sync(NodeId(1), 1);
  build(NodeId(1), stored(Epoch(1), NodeId(2), {entry(1, 1)}));
  expect_wrong("L4 durability");
}

TEST_F(PromiseTest, AReplicaIsRebuiltWithItsTermAndVote) {
  Output write;
  write.number = 1;
  write.hard_state = raft::encode_hard_state({Epoch(4), NodeId(2)});
  give(NodeId(1), write);
  sync(NodeId(1), 1);
  build(NodeId(1), stored(Epoch(3), NodeId(2), {}));
  expect_wrong("L4 durability");
}

TEST_F(PromiseTest, AWriteUnderWayMayHaveArrivedOrNot) {
  Output first;
  first.number = 1;
  first.hard_state = raft::encode_hard_state({Epoch(1), NodeId(1)});
  first.append = {entry(1, 1), entry(1, 2)};
  give(NodeId(1), first);
  sync(NodeId(1), 1);
  Output second;
  second.number = 2;
  second.hard_state = raft::encode_hard_state({Epoch(2), NodeId(2)});
  second.append = {entry(2, 2)};
  give(NodeId(1), second);
  build(NodeId(1), stored(Epoch(2), NodeId(2), {entry(1, 1), entry(2, 2)}));
  expect_fine();
}

TEST_F(PromiseTest, AVoteLeavesOnlyWhenItIsDurable) {
  give(NodeId(1), says(1, NodeId(2), raft::VoteReply{Epoch(1), true}, true));
  expect_wrong("R6 promises");
}

TEST_F(PromiseTest, AnAcknowledgementThatArrivesIsDurableAtItsSender) {
  Output write;
  write.number = 1;
  write.hard_state = raft::encode_hard_state({Epoch(1), NodeId(1)});
  give(NodeId(2), write);
  sync(NodeId(2), 1);
  raft.received(one, NodeId(2), raft::encode(group, raft::AppendAccept{Epoch(1), Index(7)}), *logs[NodeId(1)]);
  expect_wrong("R6 promises");
}

// Node 1 leads term 2, with an entry of it at index 1. Node 2 accepts that, and has by now this term and another entry
// there.
void late_accept(PromiseTest& test, std::uint64_t term, std::uint64_t entry_epoch) {
  ReplicatedLog& log = *test.logs[NodeId(1)];
  const auto hears = [&](NodeId from, const raft::Message& message) {
    log.receive(from, raft::encode(group, message));
  };
  const auto settle = [&log] { log.durable(log.take_output().number); };
  hears(NodeId(3), raft::VoteRequest{Epoch(1), {}, false});
  for (std::uint32_t ticks = 3 * RaftOptions{}.election_ticks; ticks > 0; --ticks) log.tick();
  hears(NodeId(3), raft::PreVoteReply{Epoch(1), Epoch(2), true});
  settle();
  hears(NodeId(3), raft::VoteReply{Epoch(2), true});
  settle();
  ASSERT_TRUE(log.status().leadership.self_leads);
  Output write;
  write.number = 1;
  write.hard_state = raft::encode_hard_state({Epoch(term), {}});
  write.append = {entry(entry_epoch, 1)};
  test.give(NodeId(2), write);
  test.sync(NodeId(2), 1);
  const raft::AppendAccept accept{Epoch(2), Index(1)};
  hears(NodeId(2), accept);
  test.raft.received(one, NodeId(2), raft::encode(group, accept), log);
}

TEST_F(PromiseTest, WhatALeaderTakesForMatchedIsTheSameAtTheFollower) {
  late_accept(*this, 2, 1);
  expect_wrong("R2 matching");
}

TEST_F(PromiseTest, AFollowerThatWentOnToANewerTermMayHaveCutItOffSince) {
  late_accept(*this, 3, 3);
  expect_fine();
}

TEST_F(PromiseTest, ANodeVotesOnceAnEpochAlsoAcrossItsLives) {
  give(NodeId(2), says(1, NodeId(1), raft::VoteReply{Epoch(1), true}, false));
  sync(NodeId(2), 1);
  build(NodeId(2));
  give(NodeId(2), says(1, NodeId(3), raft::VoteReply{Epoch(1), true}, false));
  sync(NodeId(2), 1);
  expect_wrong("R1 votes");
}

TEST_F(PromiseTest, AVoteThatACrashTookAwayUnsaidIsNone) {
  give(NodeId(2), says(1, NodeId(1), raft::VoteReply{Epoch(1), true}, false));
  build(NodeId(2));
  give(NodeId(2), says(1, NodeId(3), raft::VoteReply{Epoch(1), true}, false));
  sync(NodeId(2), 1);
  expect_fine();
}

TEST_F(PromiseTest, NobodyCampaignsWithoutPreVotes) {
  give(NodeId(1), says(1, NodeId(2), raft::VoteRequest{Epoch(1), {}, false}, false));
  sync(NodeId(1), 1);
  expect_wrong("9.6 pre-votes");
}

TEST_F(PromiseTest, APreVoteOfOneOtherIsEnoughOfThree) {
  give(NodeId(3), says(1, NodeId(1), raft::PreVoteReply{Epoch(0), Epoch(1), true}, false));
  sync(NodeId(3), 1);
  give(NodeId(1), says(1, NodeId(2), raft::VoteRequest{Epoch(1), {}, false}, false));
  sync(NodeId(1), 1);
  expect_fine();
}

TEST_F(PromiseTest, ALeaderIsReadyOnlyAfterAnEntryOfItsOwnEpoch) {
  Output ready;
  ready.number = 1;
  ready.leadership = Leadership{Epoch(3), NodeId(1), true, true};
  give(NodeId(1), ready);
  expect_wrong("L5 completeness");
}

TEST_F(PromiseTest, AReadReflectsWhatWasCommittedWhenItWasAsked) {
  Output write;
  write.number = 1;
  write.append = {entry(1, 1)};
  for (const NodeId node : {NodeId(2), NodeId(3)}) {
    give(node, write);
    sync(node, 1);
  }
  Output commit;
  commit.number = 2;
  commit.committed = {entry(1, 1)};
  give(NodeId(2), commit);
  durability.asked_read(one, ReadId(5));
  Output stale;
  stale.number = 1;
  stale.reads = {ReadReady{ReadId(5), Index(0)}};
  give(NodeId(1), stale);
  expect_wrong("L6 reads");
}

}  // namespace
}  // namespace assent::sim
