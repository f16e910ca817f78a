// Services that take part: called by address, counted as shards are, told the outcome, and what they say in between.
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
using testing::txn;

constexpr GroupId service_1 = first_service;
constexpr GroupId service_2{first_service.value + 1};

class ConductorServicesTest : public testing::ConductorFixture {
 protected:
  static ServiceAddress address(std::uint64_t n) {
    return {fmt::format("pay{}", n), fmt::format("10.0.0.{}:7000", n), "payment"};
  }
  static Execute mixed(std::uint64_t n = 1) {
    Execute execute;
    execute.txn = txn(n);
    execute.branches = {Branch{shard_1, put("a", "1")}, Branch{service_1, {}, ServiceWork{address(1), "debit 5"}}};
    return execute;
  }
  static Execute two_services(std::uint64_t n = 1) {
    Execute execute;
    execute.txn = txn(n);
    execute.branches = {Branch{service_1, {}, ServiceWork{address(1), "debit 5"}},
                        Branch{service_2, {}, ServiceWork{address(2), "credit 5"}}};
    return execute;
  }
  template <class Message>
  static std::vector<ServiceCall> called(const DriverOutput<CoordinatorCommand>& output) {
    std::vector<ServiceCall> all;
    for (const ServiceCall& call : output.call) {
      if (std::holds_alternative<Message>(call.message)) all.push_back(call);
    }
    return all;
  }
  void trouble(GroupId from, const TxnId& id, const std::string& words) {
    conductor.receive(Envelope{from, coordinator_group, Trouble{id, attempt(), words}});
  }
  void decide_mixed() {
    execute(1, mixed());
    take();
    vote(shard_1, txn(1), attempt());
    vote(service_1, txn(1), attempt());
  }
};

TEST_F(ConductorServicesTest, AServiceIsAskedToldAndNamed) {
  execute(1, mixed());
  auto output = take();
  EXPECT_EQ(sent<Prepare>(output.send).size(), 1U) << "the shard's goes to its group";
  const auto prepares = called<Prepare>(output);
  ASSERT_EQ(prepares.size(), 1U);
  EXPECT_EQ(prepares[0].at, address(1));
  EXPECT_EQ(prepares[0].payload, "debit 5");
  EXPECT_EQ(prepares[0].ticks, ConductorOptions().timeout_ticks);
  EXPECT_EQ(prepares[0].from, coordinator_group);
  EXPECT_EQ(prepares[0].number, service_1);

  vote(service_1, txn(1), attempt());
  EXPECT_TRUE(take().propose.empty()) << "the shard has not voted";
  vote(shard_1, txn(1), attempt());
  output = take();
  const auto decides = proposed<Decide>(output.propose);
  ASSERT_EQ(decides.size(), 1U);
  EXPECT_EQ(decides[0].protocol, Protocol::two_phase);
  EXPECT_EQ(decides[0].participants, (std::vector<GroupId>{shard_1, service_1}));
  EXPECT_EQ(decides[0].services, std::vector{address(1)});
  EXPECT_TRUE(called<Finish>(output).empty()) << "nothing is told before the log holds it";
  commit(decides[0]);
  output = take();
  const TxnAnswer* answer = answer_to(output.reply, 1);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->state, TxnState::committed);
  EXPECT_EQ(answer->services, std::vector{address(1)});
  EXPECT_EQ(answer->results.size(), 2U);
  const auto finishes = called<Finish>(output);
  ASSERT_EQ(finishes.size(), 1U);
  EXPECT_EQ(finishes[0].at, address(1));
  EXPECT_TRUE(std::get<Finish>(finishes[0].message).commit);
}

