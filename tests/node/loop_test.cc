// What a loop does with the outputs of its logs, told by logs that say what the test wants.
#include "node/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/node/scripted_log.h"
#include "tests/node/test_node.h"

namespace assent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr NodeId self{1};
constexpr NodeId peer{2};
constexpr NodeId third{3};
constexpr GroupId c0{1};
constexpr GroupId s1{2};
constexpr GroupId away{3};  // carried by others only

struct LoopTest : testing::Test {
  LoopTest() {
    const std::vector<NodeId> all{self, peer, third};
    node.config.self = self;
    node.config.groups = {GroupConfig{c0, "c0", GroupRole::coordinator, all},
                          GroupConfig{s1, "s1", GroupRole::shard, all},
                          GroupConfig{away, "s2", GroupRole::shard, {peer, third}}};
    node.config.snapshot_every = 0;
    node.config.wal.segment_bytes = 1ULL << 16U;
  }

  void open() {
    logs.clear();
    const auto opened = node.open([this](const LogSetup& setup) {
      auto made = std::make_unique<ScriptedLog>(setup);
      logs[setup.group] = made.get();
      return made;
    });
    ASSERT_TRUE(opened) << opened.error().message;
    node.settle();
    node.transport.frames.clear();  // greetings
  }
  void restart() {
    node.kill();
    open();
  }

  ScriptedLog& log(GroupId group) { return *logs.at(group); }
  TestApplication& application(GroupId group) { return *node.applications.at(group); }
  TestDatabase& database(GroupId group) { return node.databases[group]; }
  // Something happens to a group, so that the loop looks at it.
  void touch(GroupId group) { node.loop->handle(SnapshotSendEnded{peer, group, true}); }
  void flush(GroupId group) {
    touch(group);
    node.flush();
  }
  void settle(GroupId group) {
    touch(group);
    node.settle();
  }
  void commit(GroupId group, const EntryPtr& entry) { log(group).next().committed.push_back(entry); }
  EntryPtr committed(GroupId group, std::uint64_t index, Bytes payload, std::uint64_t epoch = 1) {
    auto entry = log(group).append(epoch, index, std::move(payload));
    commit(group, entry);
    return entry;
  }
  void lead(GroupId group, std::uint64_t epoch) {
    log(group).lead(epoch);
    settle(group);
    ASSERT_TRUE(application(group).leading);
  }

  // The consensus messages that left for a peer, oldest first; forgets them.
  std::vector<Bytes> consensus_to(NodeId to) {
    std::vector<Bytes> bytes;
    for (const FrameItem& item : items_to(to)) {
      if (const auto* one = std::get_if<ConsensusItem>(&item)) bytes.emplace_back(one->bytes);
    }
    node.transport.frames.clear();
    return bytes;
  }
  // Views into the frames.
  std::vector<FrameItem> items_to(NodeId to) {
    std::vector<FrameItem> all;
    for (const auto& [target, frame] : node.transport.frames) {
      std::vector<FrameItem> items;
      EXPECT_TRUE(decode_frame(frame, items));
      if (target == to) all.insert(all.end(), items.begin(), items.end());
    }
    return all;
  }
  template <class Item>
  void receive(NodeId from, const Item& item) {
    Bytes frame;
    append_header(frame, FrameHeader{from, self, 1, 0});
    append_item(frame, item);
    node.loop->handle(FrameReceived{from, frame});
  }

  TestNode node;
  std::map<GroupId, ScriptedLog*> logs;
};

// ---- durability ----

TEST_F(LoopTest, MessagesAfterSyncWaitForTheDiskAndOthersDoNot) {
  open();
  node.disk.hold();
  log(c0).append(1, 1, "a");
  log(c0).next().send_now.push_back({peer, "append"});
  log(c0).next().send_after_sync.push_back({peer, "ack"});
  flush(c0);
  const std::uint64_t output = log(c0).number;
  EXPECT_THAT(consensus_to(peer), ElementsAre("append"));
  EXPECT_THAT(log(c0).durable_outputs, testing::Not(testing::Contains(testing::Ge(output))));

  node.disk.release();
  node.loop->handle(DiskProgress{});
  node.flush();
  EXPECT_THAT(consensus_to(peer), ElementsAre("ack"));
  EXPECT_THAT(log(c0).durable_outputs, testing::Contains(testing::Ge(output)));
}

