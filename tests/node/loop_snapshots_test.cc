// Snapshots taken, sent, received and restored, and what a start needs of them.
#include "tests/node/loop_fixture.h"

namespace assent {
namespace {

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

// The log of all groups is one: a group with few entries must not keep it for ever.
TEST_F(LoopSnapshotTest, IsTakenOfWhomKeepsTheOldestSegmentOfALongLog) {
  node.config.snapshot_every = 1'000;
  node.config.wal.segment_bytes = 4'096;
  node.config.limits.wal_bytes_max = 6 * 4'096;
  open();
  // More than what is carried forward from segment to segment.
  committed(c0, 1, Bytes(3'000, 'x'));
  settle(c0);
  const auto segments = [&] { return node.disk.list("wal")->size(); };
  std::size_t most = 0;
  for (std::uint64_t i = 1; i <= 60; ++i) {
    committed(s1, i, Bytes(1'000, 'y'));
    settle(s1);
    node.loop->tick();
    settle(c0);
    most = std::max(most, segments());
  }
  EXPECT_EQ(log(c0).snapshots_taken.size(), 1U);
  EXPECT_GE(log(s1).snapshots_taken.size(), 1U);
  EXPECT_LE(most, 9U);
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

TEST_F(LoopSnapshotTest, AGroupWithoutItsSnapshotIsGivenUpAndTheOthersGoOn) {
  open();
  run_to(c0, 12);
  run_to(s1, 3);
  node.kill();
  database(c0) = TestDatabase{};
  const auto names = node.disk.list("snapshots").value();
  for (const std::string& name : names) ASSERT_TRUE(node.disk.remove("snapshots/" + name));
  open();
  EXPECT_EQ(node.loop->application(c0), nullptr);
  EXPECT_EQ(node.loop->recovery().lost.at(c0), (LostEntries{Index(1), {Epoch(1), Index(12)}}));
  EXPECT_THAT(node.loop->recovery().damages, testing::ElementsAre(testing::HasSubstr("group c0")));
  EXPECT_EQ(log(s1).setup().durable.entries.size(), 3U);

  receive(peer, ConsensusItem{c0, "from its leader"});
  node.settle();
  ASSERT_NE(node.loop->application(c0), nullptr);
  EXPECT_EQ(log(c0).setup().left, (Position{Epoch(1), Index(12)}));
  EXPECT_TRUE(log(c0).setup().durable.entries.empty());
  const std::vector<GroupStatus> groups = node.loop->status();
  EXPECT_EQ(groups.front().lost, (Position{Epoch(1), Index(12)}));
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

TEST_F(LoopSnapshotTest, ADamagedOneIsCountedAndAnotherIsMade) {
  open();
  run_to(c0, 12);
  const auto names = node.disk.list("snapshots");
  ASSERT_TRUE(names);
  for (const std::string& name : *names) {
    ASSERT_TRUE(node.disk.truncate("snapshots/" + name, 60));
  }
  log(c0).next().snapshots_to_send.push_back({peer, Epoch(4)});
  settle(c0);
  EXPECT_TRUE(node.transport.snapshots.empty());
  EXPECT_EQ(node.loop->statistics().snapshots_damaged, 1U);
  EXPECT_FALSE(node.loop->failure());
  EXPECT_EQ(log(c0).snapshots_taken.back().last.index, Index(12));
}

// Whatever is kept is started from.
TEST_F(LoopSnapshotTest, AReceivedOneThatCannotBeRestoredIsNotKept) {
  open();
  run_to(c0, 3);
  const auto before = node.disk.list("snapshots").value();
  SnapshotTransfer bad = transfer(30);
  bad.data = Bytes(7, '\xff');
  node.loop->handle(SnapshotReceived{peer, bad});
  settle(c0);
  EXPECT_EQ(node.loop->statistics().snapshots_refused, 1U);
  EXPECT_FALSE(node.loop->failure());
  EXPECT_EQ(node.disk.list("snapshots").value(), before);
  EXPECT_TRUE(log(c0).snapshots_received.empty());
  node.loop->handle(SnapshotReceived{peer, transfer(30)});
  settle(c0);
  EXPECT_EQ(log(c0).snapshots_received.size(), 1U) << "and a good one is taken after it";
}

// Also where nothing was applied since: then it takes the damaged one's name.
TEST_F(LoopSnapshotTest, ADamagedOneThatAScrubberFindsIsMadeAgainAndSetAside) {
  open();
  for (const std::uint64_t last : {10U, 13U}) {
    run_to(c0, last, last == 10 ? 1 : 11);
    ASSERT_EQ(node.loop->cold_files().size(), 1U);
    const ColdFile file = node.loop->cold_files().front();
    ASSERT_TRUE(node.disk.truncate(file.path, 60));
    EXPECT_TRUE(node.loop->repair(file));
    settle(c0);
    EXPECT_FALSE(node.loop->failure());
    ASSERT_EQ(node.loop->cold_files().size(), 1U);
    Scrubber scrubber(node.disk);
    scrubber.begin(node.loop->cold_files());
    while (scrubber.running()) EXPECT_FALSE(scrubber.step(64));
  }
  EXPECT_EQ(log(c0).snapshots_taken.back().last.index, Index(13));
  EXPECT_EQ(node.disk.list("damaged")->size(), 2U);
  const ColdFile stranger{.kind = ColdFile::Kind::snapshot, .path = "snapshots/x", .group = {}};
  EXPECT_FALSE(node.loop->repair(stranger));
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

// ---- made in steps ----

struct StepsTest : LoopSnapshotTest {
  StepsTest() { node.config.limits.snapshot_step_bytes = 1; }
};

TEST_F(StepsTest, OneStepEachFlushAndTheMarkIsOfWhatItHoldsInTheEnd) {
  open();
  application(c0).steps_of_a_snapshot = 5;
  run_to(c0, 9);
  committed(c0, 10, "entry 10");
  flush(c0);
  EXPECT_TRUE(node.loop->has_more());
  for (std::uint64_t i = 1; i <= 3; ++i) {
    committed(c0, 10 + i, fmt::format("entry {}", 10 + i));
    flush(c0);
    EXPECT_EQ(application(c0).steps_taken, i);
  }
  EXPECT_TRUE(log(c0).snapshots_taken.empty());
  node.settle();
  EXPECT_FALSE(node.loop->has_more());
  ASSERT_EQ(log(c0).snapshots_taken.size(), 1U);
  EXPECT_EQ(log(c0).snapshots_taken[0].last.index, Index(13));
  node.kill();
  database(c0) = TestDatabase{};
  open();
  EXPECT_EQ(database(c0).applied, Index(13));
  EXPECT_EQ(database(c0).texts.size(), 13U);
}

TEST_F(StepsTest, GroupsTakeTurns) {
  open();
  application(c0).steps_of_a_snapshot = application(s1).steps_of_a_snapshot = 3;
  for (std::uint64_t i = 1; i <= 10; ++i) {
    committed(c0, i, "c");
    committed(s1, i, "s");
  }
  touch(c0);
  flush(s1);
  for (std::uint64_t turn = 1; turn <= 4; ++turn) {
    node.flush();
    EXPECT_EQ(application(c0).steps_taken + application(s1).steps_taken, turn) << "one step in each flush";
  }
  node.settle();
  EXPECT_EQ(log(c0).snapshots_taken.size(), 1U);
  EXPECT_EQ(log(s1).snapshots_taken.size(), 1U);
}

TEST_F(StepsTest, ACrashBetweenStepsLeavesTheOneBefore) {
  open();
  run_to(c0, 12);
  application(c0).steps_of_a_snapshot = 1'000;
  for (std::uint64_t i = 13; i <= 25; ++i) {
    committed(c0, i, fmt::format("entry {}", i));
    flush(c0);
    node.loop->handle(DiskProgress{});
  }
  EXPECT_TRUE(node.loop->has_more());
  node.kill();
  database(c0) = TestDatabase{};
  open();
  EXPECT_FALSE(node.loop->has_more());
  EXPECT_EQ(log(c0).setup().durable.snapshot.last.index, Index(10));
  EXPECT_EQ(database(c0).applied, Index(10));
}

TEST_F(StepsTest, AReceivedOneWaitsForTheOwnAndReplacesIt) {
  open();
  run_to(c0, 9);
  application(c0).steps_of_a_snapshot = 4;
  committed(c0, 10, "entry 10");
  flush(c0);
  node.loop->handle(SnapshotReceived{peer, transfer(30)});
  node.flush();
  EXPECT_TRUE(log(c0).snapshots_received.empty());
  node.settle();
  EXPECT_FALSE(node.loop->failure());
  EXPECT_EQ(log(c0).snapshots_taken.size(), 1U);
  EXPECT_EQ(log(c0).snapshots_received.size(), 1U);
  EXPECT_EQ(database(c0).applied, Index(30));
}

TEST_F(StepsTest, WhatIsInstalledMeanwhileGivesUpTheOneInTheMaking) {
  open();
  run_to(c0, 5);
  node.disk.hold();
  node.loop->handle(SnapshotReceived{peer, transfer(30)});
  node.flush();
  node.disk.release();
  application(c0).steps_of_a_snapshot = 1'000;
  for (std::uint64_t i = 6; i <= 10; ++i) committed(c0, i, fmt::format("entry {}", i));
  node.loop->handle(DiskProgress{});  // saved: the log will install it
  flush(c0);
  for (int i = 0; i < 5; ++i) {
    node.loop->handle(DiskProgress{});
    node.flush();
  }
  EXPECT_FALSE(node.loop->has_more());
  EXPECT_FALSE(node.loop->failure());
  EXPECT_EQ(database(c0).applied, Index(30));
}

}  // namespace
}  // namespace assent
