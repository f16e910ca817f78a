#include "caretaker_fixture.h"

namespace assent::testing {
namespace {

class CaretakerTest : public CaretakerFixture {};

// ---- votes ----

TEST_F(CaretakerTest, P09_AVoteLeavesOnlyAfterItsEntryWasApplied) {
  prepare(txn(1), {add("a", 3)});
  EXPECT_TRUE(heard().send.empty());
  EXPECT_EQ(logged<PrepareWork>().size(), 1U);
  commit();
  const auto yes = votes();
  ASSERT_EQ(yes.size(), 1U);
  EXPECT_TRUE(yes[0].yes);
  EXPECT_EQ(yes[0].attempt, attempt());
  EXPECT_EQ(std::get<std::int64_t>(yes[0].result[0].rows[0][0]), 3);
}

TEST_F(CaretakerTest, P04_ARepeatedPrepareIsAnsweredFromTheRegister) {
  prepare(txn(1), {add("a", 3)});
  prepare(txn(1), {add("a", 3)});
  EXPECT_EQ(in_log(), 1U);
  commit();
  votes();
  prepare(txn(1), {add("a", 3)}, {}, 2);
  const auto again = votes();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].attempt, attempt(1)) << "as it stands in the register";
  EXPECT_EQ(in_log(), 0U);
}

TEST_F(CaretakerTest, AViolatedRuleIsALoggedNo) {
  prepare(txn(1), {KvAdd{"a", -1, 0, std::nullopt}});
  EXPECT_EQ(logged<RefuseWork>().size(), 1U);
  commit();
  const auto no = votes();
  ASSERT_EQ(no.size(), 1U);
  EXPECT_FALSE(no[0].yes);
  EXPECT_EQ(no[0].refusal.reason, AbortReason::constraint);
  EXPECT_EQ(no[0].refusal.participant, shard_1);
  EXPECT_NE(machine.finished(txn(1)), nullptr);
}

TEST_F(CaretakerTest, P18_OtherContentIsRefusedByTheRegister) {
  prepare(txn(1), {add("a", 3)}, {}, 1, 5);
  commit();
  votes();
  prepare(txn(1), {add("a", 4)}, {}, 2, 6);
  const auto no = votes();
  ASSERT_EQ(no.size(), 1U);
  EXPECT_EQ(no[0].refusal.reason, AbortReason::reused_id);
  EXPECT_EQ(no[0].attempt, attempt(2));
}

TEST_F(CaretakerTest, P03_AVoteIsRepeatedAndThenTheCoordinatorIsAsked) {
  prepare(txn(1), {add("a", 3)});
  commit();
  heard();
  std::string sends;
  for (int tick = 1; tick <= 460; ++tick) {
    ticks(1);
    const auto output = heard();
    if (!sent<Vote>(output.send).empty()) sends += "V" + std::to_string(tick) + " ";
    if (!sent<Inquire>(output.send, coordinator_group).empty()) sends += "I" + std::to_string(tick) + " ";
  }
  EXPECT_EQ(sends, "V20 I60 V140 I240 V340 I440 ");
  finish(txn(1), true);
  commit_all();
  heard();
  ticks(500);
  EXPECT_TRUE(heard().send.empty());
}

TEST_F(CaretakerTest, W19_ANewLeaderSaysEveryVoteAgain) {
  prepare(txn(1), {add("a", 3)});
  commit();
  resign_and_lead();
  heard();
  ticks(1);
  const auto again = votes();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_TRUE(again[0].yes);
  EXPECT_EQ(again[0].result.size(), 1U) << "with its rows";
}

// With the trace that the log holds: whoever takes over at the coordinator continues it.
TEST_F(CaretakerTest, ANewLeaderSaysWhoseTraceItIs) {
  Prepare asked{txn(1), attempt(), coordinator_group, {shard_1, shard_2}, 5, {}, {add("a", 3)}};
  asked.trace = "a trace";
  caretaker.receive(Envelope{coordinator_group, shard_1, asked});
  EXPECT_EQ(logged<PrepareWork>().at(0).trace, "a trace");
  commit();
  EXPECT_EQ(votes().at(0).trace, "a trace");
  resign_and_lead();
  heard();
  ticks(1);
  EXPECT_EQ(votes().at(0).trace, "a trace");
  ticks(200);
  EXPECT_EQ(sent<Inquire>(heard().send).at(0).trace, "a trace");
}

