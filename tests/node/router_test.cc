#include "node/router.h"

#include <gtest/gtest.h>

#include <vector>

namespace assent {
namespace {

constexpr GroupId here{1};       // a group that this node carries
constexpr GroupId elsewhere{2};  // one that it does not
constexpr NodeId self{1};

Router make() {
  return Router(self,
                {GroupConfig{here, "c0", GroupRole::coordinator, {NodeId(1), NodeId(2), NodeId(3)}},
                 GroupConfig{elsewhere, "s1", GroupRole::shard, {NodeId(2), NodeId(3), NodeId(4)}}},
                {NodeId(1), NodeId(2), NodeId(3), NodeId(4)});
}

Leadership led_by(std::uint64_t epoch, std::uint64_t node) {
  return Leadership{Epoch(epoch), NodeId(node), NodeId(node) == self, false};
}

using Nodes = std::vector<NodeId>;

Nodes routed(Router& router, GroupId group) {
  const auto route = router.route(group);
  return {route.begin(), route.end()};
}

void pass(Router& router, std::uint64_t ticks) {
  for (std::uint64_t i = 0; i < ticks; ++i) router.tick();
}

TEST(Router, AsksAllOtherMembersWhileNobodyIsKnown) {
  Router router = make();
  EXPECT_TRUE(router.leader(here).node.none());
  EXPECT_EQ(routed(router, here), (Nodes{NodeId(2), NodeId(3)}));
  EXPECT_EQ(routed(router, elsewhere), (Nodes{NodeId(2), NodeId(3), NodeId(4)}));
}

TEST(Router, WhoBelongsToAGroupNowIsAskedAndWhereThatIsNotKnownEverybodyIs) {
  Router router = make();
  router.members(here, {NodeId(1), NodeId(4)});
  EXPECT_EQ(routed(router, here), Nodes{NodeId(4)});
  router.members(here, {NodeId(1), NodeId(3), NodeId(4)});
  router.learn(here, {Epoch(1), NodeId(4)});
  EXPECT_EQ(routed(router, here), Nodes{NodeId(4)});
  Router outside(NodeId(9), {GroupConfig{elsewhere, "s1", GroupRole::shard, {NodeId(2)}}},
                 {NodeId(2), NodeId(3), NodeId(9)});
  EXPECT_EQ(routed(outside, elsewhere), Nodes{NodeId(2)});
  pass(outside, Router::unconfirmed_ticks + 1);
  EXPECT_EQ(routed(outside, elsewhere), (Nodes{NodeId(2), NodeId(3)})) << "the only founder has said nothing";
  outside.members(elsewhere, {NodeId(9)});
  outside.learn(elsewhere, {Epoch(1), NodeId(3)});
  EXPECT_EQ(routed(outside, elsewhere), Nodes{NodeId(3)});
  outside.believe(elsewhere, {Epoch(2), {}, false, false});
  EXPECT_EQ(routed(outside, elsewhere), (Nodes{NodeId(2), NodeId(3)})) << "alone in the group, and not its leader";
}

TEST(Router, AnUnknownGroupHasNoPlace) {
  Router router = make();
  EXPECT_FALSE(router.knows(GroupId(7)));
  EXPECT_TRUE(router.route(GroupId(7)).empty());
  router.learn(GroupId(7), {Epoch(1), NodeId(2)});
  EXPECT_TRUE(router.leader(GroupId(7)).node.none());
}

TEST(Router, TheHigherEpochWins) {
  Router router = make();
  router.believe(here, led_by(5, 2));
  router.learn(here, {Epoch(6), NodeId(3)});
  EXPECT_EQ(routed(router, here), Nodes{NodeId(3)});
  router.believe(here, led_by(7, 1));
  EXPECT_EQ(routed(router, here), Nodes{self});
  router.learn(here, {Epoch(5), NodeId(2)});
  EXPECT_EQ(routed(router, here), Nodes{self});
}

// The own replica has seen that epoch 5 is over: whoever led it does so no more.
TEST(Router, ALeaderOfAPastEpochIsNobody) {
  Router router = make();
  router.learn(here, {Epoch(5), NodeId(2)});
  router.believe(here, led_by(6, 0));
  EXPECT_TRUE(router.leader(here).node.none());
  router.learn(here, {Epoch(6), NodeId(3)});
  EXPECT_EQ(router.leader(here).node, NodeId(3));
}

TEST(Router, HintsToStrangersOrToItselfAreIgnored) {
  Router router = make();
  router.learn(elsewhere, {Epoch(5), NodeId(9)});
  router.learn(elsewhere, {Epoch(5), NodeId(0)});
  EXPECT_TRUE(router.leader(elsewhere).node.none());
  router.learn(here, {Epoch(5), self});
  EXPECT_TRUE(router.leader(here).node.none());
}

// A hint that leads to a dead node must not be followed for ever.
TEST(Router, AHintThatNothingConfirmsIsForgottenAfterUse) {
  Router router = make();
  router.learn(elsewhere, {Epoch(5), NodeId(4)});
  pass(router, 3 * Router::unconfirmed_ticks);
  EXPECT_EQ(routed(router, elsewhere), Nodes{NodeId(4)}) << "idle time does not make it wrong";

  pass(router, Router::unconfirmed_ticks);
  router.hear(elsewhere, {Epoch(5), NodeId(4)});
  pass(router, Router::unconfirmed_ticks);
  EXPECT_EQ(routed(router, elsewhere), Nodes{NodeId(4)}) << "it was heard";

  pass(router, Router::unconfirmed_ticks + 1);
  EXPECT_TRUE(router.leader(elsewhere).node.none());
}

// Members who left a group may go on to name a leader who left it, too (simulator, seed 2189).
TEST(Router, AWrongHintThatIsRepeatedDoesNotKeepEverybodyFromBeingAsked) {
  Router router(NodeId(9), {GroupConfig{elsewhere, "s1", GroupRole::shard, {NodeId(2), NodeId(3)}}},
                {NodeId(2), NodeId(3), NodeId(4), NodeId(9)});
  EXPECT_EQ(routed(router, elsewhere), (Nodes{NodeId(2), NodeId(3)}));
  for (std::uint64_t i = 0; i < 2 * Router::unconfirmed_ticks; ++i) {
    router.learn(elsewhere, {Epoch(5), NodeId(3)});
    EXPECT_EQ(routed(router, elsewhere), Nodes{NodeId(3)});
    router.tick();
    if (!router.leader(elsewhere).node.none()) continue;
    EXPECT_EQ(routed(router, elsewhere), (Nodes{NodeId(2), NodeId(3), NodeId(4)}));
    return;
  }
  FAIL() << "the hint was followed for ever";
}

}  // namespace
}  // namespace assent