TEST_F(ConductorServicesTest, AServiceIsWaitedForNoLongerThanItsOwnTime) {
  Execute one = two_services();
  one.branches[1].service->patience.ticks = 30;
  execute(1, one);
  auto output = take();
  auto prepares = called<Prepare>(output);
  ASSERT_EQ(prepares.size(), 2U);
  EXPECT_EQ(prepares[0].ticks, ConductorOptions().timeout_ticks);
  EXPECT_EQ(prepares[1].ticks, 30U) << "it is told how long it has";
  vote(service_1, txn(1), attempt());
  trouble(service_2, txn(1), "no route to host");
  output = ticks(29);
  prepares = called<Prepare>(output);
  ASSERT_FALSE(prepares.empty());
  EXPECT_LT(prepares.back().ticks, 30U);
  EXPECT_EQ(answer_to(output.reply, 1), nullptr);
  output = ticks(1);
  EXPECT_EQ(called<Finish>(output).size(), 2U) << "both are told";
  const auto seals = proposed<SealOutcome>(output.propose);
  ASSERT_EQ(seals.size(), 1U);
  commit(seals[0]);
  output = take();
  const TxnAnswer* answer = answer_to(output.reply, 1);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->state, TxnState::aborted);
  EXPECT_EQ(answer->refusal.reason, AbortReason::timeout);
  EXPECT_EQ(answer->refusal.participant, service_2);
  EXPECT_EQ(answer->refusal.message, "it had not voted within its own time: no route to host");
}

TEST_F(ConductorServicesTest, AServiceIsAskedForItsVoteNoMoreOftenThanIsAllowed) {
  Execute one = two_services();
  one.branches[0].service->patience.calls = 3;
  execute(1, one);
  std::size_t calls = 0;
  auto output = take();
  const TxnAnswer* answer = nullptr;
  for (int i = 0; i < 500 && answer == nullptr; ++i) {
    for (const ServiceCall& call : called<Prepare>(output)) calls += call.number == service_1 ? 1 : 0;
    output = ticks(1);
    for (const SealOutcome& seal : proposed<SealOutcome>(output.propose)) {
      commit(seal);
      testing::append(output, take());
    }
    answer = answer_to(output.reply, 1);
  }
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(calls, 3U);
  EXPECT_EQ(answer->refusal.participant, service_1);
  EXPECT_EQ(answer->refusal.message, "it had not voted after 3 calls");
}

TEST_F(ConductorServicesTest, ServicesThatVoteInTimeAreNotHeldToTheirBounds) {
  Execute one = two_services();
  for (Branch& branch : one.branches) branch.service->patience = {30, 2};
  execute(1, one);
  take();
  vote(service_1, txn(1), attempt());
  vote(service_2, txn(1), attempt());
  EXPECT_EQ(proposed<Decide>(ticks(100).propose).size(), 1U);
}

TEST_F(ConductorServicesTest, ACommitIsRepeatedUntilTheServiceHasItAlsoByTheNextLeader) {
  decide_mixed();
  commit_all();
  finished(shard_1, txn(1), attempt(), true);
  take();
  EXPECT_GE(called<Finish>(ticks(500)).size(), 4U) << "for ever";
  const Attempt decided = attempt();
  conductor.resign();
  take();
  lead(6);
  const auto again = called<Finish>(ticks(2));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].at, address(1)) << "the log has its address";
  EXPECT_EQ(std::get<Finish>(again[0].message).attempt, decided);
  finished(service_1, txn(1), decided, true);
  finished(shard_1, txn(1), decided, true);
  auto output = ticks(110);
  ASSERT_EQ(proposed<EndTxns>(output.propose).size(), 1U);
  commit(proposed<EndTxns>(output.propose)[0]);
  EXPECT_TRUE(ticks(500).call.empty());
}

TEST_F(ConductorServicesTest, TheAddressOutlivesSnapshotAndRestart) {
  decide_mixed();
  commit_all();
  Decisions other{machine_options()};
  ASSERT_TRUE(other.restore(*machine.snapshot(), {}));
  EXPECT_EQ(other.open(), machine.open());
  EXPECT_EQ(other.digest(), machine.digest());
  EXPECT_EQ(other.open().at(txn(1)).services, std::vector{address(1)});
}

