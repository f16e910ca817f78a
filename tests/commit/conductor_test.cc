#include "coordinator/conductor.h"

#include <gtest/gtest.h>

#include "conductor_fixture.h"

namespace assent {
namespace {

using testing::answer_to;
using testing::at;
using testing::coordinator_group;
using testing::error_to;
using testing::proposed;
using testing::put;
using testing::sent;
using testing::shard_1;
using testing::shard_2;
using testing::transfer;
using testing::txn;

using ConductorTest = testing::ConductorFixture;

TEST_F(ConductorTest, AllYesIsDecidedThenToldThenFinishedThenEnded) {
  execute(1, one());
  auto output = take();
  ASSERT_EQ(sent<Prepare>(output.send).size(), 2U);
  const Prepare prepare = sent<Prepare>(output.send, shard_2).at(0);
  EXPECT_EQ(prepare.attempt, attempt());
  EXPECT_EQ(prepare.participants, (std::vector<GroupId>{shard_1, shard_2}));
  EXPECT_EQ(prepare.work, put("b", "2"));
  EXPECT_EQ(prepare.age, txn(1));
  EXPECT_EQ(prepare.fingerprint, fingerprint(one()));

  vote(shard_1, txn(1), attempt());
  EXPECT_TRUE(take().empty());
  vote(shard_2, txn(1), attempt());
  output = take();
  ASSERT_EQ(proposed<Decide>(output.propose).size(), 1U);
  EXPECT_TRUE(output.reply.empty()) << "told only when applied";
  EXPECT_TRUE(output.send.empty());

  commit(output.propose[0]);
  output = take();
  const TxnAnswer* answer = answer_to(output.reply, 1);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->state, TxnState::committed);
  ASSERT_EQ(answer->results.size(), 2U);
  EXPECT_EQ(answer->results[1].shard, shard_2);
  EXPECT_EQ(answer->results[1].result[0].rows_affected, 2U);
  ASSERT_EQ(sent<Finish>(output.send).size(), 2U);
  EXPECT_TRUE(sent<Finish>(output.send)[0].commit);

  finished(shard_1, txn(1), attempt(), true);
  finished(shard_1, txn(1), attempt(), true);
  EXPECT_TRUE(proposed<EndTxns>(ticks(100).propose).empty()) << "one participant has not said that it finished";
  finished(shard_2, txn(1), attempt(), true);
  output = ticks(101);
  ASSERT_EQ(proposed<EndTxns>(output.propose).size(), 1U);
  EXPECT_TRUE(sent<Finish>(output.send).empty());
  EXPECT_EQ(conductor.active(), 0U);
}

TEST_F(ConductorTest, EndsShareAnEntry) {
  for (std::uint64_t n = 1; n <= 2; ++n) {
    execute(n, one(n));
    commit_txn(txn(n), n);
    finished(shard_1, txn(n), attempt(n), true);
    finished(shard_2, txn(n), attempt(n), true);
  }
  const auto ends = proposed<EndTxns>(take().propose);
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_EQ(ends[0].txns.size(), 2U);
}

TEST_F(ConductorTest, ALoggedNoIsToldAtOnceWithItsReason) {
  execute(1, one());
  take();
  vote(shard_1, txn(1), attempt());
  vote(shard_2, txn(1), attempt(), false, Refusal{AbortReason::constraint, {}, "no", "balance >= 0", {}});
  const auto output = take();
  const TxnAnswer* answer = answer_to(output.reply, 1);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->state, TxnState::aborted);
  EXPECT_EQ(answer->refusal.constraint, "balance >= 0");
  EXPECT_EQ(answer->refusal.participant, shard_2);
  EXPECT_TRUE(output.propose.empty()) << "presumed abort: no record";
  ASSERT_EQ(sent<Finish>(output.send).size(), 2U);
  EXPECT_FALSE(sent<Finish>(output.send)[0].commit);

  execute(2, one());
  ask(3, txn(1), false);
  const auto again = take();
  EXPECT_EQ(answer_to(again.reply, 2)->refusal.constraint, "balance >= 0");
  EXPECT_EQ(answer_to(again.reply, 3)->state, TxnState::aborted);
}

