// Each rule of the transaction checker is shown a history that breaks it, and one that keeps it.
#include "sim/txn_checker.h"

#include <gtest/gtest.h>

namespace assent::sim {
namespace {

using State = Register::State;

struct TxnCheckerTest : testing::Test {
  Schedule schedule;
  Recorder recorder{schedule};
  const GroupId coordinator{1};
  const GroupId left{2};
  const GroupId right{3};
  TxnChecker checker{recorder, coordinator, TimeWindow{500, 500}};
  const TxnId txn = TxnId::make(ClusterMillis(1000), 1, 1);
  const Attempt attempt{Epoch(4), 1};
  std::uint64_t index = 0;
  Execute execute;

  void SetUp() override {
    execute.txn = txn;
    execute.branches = {Branch{left, {KvPut{"a", "1"}}}, Branch{right, {KvPut{"b", "1"}}}};
    checker.invoked(execute);
  }
  Entry entry(std::uint64_t epoch = 4) {
    return Entry{Epoch(epoch), Index(++index), ClusterMillis(1000 + index), EntryKind::command, ""};
  }
  void prepare(GroupId shard, State after = State::prepared, Attempt in = {Epoch(4), 1}) {
    PrepareWork work;
    work.txn = txn;
    work.attempt = in;
    checker.shard_applied(shard, entry(), work, Register{after, in});
  }
  void decide(Attempt in = {Epoch(4), 1}, std::uint64_t epoch = 4) {
    Decide decide;
    decide.txn = txn;
    decide.attempt = in;
    decide.participants = {left, right};
    decide.fingerprint = fingerprint(execute);
    checker.coordinator_applied(entry(epoch), decide);
  }
  void seal() { checker.coordinator_applied(entry(), SealOutcome{txn, Refusal{}}); }
  void end() { checker.coordinator_applied(entry(), EndTxns{{txn}}); }
  void finish(GroupId shard, bool commit, State after) {
    checker.shard_applied(shard, entry(), FinishWork{txn, attempt, commit}, Register{after, attempt});
  }
  void told(TxnState state, AbortReason reason = AbortReason::none, bool reused = false) {
    TxnAnswer answer;
    answer.txn = txn;
    answer.state = state;
    answer.refusal.reason = reason;
    checker.told(coordinator, answer, reused);
  }
  void expect_wrong(std::string_view rule) {
    EXPECT_EQ(recorder.verdict(), Verdict::wrong);
    EXPECT_NE(recorder.why().find(rule), std::string::npos) << recorder.why();
  }
  void expect_fine() { EXPECT_FALSE(recorder.failed()) << recorder.why(); }
};

TEST_F(TxnCheckerTest, AcceptsACommit) {
  prepare(left);
  prepare(right);
  decide();
  told(TxnState::committed);
  EXPECT_EQ(checker.undelivered(), 1U);
  finish(left, true, State::committed);
  finish(right, true, State::committed);
  finish(right, true, State::committed);
  end();
  EXPECT_EQ(checker.undelivered(), 0U);
  checker.judge_settled();
  expect_fine();
}

TEST_F(TxnCheckerTest, AcceptsAnAbortThatAShardLogged) {
  prepare(left);
  prepare(right, State::aborted);
  told(TxnState::aborted, AbortReason::conflict);
  finish(left, false, State::aborted);
  checker.judge_settled();
  expect_fine();
}

TEST_F(TxnCheckerTest, AcceptsADecisionThatLostToASeal) {
  prepare(left);
  prepare(right);
  seal();
  told(TxnState::aborted, AbortReason::sealed);
  decide();
  finish(left, false, State::aborted);
  finish(right, false, State::aborted);
  checker.judge_settled();
  expect_fine();
}

TEST_F(TxnCheckerTest, AcceptsADecisionThatTheEpochFenceStopped) {
  prepare(left);
  prepare(right);
  decide(attempt, 5);
  finish(left, false, State::aborted);
  finish(right, false, State::aborted);
  checker.judge_settled();
  expect_fine();
  EXPECT_FALSE(checker.find(txn)->committed());
}

TEST_F(TxnCheckerTest, FindsADecisionWithoutAVote) {
  prepare(left);
  decide();
  expect_wrong("A3");
}

TEST_F(TxnCheckerTest, FindsADecisionOnAVoteOfAnotherAttempt) {
  prepare(left);
  prepare(right, State::prepared, Attempt{Epoch(3), 7});
  decide();
  expect_wrong("A3");
}

TEST_F(TxnCheckerTest, FindsADecisionThatForgotAParticipant) {
  prepare(left);
  prepare(right);
  Decide decide;
  decide.txn = txn;
  decide.attempt = attempt;
  decide.participants = {left};
  decide.fingerprint = fingerprint(execute);
  checker.coordinator_applied(entry(), decide);
  expect_wrong("A3");
}

struct Ages : TxnCheckerTest {
  const TxnId other = TxnId::make(ClusterMillis(2000), 1, 1);  // younger by its id

