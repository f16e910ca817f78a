// Nodes with several loops, wired together: groups of one cluster, whatever loop of which node they are in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/loop_placement.h"
#include "tests/node/test_cluster.h"
#include "txn_proto/machine.h"

namespace assent {
namespace {

constexpr std::uint64_t groups = 12;
const std::vector<NodeId> all_nodes{NodeId(1), NodeId(2), NodeId(3)};

std::vector<GroupConfig> many_groups() {
  std::vector<GroupConfig> all;
  for (std::uint64_t i = 1; i <= groups; ++i) {
    all.push_back(GroupConfig{GroupId(i), "s" + std::to_string(i), GroupRole::shard, all_nodes});
  }
  return all;
}

// A group of each loop of two.
GroupId group_in(std::size_t loop) {
  for (std::uint64_t i = 1;; ++i) {
    if (loop_of(GroupId(i), 2) == loop) return GroupId(i);
  }
}

class LoopSets : public testing::TestWithParam<std::vector<std::size_t>> {
 protected:
  void SetUp() override { cluster.set_loops(GetParam()); }
  [[nodiscard]] bool everywhere(std::size_t texts) {
    return std::all_of(all_nodes.begin(), all_nodes.end(), [&](NodeId id) {
      for (std::uint64_t i = 1; i <= groups; ++i) {
        if (cluster.node(id).databases[GroupId(i)].texts.size() != texts) return false;
      }
      return true;
    });
  }
  void put_in_all() {
    for (std::uint64_t i = 1; i <= groups; ++i) {
      const std::uint64_t id = cluster.put(GroupId(i), GroupId(i), "text");
      EXPECT_TRUE(cluster.node(cluster.leader(GroupId(i))).reply(id));
    }
  }

