// Stale reads in whole loops: any replica answers that can prove its age, and says so when it cannot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/node/test_cluster.h"
#include "txn_proto/machine.h"

namespace assent {
namespace {

using testing::HasSubstr;

constexpr GroupId shard{1};
const std::vector<NodeId> all_nodes{NodeId(1), NodeId(2), NodeId(3)};

class StaleReadsTest : public testing::Test {
 protected:
  void SetUp() override {
    cluster.start_all();
    leader = cluster.await_leader(shard);
    cluster.put(shard, shard, "a");
    follower = leader == NodeId(1) ? NodeId(2) : NodeId(1);
  }
  std::uint64_t ask(NodeId node, std::uint64_t millis) {
    Query query;
    query.max_staleness_micros = millis * 1'000;
    const std::uint64_t id = 1'000 + ++asked;
    cluster.node(node).request(ClientRequest{RequestId(id), shard, query});
    cluster.settle();
    return id;
  }
  QueryAnswer answer(NodeId node, std::uint64_t id) {
    const auto& reply = cluster.node(node).reply(id);
    EXPECT_TRUE(reply) << (reply ? "" : reply.error().message);
    return reply ? std::get<QueryAnswer>(*reply) : QueryAnswer{};
  }
  TestApplication& application(NodeId node) { return *cluster.node(node).applications[shard]; }