TEST_F(LoopTest, AnOutputThatNeedsNoDiskStillWaitsForEarlierOnesOfItsGroup) {
  open();
  node.disk.hold();
  log(c0).append(1, 1, "a");
  log(c0).next().send_after_sync.push_back({peer, "first"});
  flush(c0);
  log(c0).next().send_after_sync.push_back({peer, "second"});
  flush(c0);
  log(s1).next().send_after_sync.push_back({peer, "of another group"});
  flush(s1);
  EXPECT_THAT(consensus_to(peer), ElementsAre("of another group"));

  node.disk.release();
  node.settle();
  EXPECT_THAT(consensus_to(peer), ElementsAre("first", "second"));
  EXPECT_EQ(log(c0).durable_outputs.back(), log(c0).number) << "the newest output is reported too";
}

TEST_F(LoopTest, TheNextBatchGathersWhileTheLastOneSyncs) {
  open();
  const std::uint64_t before = node.loop->statistics().wal.batches;
  node.disk.hold();
  log(c0).append(1, 1, "a");
  flush(c0);
  for (std::uint64_t i = 2; i <= 10; ++i) {
    log(c0).append(1, i, "b");
    log(c0).next().send_after_sync.push_back({peer, std::to_string(i)});
    flush(c0);
    log(s1).append(1, i - 1, "c");
    flush(s1);
  }
  EXPECT_EQ(node.loop->statistics().wal.batches, before + 1);
  EXPECT_THAT(consensus_to(peer), IsEmpty());
  node.disk.release();
  node.settle();
  EXPECT_EQ(node.loop->statistics().wal.batches, before + 2);
  EXPECT_THAT(consensus_to(peer), ElementsAre("2", "3", "4", "5", "6", "7", "8", "9", "10"));

  restart();
  EXPECT_EQ(log(c0).setup().durable.entries.size(), 10U);
  EXPECT_EQ(log(s1).setup().durable.entries.size(), 9U);
}

// Two outputs of one batch, the second of which replaces a suffix of the first.
TEST_F(LoopTest, ASuffixReplacedBeforeItReachedTheDiskIsGone) {
  open();
  node.disk.hold();
  log(c0).append(1, 1, "a");
  flush(c0);
  for (std::uint64_t i = 2; i <= 4; ++i) log(c0).append(1, i, "old");
  log(c0).next().hard_state = "one";
  flush(c0);
  log(c0).append(2, 3, "new");
  log(c0).next().hard_state = "two";
  flush(c0);
  node.disk.release();
  node.settle();

  restart();
  const DurableLog& durable = log(c0).setup().durable;
  ASSERT_EQ(durable.entries.size(), 3U);
  EXPECT_EQ(durable.entries[1]->payload, "old");
  EXPECT_EQ(durable.entries[2]->payload, "new");
  EXPECT_EQ(durable.hard_state, "two");
}

TEST_F(LoopTest, AFailedSyncIsTheEnd) {
  open();
  node.disk.fail_next_sync();
  log(c0).append(1, 1, "a");
  log(c0).next().send_after_sync.push_back({peer, "ack"});
  settle(c0);
  ASSERT_TRUE(node.loop->failure());
  EXPECT_EQ(node.loop->failure()->code, ErrorCode::io);
  EXPECT_THAT(consensus_to(peer), IsEmpty());
  const std::uint64_t ticks = log(c0).ticks;
  node.loop->tick();
  flush(c0);
  EXPECT_EQ(log(c0).ticks, ticks);
}

// ---- applying ----

TEST_F(LoopTest, CommittedEntriesAreAppliedWithoutWaitingForTheOwnDisk) {
  open();
  node.disk.hold();
  committed(c0, 1, "a");
  flush(c0);
  EXPECT_THAT(database(c0).texts, ElementsAre("a"));
}

