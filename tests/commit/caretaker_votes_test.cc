// The caretaker where the votes decide: in doubt, asked, and forgetting.
#include "caretaker_fixture.h"

namespace assent::testing {
namespace {

constexpr GroupId shard_3{3};

class CaretakerVotesTest : public CaretakerFixture {
 protected:
  void hear(GroupId from, TxnMessage message) { caretaker.receive(Envelope{from, shard_1, std::move(message)}); }
  void prepare_here(const TxnId& id) {
    Prepare prepare{id, attempt(), coordinator_group, {shard_1, shard_2, shard_3}, 5, {}, put("a", "1")};
    prepare.protocol = Protocol::paxos_commit;
    hear(coordinator_group, prepare);
    commit_all();
    heard();
  }
  void report(GroupId from, Standing standing, std::uint64_t print = 5) {
    Report report;
    report.txn = txn(1);
    report.standing = standing;
    report.protocol = Protocol::paxos_commit;
    report.fingerprint = print;
    hear(from, report);
  }
  // Nobody attends to it for so long that it asks the others.
  void be_left_alone() {
    hear(coordinator_group, Attended{txn(1), false});
    EXPECT_EQ(sent<Seal>(heard().send).size(), 2U);
  }
  static Finish finish_of(bool commits, std::uint64_t print = 5) {
    Finish finish;
    finish.txn = txn(1);
    finish.commit = commits;
    finish.protocol = Protocol::paxos_commit;
    finish.fingerprint = print;
    return finish;
  }
};

TEST_F(CaretakerVotesTest, InDoubtItAsksTheOthersOnceNobodyAttendsToIt) {
  prepare_here(txn(1));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(sent<Seal>((ticks(90), heard()).send).empty());
    hear(coordinator_group, Attended{txn(1), true});
  }
  ticks(250);
  EXPECT_FALSE(sent<Seal>(heard().send, shard_2).empty());
}

TEST_F(CaretakerVotesTest, P01_AllYesCommitsWithoutAnyCoordinator) {
  prepare_here(txn(1));
  be_left_alone();
  report(shard_2, Standing::prepared);
  EXPECT_EQ(in_log(), 0U) << "one register is not known";
  report(shard_3, Standing::prepared);
  commit_all();
  EXPECT_EQ(store.get("a"), "1");
  EXPECT_TRUE(sent<Finished>(heard().send, coordinator_group).at(0).commit) << "the coordinator may note it";
}

TEST_F(CaretakerVotesTest, P01_OneNoAborts) {
  prepare_here(txn(1));
  be_left_alone();
  report(shard_3, Standing::aborted);
  commit_all();
  EXPECT_EQ(machine.finished(txn(1))->outcome, Outcome::aborted);
  EXPECT_TRUE(machine.locks().empty());
}

TEST_F(CaretakerVotesTest, AYesForOtherContentIsANo) {
  prepare_here(txn(1));
  be_left_alone();
  report(shard_2, Standing::prepared, 6);
  commit_all();
  EXPECT_EQ(machine.finished(txn(1))->outcome, Outcome::aborted);
}

TEST_F(CaretakerVotesTest, OldIsANoToWhoIsInDoubt) {
  prepare_here(txn(1));
  be_left_alone();
  report(shard_2, Standing::old);
  commit_all();
  EXPECT_EQ(machine.finished(txn(1))->outcome, Outcome::aborted);
}

TEST_F(CaretakerVotesTest, OneCommittedParticipantIsEnough) {
  prepare_here(txn(1));
  be_left_alone();
  report(shard_2, Standing::committed);
  commit_all();
  EXPECT_EQ(machine.finished(txn(1))->outcome, Outcome::committed);
}

TEST_F(CaretakerVotesTest, P14_AFinishOfOtherContentOrProtocolChangesNothing) {
  prepare_here(txn(1));
  hear(coordinator_group, finish_of(true, 6));
  hear(coordinator_group, Finish{txn(1), attempt(), true});
  commit_all();
  EXPECT_NE(machine.prepared(txn(1)), nullptr);
  const FinishWork other{txn(1), attempt(), true, Protocol::paxos_commit, 6};
  const FinishWork two_phase{txn(1), attempt(), true};
  for (const FinishWork& work : {other, two_phase}) {
    ASSERT_TRUE(machine.apply(at(1, ++index, millis), work, store));
    EXPECT_NE(machine.prepared(txn(1)), nullptr) << "the machine judges again";
  }
}

TEST_F(CaretakerVotesTest, P06_ASealIsAnsweredWhenItsEntryIsAppliedAndTheFirstWriterWins) {
  hear(shard_2, Seal{txn(1), false});
  EXPECT_TRUE(sent<Report>(heard().send).empty()) << "seal that does not log";
  commit_all();
  EXPECT_EQ(sent<Report>(heard().send, shard_2).at(0).standing, Standing::aborted);
  prepare(txn(1), put("a", "1"));
  commit_all();
  EXPECT_EQ(machine.prepared(txn(1)), nullptr);

  prepare_here(txn(2));
  hear(shard_2, Seal{txn(2), false});
  commit_all();
  EXPECT_EQ(sent<Report>(heard().send, shard_2).at(0).standing, Standing::prepared);
  EXPECT_NE(machine.prepared(txn(2)), nullptr);
}

TEST_F(CaretakerVotesTest, ALookLogsNothing) {
  hear(coordinator_group, Seal{txn(1), true});
  EXPECT_EQ(sent<Report>(heard().send).at(0).standing, Standing::empty);
  EXPECT_EQ(in_log(), 0U);
}

TEST_F(CaretakerVotesTest, ACommitIsForgottenOnlyWhenAllHaveFinishedItAndItsOutcomeIsNoted) {
  prepare_here(txn(1));
  hear(coordinator_group, finish_of(true));
  commit_all();
  millis = 20'000;
  ticks(2'000);  // the log stamps itself now and then
  commit_all();
  ticks(100);
  EXPECT_NE(machine.finished(txn(1)), nullptr) << "age alone does not end it";
  const auto asked = heard();
  EXPECT_FALSE(sent<Confirm>(asked.send, shard_2).empty());
  EXPECT_FALSE(sent<Confirm>(asked.send, coordinator_group).empty());
  hear(shard_2, Confirmed{{txn(1)}});
  hear(shard_3, Confirmed{{txn(1)}});
  commit_all();
  EXPECT_NE(machine.finished(txn(1)), nullptr) << "its outcome is not known to be noted";
  hear(coordinator_group, Confirmed{{txn(1)}});
  commit_all();
  EXPECT_TRUE(machine.empty(txn(1)));
  EXPECT_TRUE(store.records()->empty());
}

TEST_F(CaretakerVotesTest, WhatIsInDoubtHereIsNotConfirmed) {
  prepare_here(txn(1));
  hear(shard_2, Confirm{{OldCommit{txn(1), 5}}});
  EXPECT_TRUE(sent<Confirmed>(heard().send).empty());
  hear(coordinator_group, finish_of(true));
  commit_all();
  hear(shard_2, Confirm{{OldCommit{txn(1), 5}}});
  EXPECT_EQ(sent<Confirmed>(heard().send).size(), 1U);
}

}  // namespace
}  // namespace assent::testing
