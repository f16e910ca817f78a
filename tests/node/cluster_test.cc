// Loops wired together over the Raft core and the real write-ahead log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/node/test_cluster.h"

namespace assent {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::SizeIs;

constexpr GroupId c0{1};
constexpr GroupId s1{2};
const std::vector<NodeId> all_nodes{NodeId(1), NodeId(2), NodeId(3)};

std::vector<GroupConfig> two_groups() {
  return {GroupConfig{c0, "c0", GroupRole::coordinator, all_nodes}, GroupConfig{s1, "s1", GroupRole::shard, all_nodes}};
}

NodeId other_than(NodeId node) { return NodeId(node.value % 3 + 1); }

TEST(Cluster, WhatIsAnsweredIsOnAllReplicas) {
  TestCluster cluster(3, two_groups());
  cluster.start_all();
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t id = cluster.put(c0, c0, std::to_string(i));
    EXPECT_TRUE(cluster.node(cluster.leader(c0)).reply(id));
  }
  const NodeId leader = cluster.leader(c0);
  cluster.tick_until([&] {
    return std::all_of(all_nodes.begin(), all_nodes.end(),
                       [&](NodeId id) { return cluster.node(id).databases[c0].texts.size() == 20; });
  });
  for (const NodeId id : all_nodes) {
    EXPECT_EQ(cluster.node(id).databases[c0].texts, cluster.node(leader).databases[c0].texts);
    EXPECT_EQ(cluster.node(id).loop->application_digest(c0), cluster.node(leader).loop->application_digest(c0));
  }
}

TEST(Cluster, AReadSeesWhatWasAnsweredBefore) {
  TestCluster cluster(3, two_groups());
  cluster.start_all();
  cluster.put(c0, c0, "a");
  const Index applied = cluster.node(cluster.leader(c0)).databases[c0].applied;
  const std::uint64_t id = cluster.read(c0);
  const auto& answer = cluster.node(cluster.leader(c0)).reply(id);
  ASSERT_TRUE(answer);
  EXPECT_GE(std::get<QueryAnswer>(*answer).at, applied);
}