// The crash loses what the log had not synced but not what the application kept: legal, the entries come again.
TEST_F(LoopTest, AnApplicationAheadOfTheLogSkipsWhatItHas) {
  open();
  node.disk.hold();
  committed(c0, 1, "a");
  committed(c0, 2, "b");
  flush(c0);
  restart();
  EXPECT_TRUE(log(c0).setup().durable.entries.empty());
  for (std::uint64_t i = 1; i <= 3; ++i) committed(c0, i, i == 1 ? "a" : i == 2 ? "b" : "c");
  settle(c0);
  EXPECT_FALSE(node.loop->failure());
  EXPECT_THAT(database(c0).texts, ElementsAre("a", "b", "c"));
}

TEST_F(LoopTest, ALogThatHandsOutALittleAtATimeIsAskedAgain) {
  open();
  for (std::uint64_t i = 1; i <= 5; ++i) log(c0).append(1, i, std::to_string(i));
  commit(c0, log(c0).entries[Index(1)]);
  for (std::uint64_t i = 2; i <= 5; ++i) log(c0).later.emplace_back().committed.push_back(log(c0).entries[Index(i)]);
  flush(c0);
  EXPECT_THAT(database(c0).texts, ElementsAre("1", "2", "3", "4", "5"));
}

TEST_F(LoopTest, EpochStartsAreNotForTheApplicationButMoveIt) {
  open();
  auto start = std::make_shared<Entry>(Entry{Epoch(1), Index(1), ClusterMillis(1), EntryKind::epoch_start, ""});
  log(c0).next().append.push_back(start);
  commit(c0, start);
  committed(c0, 2, "a");
  settle(c0);
  EXPECT_THAT(database(c0).texts, ElementsAre("a"));
  EXPECT_EQ(database(c0).applied, Index(2));
}

TEST_F(LoopTest, AnEntryThatCannotBeAppliedStopsTheNode) {
  open();
  committed(c0, 1, "a");
  committed(c0, 2, "poison");
  committed(c0, 3, "b");
  committed(s1, 1, "other");
  log(c0).next().send_now.push_back({peer, "append"});
  touch(s1);
  settle(c0);
  ASSERT_TRUE(node.loop->failure());
  EXPECT_THAT(node.loop->failure()->message, testing::HasSubstr("group c0: entry 2"));
  EXPECT_THAT(database(c0).texts, ElementsAre("a"));
  EXPECT_THAT(database(s1).texts, IsEmpty()) << "nothing more is done";
  EXPECT_THAT(consensus_to(peer), IsEmpty());
}

TEST_F(LoopTest, AGapBetweenTheLogAndTheApplicationStopsTheNode) {
  open();
  for (std::uint64_t i = 1; i <= 3; ++i) log(c0).append(1, i, "a");
  commit(c0, log(c0).entries[Index(1)]);
  commit(c0, log(c0).entries[Index(3)]);
  settle(c0);
  ASSERT_TRUE(node.loop->failure());
  EXPECT_EQ(node.loop->failure()->code, ErrorCode::corruption);
  EXPECT_THAT(database(c0).texts, ElementsAre("a"));
}

TEST_F(LoopTest, ObserversHearOfEntriesAndLeaders) {
  open();
  std::vector<std::string> heard;
  node.loop->observe(
      {[&](GroupId group, const Entry& entry) { heard.push_back(fmt::format("{} applied {}", group, entry.index)); },
       [&](GroupId group, const Leadership& leadership) {
         heard.push_back(fmt::format("{} led by {}", group, leadership.leader));
       }});
  committed(c0, 1, "a");
  log(c0).lead(1);
  settle(c0);
  EXPECT_THAT(heard, ElementsAre("1 applied 1", "1 led by 1"));
}

// ---- leadership and requests ----

TEST_F(LoopTest, OnlyALeadersApplicationTicks) {
  open();
  node.loop->tick();
  EXPECT_EQ(application(c0).ticks, 0U);
  lead(c0, 1);
  node.loop->tick();
  EXPECT_EQ(application(c0).ticks, 1U);
  EXPECT_EQ(application(s1).ticks, 0U);
  log(c0).follow(2, peer);
  settle(c0);
  node.loop->tick();
  EXPECT_EQ(application(c0).ticks, 1U);
}

