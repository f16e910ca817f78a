// Recorded transactions: sagas and try-confirm-cancel. In the log before anybody is called, ended for everybody who
// takes part, by whoever leads; one step after the other and back again where the mode says so.
#include <gtest/gtest.h>

#include "conductor_fixture.h"
#include "txn_proto/limits.h"

namespace assent {
namespace {

using testing::answer_to;
using testing::coordinator_group;
using testing::proposed;
using testing::put;
using testing::sent;
using testing::shard_1;
using testing::shard_2;
using testing::txn;

constexpr GroupId step_1 = first_service;
constexpr GroupId step_2{first_service.value + 1};
constexpr GroupId step_3{first_service.value + 2};

class ConductorRecordedTest : public testing::ConductorFixture {
 protected:
  static ServiceAddress address(std::uint64_t n) { return {fmt::format("step{}", n), "10.0.0.1:7000", ""}; }
  static Execute trip(Mode mode, std::uint64_t n = 1) {
    Execute execute;
    execute.txn = txn(n);
    execute.mode = mode;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      execute.branches.push_back({GroupId(first_service.value + i - 1), {}, ServiceWork{address(i), "book"}});
    }
    return execute;
  }
  // Whom the output calls with the message, in order.
  template <class Message>
  static std::vector<GroupId> called(const DriverOutput<CoordinatorCommand>& output) {
    std::vector<GroupId> all;
    for (const ServiceCall& call : output.call) {
      if (std::holds_alternative<Message>(call.message)) all.push_back(call.number);
    }
    return all;
  }
  static std::vector<GroupId> aborted(const DriverOutput<CoordinatorCommand>& output) {
    std::vector<GroupId> all;
    for (const ServiceCall& call : output.call) {
      const auto* finish = std::get_if<Finish>(&call.message);
      if (finish != nullptr && !finish->commit) all.push_back(call.number);
    }
    return all;
  }
  // Executed, begun in the log; gives what it sends then.
  DriverOutput<CoordinatorCommand> begin(const Execute& one) {
    execute(1, one);
    return commit_all();
  }
  using Groups = std::vector<GroupId>;