TEST_F(CaretakerTest, AnIdTooOldIsRefusedWithoutALog) {
  millis = 10'001;
  caretaker.lead(Epoch(1));
  ticks(1'000);
  commit_all();
  heard();
  prepare(txn(1), {add("a", 3)});
  EXPECT_EQ(in_log(), 0U);
  EXPECT_EQ(votes().at(0).refusal.reason, AbortReason::too_old);
}

// ---- finish ----

TEST_F(CaretakerTest, AFinishIsProposedOnceAndAcknowledgedWhenApplied) {
  prepare(txn(1), {add("a", 3)});
  commit();
  heard();
  finish(txn(1), true);
  finish(txn(1), true);
  EXPECT_EQ(logged<FinishWork>().size(), 1U);
  EXPECT_TRUE(heard().send.empty());
  commit();
  auto done = sent<Finished>(heard().send, coordinator_group);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_TRUE(done[0].commit);
  EXPECT_EQ(store.get("a"), "3");
  finish(txn(1), true);
  EXPECT_EQ(sent<Finished>(heard().send).size(), 1U) << "again, without a log";
  EXPECT_EQ(in_log(), 0U);
}

TEST_F(CaretakerTest, P10_AnAbortThatOvertakesItsPrepareLeavesATombstone) {
  finish(txn(1), false);
  EXPECT_EQ(logged<FinishWork>().size(), 1U);
  prepare(txn(1), {add("a", 3)});
  EXPECT_EQ(in_log(), 1U) << "the register is about to be filled";
  commit();
  EXPECT_EQ(sent<Finished>(heard().send).size(), 1U);
  prepare(txn(1), {add("a", 3)});
  EXPECT_FALSE(votes().at(0).yes);
  EXPECT_TRUE(machine.locks().empty());
}

TEST_F(CaretakerTest, AnAbortFollowsThePrepareThatIsInTheLog) {
  prepare(txn(1), {add("a", 3)});
  finish(txn(1), false);
  EXPECT_EQ(in_log(), 2U);
  commit_all();
  EXPECT_EQ(machine.finished(txn(1))->outcome, Outcome::aborted);
  EXPECT_TRUE(machine.locks().empty());
  EXPECT_TRUE(caretaker.reservations().empty());
}

TEST_F(CaretakerTest, AFinishOfAnotherAttemptChangesNothing) {
  prepare(txn(1), {add("a", 3)}, {}, 2);
  commit();
  heard();
  finish(txn(1), false, 1);
  finish(txn(1), true, 1);
  EXPECT_EQ(in_log(), 0U);
  const auto done = sent<Finished>(heard().send);
  ASSERT_EQ(done.size(), 1U) << "of an attempt that it did not vote in nothing is left to abort";
  EXPECT_EQ(done[0].attempt, attempt(1));
  EXPECT_NE(machine.prepared(txn(1)), nullptr);
}

TEST_F(CaretakerTest, P11_AFinishOfAForgottenTransactionIsAcknowledgedWithoutALog) {
  finish(txn(1), true);
  EXPECT_TRUE(heard().send.empty()) << "a commit of what did not vote here is not acknowledged";
  millis = 10'001;
  ticks(1'000);
  commit_all();
  heard();
  finish(txn(1), true);
  finish(txn(1), false);
  EXPECT_EQ(sent<Finished>(heard().send).size(), 2U);
  EXPECT_EQ(in_log(), 0U);
}

// ---- locks: wait or die ----

TEST_F(CaretakerTest, P27_TheOlderWaitsTheYoungerDies) {
  prepare(txn(5), {add("a", 1)});
  commit();
  prepare(txn(7), {add("a", 1)});
  prepare(txn(3), {add("a", 1)});
  ASSERT_EQ(logged<RefuseWork>().size(), 1U);
  EXPECT_EQ(logged<RefuseWork>()[0].txn, txn(7));
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.holder, txn(5));
  EXPECT_EQ(in_log(), 1U) << "the older one waits";
  commit();
  finish(txn(5), true);
  commit();
  ASSERT_EQ(logged<PrepareWork>().size(), 1U);
  commit();
  finish(txn(3), true);
  commit();
  EXPECT_EQ(store.get("a"), "2") << "it ran again on what the other left";
}

TEST_F(CaretakerTest, ARetryKeepsTheAgeOfItsFirstAttempt) {
  prepare(txn(5), {add("a", 1)});
  commit();
  prepare(txn(9), {add("a", 1)}, txn(2));
  EXPECT_EQ(in_log(), 0U) << "it is as old as txn 2 and waits";
}

TEST_F(CaretakerTest, ReservationsCountLikeLocks) {
  prepare(txn(5), {add("a", 1)});  // proposed, not applied
  prepare(txn(3), {add("a", 1)});
  prepare(txn(7), {add("a", 1)});
  EXPECT_EQ(logged<PrepareWork>().size(), 1U);
  EXPECT_EQ(logged<RefuseWork>().size(), 1U);
  commit_all();
  EXPECT_EQ(machine.all_prepared().size(), 1U);
}

TEST_F(CaretakerTest, TransactionsThatDoNotConflictArePreparedTogether) {
  prepare(txn(5), {add("a", 1), KvGet{"r"}});
  prepare(txn(6), {add("b", 1), KvGet{"r"}});
  commit_all();
  EXPECT_EQ(machine.all_prepared().size(), 2U);
}

TEST_F(CaretakerTest, WaitersAreServedTheYoungestFirstAndNoneDies) {
  prepare(txn(9), {add("a", 1)});
  commit();
  for (const std::uint64_t n : {4U, 2U, 6U}) prepare(txn(n), {add("a", 1)});
  EXPECT_EQ(in_log(), 0U);
  std::vector<TxnId> order;
  TxnId holder = txn(9);
  for (int i = 0; i < 3; ++i) {
    finish(holder, true);
    commit();
    ASSERT_EQ(logged<PrepareWork>().size(), 1U);
    holder = logged<PrepareWork>()[0].txn;
    order.push_back(holder);
    commit();
  }
  EXPECT_EQ(order, (std::vector<TxnId>{txn(6), txn(4), txn(2)}));
}

TEST_F(CaretakerTest, ANewcomerDoesNotOvertakeAnOlderWaiter) {
  prepare(txn(9), {KvGet{"a"}});
  commit();
  prepare(txn(4), {add("a", 1)});  // waits for the reader
  prepare(txn(6), {KvGet{"a"}});   // would be compatible with the reader
  ASSERT_EQ(logged<RefuseWork>().size(), 1U);
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.holder, txn(4));
  prepare(txn(3), {KvGet{"a"}});
  EXPECT_EQ(logged<PrepareWork>().size(), 1U) << "an older one may";
}

