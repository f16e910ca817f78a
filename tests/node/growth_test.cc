// A cluster that changes while its nodes run: groups and nodes that come, the map that tells of them, and who has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "cluster/map_change.h"
#include "node/map_app.h"
#include "tests/node/test_cluster.h"

namespace assent {
namespace {

const GroupId map_id = group_id(map_group_name);
const GroupId s1(2);
const GroupId s3(30);
const std::vector<NodeId> three{NodeId(1), NodeId(2), NodeId(3)};
const std::vector<NodeId> five{NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)};

const GroupConfig map_config{map_id, "_map", GroupRole::map, three};
const GroupConfig s1_config{s1, "s1", GroupRole::shard, three};

// n4 and n5 came with disks of their own.
GroupConfig s3_config() {
  GroupConfig config{s3, "s3", GroupRole::shard, {NodeId(3), NodeId(4), NodeId(5)}};
  config.founders = {Member(NodeId(3)), Member(NodeId(4), 44), Member(NodeId(5), 55)};
  return config;
}

class Growth : public ::testing::Test {
 protected:
  Growth() {
    for (const std::uint64_t late : {4U, 5U}) {
      NodeConfig& config = cluster.node(NodeId(late)).config;
      config.disk = 11 * late;
      config.groups = {map_config, s1_config};
      config.nodes = five;  // who joins has been told of all
    }
    for (const NodeId node : three) cluster.node(node).config.nodes = three;
  }
  void adopt_everywhere(const std::vector<GroupConfig>& groups) {
    for (const NodeId node : five) {
      cluster.node(node).loop->adopt(five, groups);
      kept.insert(node);
    }
    cluster.settle();
  }
  [[nodiscard]] bool carries(NodeId node, GroupId group) {
    return cluster.node(node).loop->application(group) != nullptr;
  }

