// The coordinator group's three processes are killed while a hundred transactions are in flight. Their shards, which
// live elsewhere, decide them all among themselves.
#include <gtest/gtest.h>

#include <optional>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

// In doubt at the leaders of both shards; nullopt while one of them is not known.
std::optional<std::uint64_t> in_doubt(client::Client& client) {
  const auto status = client.status();
  if (!status) return std::nullopt;
  std::uint64_t prepared = 0;
  for (const char* shard : {"s1", "s2"}) {
    const auto* group = status->group(shard);
    if (group == nullptr || group->leader.empty()) return std::nullopt;
    for (const auto& replica : group->replicas) {
      if (replica.status.leads) prepared += replica.status.prepared;
    }
  }
  return prepared;
}

TEST(CoordinatorLost, the_shards_decide_what_was_in_flight) {
  const std::vector<std::string> coordinators{"k1", "k2", "k3"};
  ClusterOptions options;
  options.coordinator_nodes = coordinators;
  Cluster cluster("coordinator-lost", options);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster, 100);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(300));
  cluster.kill(coordinators);
  client::Client client = cluster.connect();
  int calm = 0;  // looks in turn that found nothing in doubt: what was on its way to a log has arrived
  EXPECT_TRUE(eventually(30s, [&] { return (calm = in_doubt(client) == 0U ? calm + 1 : 0) == 20; }))
      << "in doubt without the coordinator: " << in_doubt(client).value_or(999);
  // What its clients were told, and what came of the rest, is judged with the coordinator's memory back.
  for (const std::string& node : coordinators) cluster.start(node);
  ASSERT_TRUE(cluster.wait_for_leaders());
  ASSERT_TRUE(bank.wait_for_commits(50));
  bank.stop_load();
  bank.judge();
}

}  // namespace
}  // namespace assent::testing