TEST_F(CaretakerTest, P28_WaitingEndsWithARefusalNeverWithAStolenLock) {
  prepare(txn(5), {add("a", 1)});
  commit();
  prepare(txn(3), {add("a", 1)});
  ticks(49);
  EXPECT_EQ(in_log(), 0U);
  ticks(1);
  ASSERT_EQ(logged<RefuseWork>().size(), 1U);
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.reason, AbortReason::conflict);
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.holder, txn(5));
  commit();
  EXPECT_NE(machine.prepared(txn(5)), nullptr);
}

TEST_F(CaretakerTest, AWaitingPrepareVotesInTheAttemptThatRunsNow) {
  prepare(txn(5), {add("a", 1)});
  commit();
  prepare(txn(3), {add("a", 1)}, {}, 1);
  prepare(txn(3), {add("a", 1)}, {}, 2);
  finish(txn(5), false);
  commit_all();
  EXPECT_EQ(machine.prepared(txn(3))->attempt, attempt(2));
}

TEST_F(CaretakerTest, AnAbortEndsTheWaitOfItsPrepare) {
  prepare(txn(5), {add("a", 1)});
  commit();
  prepare(txn(3), {add("a", 1)});
  finish(txn(3), false);
  commit_all();
  EXPECT_EQ(machine.finished(txn(3))->outcome, Outcome::aborted);
  EXPECT_EQ(caretaker.active(), 0U);
  finish(txn(5), true);
  commit_all();
  EXPECT_EQ(caretaker.active(), 0U);
}

