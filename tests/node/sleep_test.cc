// Groups with nothing to do, in whole loops: what they cost, what wakes them, and that a leader that is gone is missed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/node/test_cluster.h"
#include "txn_proto/machine.h"

namespace assent {
namespace {

constexpr std::uint64_t groups = 20;
constexpr GroupId first{1};
const std::vector<NodeId> all_nodes{NodeId(1), NodeId(2), NodeId(3)};

std::vector<GroupConfig> many_groups() {
  std::vector<GroupConfig> all;
  for (std::uint64_t i = 1; i <= groups; ++i) {
    all.push_back(GroupConfig{GroupId(i), "s" + std::to_string(i), GroupRole::shard, all_nodes});
  }
  return all;
}

class Sleep : public testing::Test {
 protected:
  void SetUp() override {
    cluster.sleep_after(10);
    cluster.start_all();
    for (std::uint64_t i = 1; i <= groups; ++i) cluster.await_leader(GroupId(i));
    let_rest(rest_for_ever);
    sleep();
  }
  void let_rest(std::uint64_t ticks) {
    for (const NodeId id : all_nodes) {
      for (auto& [group, application] : cluster.node(id).applications) application->wants_rest = ticks;
    }
  }
  void sleep() {
    for (std::uint64_t i = 1; i <= groups; ++i) {
      cluster.tick_until([&] { return cluster.asleep(GroupId(i)); });
    }
    cluster.tick();  // the loop leaves them alone from the next tick on
  }
  void tick(std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) cluster.tick();
  }

  TestCluster cluster{3, many_groups()};
};

TEST_F(Sleep, NodesSendOneFrameEachAHeartbeatWhateverTheNumberOfGroups) {
  const std::uint64_t before = cluster.frames();
  const std::uint64_t ticked = cluster.node(cluster.leader(first)).applications[first]->ticks;
  tick(400);
  EXPECT_EQ(cluster.frames() - before, 400U / 4 * 6) << "six directions, each four ticks";
  EXPECT_EQ(cluster.node(cluster.leader(first)).applications[first]->ticks, ticked);
  EXPECT_TRUE(cluster.asleep(first));
}

TEST_F(Sleep, ARequestIsServedAndOnlyItsGroupWakes) {
  const std::uint64_t id = cluster.put(first, first, "a");
  cluster.tick();
  EXPECT_TRUE(cluster.node(cluster.leader(first)).reply(id));
  EXPECT_FALSE(cluster.asleep(first));
  EXPECT_TRUE(cluster.asleep(GroupId(2)));
  const std::uint64_t read = cluster.read(first);
  EXPECT_TRUE(cluster.node(cluster.leader(first)).reply(read));
  sleep();
  for (const NodeId node : all_nodes) EXPECT_EQ(cluster.node(node).databases[first].texts.size(), 1U);
}

TEST_F(Sleep, AMessageOfAnotherGroupIsDelivered) {
  cluster.make_lead(GroupId(1), NodeId(1));
  cluster.make_lead(GroupId(2), NodeId(2));
  sleep();
  cluster.put(GroupId(1), GroupId(2), "hello");
  EXPECT_EQ(cluster.node(NodeId(2)).applications[GroupId(2)]->received.size(), 1U);
}

TEST_F(Sleep, ALeaderWhoseNodeDiesIsMissed) {
  for (int round = 0; round < 5; ++round) {
    const NodeId old = cluster.leader(first);
    cluster.kill(old);
    cluster.tick_until([&] { return !cluster.leader(first).none(); }, 20 + 3 * 40);
    EXPECT_NE(cluster.leader(first), old);
    cluster.start(old);
    let_rest(rest_for_ever);
    sleep();
  }
}

TEST_F(Sleep, ALeaderWhoseNodeBeganAnotherLifeIsMissedAtOnce) {
  const NodeId old = cluster.leader(first);
  const Epoch before = cluster.node(old).loop->status().front().log.leadership.epoch;
  cluster.kill(old);
  cluster.start(old);
  cluster.tick_until([&] { return !cluster.leader(first).none(); }, 3 * 40);
  EXPECT_GT(cluster.node(cluster.leader(first)).loop->status().front().log.leadership.epoch, before);
}

TEST_F(Sleep, ALeaderThatIsCutOffGivesWay) {
  const NodeId old = cluster.leader(first);
  cluster.cut(old);
  cluster.tick_until([&] { return !cluster.leader(first).none(); }, 20 + 3 * 40);
  EXPECT_NE(cluster.leader(first), old);
  cluster.heal();
  sleep();
}

TEST_F(Sleep, TheApplicationIsWokenWhenItWantsATick) {
  const NodeId leader = cluster.leader(first);
  TestApplication& application = *cluster.node(leader).applications[first];
  const std::uint64_t id = cluster.put(first, first, "a");
  EXPECT_TRUE(cluster.node(leader).reply(id));
  application.wants_rest = 100;
  sleep();
  const std::uint64_t ticks = application.ticks;
  const std::uint64_t rested = application.rested_ticks;
  cluster.tick_until([&] { return application.ticks > ticks; }, 101);
  EXPECT_EQ(application.rested_ticks - rested, 100U);
}

TEST_F(Sleep, WhoRestsLetsGoAFewGroupsEachTick) {
  const Limits limits;
  const auto let_go = [&](NodeId node) {
    std::uint64_t times = 0;
    for (const auto& [group, application] : cluster.node(node).applications) times += application->let_gos;
    return times;
  };
  tick(limits.let_go_ticks + groups / limits.let_go_per_tick_max + 1);
  std::map<NodeId, std::uint64_t> before;
  for (std::uint64_t i = 1; i <= groups; ++i) cluster.put(GroupId(i), GroupId(i), "a");
  for (const NodeId node : all_nodes) before[node] = let_go(node);
  std::map<NodeId, std::uint64_t> last = before;
  for (std::uint64_t i = 0; i < limits.let_go_ticks + 60; ++i) {
    tick(1);
    for (const NodeId node : all_nodes) {
      const std::uint64_t now = let_go(node);
      EXPECT_LE(now - last[node], limits.let_go_per_tick_max);
      last[node] = now;
    }
  }
  for (const NodeId node : all_nodes) EXPECT_EQ(last[node] - before[node], groups) << "each of them once";
}

TEST_F(Sleep, WhoIsWokenBeforeItsTurnKeepsWhatItHas) {
  const std::uint64_t wait = Limits{}.let_go_ticks;
  tick(wait + 10);
  const NodeId leader = cluster.leader(first);
  TestApplication& application = *cluster.node(leader).applications[first];
  std::uint64_t before = application.let_gos;
  EXPECT_EQ(before, 1U);
  cluster.put(first, first, "a");
  sleep();
  tick(wait / 2);
  cluster.put(first, first, "b");
  sleep();
  tick(wait - 20);  // the turn of the first rest has come
  EXPECT_EQ(application.let_gos, before);
  tick(30);
  EXPECT_EQ(application.let_gos, before + 1);
}

TEST_F(Sleep, WhoHasSomethingToDoDoesNotSleep) {
  let_rest(0);
  cluster.put(first, first, "a");
  tick(200);
  EXPECT_FALSE(cluster.asleep(first));
}

}  // namespace
}  // namespace assent
