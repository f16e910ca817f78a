// A cluster grows and shrinks under the bank: nodes that no configuration names join, a shard is created on them, money
// moves over it, a node leaves, nodes are killed and come back, and the books are right. Real processes; commands as an
// operator gives them.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/ring.h"
#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"
#include "tests/integration/operator.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

ClusterOptions with_two_more() {
  ClusterOptions options;
  options.later_nodes = {"n4", "n5"};
  return options;
}

std::vector<std::string> adding(const Cluster& cluster, const std::string& node) {
  return {"cluster", "add", node, "--peer", cluster.peer_address(node), "--client", cluster.client_address(node)};
}

// Waits until the node answers with the newest map.
void await_member(const Cluster& cluster, const std::string& node, const std::string& log) {
  client::Client client = cluster.connect();
  EXPECT_TRUE(eventually(30s, [&] {
    const auto status = client.status();
    const auto* view = status ? status->node(node) : nullptr;
    return view != nullptr && view->reachable && view->map_epoch == status->map_epoch();
  })) << log;
}

std::vector<std::string> members_of(const Cluster& cluster, const std::string& group) {
  const auto status = cluster.connect().status();
  const auto* view = status ? status->group(group) : nullptr;
  return view == nullptr ? std::vector<std::string>() : view->members;
}

TEST(Growth, NodesAndAShardComeAndANodeGoesUnderLoad) {
  Cluster cluster("growth", with_two_more());
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  {
    BankUnderFire bank(cluster);
    ASSERT_TRUE(bank.set_up());
    bank.start_load();
    ASSERT_TRUE(bank.wait_for_commits(20));
    for (const std::string node : {"n4", "n5"}) {
      expect_done(cluster, adding(cluster, node));
      cluster.start_joining(node, "n2");
      await_member(cluster, node, cluster.log_of(node));
      ASSERT_TRUE(bank.wait_for_commits(20));
    }
    expect_done(cluster, {"shard", "create", "s3", "--on", "n3,n4,n5"});
    ASSERT_TRUE(bank.wait_for_commits(20));
    bank.stop_load();
    bank.judge();
  }
  EXPECT_EQ(members_of(cluster, "s3"), (std::vector<std::string>{"n3", "n4", "n5"}));

  // Accounts stand at other shards when there are three: a new bank, one of whose shards is nowhere configured.
  for (const char* const shard : {"s1", "s2"}) {
    for (const char* const table : {"accounts", "transfers"}) {
      expect_done(cluster, {"sql", "--shard", shard, fmt::format("DROP TABLE {}", table)});
    }
  }
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  ASSERT_EQ(bank.bank().shards.size(), 3U);
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(50));
  // Everybody comes back with what the map says, those too whose configuration says otherwise.
  for (const std::string node : {"n4", "n1", "n3"}) {
    SCOPED_TRACE(node);
    cluster.kill(node);
    ASSERT_TRUE(bank.wait_for_commits(20));
    node == "n4" ? cluster.start_joining(node, "n1") : cluster.start(node);
    await_member(cluster, node, cluster.log_of(node));
    ASSERT_TRUE(bank.wait_for_commits(20));
  }
  // Its replicas go where there is room, and then it goes.
  expect_done(cluster, {"cluster", "remove", "n2"});
  for (const char* const group : {"c0", "s1", "s2", "s3", "_map"}) {
    const auto members = members_of(cluster, group);
    EXPECT_EQ(members.size(), 3U) << group;
    EXPECT_EQ(std::count(members.begin(), members.end(), "n2"), 0) << group;
  }
  cluster.kill("n2");
  ASSERT_TRUE(bank.wait_for_commits(50));
  bank.stop_load();
  // All at once, so that nothing but the disks knows of anything.
  for (const std::string node : {"n1", "n3", "n4", "n5"}) cluster.kill(node);
  for (const std::string node : {"n1", "n3"}) cluster.start(node);
  for (const std::string node : {"n4", "n5"}) cluster.start_joining(node, "n1");
  client::Client client = cluster.connect();
  EXPECT_TRUE(eventually(60s, [&] {
    const auto status = client.status();
    return status && status->groups.size() == 4 &&
           std::all_of(status->groups.begin(), status->groups.end(), [](const auto& group) {
             return !group.leader.empty() && group.replicas.size() >= group.members.size();
           });
  }));
  bank.judge();
  const auto map = client.map();
  ASSERT_TRUE(map) << map.error().text();
  EXPECT_EQ(map->node("n2"), nullptr);
  EXPECT_EQ(map->nodes.size(), 4U);
}

