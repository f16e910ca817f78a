#include "cluster/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/digest.h"
#include "cluster/ring.h"

namespace assent {
namespace {

std::vector<std::string> nodes(int count) {
  std::vector<std::string> names;
  for (int i = 1; i <= count; ++i) names.push_back("n" + std::to_string(i));
  return names;
}

TEST(Placement, OrderOfTheNodesDoesNotMatter) {
  auto backwards = nodes(7);
  std::reverse(backwards.begin(), backwards.end());
  EXPECT_EQ(by_weight("s1", nodes(7)), by_weight("s1", backwards));
}

// The rule is part of the documentation: whoever computes it elsewhere must come to the same.
TEST(Placement, IsWhatTheDocumentationSays) {
  EXPECT_EQ(placement_weight("s1", "n1"), xxh3(std::string_view("s1\0n1", 5)));
  EXPECT_EQ(placement_weight("s1", "n1") > placement_weight("s1", "n2"), by_weight("s1", {"n2", "n1"}).front() == "n1");
}

TEST(Placement, ANodeThatComesOrGoesMovesNobodyElse) {
  for (int i = 0; i < 200; ++i) {
    const std::string group = "g" + std::to_string(i);
    auto eight = by_weight(group, nodes(8));
    std::erase(eight, "n8");
    EXPECT_EQ(eight, by_weight(group, nodes(7)));
  }
}

TEST(Placement, SharesAreEven) {
  std::map<std::string, int> first;
  for (int i = 0; i < 10'000; ++i) ++first[by_weight("g" + std::to_string(i), nodes(5)).front()];
  for (const auto& [node, count] : first) EXPECT_NEAR(count, 2'000, 200) << node;
}

TEST(Ring, NoShardsNoOwner) { EXPECT_EQ(HashRing({}).shard_of("k"), ""); }

TEST(Ring, KeysAreSharedAmongAllShards) {
  const HashRing ring({"s1", "s2", "s3", "s4"});
  std::map<std::string, int> keys;
  for (int i = 0; i < 20'000; ++i) ++keys[std::string(ring.shard_of("key" + std::to_string(i)))];
  ASSERT_EQ(keys.size(), 4U);
  for (const auto& [shard, count] : keys) EXPECT_NEAR(count, 5'000, 1'250) << shard;
}

TEST(Ring, AShardThatJoinsTakesKeysAndMovesNoOther) {
  const HashRing before({"s1", "s2", "s3"});
  const HashRing after({"s3", "s4", "s2", "s1"});
  int taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "key" + std::to_string(i);
    if (after.shard_of(key) == before.shard_of(key)) continue;
    EXPECT_EQ(after.shard_of(key), "s4");
    ++taken;
  }
  EXPECT_NEAR(taken, 5'000, 1'250);
}

TEST(Ring, IsWhatTheDocumentationSays) {
  const std::vector<std::string> shards{"s1", "s2"};
  const HashRing ring(shards);
  for (const std::string key : {"", "alice", "bob", "\xFF\x00 any bytes"}) {
    const std::uint64_t place = xxh3(key);
    std::pair<std::uint64_t, std::string> best{~0ULL, ""};
    for (const std::string& shard : shards) {
      for (int i = 0; i < 128; ++i) {
        const std::uint64_t distance = xxh3(shard + "#" + std::to_string(i)) - place;  // going round
        best = std::min(best, {distance, shard});
      }
    }
    EXPECT_EQ(ring.shard_of(key), best.second) << key;
  }
}

}  // namespace
}  // namespace assent