  // All steps from this place on are retriable.
  static Execute with_retriable(std::size_t from, Mode mode = Mode::saga) {
    Execute one = trip(mode);
    for (std::size_t i = from; i < one.branches.size(); ++i) one.branches[i].service->retriable = true;
    return one;
  }
  // The third step said no and has been told, the second is being compensated.
  void abort_step_2() {
    begin(trip(Mode::saga));
    vote(step_1, txn(1), attempt());
    vote(step_2, txn(1), attempt());
    vote(step_3, txn(1), attempt(), false, {AbortReason::refused, step_3, "sold out", "", {}});
    commit_all();
    finished(step_3, txn(1), attempt(), false);
    take();
  }
  void fail(GroupId step, std::uint64_t n) {
    for (std::uint64_t i = 0; i < options().service_failures_max; ++i) {
      conductor.receive(Envelope{step, coordinator_group, Trouble{txn(n), attempt(), "no such seat"}});
    }
  }
  Sight sight() {
    const auto all = conductor.sights({.txn = txn(1), .now = ClusterMillis(0)});
    return all.empty() ? Sight{} : all.front();
  }
  void retry(std::uint64_t request, const TxnId& id = txn(1)) {
    conductor.request(ClientRequest{RequestId(request), coordinator_group, Retry{id}});
  }
  void by_hand(std::uint64_t request, std::string service, bool commit, std::string reason = "refunded") {
    conductor.request(ClientRequest{RequestId(request), coordinator_group,
                                    OverrideService{txn(1), std::move(service), commit, std::move(reason)}});
  }
  static std::string error_of(const DriverOutput<CoordinatorCommand>& output, std::uint64_t request) {
    for (const ClientReply& reply : output.reply) {
      if (reply.id == RequestId(request) && !reply.answer) return reply.answer.error().message;
    }
    return "no error";
  }
};

TEST_F(ConductorRecordedTest, NobodyIsCalledBeforeTheLogHoldsIt) {
  execute(1, trip(Mode::tcc));
  auto output = take();
  EXPECT_TRUE(output.call.empty());
  const auto begins = proposed<BeginTxn>(output.propose);
  ASSERT_EQ(begins.size(), 1U);
  EXPECT_EQ(begins[0].mode, Mode::tcc);
  EXPECT_EQ(begins[0].participants, (Groups{step_1, step_2, step_3}));
  EXPECT_EQ(begins[0].services.size(), 3U);
  EXPECT_TRUE(ticks(50).call.empty());
  commit(begins[0]);
  EXPECT_EQ(called<Prepare>(take()), (Groups{step_1, step_2, step_3}));
  EXPECT_TRUE(machine.begun().contains(txn(1)));
}

// Whoever leads next knows whose trace it is, decided or not, from a snapshot as well.
TEST_F(ConductorRecordedTest, TheLogKeepsTheTraceForTheNextLeader) {
  Execute undecided = trip(Mode::tcc);
  undecided.trace = "a trace";
  EXPECT_EQ(fingerprint(undecided), fingerprint(trip(Mode::tcc))) << "it is no part of the content";
  auto output = begin(undecided);
  for (const ServiceCall& call : output.call) EXPECT_EQ(std::get<Prepare>(call.message).trace, "a trace");
  Execute decided = trip(Mode::concurrent_saga, 2);
  decided.trace = "another";
  execute(2, decided);
  commit_all();
  for (const GroupId step : {step_1, step_2, step_3}) vote(step, txn(2), attempt(2));
  commit_all();
  Decisions copy{machine_options()};
  ASSERT_TRUE(copy.restore(*machine.snapshot()));
  EXPECT_EQ(copy.digest(), machine.digest());
  EXPECT_EQ(copy.begun().at(txn(1)).trace, "a trace");
  EXPECT_EQ(copy.open().at(txn(2)).trace, "another");
  conductor.resign();
  take();
  lead(6);
  output = ticks(10);
  for (const auto& command : output.propose) commit(command);
  testing::append(output, take());
  std::map<TxnId, std::set<Bytes>> told;
  for (const ServiceCall& call : output.call) {
    const auto& finish = std::get<Finish>(call.message);
    told[finish.txn].insert(finish.trace);
  }
  EXPECT_EQ(told.at(txn(1)), std::set<Bytes>{"a trace"});
  EXPECT_EQ(told.at(txn(2)), std::set<Bytes>{"another"});
}

TEST_F(ConductorRecordedTest, TheCommitIsAsOfAnyOther) {
  begin(trip(Mode::concurrent_saga));
  for (const GroupId step : {step_1, step_2, step_3}) vote(step, txn(1), attempt());
  const auto output = commit_all();
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
  EXPECT_EQ(answer_to(output.reply, 1)->mode, Mode::concurrent_saga);
  EXPECT_EQ(called<Finish>(output), (Groups{step_1, step_2, step_3}));
  EXPECT_TRUE(machine.begun().empty());
  EXPECT_EQ(machine.open().at(txn(1)).mode, Mode::concurrent_saga);
}

TEST_F(ConductorRecordedTest, ASagaTakesOneStepAfterTheOther) {
  Execute one = trip(Mode::saga);
  one.branches.insert(one.branches.begin(), Branch{shard_1, put("a", "1")});
  auto output = begin(one);
  EXPECT_EQ(called<Prepare>(output), Groups{step_1});
  EXPECT_EQ(called<Prepare>(ticks(30)), Groups{step_1}) << "repeated, and nobody else asked";
  vote(step_1, txn(1), attempt());
  EXPECT_EQ(called<Prepare>(take()), Groups{step_2});
  vote(step_2, txn(1), attempt());
  output = take();
  EXPECT_EQ(called<Prepare>(output), Groups{step_3});
  EXPECT_TRUE(sent<Prepare>(output.send).empty()) << "the shard would hold its locks for all that time";
  vote(step_1, txn(1), attempt());
  EXPECT_TRUE(take().call.empty()) << "said twice";
  vote(step_3, txn(1), attempt());
  EXPECT_EQ(sent<Prepare>(take().send).size(), 1U);
  vote(shard_1, txn(1), attempt());
  EXPECT_EQ(answer_to(commit_all().reply, 1)->state, TxnState::committed);
}

TEST_F(ConductorRecordedTest, ASagaGoesBackInTheReverseOrder) {
  Execute one = trip(Mode::saga);
  one.branches.insert(one.branches.begin(), Branch{shard_1, put("a", "1")});
  begin(one);
  for (const GroupId step : {step_1, step_2, step_3}) vote(step, txn(1), attempt());
  take();
  vote(shard_1, txn(1), attempt(), false, {AbortReason::constraint, shard_1, "too little", "", {}});
  auto output = take();
  EXPECT_TRUE(aborted(output).empty()) << "the log does not hold the abort yet";
  EXPECT_EQ(answer_to(output.reply, 1), nullptr);
  ASSERT_EQ(proposed<SealOutcome>(output.propose).size(), 1U);
  commit(output.propose[0]);
  output = take();
  ASSERT_NE(answer_to(output.reply, 1), nullptr);
  EXPECT_EQ(answer_to(output.reply, 1)->refusal.reason, AbortReason::constraint);
  EXPECT_EQ(answer_to(output.reply, 1)->refusal.message, "too little");
  EXPECT_EQ(sent<Finish>(output.send).size(), 1U) << "the shard first";
  EXPECT_TRUE(aborted(output).empty());
  finished(shard_1, txn(1), attempt(), false);
  EXPECT_EQ(aborted(take()), Groups{step_3});
  vote(step_1, txn(1), attempt());  // late, and a question: it hears the end in its turn
  EXPECT_TRUE(take().call.empty());
  finished(step_3, txn(1), attempt(), false);
  EXPECT_EQ(aborted(take()), Groups{step_2});
  finished(step_2, txn(1), attempt(), false);
  EXPECT_EQ(aborted(take()), Groups{step_1});
}

TEST_F(ConductorRecordedTest, AnAbortIsToldUntilEachHasHeardItAlsoByTheNextLeader) {
  begin(trip(Mode::tcc));
  vote(step_1, txn(1), attempt(), false, {AbortReason::refused, step_1, "sold out", "", {}});
  commit_all();
  finished(step_2, txn(1), attempt(), false);
  take();
  const Attempt ran = attempt();
  EXPECT_GE(aborted(ticks(20'000)).size(), 300U) << "for ever, not for a while as other aborts";
  conductor.resign();
  lead(6);
  EXPECT_EQ(aborted(ticks(1)), (Groups{step_1, step_2, step_3}));
  for (const GroupId step : {step_1, step_2, step_3}) finished(step, txn(1), ran, false);
  const auto output = ticks(110);
  ASSERT_EQ(proposed<EndTxns>(output.propose).size(), 1U);
  commit(proposed<EndTxns>(output.propose)[0]);
  EXPECT_TRUE(machine.open().empty());
  EXPECT_EQ(machine.find(txn(1))->outcome, Outcome::aborted);
  EXPECT_EQ(machine.find(txn(1))->reason, AbortReason::refused);
}

TEST_F(ConductorRecordedTest, WhatAnEarlierLeaderBeganTheNextOneEnds) {
  begin(trip(Mode::saga));
  vote(step_1, txn(1), attempt());
  const Attempt ran = attempt();
  conductor.resign();
  EXPECT_FALSE(answer_to(take().reply, 1)) << "an error: the outcome is not known";
  lead(6);
  ask(2, txn(1), true, 50);
  execute(3, trip(Mode::saga));
  auto output = ticks(1);
  EXPECT_TRUE(output.call.empty());
  ASSERT_EQ(proposed<SealOutcome>(output.propose).size(), 1U);
  commit(proposed<SealOutcome>(output.propose)[0]);
  output = take();
  EXPECT_EQ(answer_to(output.reply, 2)->state, TxnState::aborted);
  EXPECT_EQ(answer_to(output.reply, 3)->refusal.reason, AbortReason::superseded);
  ASSERT_EQ(aborted(output), Groups{step_3}) << "whether it had been called is not known";
  EXPECT_EQ(std::get<Finish>(output.call[0].message).attempt, ran) << "another one would free nothing";
}

// The first leader was deposed while the entry was under way, and another one carried it into its own epoch.
TEST_F(ConductorRecordedTest, ABeginOfAnotherEpochIsFenced) {
  execute(1, trip(Mode::tcc));
  const BeginTxn begin = proposed<BeginTxn>(take().propose).at(0);
  conductor.resign();
  take();
  lead(6);
  commit(begin);
  EXPECT_TRUE(machine.begun().empty());
  EXPECT_TRUE(take().call.empty());
}

TEST_F(ConductorRecordedTest, ALogThatRefusesBeginsNothing) {
  execute(1, trip(Mode::tcc));
  const CoordinatorCommand begin = take().propose.at(0);
  conductor.refused(begin, Error{ErrorCode::busy, "full", {}});
  auto output = ticks(30);
  ASSERT_EQ(proposed<BeginTxn>(output.propose).size(), 1U) << "tried again";
  conductor.refused(begin, Error{ErrorCode::busy, "full", {}});
  output = {};
  for (int i = 0; i < 2'000; ++i) {
    conductor.tick();
    auto more = take();
    for (const auto& command : more.propose) {
      if (std::holds_alternative<BeginTxn>(command)) conductor.refused(command, Error{ErrorCode::busy, "full", {}});
    }
    testing::append(output, std::move(more));
  }
  ASSERT_EQ(output.reply.size(), 1U);
  ASSERT_FALSE(output.reply[0].answer);
  EXPECT_EQ(output.reply[0].answer.error().code, ErrorCode::busy);
  EXPECT_EQ(conductor.active(), 0U);
}

TEST_F(ConductorRecordedTest, BegunOutlivesSnapshotAndRestart) {
  begin(trip(Mode::saga, 1));
  Execute two = trip(Mode::tcc, 2);
  execute(2, two);
  commit_all();
  vote(step_1, txn(2), attempt(2), false);
  commit_all();
  Decisions other{machine_options()};
  ASSERT_TRUE(other.restore(*machine.snapshot(), {}));
  EXPECT_EQ(other.begun(), machine.begun());
  EXPECT_EQ(other.open(), machine.open());
  EXPECT_EQ(other.digest(), machine.digest());
}

// ---- forward recovery ----

TEST_F(ConductorRecordedTest, ARetriableStepIsCalledOnceTheSagaIsCommittedAndUntilItIsDone) {
  begin(with_retriable(1));
  vote(step_1, txn(1), attempt());
  auto output = take();
  ASSERT_EQ(proposed<Decide>(output.propose).size(), 1U) << "step 1 is the pivot";
  EXPECT_TRUE(output.call.empty());
  commit(proposed<Decide>(output.propose)[0]);
  output = take();
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
  EXPECT_EQ(called<Prepare>(output), Groups{step_2}) << "in order";
  EXPECT_EQ(output.call.back().payload, "book");
  EXPECT_EQ(called<Finish>(output), Groups{step_1});
  output = ticks(1'000);
  EXPECT_GE(called<Prepare>(output).size(), 8U) << "until it answers";
  EXPECT_EQ(called<Prepare>(output).front(), step_2);
  vote(step_2, txn(1), attempt());
  output = take();
  EXPECT_EQ(called<Finish>(output), Groups{step_2});
  EXPECT_EQ(called<Prepare>(output), Groups{step_3});
  vote(step_2, txn(1), attempt());
  EXPECT_TRUE(take().call.empty()) << "said twice";
  vote(step_3, txn(1), attempt());
  EXPECT_EQ(called<Finish>(take()), Groups{step_3});
  for (const GroupId step : {step_1, step_2, step_3}) finished(step, txn(1), attempt(), true);
  EXPECT_EQ(proposed<EndTxns>(ticks(110).propose).size(), 1U);
}

TEST_F(ConductorRecordedTest, TheNextLeaderCarriesOutWhatIsLeftOfTheRetriableSteps) {
  begin(with_retriable(1, Mode::concurrent_saga));
  vote(step_1, txn(1), attempt());
  commit_all();
  vote(step_2, txn(1), attempt());
  take();
  const Attempt ran = attempt();
  conductor.resign();
  lead(6);
  const auto output = ticks(1);
  EXPECT_EQ(called<Prepare>(output), (Groups{step_2, step_3})) << "whether it was done only the service knows";
  EXPECT_EQ(output.call.back().payload, "book");
  EXPECT_EQ(std::get<Prepare>(output.call.back().message).attempt, ran);
}

TEST_F(ConductorRecordedTest, AnAbortIsNothingToTheRetriableSteps) {
  begin(with_retriable(1));
  vote(step_1, txn(1), attempt(), false, {AbortReason::refused, step_1, "sold out", "", {}});
  EXPECT_EQ(aborted(commit_all()), Groups{step_1});
  finished(step_1, txn(1), attempt(), false);
  EXPECT_EQ(proposed<EndTxns>(ticks(110).propose).size(), 1U) << "nobody else was called";
}

TEST_F(ConductorRecordedTest, NothingButRetriableStepsIsCommittedAtOnce) {
  const auto output = begin(with_retriable(0));
  ASSERT_EQ(proposed<Decide>(output.propose).size(), 1U);
  EXPECT_TRUE(output.call.empty());
  commit(proposed<Decide>(output.propose)[0]);
  EXPECT_EQ(called<Prepare>(take()), Groups{step_1});
}

TEST_F(ConductorRecordedTest, WhichStepsMayBeRetriable) {
  Execute one = with_retriable(1, Mode::tcc);
  execute(1, one);
  EXPECT_NE(answer_to(take().reply, 1)->refusal.message.find("only a saga's steps are"), std::string::npos);
  one = with_retriable(1);
  one.branches[2].service->retriable = false;
  execute(2, one);
  EXPECT_NE(answer_to(take().reply, 2)->refusal.message.find("follows a retriable one"), std::string::npos);
  EXPECT_NE(fingerprint(with_retriable(1)), fingerprint(with_retriable(2)));
}

// ---- services that keep failing ----

TEST_F(ConductorRecordedTest, ACompensationThatKeepsFailingIsShownAndCalledRarely) {
  abort_step_2();
  EXPECT_TRUE(sight().failing.empty());
  fail(step_2, 1);
  EXPECT_EQ(sight().failing, Groups{step_2});
  EXPECT_EQ(sight().troubles, std::vector<std::string>{"no such seat"});
  const std::size_t calls = aborted(ticks(10 * 1'000)).size();
  EXPECT_GE(calls, 9U);
  EXPECT_LE(calls, 11U);
  retry(7);
  EXPECT_EQ(answer_to(take().reply, 7)->state, TxnState::aborted);
  EXPECT_EQ(aborted(ticks(1)), Groups{step_2}) << "now";
  EXPECT_TRUE(sight().failing.empty()) << "it has its tries again";
  finished(step_2, txn(1), attempt(), false);
  EXPECT_EQ(aborted(take()), Groups{step_1}) << "the one before it, which waited";
}

TEST_F(ConductorRecordedTest, WhatAPersonDidTheServiceIsNotCalledFor) {
  abort_step_2();
  by_hand(5, "step2", false);
  EXPECT_NE(error_of(take(), 5).find("is still called"), std::string::npos);
  fail(step_2, 1);
  by_hand(6, "step2", true);
  EXPECT_NE(error_of(take(), 6).find("can come to nothing else"), std::string::npos);
  by_hand(7, "step9", false);
  EXPECT_NE(error_of(take(), 7).find("no service step9"), std::string::npos);
  by_hand(8, "step3", false);
  EXPECT_NE(error_of(take(), 8).find("has done its part"), std::string::npos);
  by_hand(9, "step2", false, "");
  EXPECT_NE(error_of(take(), 9).find("needs a reason"), std::string::npos);

  by_hand(10, "step2", false);
  auto output = take();
  EXPECT_EQ(answer_to(output.reply, 10), nullptr) << "the log does not hold it yet";
  by_hand(11, "step2", false);
  EXPECT_NE(error_of(take(), 11).find("on its way"), std::string::npos);
  commit(output.propose.at(0));
  EXPECT_TRUE(answer_to(take().reply, 10)->by_hand);
  EXPECT_EQ(aborted(ticks(1)), Groups{step_1}) << "whoever waited for it";
  by_hand(12, "step2", false);
  EXPECT_TRUE(answer_to(take().reply, 12)->by_hand) << "said twice";

  Decisions other{machine_options()};
  ASSERT_TRUE(other.restore(*machine.snapshot(), {}));
  EXPECT_EQ(other.open(), machine.open());
  EXPECT_EQ(other.digest(), machine.digest());
  const Attempt ran = attempt();
  conductor.resign();
  lead(6);
  EXPECT_EQ(aborted(ticks(1)), Groups{step_3}) << "who has done it only the services know";
  finished(step_3, txn(1), ran, false);
  EXPECT_EQ(aborted(take()), Groups{step_1}) << "nor is it called by the next leader";
  finished(step_1, txn(1), ran, false);
  commit(proposed<EndTxns>(ticks(110).propose).at(0));
  EXPECT_TRUE(machine.find(txn(1))->by_hand) << "it is told for as long as the outcome is";
  retry(13);
  EXPECT_NE(error_of(take(), 13).find("nothing of it is left"), std::string::npos);
}

TEST_F(ConductorRecordedTest, ARetriableStepThatRefusesIsShownWithItsWords) {
  begin(with_retriable(1));
  vote(step_1, txn(1), attempt());
  commit_all();
  for (std::uint64_t i = 0; i < options().service_failures_max; ++i) {
    vote(step_2, txn(1), attempt(), false, {AbortReason::refused, step_2, "no such card", "", {}});
  }
  EXPECT_EQ(sight().failing, Groups{step_2});
  EXPECT_EQ(sight().troubles, std::vector<std::string>{"it is retriable, and refused: no such card"});
  EXPECT_EQ(machine.find(txn(1))->outcome, Outcome::committed);
  vote(step_2, txn(1), attempt());
  EXPECT_TRUE(sight().failing.empty()) << "it was mended";
}

TEST_F(ConductorRecordedTest, WhatIsOutstandingIsSentAgainAtOnceWhenAnOperatorAsks) {
  begin(trip(Mode::saga));
  ticks(500);  // pauses have grown to their longest
  EXPECT_TRUE(ticks(1).call.empty());
  retry(2);
  EXPECT_EQ(answer_to(take().reply, 2)->state, TxnState::running);
  EXPECT_EQ(called<Prepare>(ticks(1)), Groups{step_1});
  retry(3, txn(9));
  EXPECT_NE(error_of(take(), 3).find("knows no transaction"), std::string::npos);
  retry(4, TxnId{});
  EXPECT_NE(error_of(take(), 4).find("no id"), std::string::npos);
}

TEST_F(ConductorRecordedTest, ALogThatRefusesEndsNothingByHand) {
  abort_step_2();
  fail(step_2, 1);
  by_hand(5, "step2", false);
  const CoordinatorCommand end = take().propose.at(0);
  conductor.refused(end, Error{ErrorCode::busy, "full", {}});
  EXPECT_EQ(error_of(take(), 5), "full");
  by_hand(6, "step2", false);
  EXPECT_EQ(proposed<EndBranch>(take().propose).size(), 1U) << "it may be asked again";
  conductor.resign();
  EXPECT_NE(error_of(take(), 6).find("ask again"), std::string::npos);
}

TEST_F(ConductorRecordedTest, OnlyServicesHaveSuchModes) {
  Execute none = one();
  none.mode = Mode::saga;
  execute(1, none);
  const auto output = take();
  EXPECT_TRUE(output.propose.empty());
  EXPECT_NE(answer_to(output.reply, 1)->refusal.message.find("saga is for services"), std::string::npos);
  Execute other = trip(Mode::tcc);
  EXPECT_EQ(effective_protocol(other), Protocol::two_phase);
  EXPECT_NE(fingerprint(other), fingerprint(trip(Mode::saga))) << "another content";
}

}  // namespace
}  // namespace assent