TEST(Growth, KeysFindTheirShardAndFollowTheRing) {
  Cluster cluster("ring");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  const HashRing two({"s1", "s2"});
  const HashRing three({"s1", "s2", "s3"});
  std::string moves;  // a key that a third shard takes
  for (int i = 0; moves.empty(); ++i) {
    if (three.shard_of(fmt::format("k{}", i)) == "s3") moves = fmt::format("k{}", i);
  }
  EXPECT_EQ(operate(cluster, {"route", moves}).output, fmt::format("{}\n", two.shard_of(moves)));
  expect_done(cluster, {"kv", "put", moves, "before"});
  EXPECT_EQ(operate(cluster, {"kv", "get", moves, "--shard", std::string(two.shard_of(moves))}).output, "before\n");

  client::Client client = cluster.connect();  // that knows the ring of before
  const auto old_route = client.route(moves);
  ASSERT_TRUE(old_route) << old_route.error().text();
  expect_done(cluster, {"shard", "create", "s3"});
  EXPECT_EQ(operate(cluster, {"route", moves}).output, fmt::format("{}\n", two.shard_of(moves)))
      << "not in the ring yet";
  expect_done(cluster, {"shard", "join-ring", "s3"});
  EXPECT_EQ(operate(cluster, {"route", moves}).output, "s3\n");

  // What was routed by the old ring is refused, and nothing of it was done.
  client::Transaction stale;
  stale.on(old_route->shard, KvPut{moves, "lost"});
  stale.routed_by = old_route->epoch;
  const auto refused = client.execute(stale);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, client::stale_map_reason) << refused.error().text();
  const auto again = client.route(moves);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->shard, "s3");
  EXPECT_GT(again->epoch, old_route->epoch);
  EXPECT_EQ(operate(cluster, {"kv", "get", moves, "--shard", old_route->shard}).output, "before\n");

  expect_done(cluster, {"kv", "put", moves, "after"});
  EXPECT_EQ(operate(cluster, {"kv", "get", moves}).output, "after\n");
  EXPECT_EQ(operate(cluster, {"kv", "get", moves, "--shard", "s3"}).output, "after\n");
  // A transaction by keys, over an old shard and the new one.
  expect_done(cluster, {"txn", "exec", "--key", moves, "CREATE TABLE t(id INTEGER PRIMARY KEY)"});
  expect_done(cluster, {"txn", "exec", "--key", moves, "INSERT INTO t VALUES (1)"});
  EXPECT_THAT(operate(cluster, {"sql", "--shard", "s3", "SELECT id FROM t"}).output, HasSubstr("1"));
}

TEST(Growth, WhatWouldBeWrongIsRefusedWithTheReason) {
  Cluster cluster("refusals", with_two_more());
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  expect_refused(cluster, {"cluster", "add", "n1", "--peer", "127.0.0.1:1", "--client", "127.0.0.1:2"}, 8,
                 "there is a node n1 already");
  expect_refused(cluster, {"cluster", "add", "n4", "--peer", cluster.peer_address("n1"), "--client", "127.0.0.1:2"}, 8,
                 "is the address of n1");
  expect_refused(cluster, {"cluster", "remove", "n9"}, 4, "there is no node n9");
  expect_refused(cluster, {"cluster", "remove", "n3"}, 8, "there is no other node to take it");
  expect_refused(cluster, {"shard", "create", "s1"}, 8, "there is a group s1 already");
  expect_refused(cluster, {"shard", "create", "s3", "--replicas", "2"}, 8, "name an odd number");
  expect_refused(cluster, {"shard", "create", "s3", "--replicas", "5"}, 8, "5 replicas need as many nodes");
  expect_refused(cluster, {"shard", "create", "s3", "--on", "n9"}, 3, "node n9 does not answer");
  expect_refused(cluster, {"shard", "join-ring", "s7"}, 4, "there is no shard \"s7\"");
  // Nothing of it changed anything.
  EXPECT_THAT(operate(cluster, {"cluster", "map"}).output, HasSubstr("epoch 0"));
  // A node that was not added does not get in.
  cluster.start_joining("n4", "n1");
  EXPECT_EQ(cluster.process("n4").wait(30s), 8);
  EXPECT_THAT(cluster.log_of("n4"), HasSubstr("n4 is no node of the cluster"));
}

}  // namespace
}  // namespace assent::testing