// The old leader does not know yet that it was deposed: its barrier must not be satisfied.
TEST(Cluster, ACutOffLeaderServesNoReads) {
  TestCluster cluster(3, two_groups());
  cluster.start_all();
  const NodeId old = cluster.await_leader(c0);
  cluster.cut(old);
  cluster.node(old).request(read_request(1'000, c0));
  cluster.settle();
  EXPECT_FALSE(cluster.node(old).answered(1'000));
  cluster.put(c0, c0, "new");
  cluster.tick_until([&] { return cluster.node(old).answered(1'000); });
  EXPECT_FALSE(cluster.node(old).reply(1'000)) << "it resigned, and said so";
}

TEST(Cluster, ANewLeaderTakesOverWhenOneIsKilled) {
  TestCluster cluster(3, two_groups());
  cluster.start_all();
  cluster.put(c0, c0, "before");
  const NodeId old = cluster.leader(c0);
  cluster.kill(old);
  const std::uint64_t id = cluster.put(c0, c0, "after");
  const NodeId leader = cluster.leader(c0);
  ASSERT_NE(leader, old);
  EXPECT_TRUE(cluster.node(leader).reply(id));
  EXPECT_THAT(cluster.node(leader).databases[c0].texts, ElementsAre("before", "after"));

  cluster.start(old);
  cluster.tick_until([&] { return cluster.node(old).databases[c0].texts.size() == 2; });
  EXPECT_THAT(cluster.node(old).databases[c0].texts, ElementsAre("before", "after"));
}

// A restarted node is deaf to frames meant for its former life; it must be greeted long before an election.
TEST(Cluster, ARestartedFollowerHearsItsLeaderAtOnce) {
  TestCluster cluster(3, two_groups());
  cluster.start_all();
  const NodeId leader = cluster.await_leader(c0);
  const NodeId follower = other_than(leader);
  for (int i = 0; i < 3; ++i) {
    cluster.kill(follower);
    cluster.start(follower);
    cluster.settle();
    cluster.put(c0, c0, std::to_string(i));
    for (int tick = 0; tick < 5; ++tick) cluster.tick();
    EXPECT_THAT(cluster.node(follower).databases[c0].texts, SizeIs(i + 1));
    EXPECT_EQ(cluster.leader(c0), leader);
  }
}

TEST(Cluster, AllKilledAtOnceComeBackWithWhatWasAnswered) {
  TestCluster cluster(3, two_groups());
  cluster.start_all();
  for (int i = 0; i < 10; ++i) cluster.put(c0, c0, std::to_string(i));
  for (const NodeId id : all_nodes) {
    cluster.kill(id);
    cluster.node(id).databases.clear();  // even if the databases lost everything
  }
  cluster.start_all();
  const std::uint64_t id = cluster.put(c0, c0, "last");
  EXPECT_TRUE(cluster.node(cluster.leader(c0)).reply(id));
  EXPECT_THAT(cluster.node(cluster.leader(c0)).databases[c0].texts, SizeIs(11));
}

TEST(Cluster, ALaggingNodeCatchesUpThroughASnapshot) {
  TestCluster cluster(3, two_groups(), 10);
  cluster.start_all();
  const NodeId lagging = other_than(cluster.await_leader(c0));
  cluster.put(c0, c0, "first");
  cluster.kill(lagging);
  for (int i = 0; i < 50; ++i) cluster.put(c0, c0, std::to_string(i));
  cluster.start(lagging);
  cluster.tick_until([&] { return cluster.node(lagging).databases[c0].texts.size() == 51; });
  EXPECT_GE(cluster.node(lagging).databases[c0].restored, 1U);
  EXPECT_EQ(cluster.node(lagging).databases[c0].texts, cluster.node(cluster.leader(c0)).databases[c0].texts);

  cluster.kill(lagging);
  cluster.start(lagging);
  cluster.put(c0, c0, "again");
  cluster.tick_until([&] { return cluster.node(lagging).databases[c0].texts.size() == 52; });
}

// Cut off rather than killed: the process lives on with its old log.
TEST(Cluster, ANodeThatWasCutOffInstallsASnapshotOverItsLog) {
  TestCluster cluster(3, two_groups(), 10);
  cluster.start_all();
  const NodeId old = cluster.await_leader(c0);
  cluster.cut(old);
  for (std::uint64_t i = 0; i < 5; ++i) cluster.node(old).request(put_request(500 + i, c0, c0, "lost"));
  for (int i = 0; i < 50; ++i) cluster.put(c0, c0, std::to_string(i));
  cluster.heal();
  cluster.tick_until([&] { return cluster.node(old).databases[c0].texts.size() == 50; });
  EXPECT_THAT(cluster.node(old).databases[c0].texts, testing::Not(Contains("lost")));
  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_FALSE(cluster.node(old).reply(500 + i));
}

TEST(Cluster, AnEnvelopeBetweenGroupsLedByOneNodeNeverLeavesIt) {
  TestCluster cluster(3, two_groups());
  cluster.start_all();
  const NodeId both(2);
  cluster.make_lead(c0, both);
  cluster.make_lead(s1, both);
  cluster.settle();
  TestNode& node = cluster.node(both);
  const std::uint64_t frames = node.loop->statistics().frames_sent;
  node.request(put_request(700, c0, s1, "hello"));
  node.flush();
  EXPECT_THAT(node.applications[s1]->received, ElementsAre(std::pair(c0, Bytes("hello"))));
  EXPECT_EQ(node.loop->statistics().frames_sent, frames);
  EXPECT_EQ(node.loop->statistics().local_messages, 1U);
}

TEST(Cluster, AnEnvelopeReachesTheLeaderElsewhere) {
  TestCluster cluster(3, two_groups());
  cluster.start_all();
  cluster.make_lead(c0, NodeId(1));
  cluster.make_lead(s1, NodeId(3));
  cluster.settle();
  cluster.put(c0, s1, "hello");
  EXPECT_THAT(cluster.node(NodeId(3)).applications[s1]->received, ElementsAre(std::pair(c0, Bytes("hello"))));
}

// Node 4 carries only c0 and has to find the leader of s1 by asking; a hint brings it there.
TEST(Cluster, HintsLeadToAGroupThatIsCarriedElsewhere) {
  const std::vector<GroupConfig> groups{GroupConfig{c0, "c0", GroupRole::coordinator, {NodeId(4)}},
                                        GroupConfig{s1, "s1", GroupRole::shard, all_nodes}};
  TestCluster cluster(4, groups);
  cluster.start_all();
  cluster.await_leader(c0);
  const auto received = [&](NodeId node) { return cluster.node(node).applications[s1]->received.size(); };
  for (const NodeId leader : all_nodes) {
    cluster.make_lead(s1, leader);
    for (int i = 0; i < 4; ++i) cluster.put(c0, s1, "searching");
    const std::size_t before = received(leader);
    for (int i = 0; i < 4; ++i) cluster.put(c0, s1, "found");
    EXPECT_EQ(received(leader), before + 4) << "leader " << leader.value;
  }
}

// A hint to a node that died must not swallow messages for ever.
TEST(Cluster, AGroupCarriedElsewhereIsFoundAgainAfterItsLeaderDied) {
  const std::vector<GroupConfig> groups{GroupConfig{c0, "c0", GroupRole::coordinator, {NodeId(4)}},
                                        GroupConfig{s1, "s1", GroupRole::shard, all_nodes}};
  TestCluster cluster(4, groups);
  cluster.start_all();
  cluster.make_lead(s1, NodeId(2));
  for (int i = 0; i < 4; ++i) cluster.put(c0, s1, "searching");
  cluster.kill(NodeId(2));
  cluster.await_leader(s1);
  cluster.tick_until([&] {
    cluster.put(c0, s1, "resent");
    const NodeId leader = cluster.leader(s1);
    return !leader.none() && !cluster.node(leader).applications[s1]->received.empty();
  });
}

}  // namespace
}  // namespace assent
