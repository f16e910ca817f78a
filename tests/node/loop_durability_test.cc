// What leaves a loop when, and what is applied: the order between log, disk, peers and applications.
#include "consensus/raft/raft_factory.h"
#include "tests/node/loop_fixture.h"

namespace assent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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

TEST_F(LoopTest, WhatAQuickDiskHasDoneIsActedOnInTheSameFlush) {
  open();
  node.disk.quicken();
  const std::uint64_t before = node.loop->statistics().wal.batches;
  log(c0).append(1, 1, "a");
  log(c0).next().send_after_sync.push_back({peer, "after a"});
  flush(c0);
  EXPECT_THAT(consensus_to(peer), ElementsAre("after a"));
  EXPECT_EQ(log(c0).durable_outputs.back(), log(c0).number);
  EXPECT_FALSE(node.disk.pending());
  EXPECT_EQ(node.loop->statistics().wal.batches, before + 1);
}

// What was gathered while a slow batch was under way has nobody else to begin it when the disk turns quick meanwhile.
TEST_F(LoopTest, WhatGatheredBehindASlowBatchFollowsItOnAQuickDisk) {
  open();
  node.disk.hold();
  log(c0).append(1, 1, "a");
  flush(c0);
  log(c0).append(1, 2, "b");
  log(c0).next().send_after_sync.push_back({peer, "after b"});
  flush(c0);
  node.disk.release();
  node.disk.quicken();
  flush(s1);
  EXPECT_THAT(consensus_to(peer), ElementsAre("after b"));
  EXPECT_FALSE(node.disk.pending());
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

// Whole by its checksums, and still nothing that a core may vote with.
TEST_F(LoopTest, ALogThatTheCoreCannotGoOnWithStopsTheStartAndSaysWhy) {
  open();
  log(s1).append(3, 1, "of a term that was never stored");
  settle(s1);
  node.kill();
  const auto opened = node.open(make_raft_factory({}));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corruption);
  for (const char* part : {"group s1", "wal", "term 0 is older than the last entry, of term 3"}) {
    EXPECT_THAT(opened.error().message, testing::HasSubstr(part));
  }
  EXPECT_THAT(node.applications, testing::Not(testing::Contains(testing::Key(s1)))) << "its data is not touched";
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
  committed(c0, 2, "broken");
  committed(c0, 3, "b");
  committed(s1, 1, "other");
  log(c0).next().send_now.push_back({peer, "append"});
  touch(s1);
  settle(c0);
  ASSERT_TRUE(node.loop->failure());
  EXPECT_THAT(node.loop->failure()->message, testing::HasSubstr("group c0: entry 2"));
  EXPECT_THAT(database(c0).texts, ElementsAre("a"));
  EXPECT_THAT(database(s1).texts, IsEmpty()) << "nothing more is done";
  EXPECT_THAT(consensus_to(peer), ElementsAre("append")) << "what needs no disk left before the entries were applied";
  flush(s1);
  EXPECT_THAT(consensus_to(peer), IsEmpty()) << "nothing more is sent";
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

TEST_F(LoopTest, AnApplicationThatIsNotWellEndsTheNode) {
  open();
  settle(s1);
  EXPECT_FALSE(node.loop->failure());
  application(s1).unwell = true;
  settle(s1);
  ASSERT_TRUE(node.loop->failure());
  EXPECT_EQ(node.loop->failure()->code, ErrorCode::io);
  EXPECT_THAT(node.loop->failure()->message, testing::HasSubstr("group s1"));
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

}  // namespace
}  // namespace assent
