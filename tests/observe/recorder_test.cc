// What the recorder sees of transactions that run on real loops and applications.
#include "observe/recorder.h"

#include <gmock/gmock.h>

#include "tests/observe/recording_bank.h"

namespace assent {
namespace {

class Recording : public RecordingBank {};

class EachProtocol : public RecordingBank, public testing::WithParamInterface<Protocol> {};

std::uint64_t sum_of_phases(const PhaseSpans& spans) {
  std::uint64_t sum = 0;
  for (const PhaseSpan& phase : spans.phases) {
    if (phase.phase != TxnPhase::commit && phase.phase != TxnPhase::abort) sum += phase.to.value() - phase.from;
  }
  return sum;
}

TEST_P(EachProtocol, ACommitIsRecordedFromItsRequestToItsEnd) {
  ASSERT_EQ(run(s1, deposit(100)), TxnState::committed);
  const Execute execute = transfer(30, GetParam());
  ASSERT_EQ(run(c0, execute), TxnState::committed);
  const TxnRecord* record = at(c0).find(execute.txn);
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->protocol, GetParam());
  EXPECT_EQ(record->coordinator, c0);
  EXPECT_EQ(record->participants, (std::vector<GroupId>{s1, s2}));
  EXPECT_EQ(record->outcome, Outcome::committed);
  EXPECT_EQ(progress_of(*record), TxnProgress::committed);
  EXPECT_FALSE(record->recovered);
  for (const Step step : {Step::prepare_sent, Step::vote_heard, Step::finish_sent, Step::finished_heard}) {
    EXPECT_EQ(count_steps(*record, step, c0), 2U) << to_string(step);
  }
  const TxnStep* vote = first_step(*record, Step::vote_heard, c0, s2);
  ASSERT_NE(vote, nullptr);
  EXPECT_TRUE(vote->yes);
}

TEST_P(EachProtocol, ThePhasesAddUpToTheWhole) {
  ASSERT_EQ(run(s1, deposit(100)), TxnState::committed);
  const Execute execute = transfer(30, GetParam());
  ASSERT_EQ(run(c0, execute), TxnState::committed);
  const auto spans = phases_of(*at(c0).find(execute.txn), c0);
  ASSERT_TRUE(spans && spans->answered);
  EXPECT_GT(*spans->answered, spans->began);
  EXPECT_EQ(sum_of_phases(*spans), *spans->answered - spans->began);
  std::vector<TxnPhase> expected{TxnPhase::execute, TxnPhase::prepare};
  if (GetParam() == Protocol::two_phase) expected.push_back(TxnPhase::decide);
  if (GetParam() == Protocol::three_phase) expected.push_back(TxnPhase::precommit);
  expected.push_back(TxnPhase::commit);
  std::vector<TxnPhase> seen;
  for (const PhaseSpan& phase : spans->phases) {
    seen.push_back(phase.phase);
    ASSERT_TRUE(phase.to) << to_string(phase.phase);
    EXPECT_LE(phase.from, *phase.to);
  }
  EXPECT_EQ(seen, expected);
}

TEST_P(EachProtocol, AShardsVoteShowsWhatItsLogAndDiskTook) {
  ASSERT_EQ(run(s1, deposit(100)), TxnState::committed);
  const Execute execute = transfer(30, GetParam());
  ASSERT_EQ(run(c0, execute), TxnState::committed);
  const TxnRecord* record = at(s1).find(execute.txn);
  ASSERT_NE(record, nullptr);
  const TxnStep* proposed = first_step(*record, Step::vote_proposed, s1);
  const TxnStep* applied = first_step(*record, Step::vote_applied, s1);
  ASSERT_TRUE(proposed != nullptr && applied != nullptr);
  EXPECT_EQ(proposed->queued, 0U) << "no lock was waited for";
  EXPECT_FALSE(applied->index.none());
  EXPECT_GT(applied->synced, 0U);
  EXPECT_LE(applied->queued + applied->synced + applied->applied, applied->micros - proposed->micros);
  EXPECT_NE(first_step(*record, Step::finish_applied, s1), nullptr);
}

INSTANTIATE_TEST_SUITE_P(All, EachProtocol,
                         testing::Values(Protocol::two_phase, Protocol::three_phase, Protocol::paxos_commit),
                         protocol_name);

TEST_F(Recording, OneShardNeedsNoCoordinator) {
  const Execute execute = deposit(5);
  ASSERT_EQ(run(s1, execute), TxnState::committed);
  const TxnRecord* record = at(s1).find(execute.txn);
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->protocol, Protocol::one_phase);
  const auto spans = phases_of(*record, s1);
  ASSERT_TRUE(spans && spans->answered);
  EXPECT_EQ(sum_of_phases(*spans), *spans->answered - spans->began);
  const ProtocolFigures& figures = at(s1).figures().by_protocol[static_cast<std::size_t>(Protocol::one_phase)];
  EXPECT_EQ(figures.started, 1U);
  EXPECT_EQ(figures.committed.count(), 1U);
}