TEST_F(ConductorTest, A6_ATimeoutIsToldOnlyWhenTheLogHoldsTheAbort) {
  Execute execution = one();
  execution.timeout_ticks = 50;
  execute(1, execution);
  vote(shard_1, txn(1), attempt());
  EXPECT_TRUE(ticks(49).propose.empty());
  auto output = ticks(1);
  ASSERT_EQ(proposed<SealOutcome>(output.propose).size(), 1U);
  EXPECT_EQ(proposed<SealOutcome>(output.propose)[0].refusal.participant, shard_2) << "who had not voted";
  EXPECT_TRUE(output.reply.empty());
  EXPECT_EQ(sent<Finish>(output.send).size(), 2U);
  vote(shard_2, txn(1), attempt());
  EXPECT_TRUE(proposed<Decide>(take().propose).empty()) << "a dropped attempt counts no votes";
  commit(output.propose[0]);
  output = take();
  ASSERT_NE(answer_to(output.reply, 1), nullptr);
  EXPECT_EQ(answer_to(output.reply, 1)->refusal.reason, AbortReason::timeout);
}

TEST_F(ConductorTest, P07_AYesOfAnOlderAttemptIsNeverCounted) {
  execute(1, one());
  vote(shard_1, txn(1), attempt());
  vote(shard_2, txn(1), Attempt{Epoch(4), 9});
  auto output = take();
  EXPECT_TRUE(proposed<Decide>(output.propose).empty());
  ASSERT_EQ(proposed<SealOutcome>(output.propose).size(), 1U);
  EXPECT_EQ(answer_to(output.reply, 1), nullptr) << "not before it is applied";
  const auto finishes = sent<Finish>(output.send, shard_2);
  ASSERT_EQ(finishes.size(), 2U);
  EXPECT_EQ(finishes[1].attempt, (Attempt{Epoch(4), 9})) << "its shard hears what came of that attempt";
  commit(output.propose.back());
  output = take();
  ASSERT_NE(answer_to(output.reply, 1), nullptr);
  EXPECT_EQ(answer_to(output.reply, 1)->refusal.reason, AbortReason::superseded);
}

TEST_F(ConductorTest, AYesOfALaterEpochIsLeftToItsLeader) {
  execute(1, one());
  take();
  vote(shard_2, txn(1), Attempt{Epoch(6), 1});
  EXPECT_TRUE(take().empty());
}

TEST_F(ConductorTest, VotesOfStrangersAreNotCounted) {
  execute(1, one());
  take();
  vote(GroupId(7), txn(1), attempt(), false, Refusal{AbortReason::conflict, {}, "", "", {}});
  vote(GroupId(7), txn(1), attempt());
  EXPECT_TRUE(take().empty());
}

