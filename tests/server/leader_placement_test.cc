#include "server/leader_placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assent {
namespace {

const NodeId self(1);
const NodeId other(2);
const NodeId third(3);

GroupStatus group(const char* name, GroupRole role, NodeId leader, Epoch epoch = Epoch(7)) {
  GroupStatus status;
  status.config = {.id = GroupId(static_cast<std::uint64_t>(name[0]) * 256 + static_cast<std::uint64_t>(name[1])),
                   .name = name,
                   .role = role,
                   .members = {self, other, third}};
  status.log.leadership = {
      .epoch = epoch, .leader = leader, .self_leads = leader == self, .self_ready = leader == self};
  status.log.last = Index(5000);
  status.log.members = status.config.members;
  if (leader == self) {
    status.log.peers.push_back({.member = other, .match = Index(5000), .recently_active = true});
    status.log.peers.push_back({.member = third, .match = Index(5000), .recently_active = true});
  }
  return status;
}

std::vector<std::string> named(const std::vector<GroupStatus>& groups, const std::vector<TransferLeadership>& moves) {
  std::vector<std::string> names;
  for (const TransferLeadership& move : moves) {
    for (const GroupStatus& status : groups) {
      if (status.config.id == move.group) names.push_back(status.config.name + ">" + std::to_string(move.to.value));
    }
  }
  return names;
}

TEST(LeaderPlacement, SendsLeadersToTheCoordinators) {
  LeaderPlacement placement(self);
  const std::vector groups{group("s1", GroupRole::shard, self), group("c0", GroupRole::coordinator, other),
                           group("s2", GroupRole::shard, third)};
  EXPECT_THAT(named(groups, placement.moves(groups)), ::testing::ElementsAre("s1>2"));
}

TEST(LeaderPlacement, TheAnchorStays) {
  LeaderPlacement placement(self);
  const std::vector groups{group("c0", GroupRole::coordinator, self), group("c1", GroupRole::coordinator, other),
                           group("s1", GroupRole::shard, self)};
  EXPECT_TRUE(placement.moves(groups).empty());
}

TEST(LeaderPlacement, WithoutCoordinatorsTheFirstGroupIsTheAnchor) {
  LeaderPlacement placement(self);
  const std::vector groups{group("s2", GroupRole::shard, self), group("s1", GroupRole::shard, third)};
  EXPECT_THAT(named(groups, placement.moves(groups)), ::testing::ElementsAre("s2>3"));
}

TEST(LeaderPlacement, OnceAnEpoch) {
  LeaderPlacement placement(self);
  std::vector groups{group("c0", GroupRole::coordinator, other), group("s1", GroupRole::shard, self)};
  EXPECT_EQ(placement.moves(groups).size(), 1U);
  EXPECT_TRUE(placement.moves(groups).empty());
  groups[1] = group("s1", GroupRole::shard, self, Epoch(9));
  EXPECT_EQ(placement.moves(groups).size(), 1U);
}

TEST(LeaderPlacement, NotToWhoIsAwayOrBehindOrNoMember) {
  LeaderPlacement placement(self);
  std::vector groups{group("c0", GroupRole::coordinator, other), group("s1", GroupRole::shard, self)};
  groups[1].log.peers[0].recently_active = false;
  EXPECT_TRUE(placement.moves(groups).empty());
  groups[1].log.peers[0] = {.member = other, .match = Index(100), .recently_active = true};
  EXPECT_TRUE(placement.moves(groups).empty());
  groups[1].log.peers.erase(groups[1].log.peers.begin());
  EXPECT_TRUE(placement.moves(groups).empty());
  groups[0] = group("c0", GroupRole::coordinator, NodeId());
  EXPECT_TRUE(placement.moves(groups).empty());
}

}  // namespace
}  // namespace assent