TEST_F(CaretakerTest, ARefusalWaitsForThoseWhoWerePreparedBefore) {
  prepare(txn(5), {add("a", 10)});  // a deposit, perhaps told as committed already
  commit();
  prepare(txn(7), {KvAdd{"a", -5, 0, std::nullopt}});
  EXPECT_EQ(in_log(), 0U) << "with the balance of 0 it would be refused";
  finish(txn(5), true);
  commit();
  ASSERT_EQ(logged<PrepareWork>().size(), 1U);
  commit();
  finish(txn(7), true);
  commit();
  EXPECT_EQ(store.get("a"), "5");
}

// "no such table" of a table whose making was told as committed already.
TEST_F(CaretakerTest, WorkThatCannotBeRunYetWaitsForThoseWhoWerePreparedBefore) {
  const Work insert{SqlStatement{"INSERT INTO t VALUES(1)", {}, {}}};  // a store of keys and values runs none
  prepare(txn(5), {add("a", 10)});
  commit();
  prepare(txn(7), insert);
  query(1, insert);
  pass_barriers();
  EXPECT_EQ(in_log(), 0U) << "what is prepared may make the table";
  EXPECT_TRUE(heard().reply.empty());
  finish(txn(5), true);
  commit();
  ASSERT_EQ(logged<RefuseWork>().size(), 1U);
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.reason, AbortReason::invalid);
  EXPECT_EQ(error_to(heard().reply, 1)->code, ErrorCode::malformed);
}

TEST_F(CaretakerTest, ARefusalDoesNotWaitForEverNorForLaterOnes) {
  prepare(txn(5), {add("b", 10)});
  commit();
  prepare(txn(7), {KvAdd{"a", -5, 0, std::nullopt}});
  prepare(txn(8), {add("c", 10)});
  commit();
  finish(txn(5), true);
  commit();
  ASSERT_EQ(logged<RefuseWork>().size(), 1U);
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.reason, AbortReason::constraint);
  commit();
  prepare(txn(9), {KvAdd{"a", -5, 0, std::nullopt}});
  ticks(30);
  ASSERT_EQ(logged<RefuseWork>().size(), 1U);
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.reason, AbortReason::conflict);
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.holder, txn(8));
}

TEST_F(CaretakerTest, B03_AnOutcomeWithoutAnIdIsMalformed) {
  ask(1, TxnId(), true);
  EXPECT_EQ(error_to(heard().reply, 1)->code, ErrorCode::malformed);
}

TEST_F(CaretakerTest, WhatTheLogRefusesFreesItsReservation) {
  prepare(txn(5), {add("a", 1)});
  prepare(txn(3), {add("a", 1)});
  take();
  const ShardCommand refused = log.front();
  log.clear();
  caretaker.refused(refused, Error{ErrorCode::busy, "", {}});
  ASSERT_EQ(logged<PrepareWork>().size(), 1U);
  EXPECT_EQ(logged<PrepareWork>()[0].txn, txn(3)) << "the waiter goes on";
  log.clear();
  caretaker.refused(PrepareWork{txn(3), attempt(), coordinator_group, {}, 5, txn(3), {}, {}},
                    Error{ErrorCode::refused, "too long", {}});
  ASSERT_EQ(logged<RefuseWork>().size(), 1U);
  EXPECT_EQ(logged<RefuseWork>()[0].refusal.reason, AbortReason::too_large);
}

// ---- one-phase ----