  void sent_by_age(const TxnId& id, const TxnId& age) {
    Execute sent = execute;
    sent.txn = id;
    sent.age = age;
    checker.invoked(sent);
  }
  void dies(const TxnId& id, const TxnId& holder) {
    RefuseWork work;
    work.txn = id;
    work.refusal = {AbortReason::conflict, left, "that one, which is older, holds what it needs", {}, holder};
    checker.shard_applied(left, entry(), work, Register{State::aborted, {}});
  }
};

TEST_F(Ages, AcceptsAYoungerThatDies) {
  sent_by_age(other, {});
  dies(other, txn);
  expect_fine();
}

TEST_F(Ages, FindsAnOlderThatDies) {
  sent_by_age(other, {});
  dies(txn, other);
  expect_wrong("wait-die");
}

TEST_F(Ages, GoesByTheAgeOfTheFirstAttempt) {
  sent_by_age(other, TxnId::make(ClusterMillis(500), 1, 1));
  dies(txn, other);
  expect_fine();
}

TEST_F(Ages, DoesNotJudgeAnIdThatWasSentWithSeveral) {
  sent_by_age(other, {});
  sent_by_age(other, TxnId::make(ClusterMillis(500), 1, 1));
  dies(txn, other);
  expect_fine();
}

TEST_F(TxnCheckerTest, FindsACommitAfterALoggedNo) {
  prepare(left);
  finish(left, false, State::aborted);
  prepare(right);
  decide();
  expect_wrong("A");
}

TEST_F(TxnCheckerTest, FindsAShardThatAbortsWhatIsCommitted) {
  prepare(left);
  prepare(right);
  decide();
  finish(left, false, State::aborted);
  expect_wrong("A1");
}

TEST_F(TxnCheckerTest, FindsAShardThatCommitsWithoutADecision) {
  prepare(left);
  prepare(right);
  finish(left, true, State::committed);
  expect_wrong("A1");
}

TEST_F(TxnCheckerTest, FindsAShardThatChangesItsMind) {
  prepare(left, State::aborted);
  prepare(left, State::prepared);
  expect_wrong("A2");
}

TEST_F(TxnCheckerTest, FindsACommitTheClientIsToldTooEarly) {
  prepare(left);
  prepare(right);
  told(TxnState::committed);
  expect_wrong("A6");
}

TEST_F(TxnCheckerTest, FindsAnAbortThatIsToldOnATimeoutAlone) {
  prepare(left);
  told(TxnState::aborted, AbortReason::timeout);
  expect_wrong("A6");
}

TEST_F(TxnCheckerTest, AcceptsAPresumedAbortOfWhatIsTooOldToBegin) {
  checker.coordinator_applied(Entry{Epoch(1), Index(++index), ClusterMillis(2000), EntryKind::command, ""}, Tidy{});
  told(TxnState::aborted, AbortReason::presumed);
  expect_fine();
}

TEST_F(TxnCheckerTest, FindsAPresumedAbortOfWhatMayStillBegin) {
  told(TxnState::aborted, AbortReason::presumed);
  expect_wrong("A6");
}

TEST_F(TxnCheckerTest, FindsAnAbortThatIsToldOfACommit) {
  prepare(left);
  prepare(right);
  decide();
  told(TxnState::aborted, AbortReason::too_old);
  expect_wrong("A6");
}

TEST_F(TxnCheckerTest, FindsACommitAfterTheClientWasToldAborted) {
  told(TxnState::aborted, AbortReason::too_old);
  prepare(left);
  prepare(right);
  decide();
  expect_wrong("A6");
}

TEST_F(TxnCheckerTest, FindsAReusedIdThatIsAnsweredCommitted) {
  prepare(left);
  prepare(right);
  decide();
  told(TxnState::committed, AbortReason::none, true);
  expect_wrong("A8");
}

TEST_F(TxnCheckerTest, FindsATransactionThatIsEndedTooEarly) {
  prepare(left);
  prepare(right);
  decide();
  finish(left, true, State::committed);
  end();
  expect_wrong("A1");
}

TEST_F(TxnCheckerTest, FindsWhatIsLeftPrepared) {
  prepare(left);
  checker.judge_settled();
  expect_wrong("A7");
}

TEST_F(TxnCheckerTest, FindsACommitThatOneShardNeverGot) {
  prepare(left);
  prepare(right);
  decide();
  finish(left, true, State::committed);
  checker.judge_settled();
  EXPECT_TRUE(recorder.failed());
}

// Where the votes decide.
struct VotesCheckerTest : TxnCheckerTest {
  void SetUp() override {
    execute.protocol = Protocol::paxos_commit;
    TxnCheckerTest::SetUp();
  }
  void vote(GroupId shard) {
    PrepareWork work;
    work.txn = txn;
    work.participants = {left, right};
    work.protocol = Protocol::paxos_commit;
    work.fingerprint = fingerprint(execute);
    checker.shard_applied(shard, entry(), work, Register{State::prepared, {}, work.protocol, work.fingerprint});
  }
  void end_vote(GroupId shard, bool commit) {
    FinishWork work{txn, {}, commit, Protocol::paxos_commit, fingerprint(execute)};
    checker.shard_applied(shard, entry(), work,
                          Register{commit ? State::committed : State::aborted, {}, work.protocol, work.fingerprint});
  }
  void seal_at(GroupId shard) {
    checker.shard_applied(shard, entry(), SealWork{txn}, Register{State::aborted, {}, Protocol::automatic, 0});
  }
  void note(bool commit) {
    checker.coordinator_applied(entry(), NoteOutcomes{{OutcomeNote{txn, fingerprint(execute), commit}}});
  }
};

TEST_F(VotesCheckerTest, AcceptsAWholeLife) {
  vote(left);
  vote(right);
  told(TxnState::committed);
  seal_at(GroupId(9));  // asked of every shard: one that has no part in it
  end_vote(left, true);
  note(true);
  end_vote(right, true);
  checker.shard_applied(left, entry(), ForgetTxns{{txn}}, Register{});
  checker.judge_settled();
  EXPECT_FALSE(recorder.failed()) << recorder.why();
}

TEST_F(VotesCheckerTest, FindsAnAnswerBeforeAllVotes) {
  vote(left);
  told(TxnState::committed);
  expect_wrong("A6");
}

TEST_F(VotesCheckerTest, FindsAnAbortThatNoRegisterHolds) {
  vote(left);
  told(TxnState::aborted, AbortReason::timeout);
  expect_wrong("A6");
}

TEST_F(VotesCheckerTest, FindsAFinishThatTheVotesDoNotProve) {
  vote(left);
  end_vote(left, true);
  expect_wrong("A1");
}

TEST_F(VotesCheckerTest, FindsAnAbortAfterAllVotes) {
  vote(left);
  vote(right);
  end_vote(left, false);
  expect_wrong("A1");
}

TEST_F(VotesCheckerTest, FindsANoteThatIsNotTrue) {
  vote(left);
  note(true);
  expect_wrong("A6");
}

TEST_F(VotesCheckerTest, FindsACommitThatIsForgottenWhileAnotherIsInDoubt) {
  vote(left);
  vote(right);
  note(true);
  end_vote(left, true);
  checker.shard_applied(left, entry(), ForgetTxns{{txn}}, Register{});
  expect_wrong("A1");
}

TEST_F(VotesCheckerTest, FindsACommitThatIsForgottenBeforeItIsNoted) {
  vote(left);
  vote(right);
  end_vote(left, true);
  end_vote(right, true);
  checker.shard_applied(left, entry(), ForgetTxns{{txn}}, Register{});
  expect_wrong("A2");
}

TEST_F(VotesCheckerTest, AcceptsThatOneIsForgottenWhichTheHistoryIsPast) {
  vote(left);
  vote(right);
  end_vote(left, true);
  end_vote(right, true);
  checker.coordinator_applied(entry(), Tidy{}, std::nullopt, txn.created());
  checker.shard_applied(left, entry(), ForgetTxns{{txn}}, Register{});
  EXPECT_FALSE(recorder.failed()) << recorder.why();
}

// Where ballots decide: two of the three acceptors.
struct BallotsCheckerTest : TxnCheckerTest {
  static constexpr Ballot higher{1, GroupId(2), Epoch(4)};

