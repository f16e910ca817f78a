// Sentences about transactions that are not over, from what the groups see.
#include "client/explain.h"

#include <gmock/gmock.h>

namespace assent::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const TxnId txn = *TxnId::from_hex("0193a6b25e1c7c3fa1d0c9be6f2277a4");
const TxnId other = *TxnId::from_hex("0193a6b2614a7b119a4d0f53c1e09b10");

GroupSight at(const std::string& group, Stage stage, Protocol protocol, std::vector<std::string> missing = {}) {
  GroupSight one;
  one.group = group;
  one.sight.txn = txn;
  one.sight.stage = stage;
  one.sight.protocol = protocol;
  one.sight.millis = 4'200;
  one.coordinator = "c0";
  one.participants = {"s1", "s2"};
  one.missing = std::move(missing);
  return one;
}

TEST(Explain, ATwoPhaseYesWaitsForItsCoordinatorsLog) {
  Sights sights{{at("s1", Stage::in_doubt, Protocol::two_phase)},
                {{"c0", "it has no leader; 1 of its 3 nodes answer"}}};
  const Explanation one = explain(txn, sights);
  EXPECT_EQ(one.state, "IN_DOUBT");
  EXPECT_EQ(one.millis, 4'200U);
  EXPECT_THAT(one.why, HasSubstr("only the log of c0"));
  EXPECT_THAT(one.why, HasSubstr("1 of its 3 nodes answer"));
  EXPECT_THAT(one.next, HasSubstr("bring back a majority of c0"));
  EXPECT_THAT(one.proof, HasSubstr("may have committed"));
  sights.unreachable.clear();
  EXPECT_THAT(explain(txn, sights).next, HasSubstr("within a second"));
  EXPECT_THAT(explain(txn, sights).proof, IsEmpty());
}

TEST(Explain, APaxosCommitYesWaitsForTheOtherRegisters) {
  const Sights sights{{at("s1", Stage::resolving, Protocol::paxos_commit, {"s2"})},
                      {{"s2", "no node that carries it answers"}}};
  const Explanation one = explain(txn, sights);
  EXPECT_THAT(one.why, HasSubstr("commits unless the other did not; s2 has not said"));
  EXPECT_THAT(one.why, HasSubstr("no node that carries it answers"));
  EXPECT_THAT(one.next, HasSubstr("bring back a majority of s2"));
  EXPECT_THAT(one.proof, HasSubstr("the vote of s2 is not known"));
}

TEST(Explain, ACoordinatorThatCountsVotesIsTheReasonBeforeAllOthers) {
  GroupSight coordinator = at("c0", Stage::collecting, Protocol::paxos_commit, {"s2"});
  coordinator.sight.left_millis = 1'500;
  Sights sights{{at("s1", Stage::in_doubt, Protocol::paxos_commit), coordinator}, {}};
  EXPECT_THAT(explain(txn, sights).why, HasSubstr("c0 waits for the vote of s2"));
  EXPECT_THAT(explain(txn, sights).next, HasSubstr("1.5 s"));
  GroupSight waiting = at("s2", Stage::waiting, Protocol::paxos_commit);
  waiting.sight.waits_for = {other};
  waiting.sight.left_millis = 300;
  sights.seen.push_back(waiting);
  EXPECT_THAT(explain(txn, sights).why, HasSubstr("s2 waits for locks that " + other.to_hex() + " holds"));
}

TEST(Explain, WhatIsDecidedSaysWhoHasNotAppliedIt) {
  GroupSight coordinator = at("c0", Stage::finishing, Protocol::two_phase, {"s2"});
  coordinator.sight.commit = true;
  const Explanation one = explain(txn, {{at("s2", Stage::in_doubt, Protocol::two_phase), coordinator}, {}});
  EXPECT_EQ(one.state, "FINISHING");
  EXPECT_THAT(one.why, HasSubstr("it committed; s2 has not applied"));
}

TEST(Explain, WhomItBlocksIsAddedUp) {
  GroupSight one = at("s1", Stage::in_doubt, Protocol::two_phase);
  one.sight.blocks = {other};
  one.sight.queries_blocked = 2;
  one.sight.locks = 3;
  GroupSight two = at("s2", Stage::in_doubt, Protocol::two_phase);
  two.sight.blocks = {other};
  two.sight.locks = 1;
  const Explanation all = explain(txn, {{one, two}, {}});
  EXPECT_THAT(all.blocks, ElementsAre(other));
  EXPECT_EQ(all.queries_blocked, 2U);
  EXPECT_EQ(all.locks, 4U);
}

// Who asks for an unknown id starts a question at the coordinator; that is no transaction.
TEST(Explain, AQuestionAboutATransactionIsNotTheTransaction) {
  GroupSight question = at("c0", Stage::asking, Protocol::automatic, {"s1", "s2"});
  question.participants.clear();
  EXPECT_EQ(explain(txn, {{question}, {}}).state, "UNKNOWN");
}

TEST(Explain, OnlyThoseInDoubtAreListed) {
  GroupSight running = at("c0", Stage::collecting, Protocol::two_phase, {"s2"});
  running.sight.txn = other;
  const Sights sights{{running, at("s1", Stage::in_doubt, Protocol::two_phase)}, {}};
  ASSERT_THAT(explain_in_doubt(sights), SizeIs(1));
  EXPECT_EQ(explain_in_doubt(sights).front().id, txn);
}

TEST(Explain, P25_WhatWasForcedStandsBesideWhatItWaitsFor) {
  GroupSight one = at("s1", Stage::resolving, Protocol::paxos_commit, {"s2"});
  one.sight.heuristic = Heuristic{true, ClusterMillis(1), "s2 is lost"};
  Explanation told = explain(txn, {{one}, {}});
  EXPECT_EQ(told.state, "HEURISTIC");
  EXPECT_THAT(told.why, HasSubstr("s2 has not said; its commit was forced at s1: s2 is lost"));
  one.sight.stage = Stage::forced;
  one.sight.commit = true;
  told = explain(txn, {{one}, {}});
  EXPECT_EQ(told.state, "HEURISTIC");
  EXPECT_THAT(told.next, HasSubstr("what was forced was right"));
  one.sight.commit = false;
  told = explain(txn, {{one}, {}});
  EXPECT_EQ(told.state, "MIXED");
  EXPECT_THAT(told.why, HasSubstr("its commit was forced at s1: s2 is lost; it aborted"));
  EXPECT_THAT(told.next, HasSubstr("repair the data by hand"));
  EXPECT_THAT(explain_in_doubt({{one}, {}}), SizeIs(1)) << "listed until it is forgotten";
}

}  // namespace
}  // namespace assent::client