TEST_F(LoopTest, ALeaderOfTheNextEpochResignsFirst) {
  open();
  lead(c0, 1);
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  EXPECT_FALSE(node.answered(1));
  log(c0).lead(3);  // lost and won again between two looks
  settle(c0);
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::unknown_outcome);
  EXPECT_TRUE(application(c0).leading);
}

TEST_F(LoopTest, ARequestIsProposedAppliedAndAnsweredOnce) {
  open();
  lead(c0, 1);
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  ASSERT_THAT(log(c0).proposed, ElementsAre("a"));
  EXPECT_FALSE(node.answered(1));
  committed(c0, 1, "a");
  settle(c0);
  EXPECT_TRUE(node.reply(1));
  log(c0).follow(2, peer);
  settle(c0);
  EXPECT_TRUE(node.reply(1)) << "and not once more at the resignation";
}

TEST_F(LoopTest, ANonLeaderNamesTheLeaderItKnows) {
  open();
  log(c0).follow(4, third);
  settle(c0);
  node.request(put_request(1, c0, c0, "a"));
  node.request(put_request(2, s1, s1, "a"));
  node.request(put_request(3, away, away, "a"));
  node.request(put_request(4, GroupId(77), c0, "a"));
  node.settle();
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::not_leader);
  EXPECT_EQ(node.reply(1).error().leader_hint, third);
  EXPECT_EQ(node.reply(2).error().code, ErrorCode::not_leader);
  EXPECT_TRUE(node.reply(2).error().leader_hint.none());
  EXPECT_EQ(node.reply(3).error().code, ErrorCode::not_leader);
  EXPECT_EQ(node.reply(4).error().code, ErrorCode::not_found);

  receive(peer, HintItem{away, Epoch(5), third});
  node.request(put_request(5, away, away, "a"));
  node.settle();
  EXPECT_EQ(node.reply(5).error().leader_hint, third);
}

TEST_F(LoopTest, ALeaderThatIsNotReadyRefusesAndNamesNobody) {
  open();
  log(c0).next().leadership = Leadership{Epoch(3), self, true, false};
  settle(c0);
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::not_leader);
  EXPECT_TRUE(node.reply(1).error().leader_hint.none());
}

TEST_F(LoopTest, BeyondTheLimitRequestsAreRefused) {
  node.config.limits.client_requests_max = 2;
  open();
  lead(c0, 1);
  for (std::uint64_t i = 1; i <= 3; ++i) node.request(put_request(i, c0, c0, std::to_string(i)));
  node.settle();
  EXPECT_FALSE(node.answered(1));
  EXPECT_EQ(node.reply(3).error().code, ErrorCode::busy);
  committed(c0, 1, "1");
  settle(c0);
  EXPECT_TRUE(node.reply(1));
  node.request(put_request(4, c0, c0, "4"));
  node.settle();
  EXPECT_FALSE(node.answered(4)) << "there is room again";
}

TEST_F(LoopTest, ARefusedProposalIsTheApplicationsToAnswer) {
  open();
  lead(c0, 1);
  log(c0).refuse = Error{ErrorCode::busy, "the window is full", {}};
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::busy);
}

TEST_F(LoopTest, EveryRequestIsAnsweredWhenTheLeaderResigns) {
  open();
  lead(c0, 1);
  node.request(put_request(1, c0, c0, "a"));
  node.request(read_request(2, c0));
  node.settle();
  log(c0).follow(2, peer);
  settle(c0);
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::unknown_outcome);
  EXPECT_EQ(node.reply(2).error().code, ErrorCode::not_leader);
}

TEST_F(LoopTest, WhatTheApplicationForgetsToAnswerTheLoopAnswers) {
  open();
  lead(c0, 1);
  application(c0).mute = true;
  node.request(put_request(1, c0, c0, "a"));
  node.settle();
  log(c0).follow(2, peer);
  settle(c0);
  EXPECT_EQ(node.reply(1).error().code, ErrorCode::unknown_outcome);
}

