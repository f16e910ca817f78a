// The caretaker where ballots decide: as an acceptor, and in doubt.
#include "caretaker_fixture.h"

namespace assent::testing {
namespace {

constexpr std::uint64_t print = 5;

class CaretakerBallotsTest : public CaretakerFixture {
 protected:
  void hear(GroupId from, TxnMessage message) { caretaker.receive(Envelope{from, shard_1, std::move(message)}); }
  void prepare_here() {
    Prepare prepare{txn(1), attempt(), coordinator_group, {shard_1, shard_2}, print, {}, put("a", "1")};
    prepare.protocol = Protocol::three_phase;
    hear(coordinator_group, prepare);
    commit_all();
    heard();
  }
  void ask(GroupId from, const Ballot& ballot, Outcome value, std::uint64_t of = print) {
    hear(from, BallotRequest{txn(1), ballot, value, of, {shard_1, shard_2}});
  }
  void stands(GroupId from, const Acceptor& acceptor, Standing standing = Standing::prepared) {
    BallotReply reply;
    reply.txn = txn(1);
    reply.fingerprint = print;
    reply.standing = standing;
    reply.promised = acceptor.promised;
    reply.accepted = acceptor.accepted;
    reply.value = acceptor.value;
    hear(from, reply);
  }
  // The coordinator group is gone: nobody attends to it. Gives the ballot that it opens.
  Ballot be_left_alone() {
    hear(coordinator_group, Attended{txn(1), false});
    const auto asked = sent<BallotRequest>(heard().send, shard_2);
    EXPECT_EQ(asked.size(), 1U);
    commit_all();
    return asked.empty() ? Ballot{} : asked[0].ballot;
  }
  [[nodiscard]] Outcome outcome() const {
    const FinishedTxn* finished = machine.finished(txn(1));
    return finished == nullptr ? Outcome::none : finished->outcome;
  }
};

TEST_F(CaretakerBallotsTest, P22_PreCommittedItStillWaitsForAMajority) {
  prepare_here();
  ask(coordinator_group, {}, Outcome::committed);
  EXPECT_TRUE(sent<BallotReply>(heard().send).empty()) << "proposed is not accepted";
  commit_all();
  EXPECT_EQ(sent<BallotReply>(heard().send, coordinator_group).at(0).value, Outcome::committed);
  const Ballot ballot = be_left_alone();
  ticks(500);
  EXPECT_EQ(outcome(), Outcome::none) << "it never decides alone";
  stands(shard_2, {.promised = ballot, .accepted = {}, .value = Outcome::none});
  commit_all();
  EXPECT_EQ(sent<BallotRequest>(heard().send, shard_2).back().value, Outcome::committed);
  stands(shard_2, {.promised = ballot, .accepted = ballot, .value = Outcome::committed});
  commit_all();
  EXPECT_EQ(store.get("a"), "1");
  EXPECT_TRUE(machine.locks().empty());
}

TEST_F(CaretakerBallotsTest, P23_WithoutAPreCommitTwoShardsAbortAndTellEachOther) {
  prepare_here();
  const Ballot ballot = be_left_alone();
  stands(shard_2, {.promised = ballot, .accepted = {}, .value = Outcome::none});
  commit_all();
  EXPECT_EQ(outcome(), Outcome::none);
  stands(shard_2, {.promised = ballot, .accepted = ballot, .value = Outcome::aborted});
  commit_all();
  EXPECT_EQ(outcome(), Outcome::aborted);
  const auto told = heard();
  ASSERT_FALSE(sent<Finish>(told.send, shard_2).empty());
  EXPECT_FALSE(sent<Finish>(told.send, shard_2)[0].commit);
}

TEST_F(CaretakerBallotsTest, P24_APromiseIsInTheRecordAndBindsTheNextLeader) {
  prepare_here();
  const Ballot high{3, shard_2, Epoch(2)};
  ask(shard_2, high, Outcome::none);
  commit_all();
  heard();
  Shard reloaded(machine_options());
  ASSERT_TRUE(reloaded.load(store));
  EXPECT_EQ(reloaded.digest(), machine.digest());
  EXPECT_EQ(reloaded.prepared(txn(1))->acceptor.promised, high);
  resign_and_lead();
  ask(coordinator_group, {}, Outcome::committed);
  EXPECT_EQ(in_log(), 1U) << "only its first Tidy: ballot 0 came too late";
  const auto replies = sent<BallotReply>(heard().send, coordinator_group);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].promised, high);
  EXPECT_EQ(replies[0].value, Outcome::none);
}

TEST_F(CaretakerBallotsTest, P10_WhoAsksAnEmptyRegisterSealsIt) {
  ask(shard_2, {1, shard_2, Epoch(1)}, Outcome::none);
  EXPECT_TRUE(sent<BallotReply>(heard().send).empty());
  commit_all();
  EXPECT_EQ(sent<BallotReply>(heard().send, shard_2).at(0).standing, Standing::aborted);
  prepare_here();
  EXPECT_EQ(machine.prepared(txn(1)), nullptr) << "the prepare came too late";
}

TEST_F(CaretakerBallotsTest, ALookLogsNothing) {
  ask(coordinator_group, {}, Outcome::none);
  EXPECT_EQ(sent<BallotReply>(heard().send).at(0).standing, Standing::empty);
  prepare_here();
  ask(coordinator_group, {}, Outcome::none);
  EXPECT_EQ(sent<BallotReply>(heard().send).at(0).standing, Standing::prepared);
  EXPECT_EQ(in_log(), 0U);
}

TEST_F(CaretakerBallotsTest, P13_ABallotOfOtherContentChangesNothing) {
  prepare_here();
  ask(shard_2, {1, shard_2, Epoch(1)}, Outcome::none, 6);
  EXPECT_EQ(in_log(), 0U);
  EXPECT_EQ(sent<BallotReply>(heard().send, shard_2).at(0).fingerprint, print) << "which says: no yes for yours";
  const BallotWork other{txn(1), {1, shard_2, Epoch(1)}, Outcome::aborted, 6, {}};
  const auto applied = machine.apply(at(1, ++index, millis), other, store);
  ASSERT_TRUE(applied);
  EXPECT_FALSE(applied->changed) << "the machine judges again";
}

TEST_F(CaretakerBallotsTest, P22_OvertakenItOpensAHigherBallotAfterAPause) {
  prepare_here();
  const Ballot mine = be_left_alone();
  stands(shard_2, {.promised = {1, shard_2, Epoch(9)}, .accepted = {}, .value = Outcome::none});
  heard();
  ticks(10);
  EXPECT_TRUE(sent<BallotRequest>(heard().send).empty()) << "the other one is left some time";
  ticks(100);
  const auto asked = sent<BallotRequest>(heard().send, shard_2);
  ASSERT_FALSE(asked.empty());
  EXPECT_EQ(asked.back().ballot.round, mine.round + 1);
}

TEST_F(CaretakerBallotsTest, P06_OneCommittedParticipantIsEnough) {
  prepare_here();
  be_left_alone();
  stands(shard_2, {}, Standing::committed);
  commit_all();
  EXPECT_EQ(outcome(), Outcome::committed);
}

}  // namespace
}  // namespace assent::testing