  TestCluster cluster{3, many_groups()};
};

TEST_P(LoopSets, WhatIsAnsweredIsOnAllReplicasAlsoAfterARestart) {
  cluster.start_all();
  put_in_all();
  cluster.tick_until([&] { return everywhere(1); });
  for (const NodeId id : all_nodes) {
    EXPECT_EQ(cluster.node(id).loop->status().size(), groups);
    cluster.kill(id);
    cluster.start(id);
    EXPECT_EQ(cluster.node(id).loop->recovery().groups.size(), groups);
    put_in_all();
  }
  cluster.tick_until([&] { return everywhere(4); });
}

TEST_P(LoopSets, MessagesReachTheLeaderInWhateverLoopItIs) {
  cluster.start_all();
  const GroupId a = group_in(0);
  const GroupId b = group_in(1);
  for (const NodeId where : all_nodes) {
    cluster.make_lead(a, NodeId(1));
    cluster.make_lead(b, where);
    const auto& received = cluster.node(where).applications[b]->received;
    const std::size_t before = received.size();
    for (int i = 0; i < 100 && received.size() == before; ++i) {
      cluster.put(a, b, "there");
      cluster.tick();
    }
    ASSERT_GT(received.size(), before) << "from node 1 to node " << where.value;
    EXPECT_EQ(received.back(), (std::pair<GroupId, Bytes>{a, "there"}));
    // Known by now: no message is lost or doubled.
    const std::size_t known = received.size();
    cluster.put(a, b, "again");
    EXPECT_EQ(received.size(), known + 1);
    const auto& back = cluster.node(NodeId(1)).applications[a]->received;
    const std::size_t answers = back.size();
    cluster.put(b, a, "back");
    EXPECT_EQ(back.size(), answers + 1);
  }
}

TEST_P(LoopSets, GroupsSleepAndMissALeaderThatDies) {
  cluster.sleep_after(10);
  cluster.start_all();
  put_in_all();
  const auto let_rest = [&] {
    for (const NodeId id : all_nodes) {
      if (!cluster.alive(id)) continue;
      for (auto& [group, application] : cluster.node(id).applications) application->wants_rest = rest_for_ever;
    }
  };
  let_rest();
  for (std::uint64_t i = 1; i <= groups; ++i) {
    cluster.tick_until([&] { return cluster.asleep(GroupId(i)); });
  }
  for (int i = 0; i < 300; ++i) cluster.tick();
  for (std::uint64_t i = 1; i <= groups; ++i) EXPECT_TRUE(cluster.asleep(GroupId(i))) << "group " << i;
  cluster.kill(NodeId(1));
  for (std::uint64_t i = 1; i <= groups; ++i) {
    cluster.tick_until([&] { return !cluster.leader(GroupId(i)).none() && cluster.leader(GroupId(i)) != NodeId(1); },
                       20 + 3 * 40);
  }
}

TEST_P(LoopSets, LeadsAreCountedOverAllLoops) {
  for (const NodeId id : all_nodes) cluster.node(id).config.tells_leads = true;
  cluster.start_all();
  for (std::uint64_t i = 1; i <= groups; ++i) cluster.make_lead(GroupId(i), NodeId(1 + i % 2));
  for (int i = 0; i < 120; ++i) cluster.tick();
  for (const NodeId id : all_nodes) {
    const auto leads = cluster.node(id).loop->leads();
    EXPECT_EQ(leads.at(NodeId(1)), groups / 2);
    EXPECT_EQ(leads.at(NodeId(2)), groups / 2);
    EXPECT_EQ(leads.at(NodeId(3)), 0U);
  }
}

TEST_P(LoopSets, WhatIsUnknownOrElsewhereIsAnswered) {
  cluster.start_all();
  TestNode& node = cluster.node(NodeId(1));
  node.request(put_request(9'000, GroupId(999), GroupId(999), "x"));
  node.settle();
  EXPECT_EQ(node.reply(9'000).error().code, ErrorCode::not_found);
  EXPECT_EQ(node.loop->application_digest(GroupId(999)).error().code, ErrorCode::not_found);
  EXPECT_EQ(node.loop->propose(GroupId(999), "x").error().code, ErrorCode::not_found);
  cluster.make_lead(GroupId(1), NodeId(2));
  cluster.tick();
  node.request(put_request(9'001, GroupId(1), GroupId(1), "x"));
  node.settle();
  EXPECT_EQ(node.reply(9'001).error().code, ErrorCode::not_leader);
}

INSTANTIATE_TEST_SUITE_P(Loops, LoopSets,
                         testing::Values(std::vector<std::size_t>{1, 1, 1}, std::vector<std::size_t>{2, 2, 2},
                                         std::vector<std::size_t>{1, 2, 3}, std::vector<std::size_t>{5, 1, 2}));

TEST(LoopSetStart, ALogOfAnotherNumberOfLoopsIsRefused) {
  TestCluster cluster(1, {GroupConfig{group_in(0), "a", GroupRole::shard, {NodeId(1)}},
                          GroupConfig{group_in(1), "b", GroupRole::shard, {NodeId(1)}}});
  cluster.start_all();
  cluster.put(group_in(0), group_in(0), "x");
  cluster.put(group_in(1), group_in(1), "x");
  cluster.kill(NodeId(1));
  cluster.set_loops({2});
  const auto opened = cluster.node(NodeId(1)).open(make_raft_factory({}));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::refused);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("another number of loops"));
}

TEST(LoopSetStart, OneLoopThatFailsIsTheNodesFailure) {
  TestCluster cluster(1, {GroupConfig{group_in(0), "a", GroupRole::shard, {NodeId(1)}},
                          GroupConfig{group_in(1), "b", GroupRole::shard, {NodeId(1)}}});
  cluster.set_loops({2});
  cluster.start_all();
  cluster.await_leader(group_in(1));
  TestNode& node = cluster.node(NodeId(1));
  node.more_disks.front().fail_next_sync();
  node.request(put_request(1, group_in(1), group_in(1), "x"));
  node.settle();
  ASSERT_TRUE(node.loop->failure());
  EXPECT_EQ(node.loop->failure()->code, ErrorCode::io);
}

}  // namespace
}  // namespace assent