TEST_F(CaretakerTest, P19_OnePhaseIsAnsweredWhenAppliedAndRunsOnce) {
  execute(1, txn(1), {add("a", 3)});
  execute(2, txn(1), {add("a", 3)});
  execute(3, txn(1), {add("a", 4)});
  EXPECT_EQ(in_log(), 1U);
  EXPECT_EQ(error_to(heard().reply, 3)->code, ErrorCode::refused);
  commit();
  auto output = heard();
  for (const std::uint64_t request : {1U, 2U}) {
    ASSERT_NE(answer_to(output.reply, request), nullptr);
    EXPECT_EQ(answer_to(output.reply, request)->state, TxnState::committed);
    EXPECT_EQ(std::get<std::int64_t>(answer_to(output.reply, request)->results[0].result[0].rows[0][0]), 3);
  }
  execute(4, txn(1), {add("a", 3)});
  execute(5, txn(1), {add("a", 4)});
  output = heard();
  EXPECT_EQ(std::get<std::int64_t>(answer_to(output.reply, 4)->results[0].result[0].rows[0][0]), 3);
  EXPECT_EQ(answer_to(output.reply, 5)->refusal.reason, AbortReason::reused_id);
  EXPECT_EQ(in_log(), 0U);
  EXPECT_EQ(store.get("a"), "3");
}

TEST_F(CaretakerTest, ALargeReplyReachesWhoeverWaitsForIt) {
  execute(1, txn(1), put("a", std::string(200, 'x')));
  commit();
  execute(2, txn(2), {KvGet{"a"}});
  commit();
  execute(3, txn(2), {KvGet{"a"}});
  const auto output = heard();
  EXPECT_EQ(answer_to(output.reply, 2)->results.size(), 1U);
  EXPECT_EQ(answer_to(output.reply, 3)->state, TxnState::committed);
  EXPECT_TRUE(answer_to(output.reply, 3)->results.empty()) << "not kept";
}

TEST_F(CaretakerTest, OnePhaseWaitsAndDiesLikeTheOthers) {
  prepare(txn(5), {add("a", 1)});
  commit();
  execute(1, txn(7), {add("a", 1)});
  execute(2, txn(3), {add("a", 1)});
  commit_all();
  EXPECT_EQ(answer_to(heard().reply, 1)->refusal.holder, txn(5));
  finish(txn(5), true);
  commit_all();
  EXPECT_EQ(answer_to(heard().reply, 2)->state, TxnState::committed);
}

