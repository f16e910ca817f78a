// The conductor where the votes decide: Paxos Commit, and what nobody here knows.
#include "conductor_fixture.h"

namespace assent {
namespace {

using testing::answer_to;
using testing::error_to;
using testing::proposed;
using testing::put;
using testing::sent;
using testing::shard_1;
using testing::shard_2;
using testing::transfer;
using testing::txn;

class ConductorVotesTest : public testing::ConductorFixture {
 protected:
  static Execute by_votes(std::uint64_t n = 1) {
    Execute execute = one(n);
    execute.protocol = Protocol::paxos_commit;
    return execute;
  }
  static std::uint64_t print(std::uint64_t n = 1) { return fingerprint(by_votes(n)); }
  static Vote yes(std::uint64_t n, const Attempt& in) {
    Vote vote;
    vote.txn = txn(n);
    vote.attempt = in;
    vote.yes = true;
    vote.result = WorkResult(1);
    vote.protocol = Protocol::paxos_commit;
    vote.fingerprint = print(n);
    return vote;
  }
  void hear(GroupId from, TxnMessage message) {
    conductor.receive(Envelope{from, testing::coordinator_group, std::move(message)});
  }
  void vote_yes(GroupId from, std::uint64_t n = 1) { hear(from, yes(n, attempt(n))); }
  void vote_no(GroupId from, AbortReason reason) {
    Vote vote;
    vote.txn = txn(1);
    vote.attempt = attempt();
    vote.refusal.reason = reason;
    hear(from, vote);
  }
};

TEST_F(ConductorVotesTest, P01_TheClientIsAnsweredByTheLastVoteBeforeAnythingIsLoggedHere) {
  execute(1, by_votes());
  EXPECT_EQ(sent<Prepare>(take().send).at(0).protocol, Protocol::paxos_commit);
  vote_yes(shard_1);
  EXPECT_TRUE(take().reply.empty()) << "answer before all votes";
  vote_yes(shard_2);
  auto output = take();
  EXPECT_TRUE(output.propose.empty());
  ASSERT_NE(answer_to(output.reply, 1), nullptr);
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
  EXPECT_EQ(answer_to(output.reply, 1)->protocol, Protocol::paxos_commit);
  EXPECT_EQ(answer_to(output.reply, 1)->results.size(), 2U);
  ASSERT_EQ(sent<Finish>(output.send).size(), 2U);
  EXPECT_TRUE(sent<Finish>(output.send)[0].commit);
  EXPECT_EQ(sent<Finish>(output.send)[0].fingerprint, print());
  ask(2, txn(1), false);
  EXPECT_EQ(answer_to(take().reply, 2)->state, TxnState::committed) << "known before it is noted";
  const auto notes = proposed<NoteOutcomes>(ticks(11).propose);
  ASSERT_EQ(notes.size(), 1U);
  commit(notes[0]);
  EXPECT_EQ(machine.find(txn(1))->outcome, Outcome::committed);
  EXPECT_EQ(machine.find(txn(1))->fingerprint, print());
}

TEST_F(ConductorVotesTest, P07_AVoteOfAnEarlierAttemptCountsAVoteForOtherContentDoesNot) {
  execute(1, by_votes());
  take();
  hear(shard_1, yes(1, Attempt{Epoch(2), 9}));
  Vote other = yes(1, attempt());
  other.fingerprint = 77;
  hear(shard_2, other);
  const auto output = take();
  ASSERT_NE(answer_to(output.reply, 1), nullptr);
  EXPECT_EQ(answer_to(output.reply, 1)->refusal.reason, AbortReason::reused_id);
  EXPECT_TRUE(proposed<NoteOutcomes>(ticks(11).propose).empty()) << "it says nothing about the first use";

  execute(2, by_votes(2));
  hear(shard_1, yes(2, Attempt{Epoch(2), 9}));
  hear(shard_2, yes(2, attempt(2)));
  EXPECT_EQ(answer_to(take().reply, 2)->state, TxnState::committed);
}

TEST_F(ConductorVotesTest, P06_ATimeoutSealsFirstAndTellsWhatTheRegistersSay) {
  Execute slow = by_votes();
  slow.timeout_ticks = 50;
  execute(1, slow);
  vote_yes(shard_1);
  take();
  auto output = ticks(50);
  EXPECT_TRUE(output.reply.empty()) << "abort before the seal";
  EXPECT_TRUE(sent<Finish>(output.send).empty());
  ASSERT_EQ(sent<Seal>(output.send, shard_2).size(), 1U);
  EXPECT_TRUE(sent<Seal>(output.send, shard_1).empty()) << "it is known to have voted";
  report(shard_2, txn(1), Standing::aborted);
  output = take();
  ASSERT_NE(answer_to(output.reply, 1), nullptr);
  EXPECT_EQ(answer_to(output.reply, 1)->refusal.reason, AbortReason::timeout);
  EXPECT_EQ(sent<Finish>(output.send).size(), 2U);
}

TEST_F(ConductorVotesTest, P06_ASealThatCameTooLateFindsTheCommit) {
  Execute slow = by_votes();
  slow.timeout_ticks = 50;
  execute(1, slow);
  vote_yes(shard_1);
  ticks(50);
  report(shard_2, txn(1), Standing::prepared, Protocol::paxos_commit, print());
  EXPECT_EQ(answer_to(take().reply, 1)->state, TxnState::committed);
}

TEST_F(ConductorVotesTest, S03_WhoWaitsForALostParticipantHearsThatItIsNotKnown) {
  Execute slow = by_votes();
  slow.timeout_ticks = 50;
  execute(1, slow);
  vote_yes(shard_1);
  ticks(50);
  const auto output = ticks(110);
  ASSERT_NE(error_to(output.reply, 1), nullptr);
  EXPECT_EQ(error_to(output.reply, 1)->code, ErrorCode::unknown_outcome);
  EXPECT_EQ(conductor.active(), 0U) << "the shard in doubt resolves it without this leader";
}

TEST_F(ConductorVotesTest, P11_TooOldAtAShardIsNotANo) {
  execute(1, by_votes());
  take();
  vote_no(shard_1, AbortReason::too_old);
  auto output = take();
  EXPECT_TRUE(output.reply.empty()) << "it may have committed there and been forgotten";
  EXPECT_EQ(sent<Seal>(output.send).size(), 2U);
  report(shard_1, txn(1), Standing::old);
  report(shard_2, txn(1), Standing::committed, Protocol::paxos_commit, print());
  EXPECT_EQ(answer_to(take().reply, 1)->state, TxnState::committed);
}

TEST_F(ConductorVotesTest, P11_GoneEverywhereIsAbortedOnlyWhenTheLogSaysSo) {
  ask(1, txn(1), true);
  report(shard_1, txn(1), Standing::old);
  report(shard_2, txn(1), Standing::old);
  const auto output = take();
  EXPECT_TRUE(output.reply.empty());
  const auto notes = proposed<NoteOutcomes>(output.propose);
  ASSERT_EQ(notes.size(), 1U);
  commit(NoteOutcomes{{OutcomeNote{txn(1), 7, true, Protocol::paxos_commit, AbortReason::none}}});  // by another leader
  commit(notes[0]);
  EXPECT_EQ(answer_to(take().reply, 1)->state, TxnState::committed) << "its commit was noted before it was forgotten";
}

TEST_F(ConductorVotesTest, S07_ANewLeaderFindsOutFromTheShards) {
  ask(1, txn(1), false);
  EXPECT_TRUE(sent<Seal>(take().send).at(0).look);
  report(shard_1, txn(1), Standing::prepared, Protocol::paxos_commit, print());
  EXPECT_EQ(sent<Seal>(take().send, shard_2).size(), 1U) << "it knows now who takes part";
  report(shard_2, txn(1), Standing::prepared, Protocol::paxos_commit, print());
  const auto output = take();
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
  EXPECT_EQ(sent<Finish>(output.send).size(), 2U);
}

// An id is used again with other content while this leader, who did not run the first use, finds out what came of it
// (simulator, seed 7259).
TEST_F(ConductorVotesTest, WhoJoinsWhatIsNotKnownYetHearsItsOutcomeOnlyForItsOwnContent) {
  Execute other = transfer(txn(1), put("a", "other"), put("b", "content"));
  other.protocol = Protocol::paxos_commit;
  ask(1, txn(1), true);
  execute(2, other);
  execute(3, by_votes());
  EXPECT_TRUE(take().reply.empty());
  report(shard_1, txn(1), Standing::prepared, Protocol::paxos_commit, print());
  report(shard_2, txn(1), Standing::prepared, Protocol::paxos_commit, print());
  const auto output = take();
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
  ASSERT_NE(error_to(output.reply, 2), nullptr);
  EXPECT_EQ(error_to(output.reply, 2)->code, ErrorCode::refused);
  EXPECT_EQ(answer_to(output.reply, 3)->state, TxnState::committed);
}

TEST_F(ConductorVotesTest, WhoJoinsWhatAShardHasFinishedHearsItsOutcomeOnlyForItsOwnContent) {
  for (const std::uint64_t n : {1, 2}) {  // the second with other content than the shard has seen
    ask(10, txn(n), true);
    execute(11, by_votes(n));
    take();
    report(shard_1, txn(n), Standing::committed, Protocol::paxos_commit, n == 1 ? print(1) : print(2) + 1);
    const auto output = take();
    EXPECT_EQ(answer_to(output.reply, 10)->state, TxnState::committed);
    EXPECT_EQ(n == 1, answer_to(output.reply, 11) != nullptr);
    EXPECT_EQ(n == 2, error_to(output.reply, 11) != nullptr);
  }
}

TEST_F(ConductorVotesTest, AShardInDoubtHearsTheOutcomeOrThatItMustResolveIt) {
  execute(1, by_votes());
  take();
  vote_yes(shard_1);
  vote_yes(shard_1);
  EXPECT_TRUE(sent<Attended>(take().send, shard_1).at(0).running) << "its coordinator only waits for the other";
  hear(shard_2, yes(2, Attempt{Epoch(3), 1}));
  EXPECT_FALSE(sent<Attended>(take().send, shard_2).at(0).running) << "an earlier leader ran it";
  hear(shard_2, yes(2, Attempt{Epoch(9), 1}));
  EXPECT_TRUE(take().send.empty()) << "a later leader may run it";
  commit(NoteOutcomes{{OutcomeNote{txn(2), print(2), true, Protocol::paxos_commit, AbortReason::none}}});
  hear(shard_2, yes(2, Attempt{Epoch(3), 1}));
  EXPECT_TRUE(sent<Finish>(take().send, shard_2).at(0).commit);
}

TEST_F(ConductorVotesTest, AnOldCommitIsConfirmedOnlyWhenTheLogHasItsOutcome) {
  hear(shard_1, Confirm{{OldCommit{txn(1), 7}}});
  EXPECT_TRUE(take().send.empty());
  const auto notes = proposed<NoteOutcomes>(ticks(11).propose);
  ASSERT_EQ(notes.size(), 1U);
  hear(shard_1, Confirm{{OldCommit{txn(1), 7}}});
  EXPECT_TRUE(take().send.empty()) << "proposed is not logged";
  commit(notes[0]);
  hear(shard_1, Confirm{{OldCommit{txn(1), 7}}});
  EXPECT_EQ(sent<Confirmed>(take().send).size(), 1U);
}

}  // namespace
}  // namespace assent
