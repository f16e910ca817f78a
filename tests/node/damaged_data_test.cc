// Data that an application keeps beside the log turn out to be damaged: they are set aside, and the group is begun anew
// from snapshot and log; with a damaged snapshot, from its leader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/node/test_cluster.h"

namespace assent {
namespace {

const GroupId s1(2);
const GroupId s2(3);
const NodeId first(1);
const NodeId third(3);
const std::vector<NodeId> three{first, NodeId(2), third};

class DamagedDataTest : public ::testing::Test {
 protected:
  DamagedDataTest() {
    for (const NodeId id : three) {
      TestNode& node = cluster.node(id);
      node.config.application_files = [&node](const GroupConfig& group) {
        node.databases[group.id] = {};
        return std::vector<std::string>{"shards/" + group.name + ".db"};
      };
    }
  }
  void start_all() {
    cluster.start_all();
    cluster.make_lead(s1, first);
    for (int i = 0; i < 10; ++i) put_both(fmt::format("text {}", i));
    cluster.tick_until([&] { return same_everywhere(s1) && same_everywhere(s2); });
  }
  void put_both(const std::string& text) {
    cluster.put(s1, s1, text);
    cluster.put(s2, s2, text);
  }
  [[nodiscard]] const std::vector<Bytes>& texts(NodeId node, GroupId group) {
    return cluster.node(node).databases[group].texts;
  }
  [[nodiscard]] bool same_everywhere(GroupId group) {
    return texts(third, group) == texts(first, group) && texts(NodeId(2), group) == texts(first, group);
  }
  void strike(NodeId node, GroupId group) {
    TestApplication& application = *cluster.node(node).applications[group];
    application.unwell = true;
    application.unwell_code = ErrorCode::corruption;
  }

  TestCluster cluster{
      3, {GroupConfig{s1, "s1", GroupRole::shard, three}, GroupConfig{s2, "s2", GroupRole::shard, three}}, 4};
};

TEST_F(DamagedDataTest, OfARunningFollowerAreMadeAgain) {
  start_all();
  int remade = 0;
  Loop::Observer observer;
  observer.remade = [&](const GroupConfig& group) {
    ++remade;
    EXPECT_EQ(group.id, s1);
  };
  cluster.node(third).loop->observe(observer);
  strike(third, s1);
  put_both("after");
  cluster.tick_until([&] { return same_everywhere(s1) && same_everywhere(s2); });
  EXPECT_EQ(remade, 1);
  EXPECT_GE(cluster.node(third).databases[s1].restored, 1U) << "from the snapshot";
  EXPECT_EQ(texts(third, s1).size(), 11U);
}

TEST_F(DamagedDataTest, OfARunningLeaderAreMadeAgainWhileAnotherLeads) {
  start_all();
  strike(first, s1);
  const std::uint64_t asked = cluster.put(s1, s1, "asked of who cannot read any more");
  EXPECT_TRUE(cluster.node(first).answered(asked));
  cluster.tick_until([&] { return !cluster.leader(s1).none() && !cluster.node(first).applications[s1]->unwell; });
  cluster.put(s1, s1, "after");
  cluster.tick_until([&] { return same_everywhere(s1); });
  EXPECT_THAT(texts(first, s1), testing::Contains("after"));
}

// The scrubber of the host says so.
TEST_F(DamagedDataTest, ThatAScrubberFindsAreMadeAgain) {
  start_all();
  const ColdFile database{.kind = ColdFile::Kind::other, .path = "shards/s2.db", .group = s2};
  cluster.node(third).databases[s2].texts.front() = "rotten";
  ASSERT_FALSE(same_everywhere(s2));
  EXPECT_TRUE(cluster.node(third).loop->repair(database));
  cluster.tick_until([&] { return same_everywhere(s2); });
  const ColdFile strange{.kind = ColdFile::Kind::other, .path = "shards/none.db", .group = GroupId(99)};
  EXPECT_FALSE(cluster.node(third).loop->repair(strange));
}

TEST_F(DamagedDataTest, ThatCannotBeOpenedAreMadeAgain) {
  start_all();
  cluster.kill(third);
  bool damaged = true;
  TestNode& node = cluster.node(third);
  node.factory = [&](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
    if (group.id == s1 && std::exchange(damaged, false)) return fail(ErrorCode::corruption, "not a database");
    auto made = std::make_unique<TestApplication>(group.id, node.databases[group.id]);
    node.applications[group.id] = made.get();
    return std::unique_ptr<Application>(std::move(made));
  };
  cluster.start(third);
  EXPECT_THAT(node.loop->recovery().damages, testing::ElementsAre(testing::HasSubstr("not a database")));
  cluster.tick_until([&] { return same_everywhere(s1) && same_everywhere(s2); });
  EXPECT_EQ(node.databases[s2].restored, 0U) << "the others keep what they have";
}

TEST_F(DamagedDataTest, AndASnapshotBesideComeFromTheLeader) {
  start_all();
  cluster.kill(third);
  TestNode& node = cluster.node(third);
  node.databases[s1] = {};
  const std::vector<std::string> names = *node.disk.list("snapshots");
  for (const std::string& name : names) {
    EXPECT_TRUE(!name.starts_with("g2-") || node.disk.remove("snapshots/" + name));
  }
  cluster.start(third);
  EXPECT_EQ(node.loop->application(s1), nullptr);
  cluster.tick_until([&] { return same_everywhere(s1) && same_everywhere(s2); });
  for (const GroupStatus& group : node.loop->status()) EXPECT_FALSE(group.lost) << group.config.name;
  cluster.kill(third);
  cluster.start(third);
  EXPECT_TRUE(node.loop->recovery().lost.empty());
  cluster.tick_until([&] { return same_everywhere(s1); });
}

}  // namespace
}  // namespace assent