// ---- reads ----

TEST_F(LoopTest, AReadIsServedOnceItsIndexIsApplied) {
  open();
  lead(c0, 1);
  node.request(read_request(1, c0));
  node.settle();
  ASSERT_EQ(log(c0).reads.size(), 1U);
  EXPECT_FALSE(node.answered(1));
  log(c0).next().reads.push_back({log(c0).reads[0], Index(2)});
  committed(c0, 1, "a");
  settle(c0);
  EXPECT_FALSE(node.answered(1)) << "entry 2 is not applied";
  committed(c0, 2, "b");
  settle(c0);
  ASSERT_TRUE(node.reply(1));
  EXPECT_EQ(std::get<QueryAnswer>(*node.reply(1)).at, Index(2));
}

TEST_F(LoopTest, LostAndRefusedBarriersAreTold) {
  open();
  lead(c0, 1);
  node.request(read_request(1, c0));
  node.settle();
  log(c0).next().reads_lost.push_back(log(c0).reads[0]);
  settle(c0);
  EXPECT_FALSE(node.reply(1));
  log(c0).refuse = Error{ErrorCode::busy, "too many", {}};
  node.request(read_request(2, c0));
  node.settle();
  EXPECT_FALSE(node.reply(2));
}

// The resignation has answered the client; the application of a non-leader hears of no read.
TEST_F(LoopTest, BarriersLostWithTheLeadershipAreNotToldTwice) {
  open();
  lead(c0, 1);
  node.request(read_request(1, c0));
  node.settle();
  log(c0).next().reads_lost.push_back(log(c0).reads[0]);
  log(c0).follow(2, peer);
  settle(c0);
  EXPECT_EQ(node.reply(1).error().message, "resigned");
}

// ---- messages between groups ----

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

TEST_F(LoopTest, WhileNobodyIsKnownTheMembersAreAskedInTurn) {
  open();
  lead(c0, 1);
  node.transport.frames.clear();
  node.request(put_request(1, c0, away, "x"));
  node.request(put_request(2, c0, away, "y"));
  node.flush();
  EXPECT_EQ(items_to(peer).size(), 1U);
  EXPECT_EQ(items_to(third).size(), 1U);
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

// ---- snapshots ----

struct LoopSnapshotTest : LoopTest {
  LoopSnapshotTest() { node.config.snapshot_every = 10; }
  void run_to(GroupId group, std::uint64_t last, std::uint64_t first = 1) {
    for (std::uint64_t i = first; i <= last; ++i) {
      committed(group, i, fmt::format("entry {}", i));
      settle(group);
    }
  }
  SnapshotTransfer transfer(std::uint64_t index) {
    Bytes data;
    for (std::uint64_t i = 1; i <= index; ++i) ByteWriter(data).bytes(fmt::format("entry {}", i));
    return SnapshotTransfer{c0, Epoch(3), SnapshotMark{{Epoch(1), Index(index)}, ClusterMillis(1), {self, peer, third}},
                            data};
  }
};

TEST_F(LoopSnapshotTest, IsTakenEverySoManyEntriesAndTheLogBeginsBehindIt) {
  open();
  run_to(c0, 25);
  ASSERT_EQ(log(c0).snapshots_taken.size(), 2U);
  EXPECT_EQ(log(c0).snapshots_taken[1].last.index, Index(20));
  EXPECT_EQ(node.disk.list("snapshots")->size(), 1U) << "the older one is gone";
  restart();
  EXPECT_EQ(log(c0).setup().durable.snapshot.last.index, Index(20));
  EXPECT_EQ(log(c0).setup().durable.entries.size(), 5U);
  EXPECT_EQ(database(c0).restored, 0U) << "the application is further";
}

TEST_F(LoopSnapshotTest, OfManyBytesIsTakenEarlier) {
  node.config.snapshot_every = 1'000;
  node.config.limits.snapshot_log_bytes = 100;
  open();
  committed(c0, 1, Bytes(60, 'x'));
  settle(c0);
  EXPECT_TRUE(log(c0).snapshots_taken.empty());
  committed(c0, 2, Bytes(60, 'x'));
  settle(c0);
  EXPECT_EQ(log(c0).snapshots_taken.size(), 1U);
}

TEST_F(LoopSnapshotTest, AnApplicationThatLostItsDataIsRestored) {
  open();
  run_to(c0, 25);
  node.kill();
  database(c0) = TestDatabase{};
  open();
  EXPECT_EQ(database(c0).restored, 1U);
  EXPECT_EQ(database(c0).applied, Index(20));
  EXPECT_EQ(database(c0).texts.size(), 20U);
}

TEST_F(LoopSnapshotTest, ALogWithoutItsSnapshotDoesNotOpen) {
  open();
  run_to(c0, 12);
  node.kill();
  database(c0) = TestDatabase{};
  const auto names = node.disk.list("snapshots").value();
  for (const std::string& name : names) ASSERT_TRUE(node.disk.remove("snapshots/" + name));
  const auto opened = node.open([](const LogSetup& setup) { return std::make_unique<ScriptedLog>(setup); });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("c0"));
}