  void SetUp() override {
    execute.protocol = Protocol::three_phase;
    TxnCheckerTest::SetUp();
  }
  [[nodiscard]] Register prepared(const Acceptor& acceptor = {}) const {
    return Register{State::prepared, {}, Protocol::three_phase, fingerprint(execute), acceptor};
  }
  void vote(GroupId shard) {
    PrepareWork work;
    work.txn = txn;
    work.participants = {left, right};
    work.protocol = Protocol::three_phase;
    work.fingerprint = fingerprint(execute);
    checker.shard_applied(shard, entry(), work, prepared());
  }
  [[nodiscard]] BallotWork work(const Ballot& ballot, Outcome value) const {
    return {txn, ballot, value, fingerprint(execute), {left, right}};
  }
  void promise(GroupId shard, const Ballot& ballot) {
    checker.shard_applied(shard, entry(), work(ballot, Outcome::none),
                          prepared({.promised = ballot, .accepted = {}, .value = Outcome::none}));
  }
  void accept(GroupId group, const Ballot& ballot, Outcome value) {
    const Acceptor acceptor{.promised = ballot, .accepted = ballot, .value = value};
    if (group == coordinator) {
      checker.coordinator_applied(entry(), work(ballot, value), acceptor);
    } else {
      checker.shard_applied(group, entry(), work(ballot, value), prepared(acceptor));
    }
  }
  void end(GroupId shard, bool commit) {
    FinishWork work{txn, {}, commit, Protocol::three_phase, fingerprint(execute)};
    checker.shard_applied(shard, entry(), work,
                          Register{commit ? State::committed : State::aborted, {}, work.protocol, work.fingerprint});
  }
};

TEST_F(BallotsCheckerTest, AcceptsAWholeLife) {
  vote(left);
  vote(right);
  accept(left, {}, Outcome::committed);
  accept(coordinator, {}, Outcome::committed);
  told(TxnState::committed);
  end(left, true);
  end(right, true);
  checker.judge_settled();
  EXPECT_FALSE(recorder.failed()) << recorder.why();
}

TEST_F(BallotsCheckerTest, AcceptsAnAbortThatAMajorityAccepted) {
  vote(left);
  promise(left, higher);
  accept(left, higher, Outcome::aborted);
  accept(coordinator, higher, Outcome::aborted);
  told(TxnState::aborted, AbortReason::timeout);
  end(left, false);
  checker.judge_settled();
  EXPECT_FALSE(recorder.failed()) << recorder.why();
}

TEST_F(BallotsCheckerTest, FindsAnAnswerThatOnlyOneAcceptorHolds) {
  vote(left);
  vote(right);
  accept(left, {}, Outcome::committed);
  told(TxnState::committed);
  expect_wrong("A6");
}

TEST_F(BallotsCheckerTest, FindsABrokenPromise) {
  vote(left);
  vote(right);
  promise(left, higher);
  accept(left, {}, Outcome::committed);
  expect_wrong("A1 agreement");
}

TEST_F(BallotsCheckerTest, FindsAForgottenPromise) {
  vote(left);
  promise(left, higher);
  promise(left, {});
  expect_wrong("A1 agreement");
}

TEST_F(BallotsCheckerTest, FindsAPreCommitBeforeAllVotes) {
  vote(left);
  accept(left, {}, Outcome::committed);
  expect_wrong("A3");
}

TEST_F(BallotsCheckerTest, FindsTwoValuesInOneBallot) {
  vote(left);
  vote(right);
  accept(left, higher, Outcome::committed);
  accept(right, higher, Outcome::aborted);
  expect_wrong("A1");
}

TEST_F(BallotsCheckerTest, FindsTwoMajoritiesThatDisagree) {
  vote(left);
  vote(right);
  accept(left, {}, Outcome::committed);
  accept(coordinator, {}, Outcome::committed);
  accept(left, higher, Outcome::aborted);
  accept(right, higher, Outcome::aborted);
  expect_wrong("A1");
}

TEST_F(BallotsCheckerTest, FindsAFinishThatNoMajorityDecided) {
  vote(left);
  vote(right);
  accept(left, {}, Outcome::committed);
  end(left, true);
  expect_wrong("A1");
}

TEST_F(TxnCheckerTest, FindsOnePhaseWorkOfATransactionWithTwoParticipants) {
  ExecuteWork work;
  work.txn = txn;
  checker.shard_applied(left, entry(), work, Register{State::committed, {}});
  expect_wrong("A3");
}

}  // namespace
}  // namespace assent::sim
