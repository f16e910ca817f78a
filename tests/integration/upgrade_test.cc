// R14: a cluster is upgraded node by node under load, and back as long as nothing new was used; once it was, the
// program of before says so and diverges nowhere. assentd-next is this build with the next protocol level
// (tests/upgrade/).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
// In which groups what came with a level took effect on this disk.
std::size_t levels_noted(const std::filesystem::path& data) {
  std::ifstream file(data / "LEVELS");
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

class Upgrade : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster.start_all();
    ASSERT_TRUE(cluster.wait_for_leaders());
    ASSERT_TRUE(bank.set_up());
    bank.start_load();
  }
  // Killed while transactions are in doubt on it, and started as the other program.
  void replace(std::string_view node, const std::string& program, const std::vector<std::string>& flags = {}) {
    SCOPED_TRACE(std::string(node) + " becomes " + program);
    ASSERT_TRUE(bank.wait_for_commits(100));
    ASSERT_TRUE(eventually(30s, [&] { return prepared_on(node) > 0; })) << "something is in doubt";
    cluster.kill(node);
    ASSERT_TRUE(bank.wait_for_commits(20)) << "the others go on";
    cluster.use_program(node, program);
    cluster.start(node, flags);
    ASSERT_TRUE(eventually(30s, [&] { return caught_up(node); })) << cluster.log_of(node);
    ASSERT_TRUE(bank.wait_for_commits(100));
  }
  client::ClusterStatus status() { return bank.client().status().value_or(client::ClusterStatus{}); }
  std::uint64_t prepared_on(std::string_view node) {
    std::uint64_t prepared = 0;
    for (const client::GroupView& group : status().groups) {
      if (const auto* replica = group.replica_on(node)) prepared += replica->prepared;
    }
    return prepared;
  }
  bool caught_up(std::string_view node) {
    const client::ClusterStatus now = status();
    return now.groups.size() == 3 && std::ranges::all_of(now.groups, [&](const client::GroupView& group) {
             const auto* replica = group.replica_on(node);
             const auto* leader = group.leader_status();
             return replica != nullptr && leader != nullptr && replica->applied_index + 200 > leader->applied_index;
           });
  }
  // What each leader says of its members' levels.
  bool all_groups_are_of(std::uint32_t level) {
    const client::ClusterStatus now = status();
    return now.groups.size() == 3 && std::ranges::all_of(now.groups, [&](const client::GroupView& group) {
             return group.leader_status() != nullptr && group.leader_status()->level == level;
           });
  }
  std::size_t halted_on(std::string_view node) {
    const client::ClusterStatus now = status();
    return static_cast<std::size_t>(std::ranges::count_if(now.groups, [&](const client::GroupView& group) {
      const auto* replica = group.replica_on(node);
      return replica != nullptr && !replica->halted.empty();
    }));
  }

  Cluster cluster{"upgrade"};
  BankUnderFire bank{cluster};
  const std::vector<std::string> kept_back{"--cluster.level_max", "1"};
};

TEST_F(Upgrade, R14_one_node_after_the_other_under_load_and_back_and_forth_again) {
  for (const std::string_view node : Cluster::nodes) replace(node, "assentd-next", kept_back);
  ASSERT_FALSE(HasFatalFailure());
  for (const client::NodeView& node : status().nodes) {
    EXPECT_EQ(node.level, 2U);
    EXPECT_EQ(node.uses_level, 1U);
  }
  EXPECT_TRUE(all_groups_are_of(1)) << "nothing new is used while it is kept back";
  for (const std::string_view node : Cluster::nodes) replace(node, "assentd");
  ASSERT_FALSE(HasFatalFailure());
  for (const std::string_view node : Cluster::nodes) EXPECT_EQ(halted_on(node), 0U) << node;

  replace("n1", "assentd-next");
  replace("n2", "assentd-next");
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_TRUE(all_groups_are_of(1)) << "one member is of the older level";
  replace("n3", "assentd-next");
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_TRUE(eventually(20s, [&] { return all_groups_are_of(2); }));
  // With the map's, four groups have the new command in their logs, and n1 has applied it.
  ASSERT_TRUE(eventually(30s, [&] { return levels_noted(cluster.data_of("n1")) == 4; }));
  ASSERT_TRUE(bank.wait_for_commits(100));

  // It is too late to go back.
  cluster.kill("n3");
  cluster.use_program("n3", "assentd");
  cluster.start("n3");
  EXPECT_TRUE(eventually(30s, [&] { return halted_on("n3") == 3; })) << cluster.log_of("n3");
  EXPECT_TRUE(eventually(10s, [&] {
    return cluster.log_of("n3").find("this program does not know what a group's log says") != std::string::npos;
  })) << cluster.log_of("n3");
  EXPECT_TRUE(bank.wait_for_commits(200)) << "the others go on, and it harms nobody";
  EXPECT_TRUE(cluster.process("n3").running());
  cluster.kill("n3");
  cluster.use_program("n3", "assentd-next");
  cluster.start("n3");
  EXPECT_TRUE(eventually(30s, [&] { return caught_up("n3") && halted_on("n3") == 0; })) << cluster.log_of("n3");
  EXPECT_TRUE(bank.wait_for_commits(100));
  bank.stop_load();
  bank.judge();
}

}  // namespace
}  // namespace assent::testing