TEST_F(LoopSnapshotTest, TheNewestIsSentWhenTheLogAsks) {
  open();
  run_to(c0, 12);
  log(c0).next().snapshots_to_send.push_back({peer, Epoch(4)});
  settle(c0);
  ASSERT_EQ(node.transport.snapshots.size(), 1U);
  const auto& [to, sent] = node.transport.snapshots.front();
  EXPECT_EQ(to, peer);
  EXPECT_EQ(sent.group, c0);
  EXPECT_EQ(sent.epoch, Epoch(4));
  EXPECT_EQ(sent.mark.last.index, Index(10));
  EXPECT_EQ(sent.data, transfer(10).data);
  const std::size_t told = log(c0).snapshots_sent.size();
  node.loop->handle(SnapshotSendEnded{peer, c0, false});
  ASSERT_EQ(log(c0).snapshots_sent.size(), told + 1);
  EXPECT_FALSE(log(c0).snapshots_sent.back());
}

TEST_F(LoopSnapshotTest, WithoutOneTheLogIsToldAndOneIsMade) {
  open();
  run_to(c0, 3);
  log(c0).next().snapshots_to_send.push_back({peer, Epoch(4)});
  settle(c0);
  EXPECT_TRUE(node.transport.snapshots.empty());
  EXPECT_FALSE(log(c0).snapshots_sent.back());
  ASSERT_EQ(log(c0).snapshots_taken.size(), 1U);
  EXPECT_EQ(log(c0).snapshots_taken[0].last.index, Index(3));
}

TEST_F(LoopSnapshotTest, AReceivedOneIsStoredBeforeTheLogHearsOfIt) {
  open();
  node.disk.hold();
  node.loop->handle(SnapshotReceived{peer, transfer(30)});
  node.flush();
  EXPECT_TRUE(log(c0).snapshots_received.empty());
  node.disk.release();
  node.settle();
  ASSERT_EQ(log(c0).snapshots_received.size(), 1U);
  EXPECT_EQ(database(c0).applied, Index(30));
  EXPECT_EQ(database(c0).texts.size(), 30U);
  log(c0).committed = Index(30);
  run_to(c0, 33, 31);
  EXPECT_FALSE(node.loop->failure());

  node.kill();
  database(c0) = TestDatabase{};
  open();
  EXPECT_EQ(log(c0).setup().durable.snapshot.last.index, Index(30));
  EXPECT_EQ(log(c0).setup().durable.entries.size(), 3U);
  EXPECT_EQ(database(c0).texts.size(), 30U);
}

TEST_F(LoopSnapshotTest, AnInstallVoidsWhatWasGatheredBeforeIt) {
  open();
  log(c0).append(1, 1, "stale");
  settle(c0);
  node.loop->handle(SnapshotReceived{peer, transfer(30)});
  node.disk.hold();
  log(s1).append(1, 1, "keeps the log busy");
  flush(s1);
  log(c0).append(1, 2, "stale");
  flush(c0);
  node.disk.release();
  node.settle();
  restart();
  EXPECT_EQ(log(c0).setup().durable.snapshot.last.index, Index(30));
  EXPECT_TRUE(log(c0).setup().durable.entries.empty());
}