TEST_F(Recording, AnAbortKeepsItsReason) {
  const Execute execute = transfer(30, Protocol::two_phase);
  ASSERT_EQ(run(c0, execute), TxnState::aborted);
  Recorder& recorder = at(c0);
  const TxnRecord* record = recorder.find(execute.txn);
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->reason, AbortReason::constraint);
  EXPECT_EQ(record->refused_by, s1);
  EXPECT_FALSE(record->message.empty());
  EXPECT_EQ(recorder.figures().aborted[static_cast<std::size_t>(AbortReason::constraint)], 1U);
  EXPECT_EQ(recorder.figures().votes_no, 1U);
  EXPECT_EQ(recorder.figures().by_protocol[static_cast<std::size_t>(Protocol::two_phase)].aborted.count(), 1U);
}

TEST_F(Recording, FiguresCountWhatIsRecorded) {
  ASSERT_EQ(run(s1, deposit(100)), TxnState::committed);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(run(c0, transfer(1, Protocol::paxos_commit)), TxnState::committed);
  const TxnFigures& figures = at(c0).figures();
  const ProtocolFigures& paxos = figures.by_protocol[static_cast<std::size_t>(Protocol::paxos_commit)];
  EXPECT_EQ(paxos.started, 5U);
  EXPECT_EQ(paxos.committed.count(), 5U);
  EXPECT_EQ(paxos.phases[static_cast<std::size_t>(TxnPhase::prepare)].count(), 5U);
  EXPECT_EQ(paxos.phases[static_cast<std::size_t>(TxnPhase::commit)].count(), 5U);
  EXPECT_EQ(paxos.phases[static_cast<std::size_t>(TxnPhase::decide)].count(), 0U);
  EXPECT_EQ(figures.votes_yes, 10U);
  EXPECT_EQ(at(s2).figures().groups.at(s2).proposal.count(), 10U) << "a vote and a finish for each";
  EXPECT_GT(at(s2).figures().wal_sync.count(), 0U);
}

// Two transactions want one key: the older one waits for the younger (wait-die).
TEST_F(Recording, AWaitForALockIsSeen) {
  ASSERT_EQ(run(s1, deposit(100)), TxnState::committed);
  const Execute older = transfer(1, Protocol::two_phase);
  const Execute younger = transfer(1, Protocol::two_phase);
  const std::uint64_t first = send(c0, younger);
  const std::uint64_t second = send(c0, older);
  cluster_.tick_until(
      [&] { return cluster_.node(at_[first]).answered(first) && cluster_.node(at_[second]).answered(second); });
  const TxnRecord* record = at(s1).find(older.txn);
  ASSERT_NE(record, nullptr);
  const TxnStep* waited = first_step(*record, Step::vote_proposed, s1);
  ASSERT_NE(waited, nullptr);
  EXPECT_GT(waited->queued, 0U);
  EXPECT_EQ(at(s1).figures().groups.at(s1).waits, 1U);
  EXPECT_EQ(at(s1).figures().groups.at(s1).lock_wait.count(), 1U);
}

// The coordinator's node dies with the decision in its log; the next leader carries it out.
TEST_F(Recording, WhatAnotherLeaderCarriesOnIsCalledRecovered) {
  ASSERT_EQ(run(s1, deposit(100)), TxnState::committed);
  const NodeId old_leader = cluster_.await_leader(c0);
  const NodeId other(old_leader.value % 3 + 1);
  cluster_.make_lead(s1, other);
  cluster_.make_lead(s2, other);
  const Execute execute = transfer(30, Protocol::two_phase);
  const std::uint64_t id = send(c0, execute);
  cluster_.tick_until([&] { return cluster_.node(at_[id]).answered(id); });
  recorders_[old_leader] = std::make_unique<Recorder>(RecorderOptions{}, clock_);
  cluster_.node(old_leader).loop->watch(recorders_[old_leader].get());
  cluster_.make_lead(c0, other);
  for (int i = 0; i < 50; ++i) cluster_.tick();
  const TxnRecord* record = at(c0).find(execute.txn);
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->outcome, Outcome::committed);
  EXPECT_FALSE(phases_of(*record, c0)) << "its beginning was seen elsewhere";
  EXPECT_TRUE(record->recovered);
  EXPECT_EQ(at(c0).figures().recovered_commits, 1U);
}

