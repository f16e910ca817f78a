// One acceptor, and one leader's way through the ballots: the pure rules of three-phase commit.
#include "txn_proto/termination.h"

#include <gtest/gtest.h>

#include "support.h"

namespace assent {
namespace {

using testing::coordinator_group;
using testing::shard_1;
using testing::shard_2;
using testing::txn;

constexpr std::uint64_t print = 7;
constexpr Ballot first_of_1{1, shard_1, Epoch(1)};
constexpr Ballot first_of_2{1, shard_2, Epoch(1)};

Termination way_of(GroupId self) { return {txn(1), self, Epoch(1), coordinator_group, {shard_1, shard_2}, print}; }

BallotReply stands(const Acceptor& acceptor) {
  BallotReply reply;
  reply.txn = txn(1);
  reply.fingerprint = print;
  reply.promised = acceptor.promised;
  reply.accepted = acceptor.accepted;
  reply.value = acceptor.value;
  return reply;
}
BallotReply says(Standing standing, std::uint64_t of = print) {
  BallotReply reply;
  reply.txn = txn(1);
  reply.fingerprint = of;
  reply.standing = standing;
  return reply;
}
const Acceptor precommitted{.promised = {}, .accepted = {}, .value = Outcome::committed};

TEST(Acceptor, P23_PromisesOnlyUpwardsAndAcceptsNothingBelowItsPromise) {
  Acceptor acceptor;
  EXPECT_FALSE(acceptor.would_change({}, Outcome::none)) << "round 0 promises nothing: it only asks";
  acceptor.apply(first_of_2, Outcome::none);
  EXPECT_FALSE(acceptor.would_change(first_of_1, Outcome::none));
  EXPECT_FALSE(acceptor.would_change({}, Outcome::committed)) << "ballot 0 came too late";
  acceptor.apply(first_of_2, Outcome::aborted);
  EXPECT_EQ(acceptor.value, Outcome::aborted);
  EXPECT_FALSE(acceptor.would_change(first_of_2, Outcome::aborted)) << "nothing new";
}

TEST(Termination, P22_ACommitNeedsAMajorityOfTheSameBallot) {
  Termination way = way_of(coordinator_group);
  way.propose_commit();
  EXPECT_EQ(way.request().value, Outcome::committed);
  way.hear(shard_1, stands(precommitted));
  EXPECT_EQ(way.verdict(), Termination::Verdict::open);
  way.hear(shard_2, stands({.promised = first_of_2, .accepted = first_of_2, .value = Outcome::committed}));
  EXPECT_EQ(way.verdict(), Termination::Verdict::open) << "two ballots, one each";
  way.hear(coordinator_group, stands(precommitted));
  EXPECT_EQ(way.verdict(), Termination::Verdict::commit);
}

TEST(Termination, P23_TakesUpWhatWasPreCommittedAndAbortsOnlyWhenNothingWas) {
  Termination way = way_of(shard_1);
  way.open();
  EXPECT_EQ(way.request().ballot, first_of_1);
  way.hear(shard_1, stands({.promised = first_of_1, .accepted = {}, .value = Outcome::none}));
  EXPECT_EQ(way.request().value, Outcome::none) << "one promise is not enough";
  way.hear(shard_2, stands({.promised = first_of_1, .accepted = {}, .value = Outcome::committed}));
  EXPECT_EQ(way.request().value, Outcome::committed);

  Termination other = way_of(shard_2);
  other.open();
  other.hear(shard_2, stands({.promised = first_of_2, .accepted = {}, .value = Outcome::none}));
  other.hear(coordinator_group, stands({.promised = first_of_2, .accepted = {}, .value = Outcome::none}));
  EXPECT_EQ(other.request().value, Outcome::aborted);
}

TEST(Termination, P23_OpensAboveAllThatItHeardOfAndAboveWhatItsLeaderOpenedBefore) {
  Termination way = way_of(shard_1);
  way.open();
  way.hear(shard_2, stands({.promised = {4, shard_2, Epoch(1)}, .accepted = {}, .value = Outcome::none}));
  EXPECT_TRUE(way.overtaken());
  way.open();
  EXPECT_EQ(way.request().ballot.round, 5U);
  Termination again = way_of(shard_1);
  again.open(5);
  EXPECT_EQ(again.request().ballot.round, 6U) << "a round that was given up is not opened again";
}

TEST(Termination, P22_ALoggedNoIsFinalByItself) {
  for (const BallotReply& no :
       {says(Standing::aborted, 0), says(Standing::prepared, 8), says(Standing::committed, 8)}) {
    Termination way = way_of(shard_1);
    way.open();
    way.hear(shard_2, no);
    EXPECT_EQ(way.verdict(), Termination::Verdict::abort);
  }
}

// Otherwise a question about one content would abort another, which a majority may have pre-committed.
TEST(Termination, P13_WhatTheCoordinatorHoldsOfOtherContentSaysNothing) {
  Termination way = way_of(shard_1);
  way.open();
  for (const Standing standing : {Standing::prepared, Standing::committed, Standing::aborted}) {
    way.hear(coordinator_group, says(standing, 8));
  }
  EXPECT_EQ(way.verdict(), Termination::Verdict::open);
  way.hear(coordinator_group, says(Standing::committed));
  EXPECT_EQ(way.verdict(), Termination::Verdict::commit);
}

TEST(Termination, P11_OldIsNoNoExceptToWhoIsInDoubt) {
  Termination way = way_of(coordinator_group);
  way.open();
  way.hear(shard_1, says(Standing::old));
  EXPECT_EQ(way.verdict(), Termination::Verdict::old);
  EXPECT_TRUE(way.somebody_is_old());
  way.hear(shard_2, says(Standing::old));
  EXPECT_EQ(way.verdict(), Termination::Verdict::gone);
}

}  // namespace
}  // namespace assent