// The log lost its tail and is sent a snapshot of what the application has long applied: it must not go back.
TEST_F(LoopSnapshotTest, AnApplicationFurtherThanTheSnapshotKeepsItsData) {
  open();
  node.disk.hold();
  for (std::uint64_t i = 1; i <= 5; ++i) committed(c0, i, fmt::format("entry {}", i));
  flush(c0);
  restart();
  node.loop->handle(SnapshotReceived{peer, transfer(3)});
  node.settle();
  ASSERT_EQ(log(c0).snapshots_received.size(), 1U);
  EXPECT_EQ(database(c0).applied, Index(5));
  EXPECT_EQ(database(c0).restored, 0U);
  for (std::uint64_t i = 4; i <= 6; ++i) committed(c0, i, fmt::format("entry {}", i));
  settle(c0);
  EXPECT_FALSE(node.loop->failure());
  EXPECT_EQ(database(c0).texts.size(), 6U);
}

TEST_F(LoopSnapshotTest, AStaleOneIsNotStored) {
  open();
  run_to(c0, 5);
  log(c0).committed = Index(5);
  node.loop->handle(SnapshotReceived{peer, transfer(4)});
  node.settle();
  EXPECT_EQ(log(c0).snapshots_received.size(), 1U) << "the core tells its leader where it stands";
  EXPECT_TRUE(node.disk.list("snapshots")->empty());
  EXPECT_EQ(database(c0).restored, 0U);
}

TEST_F(LoopSnapshotTest, OneFromAStrangerOrForAnotherGroupIsIgnored) {
  open();
  node.loop->handle(SnapshotReceived{NodeId(9), transfer(30)});
  SnapshotTransfer other = transfer(30);
  other.group = away;
  node.loop->handle(SnapshotReceived{peer, other});
  node.settle();
  EXPECT_TRUE(log(c0).snapshots_received.empty());
}

TEST_F(LoopSnapshotTest, AReceivedOneWaitsForTheOwnToBeStored) {
  open();
  run_to(c0, 9);
  node.disk.hold();
  committed(c0, 10, "entry 10");
  flush(c0);
  node.loop->handle(SnapshotReceived{peer, transfer(30)});
  node.flush();
  node.disk.release();
  node.settle();
  EXPECT_FALSE(node.loop->failure());
  EXPECT_EQ(log(c0).snapshots_taken.size(), 1U);
  EXPECT_EQ(log(c0).snapshots_received.size(), 1U);
  EXPECT_EQ(database(c0).applied, Index(30));
}

TEST_F(LoopSnapshotTest, DamagedBytesOfAPeerStopTheNodeAndKeepTheOldData) {
  open();
  run_to(c0, 3);
  SnapshotTransfer damaged = transfer(30);
  damaged.data = "\xFF\xFF";
  node.loop->handle(SnapshotReceived{peer, damaged});
  node.settle();
  ASSERT_TRUE(node.loop->failure());
  EXPECT_EQ(node.loop->failure()->code, ErrorCode::corruption);
}

// ---- what others see ----

TEST_F(LoopTest, StatusNamesTheGroupsCarriedHere) {
  open();
  committed(c0, 1, "a");
  settle(c0);
  const auto status = node.loop->status();
  ASSERT_EQ(status.size(), 2U);
  EXPECT_EQ(status[0].config.name, "c0");
  EXPECT_EQ(status[0].applied, Index(1));
  EXPECT_TRUE(node.loop->application_digest(c0));
  EXPECT_EQ(node.loop->application_digest(away).error().code, ErrorCode::not_found);
  EXPECT_EQ(node.loop->application(away), nullptr);
}

TEST_F(LoopTest, LeadershipIsHandedOverOnRequest) {
  open();
  node.loop->handle(TransferLeadership{c0, third});
  EXPECT_EQ(log(c0).transfer, third);
}

}  // namespace
}  // namespace assent