  TestCluster cluster{3, {GroupConfig{shard, "s1", GroupRole::shard, all_nodes}}};
  NodeId leader;
  NodeId follower;
  std::uint64_t asked = 0;
};

TEST_F(StaleReadsTest, AFollowerAnswersAndSaysHowOldItIs) {
  const QueryAnswer told = answer(follower, ask(follower, 1'000));
  EXPECT_EQ(told.at, cluster.node(follower).databases[shard].applied);
  ASSERT_TRUE(told.age_micros_max);
  EXPECT_LE(*told.age_micros_max, 1'000'000U);
}

TEST_F(StaleReadsTest, ALeaderAnswersTheSameWay) { EXPECT_TRUE(answer(leader, ask(leader, 1'000)).age_micros_max); }

TEST_F(StaleReadsTest, WhatIsYoungEnoughIsAnsweredWithoutAskingAnybody) {
  answer(follower, ask(follower, 1'000));
  for (const NodeId other : all_nodes) {
    if (other != follower) cluster.cut(other);
  }
  EXPECT_TRUE(answer(follower, ask(follower, 1'000)).age_micros_max);
}

TEST_F(StaleReadsTest, WhoIsCutOffSaysSoWhenItsTimeIsUp) {
  answer(follower, ask(follower, 50));
  cluster.cut(follower);
  for (int i = 0; i < 10; ++i) cluster.tick();
  const std::uint64_t id = ask(follower, 50);
  EXPECT_FALSE(cluster.node(follower).answered(id)) << "the leader may answer yet";
  cluster.tick_until([&] { return cluster.node(follower).answered(id); }, 120);
  const auto& reply = cluster.node(follower).reply(id);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::too_stale);
  EXPECT_THAT(reply.error().message, HasSubstr("more than the 50 ms"));
}

TEST_F(StaleReadsTest, ALeaderThatIsCutOffProvesNothingEither) {
  cluster.cut(leader);
  const std::uint64_t id = ask(leader, 1'000);
  cluster.tick_until([&] { return cluster.node(leader).answered(id); }, 150);
  ASSERT_FALSE(cluster.node(leader).reply(id));
  EXPECT_EQ(cluster.node(leader).reply(id).error().code, ErrorCode::too_stale);
}

TEST_F(StaleReadsTest, APreparedTransactionThatHoldsItIsWaitedFor) {
  const TxnId txn = TxnId::make(ClusterMillis(1), 2, 3);
  application(follower).prepared = {txn};
  const std::uint64_t id = ask(follower, 60'000);
  for (int i = 0; i < 5; ++i) cluster.tick();
  EXPECT_FALSE(cluster.node(follower).answered(id));
  application(follower).prepared.clear();
  cluster.tick();
  EXPECT_TRUE(answer(follower, id).age_micros_max);
  application(follower).prepared = {txn};
  const std::uint64_t in_vain = ask(follower, 60'000);
  cluster.tick_until([&] { return cluster.node(follower).answered(in_vain); }, 120);
  ASSERT_FALSE(cluster.node(follower).reply(in_vain));
  EXPECT_THAT(cluster.node(follower).reply(in_vain).error().message, HasSubstr("is in doubt and holds"));
}

TEST_F(StaleReadsTest, AReplicaThatLagsBehindItsPointWaitsForTheEntries) {
  answer(follower, ask(follower, 1'000));
  const Index before = cluster.node(follower).databases[shard].applied;
  cluster.put(shard, shard, "b");
  for (int i = 0; i < 60; ++i) cluster.tick();
  EXPECT_GT(answer(follower, ask(follower, 1)).at, before);
}

TEST(StaleReadsOfSleepers, WakeTheGroupOnlyWhenTheirPointIsTooOld) {
  TestCluster cluster(3, {GroupConfig{shard, "s1", GroupRole::shard, all_nodes}});
  cluster.sleep_after(10);
  cluster.start_all();
  const NodeId leader = cluster.await_leader(shard);
  const NodeId follower = leader == NodeId(1) ? NodeId(2) : NodeId(1);
  for (const NodeId id : all_nodes) cluster.node(id).applications[shard]->wants_rest = rest_for_ever;
  std::uint64_t id = 1'000;
  const auto ask = [&](std::uint64_t millis) {
    Query query;
    query.max_staleness_micros = millis * 1'000;
    cluster.node(follower).request(ClientRequest{RequestId(++id), shard, query});
    cluster.settle();
    cluster.tick_until([&] { return cluster.node(follower).answered(id); }, 50);
    EXPECT_TRUE(cluster.node(follower).reply(id));
  };
  ask(1'000);
  cluster.tick_until([&] { return cluster.asleep(shard); });
  ask(3'600'000);
  EXPECT_TRUE(cluster.asleep(shard)) << "its point is young enough for that";
  for (int i = 0; i < 100; ++i) cluster.tick();
  ask(20);
  EXPECT_FALSE(cluster.asleep(shard));
  cluster.tick_until([&] { return cluster.asleep(shard); });
}

// What a read took again is given back some time after the last of them.
TEST(StaleReadsOfSleepers, LetGoOnceMoreWhenTheyEnd) {
  TestCluster cluster(3, {GroupConfig{shard, "s1", GroupRole::shard, all_nodes}});
  cluster.sleep_after(10);
  cluster.start_all();
  cluster.await_leader(shard);
  const NodeId reader(1);
  TestApplication& application = *cluster.node(reader).applications[shard];
  for (const NodeId id : all_nodes) cluster.node(id).applications[shard]->wants_rest = rest_for_ever;
  std::uint64_t id = 1'000;
  const auto ask = [&] {
    Query query;
    query.max_staleness_micros = 3'600'000'000;
    cluster.node(reader).request(ClientRequest{RequestId(++id), shard, query});
    cluster.settle();
    cluster.tick_until([&] { return cluster.node(reader).answered(id); }, 50);
    EXPECT_TRUE(cluster.node(reader).reply(id));
  };
  ask();  // so that it has a point
  const std::uint64_t wait = Limits{}.let_go_ticks;
  cluster.tick_until([&] { return cluster.asleep(shard); });
  for (std::uint64_t i = 0; i < wait + 10; ++i) cluster.tick();
  const std::uint64_t before = application.let_gos;
  for (std::uint64_t i = 0; i < wait * 2; ++i) {
    if (i % (wait / 2) == 0) ask();
    cluster.tick();
  }
  EXPECT_TRUE(cluster.asleep(shard));
  EXPECT_EQ(application.let_gos, before) << "not between two reads";
  for (std::uint64_t i = 0; i < wait + 1; ++i) cluster.tick();
  EXPECT_EQ(application.let_gos, before + 1);
}

}  // namespace
}  // namespace assent
