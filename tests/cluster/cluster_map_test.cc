#include "cluster/cluster_map.h"

#include <gtest/gtest.h>

#include "cluster/map_change.h"

namespace assent {
namespace {

ClusterMap configured() {
  ClusterMap map;
  for (const char* name : {"n1", "n2", "n3"}) {
    map.nodes.push_back({name, std::string(name) + ":7420", std::string(name) + ":7421"});
  }
  const std::vector<MapFounder> all{{"n1", 0}, {"n2", 0}, {"n3", 0}};
  map.groups = {{.name = "c0", .kind = GroupKind::coordinator, .founders = all, .in_ring = false},
                {.name = "s1", .kind = GroupKind::shard, .founders = all},
                {.name = "s2", .kind = GroupKind::shard, .founders = all}};
  return map;
}

std::string refusal(const ClusterMap& map, const MapChange& change) {
  const auto next = changed(map, change);
  return next ? "taken" : next.error().message;
}

TEST(ClusterMap, ComesBackFromItsBytes) {
  ClusterMap map = configured();
  map.epoch = 17;
  map.groups.push_back({.name = "s3", .founders = {{"n1", 9}}, .since = 17, .in_ring = false});
  const auto again = decode_cluster_map(encode(map));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, map);
}

TEST(ClusterMap, EveryCutAndEveryChangedByteIsAMapOrRefused) {
  const Bytes bytes = encode(configured());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(decode_cluster_map(ByteView(bytes).substr(0, i)));
    for (const int bit : {0, 3, 7}) {
      Bytes other = bytes;
      other[i] = static_cast<char>(other[i] ^ (1 << bit));
      if (const auto map = decode_cluster_map(other)) {
        EXPECT_EQ(encode(*map), other);
      }
    }
  }
}

TEST(ClusterMap, NamesThatDoNotAscendAreNoMap) {
  ClusterMap map = configured();
  std::swap(map.nodes[0], map.nodes[1]);
  EXPECT_FALSE(decode_cluster_map(encode(map)));
}

TEST(MapChange, ANodeComesAndGoes) {
  const auto four = changed(configured(), MapChange(AddNode{{"n4", "n4:7420", "n4:7421"}}));
  ASSERT_TRUE(four);
  EXPECT_EQ(four->epoch, 1U);
  ASSERT_NE(four->node("n4"), nullptr);
  const auto three = changed(*four, MapChange(RemoveNode{"n1"}));
  ASSERT_TRUE(three);
  EXPECT_EQ(three->epoch, 2U);
  EXPECT_EQ(three->node("n1"), nullptr);
  EXPECT_EQ(three->groups, configured().groups) << "who founded a group did so whatever becomes of the node";
}

TEST(MapChange, AShardKnowsTheEpochItCameWith) {
  const auto next = changed(configured(), MapChange(CreateShard{"s3", {{"n3", 5}, {"n1", 0}, {"n2", 0}}, false}));
  ASSERT_TRUE(next);
  const MapGroup* s3 = next->group("s3");
  ASSERT_NE(s3, nullptr);
  EXPECT_EQ(s3->since, 1U);
  EXPECT_EQ(s3->founders, (std::vector<MapFounder>{{"n1", 0}, {"n2", 0}, {"n3", 5}}));
  EXPECT_EQ(next->ring_shards(), (std::vector<std::string>{"s1", "s2"}));
  const auto joined = changed(*next, MapChange(PutInRing{"s3", true}));
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->ring_shards(), (std::vector<std::string>{"s1", "s2", "s3"}));
}

