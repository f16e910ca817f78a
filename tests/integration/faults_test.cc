// Real processes, ended and stopped at the worst moments, under load. After each: money conserved, nothing in doubt ten
// seconds after healing, nothing acknowledged lost, replicas' databases equal.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

TEST(Faults, twenty_rounds_of_sigkill_of_a_random_node_under_load) {
  Cluster cluster("sigkill");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  Rng rng(static_cast<std::uint64_t>(::testing::UnitTest::GetInstance()->random_seed()));
  constexpr std::array<std::string_view, 3> groups{"c0", "s1", "s2"};
  bank.start_load();
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_TRUE(bank.wait_for_commits(20 + rng.below(100)));
    // Every other round a leader, in turn of each group; otherwise whoever the seed says.
    const std::string victim = round % 2 == 0 ? cluster.leader_of(groups[static_cast<std::size_t>(round / 2) % 3])
                                              : std::string(Cluster::nodes[rng.below(3)]);
    ASSERT_FALSE(victim.empty());
    cluster.kill(victim);
    ASSERT_TRUE(bank.wait_for_commits(20)) << "two of three nodes must go on without " << victim;
    cluster.start(victim);
    ASSERT_TRUE(cluster.wait_for_leaders());
    // The others may have to elect before the next one falls.
    ASSERT_TRUE(bank.wait_for_commits(20));
  }
  bank.stop_load();
  bank.judge();
}

TEST(Faults, a_paused_leader_of_each_group_is_replaced_and_comes_back_harmless) {
  Cluster cluster("sigstop");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  for (const std::string_view group : {"c0", "s1", "s2"}) {
    SCOPED_TRACE(group);
    ASSERT_TRUE(bank.wait_for_commits(50));
    const std::string leader = cluster.leader_of(group);
    ASSERT_FALSE(leader.empty());
    cluster.pause(leader);
    ASSERT_TRUE(bank.wait_for_commits(50)) << "the others must elect a leader without " << leader;
    cluster.resume(leader);  // it still believes that it leads
    ASSERT_TRUE(bank.wait_for_commits(50));
  }
  bank.stop_load();
  bank.judge();
}

TEST(Faults, all_three_killed_at_once_under_load_come_back_with_everything_acknowledged) {
  Cluster cluster("blackout");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster, 32);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_TRUE(bank.wait_for_commits(200));
    cluster.kill_all();
    cluster.start_all();
    ASSERT_TRUE(cluster.wait_for_leaders());
  }
  ASSERT_TRUE(bank.wait_for_commits(50));
  bank.stop_load();
  bank.judge();
}

TEST(Faults, a_graceful_stop_of_each_node_in_turn_loses_nothing) {
  Cluster cluster("sigterm");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  for (const std::string_view node : Cluster::nodes) {
    SCOPED_TRACE(node);
    ASSERT_TRUE(bank.wait_for_commits(50));
    cluster.stop(node);
    ASSERT_TRUE(bank.wait_for_commits(50));
    cluster.start(node);
    ASSERT_TRUE(cluster.wait_for_leaders());
    ASSERT_TRUE(bank.wait_for_commits(50));
  }
  bank.stop_load();
  bank.judge();
}

}  // namespace
}  // namespace assent::testing