TEST_F(CaretakerTest, S03_AResigningLeaderTellsWhatItKnowsNot) {
  prepare(txn(5), {add("a", 1)});
  commit();
  execute(1, txn(3), {add("a", 1)});  // waits
  execute(2, txn(6), {add("b", 1)});  // in the log
  execute(3, txn(7, 5'000), {add("c", 1)});
  query(4, {KvGet{"z"}});
  ask(5, txn(5), false, 100);
  caretaker.resign();
  const auto output = heard();
  EXPECT_EQ(error_to(output.reply, 1)->code, ErrorCode::not_leader);
  EXPECT_EQ(error_to(output.reply, 2)->code, ErrorCode::unknown_outcome);
  for (const std::uint64_t request : {3U, 4U, 5U})
    EXPECT_EQ(error_to(output.reply, request)->code, ErrorCode::not_leader);
  EXPECT_EQ(caretaker.active(), 0U);
}

TEST_F(CaretakerTest, OnlyWorkOfThisShardAloneIsOnePhase) {
  caretaker.request(ClientRequest{RequestId(1), shard_1, transfer(txn(1), put("a", "1"), put("b", "1"))});
  caretaker.request(ClientRequest{RequestId(2), shard_1, single(txn(2), shard_2, put("a", "1"))});
  Execute two_phase = single(txn(3), shard_1, put("a", "1"));
  two_phase.protocol = Protocol::two_phase;
  caretaker.request(ClientRequest{RequestId(3), shard_1, two_phase});
  const auto output = heard();
  for (const std::uint64_t request : {1U, 2U, 3U}) EXPECT_EQ(error_to(output.reply, request)->code, ErrorCode::refused);
}

TEST_F(CaretakerTest, AnIdFromTheFutureIsJudgedByAFreshStamp) {
  execute(1, txn(1, 5'000), put("a", "1"));
  execute(2, txn(2, 9'000), put("b", "1"));
  ASSERT_EQ(logged<Tidy>().size(), 1U);
  millis = 5'000;
  commit_all();
  const auto output = heard();
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
  EXPECT_EQ(error_to(output.reply, 2)->code, ErrorCode::too_old);
}

// An idle shard whose leader knows how long a tick is sleeps until there is something to forget.
TEST_F(CaretakerTest, WhatIsOnlyToBeForgottenWaitsUntilItMayBe) {
  execute(1, txn(1, 1'000), put("a", "1"));
  commit_all();
  CaretakerOptions patient_options = options();
  patient_options.tidy_ticks = 100;
  patient_options.tick_millis = 10;
  Caretaker patient(machine, store, patient_options);
  const auto commit_tidy = [&] {
    const auto proposed = patient.take_output().propose;
    ASSERT_EQ(proposed.size(), 1U);
    ASSERT_TRUE(std::holds_alternative<Tidy>(proposed.front()));
    const EntryContext context = at(2, ++index, millis);
    const auto applied = machine.apply(context, proposed.front(), store);
    ASSERT_TRUE(applied);
    patient.applied(context, proposed.front(), *applied);
  };
  millis = 5'000;
  patient.lead(Epoch(2));
  commit_tidy();
  constexpr std::uint64_t due = (1'000 + 10'000 - 5'000) / 10 + 1;
  EXPECT_EQ(patient.rest_ticks(), due);
  patient.rested(due - 1);
  EXPECT_EQ(patient.rest_ticks(), 1U);
  EXPECT_TRUE(patient.take_output().propose.empty());
  patient.tick();
  millis = 11'001;
  commit_tidy();
  EXPECT_EQ(machine.finished(txn(1, 1'000)), nullptr);
  EXPECT_GE(patient.rest_ticks(), 1'000'000U) << "nothing is left to be forgotten";
}

// ---- outcomes ----

TEST_F(CaretakerTest, S07_OutcomesAtAShard) {
  prepare(txn(1), {add("a", 1)});
  ask(1, txn(1), false);
  EXPECT_EQ(answer_to(heard().reply, 1)->state, TxnState::running);
  commit();
  ask(2, txn(1), true);
  ask(3, txn(1), false, 5);
  ask(4, txn(1), false, 500);
  ask(5, txn(2), false, 500);
  auto output = heard();
  EXPECT_EQ(answer_to(output.reply, 2)->state, TxnState::prepared) << "in doubt: it cannot be sealed here";
  EXPECT_EQ(answer_to(output.reply, 5)->state, TxnState::unknown);
  ticks(6);
  EXPECT_EQ(answer_to(heard().reply, 3)->state, TxnState::prepared);
  finish(txn(1), true);
  commit_all();
  EXPECT_EQ(answer_to(heard().reply, 4)->state, TxnState::committed);
  millis = 10'001;
  ticks(1'000);
  commit_all();
  ask(6, txn(1), true);
  EXPECT_EQ(answer_to(heard().reply, 6)->state, TxnState::expired);
}

TEST_F(CaretakerTest, ASealForbidsTheTransactionOnceItIsInTheLog) {
  ask(1, txn(1), true);
  EXPECT_TRUE(heard().reply.empty());
  execute(2, txn(1), put("a", "1"));
  EXPECT_EQ(error_to(heard().reply, 2)->code, ErrorCode::busy);
  commit_all();
  EXPECT_EQ(answer_to(heard().reply, 1)->refusal.reason, AbortReason::sealed);
  execute(3, txn(1), put("a", "1"));
  prepare(txn(1), put("a", "1"));
  const auto output = heard();
  EXPECT_EQ(answer_to(output.reply, 3)->state, TxnState::aborted);
  EXPECT_FALSE(sent<Vote>(output.send).at(0).yes);
}

}  // namespace
}  // namespace assent::testing