TEST(MapChange, RefusesWhatWouldBeWrongAndSaysWhy) {
  const ClusterMap map = configured();
  const auto shard = [](std::string name, std::vector<MapFounder> founders) {
    return MapChange(CreateShard{std::move(name), std::move(founders), false});
  };
  EXPECT_EQ(refusal(map, AddNode{{"n1", "", "x:1"}}), "there is a node n1 already; choose another name");
  EXPECT_EQ(refusal(map, AddNode{{"N4", "", "x:1"}}),
            "\"N4\" is not a name; use 1 to 63 lower-case letters, digits, '-', '_' and '.'");
  EXPECT_EQ(refusal(map, AddNode{{"n4", "", "n2:7421"}}), "n2:7421 is the address of n2; every node needs its own");
  EXPECT_EQ(refusal(map, AddNode{{"n4", "", ""}}), "the peer address \"\" of n4 is not host:port");
  EXPECT_EQ(refusal(map, AddNode{{"n4", "x:70000", "x:1"}}), "the client address \"x:70000\" of n4 is not host:port");
  EXPECT_EQ(refusal(map, AddNode{{"n4", "x:1", "x:1"}}),
            "x:1 is given for peers and for clients; each needs a port of its own");
  EXPECT_EQ(refusal(map, RemoveNode{"n9"}), "there is no node \"n9\"; there are n1, n2, n3");
  EXPECT_EQ(refusal(map, shard("s1", {{"n1", 0}})), "there is a group s1 already; choose another name");
  EXPECT_EQ(refusal(map, shard("s3", {{"n1", 0}, {"n2", 0}})),
            "s3 would have 2 replicas; name an odd number: an even one survives no more losses than one less");
  EXPECT_EQ(refusal(map, shard("s3", {{"n4", 0}})), "there is no node \"n4\"; there are n1, n2, n3");
  EXPECT_EQ(refusal(map, shard("s3", {{"n1", 0}, {"n1", 1}, {"n2", 0}})), "n1 is named twice");
  EXPECT_EQ(refusal(map, PutInRing{"c0", true}), "there is no shard \"c0\"");
  EXPECT_EQ(refusal(map, PutInRing{"s1", true}), "s1 is in the ring already");
  const auto one_left = changed(map, MapChange(PutInRing{"s1", false}));
  ASSERT_TRUE(one_left);
  EXPECT_EQ(refusal(*one_left, PutInRing{"s2", false}), "s2 is the last shard in the ring; keys must belong to one");
}

TEST(MapChange, OnlyTheEpochThatItFollowsIsChanged) {
  const MapCommand first{0, configured(), RemoveNode{"n3"}};
  const auto one = changed(ClusterMap{}, first);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->epoch, 1U);
  const auto twice = changed(*one, first);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, ErrorCode::conflict);
  const auto two = changed(*one, MapCommand{1, {}, RemoveNode{"n2"}});
  ASSERT_TRUE(two);
  EXPECT_EQ(two->nodes.size(), 1U);
}

// One that is taken and cannot be read would stop every replica that applies it.
TEST(MapChange, WhatIsTakenCanBeReadAgain) {
  const MapCommand unsorted{0, configured(), CreateShard{"s3", {{"n3", 7}, {"n1", 0}, {"n2", 0}}, true}};
  const auto taken = changed(ClusterMap{}, unsorted);
  ASSERT_TRUE(taken);
  const auto again = decode_map_command(encode(unsorted));
  ASSERT_TRUE(again);
  const auto applied = changed(ClusterMap{}, *again);
  ASSERT_TRUE(applied);
  EXPECT_EQ(*applied, *taken);
}

TEST(MapChange, CommandsComeBackFromTheirBytes) {
  const std::vector<MapCommand> commands{
      {0, configured(), AddNode{{"n4", "a:1", "a:2"}}},
      {3, {}, RemoveNode{"n1"}},
      {4, {}, CreateShard{"s3", {{"n1", 7}, {"n2", 0}, {"n3", 0}}, true}},
      {5, {}, PutInRing{"s3", false}},
  };
  for (const MapCommand& command : commands) {
    const Bytes bytes = encode(command);
    const auto again = decode_map_command(bytes);
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, command);
    for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_FALSE(decode_map_command(ByteView(bytes).substr(0, i)));
  }
}

}  // namespace
}  // namespace assent
