// The conductor where ballots decide: three-phase commit.
#include "conductor_fixture.h"

namespace assent {
namespace {

using testing::answer_to;
using testing::coordinator_group;
using testing::error_to;
using testing::proposed;
using testing::sent;
using testing::shard_1;
using testing::shard_2;
using testing::txn;

class ConductorBallotsTest : public testing::ConductorFixture {
 protected:
  static Execute by_ballots(std::uint64_t n = 1) {
    Execute execute = one(n);
    execute.protocol = Protocol::three_phase;
    return execute;
  }
  static std::uint64_t print(std::uint64_t n = 1) { return fingerprint(by_ballots(n)); }
  void hear(GroupId from, TxnMessage message) {
    conductor.receive(Envelope{from, coordinator_group, std::move(message)});
  }
  Vote yes() {
    Vote vote;
    vote.txn = txn(1);
    vote.attempt = attempt();
    vote.yes = true;
    vote.result = WorkResult(1);
    vote.protocol = Protocol::three_phase;
    vote.fingerprint = print();
    return vote;
  }
  void all_vote_yes() {
    hear(shard_1, yes());
    hear(shard_2, yes());
  }
  void stands(GroupId from, const Acceptor& acceptor, Standing standing = Standing::prepared) {
    BallotReply reply;
    reply.txn = txn(1);
    reply.fingerprint = print();
    reply.standing = standing;
    reply.promised = acceptor.promised;
    reply.accepted = acceptor.accepted;
    reply.value = acceptor.value;
    hear(from, reply);
  }
  BallotRequest request(const Ballot& ballot, Outcome value, std::uint64_t of) {
    return {.txn = txn(1), .ballot = ballot, .value = value, .fingerprint = of, .participants = {shard_1, shard_2}};
  }
  static constexpr Acceptor precommitted{.promised = {}, .accepted = {}, .value = Outcome::committed};
};

TEST_F(ConductorBallotsTest, P01_TheClientIsAnsweredWhenAMajorityHasPreCommitted) {
  execute(1, by_ballots());
  take();
  all_vote_yes();
  auto output = take();
  EXPECT_TRUE(output.reply.empty()) << "all votes are no decision here";
  ASSERT_EQ(sent<BallotRequest>(output.send).size(), 2U);
  EXPECT_EQ(sent<BallotRequest>(output.send)[0].value, Outcome::committed);
  EXPECT_EQ(sent<BallotRequest>(output.send)[0].ballot, Ballot{});
  const auto own = proposed<BallotWork>(output.propose);
  ASSERT_EQ(own.size(), 1U) << "the coordinator group is an acceptor, too";
  stands(shard_1, precommitted);
  EXPECT_TRUE(take().reply.empty()) << "one of three";
  commit(own[0]);
  output = take();
  ASSERT_NE(answer_to(output.reply, 1), nullptr);
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
  EXPECT_EQ(answer_to(output.reply, 1)->protocol, Protocol::three_phase);
  EXPECT_EQ(answer_to(output.reply, 1)->results.size(), 2U);
  EXPECT_EQ(sent<Finish>(output.send).size(), 2U);
  EXPECT_EQ(machine.ballots().size(), 1U);
  const auto notes = proposed<NoteOutcomes>(ticks(11).propose);
  ASSERT_EQ(notes.size(), 1U);
  commit(notes[0]);
  EXPECT_TRUE(machine.ballots().empty()) << "the outcome stands in their place";
  EXPECT_EQ(machine.find(txn(1))->outcome, Outcome::committed);
}

TEST_F(ConductorBallotsTest, P03_NoPreCommitBeforeAllVotes) {
  execute(1, by_ballots());
  take();
  hear(shard_1, yes());
  const auto output = ticks(30);
  EXPECT_TRUE(sent<BallotRequest>(output.send).empty());
  EXPECT_TRUE(output.propose.empty());
}

TEST_F(ConductorBallotsTest, P06_ATimeoutOpensABallotAndTellsWhatItComesTo) {
  Execute slow = by_ballots();
  slow.timeout_ticks = 50;
  execute(1, slow);
  hear(shard_1, yes());
  take();
  auto output = ticks(50);
  EXPECT_TRUE(output.reply.empty()) << "abort before any log holds it";
  const auto asked = sent<BallotRequest>(output.send, shard_2);
  ASSERT_EQ(asked.size(), 1U);
  const Ballot ballot = asked[0].ballot;
  EXPECT_EQ(ballot.round, 1U);
  for (const auto& own : proposed<BallotWork>(output.propose)) commit(own);
  stands(shard_1, {.promised = ballot, .accepted = {}, .value = Outcome::none});
  output = take();
  ASSERT_FALSE(sent<BallotRequest>(output.send, shard_1).empty());
  EXPECT_EQ(sent<BallotRequest>(output.send, shard_1)[0].value, Outcome::aborted);
  for (const auto& own : proposed<BallotWork>(output.propose)) commit(own);
  EXPECT_TRUE(take().reply.empty());
  stands(shard_1, {.promised = ballot, .accepted = ballot, .value = Outcome::aborted});
  output = take();
  ASSERT_NE(answer_to(output.reply, 1), nullptr) << "without the shard that lost its majority";
  EXPECT_EQ(answer_to(output.reply, 1)->refusal.reason, AbortReason::timeout);
}

TEST_F(ConductorBallotsTest, P22_OvertakenItTakesUpWhatTheOthersPreCommitted) {
  execute(1, by_ballots());
  take();
  all_vote_yes();
  for (const auto& own : proposed<BallotWork>(take().propose)) commit(own);
  const Ballot theirs{1, shard_2, Epoch(4)};
  stands(shard_2, {.promised = theirs, .accepted = {}, .value = Outcome::none});
  take();
  const auto asked = sent<BallotRequest>(ticks(20).send, shard_1);
  ASSERT_FALSE(asked.empty());
  EXPECT_GT(asked[0].ballot, theirs);
  EXPECT_EQ(asked[0].value, Outcome::none);
  for (const auto& own : proposed<BallotWork>(take().propose)) commit(own);
  stands(shard_1, {.promised = asked[0].ballot, .accepted = {}, .value = Outcome::committed});
  stands(shard_1, {}, Standing::committed);
  EXPECT_EQ(answer_to(take().reply, 1)->state, TxnState::committed);
}

TEST_F(ConductorBallotsTest, P24_AnAcceptorAnswersWhenItsEntryIsAppliedAndItsPromiseOutlivesSnapshots) {
  const Ballot high{3, shard_1, Epoch(2)};
  hear(shard_1, request(high, Outcome::none, print()));
  auto output = take();
  EXPECT_TRUE(sent<BallotReply>(output.send).empty()) << "proposed is not promised";
  const auto work = proposed<BallotWork>(output.propose);
  ASSERT_EQ(work.size(), 1U);
  hear(shard_1, request(high, Outcome::none, print()));
  EXPECT_TRUE(take().propose.empty()) << "it is on its way";
  commit(work[0]);
  EXPECT_EQ(sent<BallotReply>(take().send, shard_1).at(0).promised, high);
  Decisions restored(machine_options());
  ASSERT_TRUE(restored.restore(*machine.snapshot()));
  EXPECT_EQ(restored.digest(), machine.digest());
  EXPECT_FALSE(restored.apply(testing::at(5, 99), BallotWork{txn(1), {}, Outcome::committed, print(), {}}).changed)
      << "promise forgotten at restart, lower ballot accepted";
}

// A question about one content must neither bind nor speak for another under the same id.
TEST_F(ConductorBallotsTest, P13_OfOtherContentItAbstains) {
  hear(shard_1, request({1, shard_1, Epoch(2)}, Outcome::none, 8));
  commit_all();
  hear(shard_2, request({1, shard_2, Epoch(2)}, Outcome::none, 9));
  const auto output = take();
  EXPECT_TRUE(output.propose.empty());
  EXPECT_EQ(sent<BallotReply>(output.send, shard_2).at(0).standing, Standing::old);
  execute(1, by_ballots());
  ASSERT_NE(error_to(take().reply, 1), nullptr);
}

TEST_F(ConductorBallotsTest, P24_WhatAnEarlierLeaderLeftIsEndedWhenNobodyElseDoes) {
  commit(BallotWork{txn(1), {}, Outcome::committed, print(), {shard_1, shard_2}});
  conductor.resign();
  take();
  lead(6);
  const auto output = ticks(310);
  const auto asked = sent<BallotRequest>(output.send, shard_1);
  ASSERT_FALSE(asked.empty());
  EXPECT_EQ(asked[0].ballot.round, 1U);
  for (const auto& own : proposed<BallotWork>(output.propose)) commit(own);
  stands(shard_1, {.promised = asked[0].ballot, .accepted = {}, .value = Outcome::none});
  const auto accepts = sent<BallotRequest>(take().send, shard_1);
  ASSERT_FALSE(accepts.empty());
  EXPECT_EQ(accepts[0].value, Outcome::committed) << "pre-committed here: it may have been decided";
}

TEST_F(ConductorBallotsTest, P24_AShardInDoubtIsAttendedToWhileTheLeaderIsAtIt) {
  execute(1, by_ballots());
  take();
  all_vote_yes();
  take();
  hear(shard_1, yes());
  EXPECT_TRUE(sent<Attended>(take().send, shard_1).at(0).running);
  conductor.resign();
  take();
  lead(6);
  hear(shard_1, yes());
  EXPECT_FALSE(sent<Attended>(take().send, shard_1).at(0).running) << "an earlier leader ran it";
}

TEST_F(ConductorBallotsTest, P29_OneShardIsTooFew) {
  Execute alone = testing::single(txn(1), shard_1, testing::put("a", "1"));
  alone.protocol = Protocol::three_phase;
  execute(1, alone);
  ASSERT_NE(error_to(take().reply, 1), nullptr);
  ask(2, txn(1), false);
  execute(3, alone);
  const auto output = take();
  ASSERT_NE(error_to(output.reply, 3), nullptr);
  EXPECT_EQ(error_to(output.reply, 3)->code, ErrorCode::refused);
  EXPECT_NE(error_to(output.reply, 3)->message.find("two shards or more"), std::string::npos);
}

}  // namespace
}  // namespace assent