TEST_F(ConductorTest, P18_DecideIsProposedOnce) {
  execute(1, one());
  take();
  for (int i = 0; i < 3; ++i) {
    vote(shard_1, txn(1), attempt());
    vote(shard_2, txn(1), attempt());
  }
  auto output = take();
  testing::append(output, ticks(2'000));
  EXPECT_EQ(proposed<Decide>(output.propose).size(), 1U);
  EXPECT_TRUE(proposed<SealOutcome>(output.propose).empty()) << "what may be decided is never dropped";
  EXPECT_TRUE(sent<Finish>(output.send).empty());
}

TEST_F(ConductorTest, ADecideThatTheLogRefusedIsProposedAgainOrGivenUp) {
  execute(1, one());
  vote(shard_1, txn(1), attempt());
  vote(shard_2, txn(1), attempt());
  const auto command = take().propose.at(0);
  conductor.refused(command, Error{ErrorCode::busy, "", {}});
  EXPECT_EQ(proposed<Decide>(ticks(100).propose).size(), 1U);
  conductor.refused(command, Error{ErrorCode::busy, "", {}});
  auto output = DriverOutput<CoordinatorCommand>();
  for (int i = 0; i < 1'000; ++i) {
    testing::append(output, ticks(1));
    for (const Decide& decide : proposed<Decide>(output.propose))
      conductor.refused(decide, Error{ErrorCode::busy, "", {}});
    std::erase_if(output.propose, [](const auto& one) { return std::holds_alternative<Decide>(one); });
  }
  EXPECT_EQ(proposed<SealOutcome>(output.propose).size(), 1U) << "time was up";
}

TEST_F(ConductorTest, P03_PreparesAreRepeatedWithBackOffToThoseWhoHaveNotVoted) {
  Execute execution = one();
  execution.timeout_ticks = 300;
  execute(1, execution);
  take();
  vote(shard_1, txn(1), attempt());
  std::vector<int> at_tick;
  for (int tick = 1; tick < 300; ++tick) {
    const auto output = ticks(1);
    EXPECT_TRUE(sent<Prepare>(output.send, shard_1).empty());
    if (!sent<Prepare>(output.send, shard_2).empty()) at_tick.push_back(tick);
  }
  EXPECT_EQ(at_tick, (std::vector<int>{20, 60, 140, 240}));
}

TEST_F(ConductorTest, P03_AFinishOfACommitIsRepeatedForEverAnAbortsIsNot) {
  execute(1, one(1));
  commit_txn(txn(1), 1);
  execute(2, one(2));
  vote(shard_1, txn(2), attempt(2), false);
  take();
  std::size_t commits = 0;
  std::size_t aborts = 0;
  for (int i = 0; i < 2'000; ++i) {
    for (const Finish& finish : sent<Finish>(ticks(1).send, shard_1)) ++(finish.commit ? commits : aborts);
  }
  EXPECT_GT(commits, 15U);
  EXPECT_EQ(aborts, 4U) << "five with the first";
  EXPECT_EQ(conductor.active(), 1U);
}

// ---- a participant in doubt asks ----

TEST_F(ConductorTest, P20_AnAttemptOfAnEarlierEpochWithoutARecordIsAborted) {
  inquire(shard_1, txn(1), Attempt{Epoch(4), 1});
  const auto finishes = sent<Finish>(take().send, shard_1);
  ASSERT_EQ(finishes.size(), 1U);
  EXPECT_FALSE(finishes[0].commit);
  EXPECT_EQ(finishes[0].attempt, (Attempt{Epoch(4), 1}));
}

TEST_F(ConductorTest, TheCommittedAttemptIsCommittedAndNoOtherOfItsTransaction) {
  execute(1, one());
  commit_txn(txn(1), 1);
  conductor.resign();
  lead(6);
  inquire(shard_1, txn(1), Attempt{Epoch(5), 1});
  inquire(shard_2, txn(1), Attempt{Epoch(4), 1});
  const auto output = take();
  ASSERT_EQ(sent<Finish>(output.send, shard_1).size(), 1U);
  EXPECT_TRUE(sent<Finish>(output.send, shard_1)[0].commit);
  EXPECT_FALSE(sent<Finish>(output.send, shard_2).at(0).commit);
}

TEST_F(ConductorTest, ARunningAttemptIsNotAnsweredNorALaterEpoch) {
  execute(1, one());
  take();
  inquire(shard_1, txn(1), attempt());
  vote(shard_1, txn(1), attempt());
  vote(shard_2, txn(1), attempt());
  take();
  inquire(shard_1, txn(1), attempt());  // proposed
  inquire(shard_1, txn(2), Attempt{Epoch(6), 1});
  EXPECT_TRUE(take().empty());
}

TEST_F(ConductorTest, AnAttemptOfThisEpochThatDoesNotRunIsAborted) {
  inquire(shard_1, txn(1), attempt(99));
  EXPECT_FALSE(sent<Finish>(take().send).at(0).commit);
  vote(shard_2, txn(2), attempt(98));  // a vote that nobody counts is a question
  EXPECT_FALSE(sent<Finish>(take().send).at(0).commit);
}

TEST_F(ConductorTest, P12_ANewLeaderCarriesOutEveryOpenCommit) {
  execute(1, one());
  commit_txn(txn(1), 1);
  Conductor next(machine, options());
  next.lead(Epoch(6));
  next.tick();
  const auto output = next.take_output();
  ASSERT_EQ(sent<Finish>(output.send).size(), 2U);
  EXPECT_EQ(sent<Finish>(output.send)[0].attempt, attempt());
  EXPECT_TRUE(sent<Finish>(output.send)[0].commit);
}

TEST_F(ConductorTest, R02_ANewLeaderDoesNotFlood) {
  ConductorOptions few = options();
  few.sends_per_tick_max = 2;
  for (std::uint64_t n = 1; n <= 5; ++n) {
    execute(n, one(n));
    commit_txn(txn(n), n);
  }
  Conductor next(machine, few);
  next.lead(Epoch(6));
  std::vector<std::size_t> sends;
  for (int i = 0; i < 4; ++i) {
    next.tick();
    sends.push_back(sent<Finish>(next.take_output().send).size());
  }
  EXPECT_EQ(sends, (std::vector<std::size_t>{4, 4, 2, 0}));
}

// ---- clients ----

TEST_F(ConductorTest, S02_TheSameTransactionJoinsOtherContentIsRefused) {
  execute(1, one());
  execute(2, one());
  execute(3, transfer(txn(1), put("a", "other"), put("b", "2")));
  auto output = take();
  EXPECT_EQ(sent<Prepare>(output.send).size(), 2U) << "one attempt";
  ASSERT_NE(error_to(output.reply, 3), nullptr);
  EXPECT_EQ(error_to(output.reply, 3)->code, ErrorCode::refused);
  vote(shard_1, txn(1), attempt());
  vote(shard_2, txn(1), attempt());
  output = commit_all();
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
  EXPECT_EQ(answer_to(output.reply, 2)->state, TxnState::committed);

  execute(4, one());
  execute(5, transfer(txn(1), put("a", "other"), put("b", "2")));
  output = take();
  EXPECT_EQ(answer_to(output.reply, 4)->state, TxnState::committed);
  EXPECT_EQ(answer_to(output.reply, 5)->refusal.reason, AbortReason::reused_id);
  EXPECT_TRUE(output.send.empty()) << "A8: nothing runs twice";
}

TEST_F(ConductorTest, O07_BeyondItsLimitsItSaysBusy) {
  for (std::uint64_t n = 1; n <= 4; ++n) execute(n, one(n));
  EXPECT_EQ(error_to(take().reply, 4)->code, ErrorCode::busy);
  for (std::uint64_t n = 5; n <= 7; ++n) execute(n, one(1));
  EXPECT_EQ(error_to(take().reply, 7)->code, ErrorCode::busy) << "three may wait for one transaction";
}

TEST_F(ConductorTest, S03_AResigningLeaderTellsWhatItKnowsNot) {
  execute(1, one());
  millis = 0;
  execute(2, transfer(txn(2, 5'000), put("a", "1"), put("b", "2")));  // held: from the future
  ask(3, txn(1), false, 100);
  take();
  conductor.resign();
  const auto output = take();
  EXPECT_EQ(error_to(output.reply, 1)->code, ErrorCode::unknown_outcome);
  EXPECT_EQ(error_to(output.reply, 2)->code, ErrorCode::not_leader);
  EXPECT_EQ(error_to(output.reply, 3)->code, ErrorCode::not_leader);
  EXPECT_TRUE(output.send.empty());
  EXPECT_EQ(conductor.active(), 0U);
  execute(4, one());
  EXPECT_EQ(error_to(take().reply, 4)->code, ErrorCode::not_leader);
}

TEST_F(ConductorTest, AttemptsAreNeverNumberedAlike) {
  execute(1, one(1));
  const Attempt first = sent<Prepare>(take().send)[0].attempt;
  conductor.resign();
  lead(5);  // would a log let the same epoch be led twice, this driver still tells the attempts apart
  execute(2, one(2));
  EXPECT_NE(sent<Prepare>(take().send)[0].attempt, first);
}

TEST_F(ConductorTest, AnIdOutsideTheWindowIsNotStarted) {
  millis = 20'000;
  commit(Tidy{});
  execute(1, one());
  auto output = take();
  EXPECT_EQ(error_to(output.reply, 1)->code, ErrorCode::too_old);
  EXPECT_TRUE(output.send.empty());

  execute(2, transfer(txn(2, 22'000), put("a", "1"), put("b", "2")));
  output = take();
  EXPECT_TRUE(output.reply.empty()) << "the last stamp may be old: a fresh one judges";
  ASSERT_EQ(proposed<Tidy>(output.propose).size(), 1U);
  commit(output.propose[0]);
  EXPECT_EQ(error_to(take().reply, 2)->code, ErrorCode::too_old);
}

TEST_F(ConductorTest, AnIdOfTodayOnAnIdleLogWaitsForAFreshStampAndRuns) {
  execute(1, transfer(txn(1, 50'000), put("a", "1"), put("b", "2")));
  execute(2, transfer(txn(2, 50'000), put("a", "1"), put("b", "2")));
  auto output = take();
  ASSERT_EQ(output.propose.size(), 1U) << "one Tidy for both";
  EXPECT_TRUE(output.send.empty());
  millis = 50'001;
  commit(output.propose[0]);
  EXPECT_EQ(sent<Prepare>(take().send).size(), 4U);
}

TEST_F(ConductorTest, AnIdleLogGetsAStampNowAndThen) {
  EXPECT_EQ(proposed<Tidy>(ticks(1'000).propose).size(), 1U);
  EXPECT_TRUE(proposed<Tidy>(ticks(3'000).propose).empty()) << "not again while one is in the log";
}

TEST_F(ConductorTest, WhatIsNotTwoPhaseIsNotRunHere) {
  execute(1, testing::single(txn(1), shard_1, put("a", "1")));
  EXPECT_EQ(error_to(take().reply, 1)->code, ErrorCode::refused);
  Execute forced = testing::single(txn(2), shard_1, put("a", "1"));
  forced.protocol = Protocol::two_phase;
  execute(2, forced);
  EXPECT_EQ(sent<Prepare>(take().send).size(), 1U) << "one participant may be asked for two-phase";
  execute(3, transfer(txn(3), {}, put("b", "2")));
  EXPECT_EQ(answer_to(take().reply, 3)->refusal.reason, AbortReason::invalid);
  conductor.request(ClientRequest{RequestId(4), coordinator_group, Query{put("a", "1")}});
  EXPECT_EQ(error_to(take().reply, 4)->code, ErrorCode::unsupported);
}

TEST_F(ConductorTest, S07_OutcomesOfWhatIsUnknownRunningCommittedAbortedAndExpired) {
  ask(1, txn(9), false, 100);
  EXPECT_TRUE(take().reply.empty()) << "the shards may know it";
  report(shard_1, txn(9), Standing::empty);
  report(shard_2, txn(9), Standing::empty);
  EXPECT_EQ(answer_to(take().reply, 1)->state, TxnState::unknown);
  execute(2, one(1));
  ask(3, txn(1), false);
  auto output = take();
  EXPECT_EQ(answer_to(output.reply, 3)->state, TxnState::running);
  EXPECT_EQ(answer_to(output.reply, 3)->participants.size(), 2U);
  commit_txn(txn(1), 1);
  ask(4, txn(1), true);
  EXPECT_EQ(answer_to(take().reply, 4)->state, TxnState::committed);
  for (const GroupId shard : {shard_1, shard_2}) finished(shard, txn(1), attempt(), true);
  commit(EndTxns{{txn(1)}});
  commit(SealOutcome{txn(2), {}});
  millis = 20'000;
  commit(Tidy{});  // the history keeps one record
  ask(5, txn(1), false);
  ask(6, txn(2), false);
  output = take();
  EXPECT_EQ(answer_to(output.reply, 5)->state, TxnState::expired);
  EXPECT_EQ(answer_to(output.reply, 6)->state, TxnState::aborted);
}

TEST_F(ConductorTest, ASealIsToldWhenShardsAndLogHoldItAndForbidsTheTransaction) {
  ask(1, txn(1), true);
  ask(2, txn(1), true, 100);
  auto output = take();
  EXPECT_TRUE(output.reply.empty());
  ASSERT_EQ(sent<Seal>(output.send).size(), 2U);
  EXPECT_FALSE(sent<Seal>(output.send)[0].look);
  execute(3, one());
  EXPECT_TRUE(take().send.empty()) << "it waits for the seal";
  report(shard_1, txn(1), Standing::aborted);
  EXPECT_TRUE(take().reply.empty()) << "nobody knows yet who takes part";
  report(shard_2, txn(1), Standing::aborted);
  output = take();
  EXPECT_TRUE(output.reply.empty()) << "services alone may take part, under a later leader";
  commit(proposed<NoteOutcomes>(output.propose).at(0));
  output = take();
  for (const std::uint64_t request : {1U, 2U, 3U}) {
    ASSERT_NE(answer_to(output.reply, request), nullptr) << request;
    EXPECT_EQ(answer_to(output.reply, request)->refusal.reason, AbortReason::sealed);
  }
  execute(4, one());
  EXPECT_EQ(answer_to(take().reply, 4)->state, TxnState::aborted);
}

TEST_F(ConductorTest, ALongPollHearsTheOutcomeOrThatItStillRuns) {
  execute(1, one());
  ask(2, txn(1), true, 10);
  ask(3, txn(1), false, 500);
  take();
  auto output = ticks(11);
  EXPECT_EQ(answer_to(output.reply, 2)->state, TxnState::running) << "a running attempt is not sealed";
  EXPECT_TRUE(proposed<SealOutcome>(output.propose).empty());
  vote(shard_1, txn(1), attempt());
  vote(shard_2, txn(1), attempt());
  output = commit_all();
  EXPECT_EQ(answer_to(output.reply, 3)->state, TxnState::committed);
  EXPECT_TRUE(answer_to(output.reply, 3)->results.empty()) << "the rows are for the one who executed";
}

}  // namespace
}  // namespace assent