// Nobody who records has seen it begin: whose trace it is stands in the logs alone.
TEST_P(EachProtocol, ARecoveryElsewhereContinuesTheCallersTrace) {
  ASSERT_EQ(run(s1, deposit(100)), TxnState::committed);
  const NodeId old_leader = cluster_.await_leader(c0);
  cluster_.make_lead(s1, old_leader);
  Execute execute = transfer(30, GetParam());
  TraceContext caller;
  caller.trace_id.fill(0xAB);
  caller.span_id.fill(0xCD);
  caller.state = "vendor=1";
  execute.trace = to_bytes(caller);
  const NodeId other(old_leader.value % 3 + 1);
  cluster_.make_lead(s2, other);
  cluster_.cut(other);  // its vote is not heard
  static_cast<void>(send(c0, execute));
  const auto prepared_at_s1 = [&] {
    const TxnRecord* record = recorders_.at(old_leader)->find(execute.txn);
    return record != nullptr && first_step(*record, Step::vote_applied, s1) != nullptr;
  };
  cluster_.tick_until(prepared_at_s1);
  cluster_.kill(old_leader);
  cluster_.heal();
  const auto ended = [&] {
    for (const auto& [node, recorder] : recorders_) {
      const TxnRecord* record = recorder->find(execute.txn);
      if (node != old_leader && record != nullptr && record->recovered && is_over(*record)) return true;
    }
    return false;
  };
  cluster_.tick_until(ended);
  for (const auto& [node, recorder] : recorders_) {
    const TxnRecord* record = recorder->find(execute.txn);
    if (node == old_leader || record == nullptr || !record->recovered) continue;
    ASSERT_TRUE(record->caller) << "at node " << node.value;
    EXPECT_EQ(*record->caller, caller);
    EXPECT_EQ(recorder->figures().traces_malformed, 0U);
  }
}

TEST(Progress, WhoDidNotSeeItBeginKnowsThatItIsPrepared) {
  const auto after = [](std::vector<Step> steps) {
    TxnRecord record;
    for (const Step step : steps) record.steps.emplace_back().step = step;
    return progress_of(record);
  };
  EXPECT_EQ(after({Step::vote_sent}), TxnProgress::prepared);
  EXPECT_EQ(after({Step::vote_heard}), TxnProgress::prepared);
  EXPECT_EQ(after({Step::inquired}), TxnProgress::prepared);
  EXPECT_EQ(after({Step::asked, Step::prepare_sent, Step::vote_heard}), TxnProgress::preparing) << "one of several";
  EXPECT_EQ(after({Step::prepare_heard}), TxnProgress::preparing);
}

TEST_F(Recording, WhatIsNoTraceIsLeftOutAndCounted) {
  Execute execute = deposit(5);
  execute.trace = "nonsense";
  ASSERT_EQ(run(s1, execute), TxnState::committed);
  EXPECT_FALSE(at(s1).find(execute.txn)->caller);
  EXPECT_EQ(at(s1).figures().traces_malformed, 1U);
}

class SmallRing : public RecordingBank {
 protected:
  SmallRing() : RecordingBank({.ring = 3, .steps_max = 4, .message_bytes_max = 10}) {}
};

TEST_F(SmallRing, TheOldestGoesFirst) {
  std::vector<TxnId> txns;
  for (int i = 0; i < 5; ++i) {
    const Execute execute = deposit(1);
    txns.push_back(execute.txn);
    ASSERT_EQ(run(s1, execute), TxnState::committed);
  }
  Recorder& recorder = at(s1);
  EXPECT_EQ(recorder.size(), 3U);
  EXPECT_EQ(recorder.find(txns[1]), nullptr);
  std::vector<TxnId> seen;
  recorder.visit([&](const TxnRecord& record) {
    seen.push_back(record.txn);
    return true;
  });
  EXPECT_EQ(seen, (std::vector<TxnId>{txns[4], txns[3], txns[2]}));
  EXPECT_EQ(recorder.figures().records_dropped, 0U);
  EXPECT_EQ(recorder.figures().by_protocol[static_cast<std::size_t>(Protocol::one_phase)].committed.count(), 5U);
}

TEST_F(SmallRing, ARecordHoldsSoManyStepsAndCountsTheRest) {
  const Execute execute = transfer(30, Protocol::two_phase);
  static_cast<void>(run(c0, execute));
  const TxnRecord* record = at(c0).find(execute.txn);
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->steps.size(), 4U);
  EXPECT_GT(record->steps_lost, 0U);
  EXPECT_LE(record->message.size(), 10U);
}

class NoRing : public RecordingBank {
 protected:
  NoRing() : RecordingBank({.ring = 0}) {}
};

TEST_F(NoRing, NothingIsKeptAndWhatNeedsNoRecordIsCounted) {
  ASSERT_EQ(run(s1, deposit(100)), TxnState::committed);
  EXPECT_EQ(at(s1).size(), 0U);
  EXPECT_EQ(at(s1).figures().by_protocol[static_cast<std::size_t>(Protocol::one_phase)].started, 1U);
  EXPECT_GT(at(s1).figures().groups.at(s1).proposals, 0U);
}

}  // namespace
}  // namespace assent
