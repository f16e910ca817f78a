// Shards that are created while the cluster runs: what the coordinator's log must know before anything runs on them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conductor_fixture.h"

namespace assent {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

const GroupId shard_3(203);
const GroupId shard_4(204);

class ConductorShards : public ConductorFixture {
 protected:
  static Execute on_new_shards(std::uint64_t n) {
    Execute one = transfer(testing::txn(n), put("a", "1"), put("b", "2"));
    one.branches[0].shard = shard_3;
    one.branches[1].shard = shard_4;
    one.protocol = Protocol::paxos_commit;
    return one;
  }
  template <class Message>
  static std::vector<GroupId> sent(const DriverOutput<CoordinatorCommand>& output) {
    std::vector<GroupId> to;
    for (const Envelope& envelope : output.send) {
      if (std::holds_alternative<Message>(envelope.message)) to.push_back(envelope.to);
    }
    std::sort(to.begin(), to.end());
    return to;
  }
};

TEST_F(ConductorShards, NothingRunsOnAShardThatTheLogDoesNotKnow) {
  execute(1, on_new_shards(1));
  auto output = take();
  EXPECT_TRUE(output.send.empty());
  ASSERT_EQ(output.reply.size(), 1U);
  ASSERT_FALSE(output.reply[0].answer);
  EXPECT_EQ(output.reply[0].answer.error().code, ErrorCode::busy);

  conductor.know_shards({shard_1, shard_2, shard_3, shard_4});
  output = take();
  ASSERT_EQ(output.propose.size(), 1U);
  EXPECT_EQ(output.propose[0], CoordinatorCommand(AdmitShards{{shard_3, shard_4}}));
  execute(2, on_new_shards(1));
  EXPECT_TRUE(sent<Prepare>(take()).empty()) << "it is proposed, and may still be lost";
  commit(output.propose[0]);
  execute(3, on_new_shards(1));
  EXPECT_EQ(sent<Prepare>(take()), (std::vector<GroupId>{shard_3, shard_4}));
}

TEST_F(ConductorShards, WhatWasRefusedIsProposedAgain) {
  conductor.know_shards({shard_1, shard_2, shard_3});
  const auto output = take();
  ASSERT_EQ(output.propose.size(), 1U);
  conductor.refused(output.propose[0], Error{ErrorCode::busy, "", {}});
  EXPECT_EQ(ticks(1).propose.size(), 1U);
}

TEST_F(ConductorShards, ANewLeaderAdmitsWhatItKnewBefore) {
  conductor.resign();
  conductor.know_shards({shard_1, shard_2, shard_3});
  EXPECT_TRUE(take().propose.empty());
  lead(6);
  EXPECT_EQ(machine.admitted(), std::vector<GroupId>{shard_3});
  conductor.resign();
  lead(7);
  EXPECT_EQ(machine.admitted(), std::vector<GroupId>{shard_3});
}

// Two shards that a leader has not heard of could commit by their votes while it writes down that nobody knows of it:
// it asks whom the log knows, whatever the map says that its node has.
TEST_F(ConductorShards, ALeaderWithAnOldMapAsksTheShardsOfTheLog) {
  commit(AdmitShards{{shard_3, shard_4}});
  Conductor later(machine, options());
  later.lead(Epoch(6));
  static_cast<void>(later.take_output());
  later.request(ClientRequest{RequestId(1), coordinator_group, GetOutcome{testing::txn(1), true, 0}});
  EXPECT_EQ(sent<Seal>(later.take_output()), (std::vector<GroupId>{shard_1, shard_2, shard_3, shard_4}));
  for (const GroupId shard : {shard_1, shard_2}) {
    Report none;
    none.txn = testing::txn(1);
    none.standing = Standing::aborted;
    none.refusal.reason = AbortReason::sealed;
    later.receive(Envelope{shard, coordinator_group, none});
  }
  EXPECT_TRUE(later.take_output().propose.empty()) << "two of four were asked: nothing is known yet";
}

TEST_F(ConductorShards, AdmittedShardsAreInTheSnapshot) {
  const auto plain = machine.snapshot();
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->front(), 7) << "what older programs can read, they can";
  commit(AdmitShards{{shard_4}});
  commit(AdmitShards{{shard_3, shard_4}});
  const auto bytes = machine.snapshot();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->front(), 8);
  Decisions other(machine_options());
  ASSERT_TRUE(other.restore(*bytes));
  EXPECT_EQ(other.admitted(), (std::vector<GroupId>{shard_3, shard_4}));
  EXPECT_EQ(other.digest(), machine.digest());
  for (std::size_t i = plain->size(); i < bytes->size(); ++i) {
    EXPECT_FALSE(Decisions(machine_options()).restore(ByteView(*bytes).substr(0, i)));
  }
}

// Services alone may take part in transactions of such a cluster.
TEST(ConductorWithoutShards, AQuestionAboutATransactionThatNobodyKnowsIsAnswered) {
  DecisionsOptions window;
  window.window.retention_millis = 10'000;
  window.window.clock_skew_max_millis = 1'000;
  Decisions machine(window);
  ConductorOptions options;
  options.self = coordinator_group;
  Conductor conductor(machine, options);
  conductor.lead(Epoch(1));
  std::uint64_t index = 0;
  const auto answered = [&](bool seal) -> std::optional<Result<ClientAnswer>> {
    conductor.request(ClientRequest{RequestId(seal ? 2 : 1), coordinator_group, GetOutcome{testing::txn(7), seal, 0}});
    for (int tick = 0; tick < 200; ++tick) {
      auto output = conductor.take_output();
      for (const auto& command : output.propose) {
        const EntryContext context = at(1, ++index, 1'000);
        conductor.applied(context, command, machine.apply(context, command));
      }
      if (!output.reply.empty()) return output.reply[0].answer;
      conductor.tick();
    }
    return std::nullopt;
  };
  EXPECT_TRUE(answered(false)) << "a look";
  const auto sealed = answered(true);
  ASSERT_TRUE(sealed);
  ASSERT_TRUE(*sealed);
  EXPECT_EQ(std::get<TxnAnswer>(**sealed).state, TxnState::aborted);
}

}  // namespace
}  // namespace assent