  TestCluster cluster{5, {map_config, s1_config}};
  std::set<NodeId> kept;
};

TEST_F(Growth, AGroupThatComesAtRuntimeIsFoundedByItsFoundersAndServes) {
  cluster.start_all();
  cluster.await_leader(s1);
  adopt_everywhere({s3_config()});
  for (const NodeId node : five) EXPECT_EQ(carries(node, s3), node.value >= 3) << node.value;
  cluster.await_leader(s3);
  const std::uint64_t id = cluster.put(s3, s3, "first");
  EXPECT_TRUE(cluster.node(cluster.leader(s3)).reply(id));
  cluster.put(s1, s3, "from s1");  // to a group that came later, from one that was there
  cluster.tick_until([&] { return !cluster.node(cluster.leader(s3)).applications[s3]->received.empty(); });
}

TEST_F(Growth, WhoFoundedAGroupWithAnotherDiskDoesNotFoundItAgain) {
  cluster.node(NodeId(4)).config.disk = 99;
  cluster.start_all();
  adopt_everywhere({s3_config()});
  EXPECT_FALSE(carries(NodeId(4), s3)) << "what was promised with disk 44 is not known here";
  EXPECT_TRUE(carries(NodeId(5), s3));
  cluster.await_leader(s3);  // n3 and n5 are two of three
}

TEST_F(Growth, AdoptingTwiceChangesNothing) {
  cluster.start_all();
  adopt_everywhere({s3_config()});
  cluster.await_leader(s3);
  cluster.put(s3, s3, "kept");
  adopt_everywhere({s3_config(), s1_config});
  const NodeId leader = cluster.leader(s3);
  EXPECT_FALSE(leader.none());
  EXPECT_THAT(cluster.node(leader).databases[s3].texts, ::testing::ElementsAre("kept"));
}

TEST_F(Growth, WhatAGroupPromisedIsThereAfterARestartThatNamesItLate) {
  cluster.start_all();
  adopt_everywhere({s3_config()});
  cluster.await_leader(s3);
  cluster.put(s3, s3, "before");
  for (const NodeId node : five) cluster.kill(node);
  cluster.start_all();  // none of the configurations names s3
  EXPECT_FALSE(carries(NodeId(4), s3));
  adopt_everywhere({s3_config()});
  cluster.await_leader(s3);
  cluster.put(s3, s3, "after");
  EXPECT_THAT(cluster.node(cluster.leader(s3)).databases[s3].texts, ::testing::ElementsAre("before", "after"));
}

TEST_F(Growth, ANodeThatLeftIsSpokenToNoMore) {
  cluster.start_all();
  cluster.await_leader(s1);
  for (const NodeId node : three) cluster.node(node).loop->adopt({NodeId(1), NodeId(2), NodeId(3), NodeId(4)}, {});
  cluster.settle();
  for (const NodeId node : three) {
    cluster.node(node).loop->announce({1, "map"});
    cluster.node(node).flush();
    for (const auto& [to, frame] : cluster.node(node).transport.frames) EXPECT_NE(to, NodeId(5));
  }
}

// ---- the map ----

TEST_F(Growth, WhoHasAnOlderMapIsToldTheNewerOne) {
  cluster.start_all();
  for (const NodeId node : three) cluster.node(node).loop->adopt(five, {});
  cluster.node(NodeId(2)).loop->announce({7, "seven"});
  cluster.settle();
  for (const NodeId node : {NodeId(1), NodeId(3), NodeId(4), NodeId(5)}) {
    const auto news = cluster.node(node).loop->take_map_news();
    ASSERT_TRUE(news) << node.value;
    EXPECT_EQ(news->epoch, 7U);
    EXPECT_EQ(news->map, "seven");
    EXPECT_FALSE(cluster.node(node).loop->take_map_news()) << "once";
  }
  EXPECT_FALSE(cluster.node(NodeId(2)).loop->take_map_news());
}

TEST_F(Growth, WhoMissedAMapHearsOfItOnceItIsBack) {
  cluster.start_all();
  for (const NodeId node : three) cluster.node(node).loop->adopt(five, {});
  cluster.cut(NodeId(5));
  cluster.node(NodeId(1)).loop->announce({3, "three"});
  cluster.settle();
  EXPECT_FALSE(cluster.node(NodeId(5)).loop->take_map_news());
  cluster.heal();
  std::optional<MapNews> news;
  cluster.tick_until([&] { return news || (news = cluster.node(NodeId(5)).loop->take_map_news()); });
  EXPECT_EQ(news->epoch, 3U);
}

TEST_F(Growth, NobodySaysAnythingOfMapsBeforeTheFirstChange) {
  cluster.start_all();
  for (int i = 0; i < 300; ++i) {
    for (const NodeId node : five) {
      cluster.node(node).loop->tick();
      cluster.node(node).settle();
      for (const auto& [to, frame] : std::exchange(cluster.node(node).transport.frames, {})) {
        std::vector<FrameItem> items;
        ASSERT_TRUE(decode_frame(frame, items));
        for (const FrameItem& item : items) EXPECT_FALSE(std::holds_alternative<MapItem>(item));
      }
    }
  }
}

// ---- its group ----

ApplicationFactory maps_and_texts() {
  return [](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
    if (group.role == GroupRole::map) return std::make_unique<MapApp>();
    static std::map<GroupId, TestDatabase> unused;
    return std::make_unique<TestApplication>(group.id, unused[group.id]);
  };
}

const ClusterMap& map_of(TestCluster& cluster, NodeId node) {
  return dynamic_cast<const MapApp&>(*cluster.node(node).loop->application(map_id)).map();
}

Bytes add(std::uint64_t expected, const std::string& name) {
  MapCommand command{expected, {}, AddNode{{name, name + ":1", name + ":2"}}};
  if (expected == 0) command.base.nodes = {{"n1", "n1:1", "n1:2"}};
  return encode(command);
}

TEST(MapGroup, AChangeThatFollowsAnotherEpochIsNone) {
  TestCluster cluster(3, {map_config}, 0, maps_and_texts());
  cluster.start_all();
  Loop& leader = *cluster.node(cluster.await_leader(map_id)).loop;
  ASSERT_TRUE(leader.propose(map_id, add(0, "n4")));
  ASSERT_TRUE(leader.propose(map_id, add(0, "n5")));  // both were judged by the map of before
  ASSERT_TRUE(leader.propose(map_id, add(1, "n6")));
  cluster.tick_until([&] { return map_of(cluster, NodeId(1)).epoch == 2 && map_of(cluster, NodeId(3)).epoch == 2; });
  const ClusterMap& map = map_of(cluster, NodeId(2));
  EXPECT_NE(map.node("n4"), nullptr);
  EXPECT_EQ(map.node("n5"), nullptr);
  EXPECT_NE(map.node("n6"), nullptr);
}

TEST(MapGroup, OnlyItsLeaderTakesAChange) {
  TestCluster cluster(3, {map_config}, 0, maps_and_texts());
  cluster.start_all();
  const NodeId leader = cluster.await_leader(map_id);
  const NodeId other(leader.value % 3 + 1);
  const auto refused = cluster.node(other).loop->propose(map_id, add(0, "n4"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_leader);
}

TEST(MapGroup, ComesBackFromSnapshotAndLog) {
  TestCluster cluster(3, {map_config}, 4, maps_and_texts());
  cluster.start_all();
  for (std::uint64_t epoch = 0; epoch < 10; ++epoch) {
    Loop& leader = *cluster.node(cluster.await_leader(map_id)).loop;
    ASSERT_TRUE(leader.propose(map_id, add(epoch, "m" + std::to_string(epoch))));
    cluster.tick_until([&] { return map_of(cluster, NodeId(1)).epoch == epoch + 1; });
  }
  const ClusterMap before = map_of(cluster, NodeId(1));
  for (const NodeId node : three) cluster.kill(node);
  cluster.start_all();
  cluster.tick_until([&] { return map_of(cluster, NodeId(1)) == before && map_of(cluster, NodeId(2)) == before; });
}

TEST(MapGroup, ACommandOfALaterVersionStopsTheReplica) {
  MapApp app;
  Bytes bytes = add(0, "n4");
  bytes[0] = 2;
  Entry entry;
  entry.index = Index(1);
  entry.payload = bytes;
  EXPECT_FALSE(app.apply(entry));
}

}  // namespace
}  // namespace assent