TEST_F(ConductorServicesTest, ItsNoAbortsEverywhere) {
  execute(1, two_services());
  take();
  vote(service_1, txn(1), attempt());
  Refusal no;
  no.reason = AbortReason::refused;
  no.message = "no funds";
  vote(service_2, txn(1), attempt(), false, no);
  const auto output = take();
  const TxnAnswer* answer = answer_to(output.reply, 1);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->state, TxnState::aborted);
  EXPECT_EQ(answer->refusal.reason, AbortReason::refused);
  EXPECT_EQ(answer->refusal.participant, service_2);
  EXPECT_EQ(answer->services.size(), 2U);
  EXPECT_EQ(called<Finish>(output).size(), 2U);
}

TEST_F(ConductorServicesTest, AnAbortIsToldToAServiceForLongerThanToAShard) {
  execute(1, mixed());
  take();
  vote(shard_1, txn(1), attempt(), false);
  take();
  const auto output = ticks(2'000);
  EXPECT_EQ(sent<Finish>(output.send).size(), ConductorOptions().abort_sends_max - 1);
  EXPECT_GT(called<Finish>(output).size(), 15U);
  finished(service_1, txn(1), attempt(), false);
  EXPECT_TRUE(ticks(500).call.empty());
  EXPECT_EQ(conductor.active(), 0U);
}

TEST_F(ConductorServicesTest, AServiceThatIsGoneForGoodDoesNotHoldTheLeadersMemoryForGood) {
  execute(1, mixed());
  take();
  vote(shard_1, txn(1), attempt(), false);
  ticks(static_cast<int>(ConductorOptions().service_abort_sends_max * ConductorOptions().resend_ticks_max));
  EXPECT_EQ(conductor.active(), 0U);
}

TEST_F(ConductorServicesTest, ItsYesToAnEarlierLeaderIsSuperseded) {
  execute(1, two_services());
  take();
  vote(service_1, txn(1), Attempt{Epoch(4), 9});
  auto output = take();
  ASSERT_EQ(proposed<SealOutcome>(output.propose).size(), 1U);
  const auto finishes = called<Finish>(output);
  const auto frees = [&](const ServiceCall& call) {
    const Finish& finish = std::get<Finish>(call.message);
    return call.number == service_1 && finish.attempt == Attempt{Epoch(4), 9} && !finish.commit;
  };
  EXPECT_TRUE(std::any_of(finishes.begin(), finishes.end(), frees)) << "nobody can commit that attempt any more";
  commit(output.propose.at(0));
  output = take();
  EXPECT_EQ(answer_to(output.reply, 1)->refusal.reason, AbortReason::superseded);
}

TEST_F(ConductorServicesTest, WhatItSaidLastIsPartOfTheReason) {
  execute(1, mixed());
  take();
  vote(shard_1, txn(1), attempt());
  trouble(service_1, txn(1), "service pay1 at 10.0.0.1:7000 has not voted: UNAVAILABLE: refused");
  const auto seen = conductor.sights({txn(1), ClusterMillis(5), 10});
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].missing, std::vector{service_1});
  EXPECT_EQ(seen[0].services, std::vector{address(1)});
  EXPECT_EQ(seen[0].troubles.size(), 1U);
  auto output = ticks(static_cast<int>(ConductorOptions().timeout_ticks) + 1);
  ASSERT_EQ(proposed<SealOutcome>(output.propose).size(), 1U);
  commit(proposed<SealOutcome>(output.propose)[0]);
  output = take();
  const TxnAnswer* answer = answer_to(output.reply, 1);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->refusal.reason, AbortReason::timeout);
  EXPECT_EQ(answer->refusal.participant, service_1);
  EXPECT_NE(answer->refusal.message.find("UNAVAILABLE"), std::string::npos) << answer->refusal.message;
}

