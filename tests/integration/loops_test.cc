// Real processes with several loops each, and not as many each: killed under load, restarted, inspected, and refused
// when they are started with another number.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <utility>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

// c0 and s1 lie in loops 0 and 2 of 3; in loops 0 and 1 of 2.
constexpr std::array<std::pair<std::string_view, const char*>, 3> loops{{{"n1", "3"}, {"n2", "2"}, {"n3", "1"}}};

void start(Cluster& cluster, std::string_view node) {
  for (const auto& [name, number] : loops) {
    if (name == node) cluster.start(node, {"--loops", number});
  }
}

TEST(Loops, nodes_with_several_loops_are_killed_and_stopped_under_load) {
  Cluster cluster("loops");
  for (const auto& [node, number] : loops) start(cluster, node);
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  for (const auto& [node, number] : loops) {
    SCOPED_TRACE(node);
    ASSERT_TRUE(bank.wait_for_commits(50));
    cluster.kill(node);
    ASSERT_TRUE(bank.wait_for_commits(50));
    start(cluster, node);
    ASSERT_TRUE(cluster.wait_for_leaders());
    ASSERT_TRUE(bank.wait_for_commits(50));
    cluster.stop(node);
    ASSERT_TRUE(bank.wait_for_commits(50));
    start(cluster, node);
    ASSERT_TRUE(cluster.wait_for_leaders());
    ASSERT_TRUE(bank.wait_for_commits(50));
  }
  bank.stop_load();
  bank.judge();

  cluster.stop("n1");
  const std::string data = cluster.data_of("n1").string();
  EXPECT_TRUE(std::filesystem::exists(data + "/loops/2/wal"));
  const CommandResult inspected = run_command({program("assentd"), "inspect", data});
  EXPECT_EQ(inspected.status, 0) << inspected.output;
  for (const char* words : {"loop 0 of 3", "loop 2 of 3", "loops/2/wal/"})
    EXPECT_THAT(inspected.output, HasSubstr(words));
  const CommandResult verified = run_command({program("assentd"), "verify", data});
  EXPECT_EQ(verified.status, 0) << verified.output;

  cluster.start("n1", {"--loops", "2"});
  const auto ended = cluster.process("n1").wait(30s);
  ASSERT_TRUE(ended);
  EXPECT_NE(*ended, 0);
  EXPECT_THAT(cluster.log_of("n1"), HasSubstr("Start with node.loops 3"));
  start(cluster, "n1");
  ASSERT_TRUE(cluster.wait_for_leaders());
}

TEST(Loops, a_node_with_several_loops_goes_on_alone_after_the_others_are_lost) {
  Cluster cluster("loops-alone");
  for (const auto& [node, number] : loops) start(cluster, node);
  ASSERT_TRUE(cluster.wait_for_leaders());
  {
    BankUnderFire bank(cluster);
    ASSERT_TRUE(bank.set_up());
  }
  cluster.kill_all();
  const CommandResult recovered =
      run_command({program("assentd"), "recover", "--config", cluster.config_of("n1").string(), "--force"});
  EXPECT_EQ(recovered.status, 0) << recovered.output;
  for (const char* group : {"group c0", "group s1", "group s2"}) EXPECT_THAT(recovered.output, HasSubstr(group));
  start(cluster, "n1");
  ASSERT_TRUE(cluster.wait_for_leaders());
}

}  // namespace
}  // namespace assent::testing