TEST_F(ConductorServicesTest, AServiceInDoubtThatNobodyKnowsIsFreedByTheLog) {
  ask(1, txn(1), true);  // the leader that ran it is gone; the shards have no part in it
  take();
  report(shard_1, txn(1), Standing::aborted);
  report(testing::shard_2, txn(1), Standing::aborted);
  auto output = take();
  EXPECT_EQ(answer_to(output.reply, 1), nullptr);
  const auto notes = proposed<NoteOutcomes>(output.propose);
  ASSERT_EQ(notes.size(), 1U);
  // Another leader, which does not know of the question, had decided it before.
  commit(Decide{txn(1), attempt(), Protocol::two_phase, {service_1}, 7, {address(1)}});
  commit(notes[0]);
  output = take();
  ASSERT_NE(answer_to(output.reply, 1), nullptr);
  EXPECT_EQ(answer_to(output.reply, 1)->state, TxnState::committed);
}

// A caller gives one id to two contents: the first leader prepares one at a service and dies, the next one commits the
// other, without that service. Its yes is of an attempt that nobody counted, and the answer lets it see that.
TEST_F(ConductorServicesTest, TheOutcomeTellsWhoseYesesWereCounted) {
  execute(1, two_services());
  take();
  const Attempt first = attempt();
  conductor.resign();
  take();
  lead(6);
  Execute other;
  other.txn = txn(1);
  other.protocol = Protocol::two_phase;
  other.branches = {Branch{shard_1, put("a", "1")}, Branch{testing::shard_2, put("b", "1")}};
  execute(2, other);
  take();
  const Attempt second = attempt(2);
  vote(shard_1, txn(1), second);
  vote(testing::shard_2, txn(1), second);
  commit_all();
  take();
  EXPECT_NE(first, second);
  ask(3, txn(1), true);
  const auto output = take();
  const TxnAnswer* answer = answer_to(output.reply, 3);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->state, TxnState::committed);
  EXPECT_EQ(answer->attempt, second);
}

TEST_F(ConductorServicesTest, WhatIsWrongWithServicesIsSaid) {
  const auto fault = [](auto change) {
    Execute execute = two_services();
    change(execute);
    const auto found = find_fault(execute, TxnLimits());
    return found ? found->message : std::string();
  };
  EXPECT_EQ(fault([](Execute&) {}), "");
  EXPECT_NE(fault([](Execute& e) { e.protocol = Protocol::paxos_commit; }).find("paxos-commit"), std::string::npos);
  EXPECT_NE(fault([](Execute& e) { e.protocol = Protocol::three_phase; }).find("two-phase"), std::string::npos);
  EXPECT_NE(fault([](Execute& e) { e.branches[1].service->at.name = "pay1"; }).find("two branches"), std::string::npos);
  EXPECT_NE(fault([](Execute& e) { e.branches[1].shard = service_1; }).find("numbered"), std::string::npos);
  EXPECT_NE(fault([](Execute& e) { e.branches[0].work = put("a", "1"); }).find("shard's work"), std::string::npos);
  for (const char* target : {"", "pay", ":1", "pay:", "pay:0", "pay:65536", "pay:x", "dns:///pay:1", "a\nb:1"}) {
    EXPECT_NE(fault([&](Execute& e) { e.branches[0].service->at.target = target; }).find("host:port"),
              std::string::npos)
        << target;
  }
  for (const std::string& name : {std::string(), std::string("a\x1b[31m"), std::string(201, 'n')}) {
    EXPECT_NE(fault([&](Execute& e) { e.branches[0].service->at.name = name; }).find("1 to 200"), std::string::npos)
        << name;
  }
  EXPECT_NE(fault([](Execute& e) { e.branches[0].service->payload.assign(3U << 20U, 'x'); }).find("bytes"),
            std::string::npos);
  EXPECT_NE(fault([](Execute& e) {
              e.branches = {e.branches[0], Branch{shard_1, put("a", "1")}};
            }).find("follows"),
            std::string::npos);
  EXPECT_EQ(effective_protocol(two_services()), Protocol::two_phase);
  EXPECT_FALSE(is_one_phase(Execute{txn(1), {}, Protocol::automatic, {two_services().branches[0]}, 0}));
  EXPECT_NE(fingerprint(two_services()), fingerprint(mixed()));
}

}  // namespace
}  // namespace assent
