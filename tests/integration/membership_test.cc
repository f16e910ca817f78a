// Members of groups change, and disks are lost, under the bank: no acknowledged transfer is lost, nothing stops, and
// assentctl says what it did or why not. Real processes; commands as an operator gives them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"
#include "tests/integration/operator.h"
#include "txn_proto/names.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::array<std::string_view, 3> groups{"c0", "s1", "s2"};

ClusterOptions with_a_spare() {
  ClusterOptions options;
  options.spare_nodes = {"n4"};
  return options;
}

// The longest time without a commit, as somebody sees who looks all the time.
class Pauses {
 public:
  explicit Pauses(BankUnderFire& bank)
      : watcher_([this, &bank] {
          std::uint64_t seen = bank.committed();
          auto since = std::chrono::steady_clock::now();
          while (!over_) {
            std::this_thread::sleep_for(2ms);
            const std::uint64_t now = bank.committed();
            const auto time = std::chrono::steady_clock::now();
            longest_ = std::max(longest_, time - since);
            if (now == seen) continue;
            seen = now;
            since = time;
          }
        }) {}
  ~Pauses() { end(); }
  Pauses(const Pauses&) = delete;
  Pauses& operator=(const Pauses&) = delete;
  std::chrono::milliseconds end() {
    over_ = true;
    if (watcher_.joinable()) watcher_.join();
    return std::chrono::duration_cast<std::chrono::milliseconds>(longest_);
  }

 private:
  std::atomic<bool> over_{false};
  std::chrono::steady_clock::duration longest_{};
  std::thread watcher_;
};

TEST(Membership, M09_every_node_of_five_loses_its_disk_in_turn_under_load) {
  const std::vector<std::string> five{"n1", "n2", "n3", "n4", "n5"};
  ClusterOptions options;
  options.coordinator_nodes = options.s1_nodes = options.s2_nodes = five;
  Cluster cluster("rolling", options);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  Pauses pauses(bank);
  for (const std::string& node : five) {
    SCOPED_TRACE(node);
    ASSERT_TRUE(bank.wait_for_commits(20));
    cluster.kill(node);
    std::filesystem::remove_all(cluster.data_of(node));
    cluster.start(node, {"--rejoin"});
    for (const std::string_view group : groups) expect_done(cluster, {"group", "replace", std::string(group), node});
    ASSERT_TRUE(bank.wait_for_commits(20));
  }
  std::cout << "longest pause without a commit: " << pauses.end().count() << " ms\n";
  bank.stop_load();
  bank.judge();
  const CommandResult health = operate(cluster, {"cluster", "health"});
  EXPECT_EQ(health.status, 0) << health.output;
}

TEST(Membership, M12_a_spare_node_takes_the_place_of_one_in_every_group_while_the_coordinator_decides) {
  Cluster cluster("spare", with_a_spare());
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  for (const std::string_view group : groups) {
    expect_done(cluster, {"group", "replace", std::string(group), "n2", "--by", "n4"});
    ASSERT_TRUE(bank.wait_for_commits(20));
  }
  cluster.kill("n2");  // nothing counts on it any more
  cluster.kill("n1");
  ASSERT_TRUE(bank.wait_for_commits(20)) << "n3 and n4 are two of three";
  cluster.start("n1");
  cluster.start("n2");
  bank.stop_load();
  bank.judge();
}

// Nothing of the group is in the node's directory, nor in what the node says.
bool keeps_nothing(const Cluster& cluster, const std::string& node, const std::string& group) {
  const auto status = cluster.connect().status();
  const auto* view = status ? status->group(group) : nullptr;
  if (view == nullptr) return false;
  for (const auto& replica : view->replicas) {
    if (replica.node == node) return false;
  }
  for (const auto& file : std::filesystem::recursive_directory_iterator(cluster.data_of(node))) {
    const std::string name = file.path().filename().string();
    if (name.starts_with(group + ".db") || name.starts_with(fmt::format("g{}-", group_id(group)))) return false;
  }
  return true;
}

TEST(Membership, M04_what_a_removed_replica_kept_goes_and_its_node_may_come_back) {
  Cluster cluster("leaving", with_a_spare());
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(20));
  EXPECT_TRUE(std::filesystem::exists(cluster.data_of("n2") / "shards/s1.db"));
  for (const char* const group : {"c0", "s1"}) {
    expect_done(cluster, {"group", "replace", group, "n2", "--by", "n4"});
    EXPECT_TRUE(eventually(60s, [&] { return keeps_nothing(cluster, "n2", group); })) << cluster.log_of("n2");
  }
  EXPECT_THAT(cluster.log_of("n2"), HasSubstr("this node was removed from the group"));
  EXPECT_TRUE(std::filesystem::exists(cluster.data_of("n2") / "shards/s2.db")) << "its other groups go on";
  cluster.kill("n2");
  cluster.start("n2");
  for (const char* const group : {"c0", "s1"}) {
    EXPECT_TRUE(eventually(60s, [&] { return keeps_nothing(cluster, "n2", group); })) << group;
    expect_done(cluster, {"group", "add-replica", group, "n2"});
  }
  cluster.kill("n4");
  ASSERT_TRUE(bank.wait_for_commits(20)) << "n1, n2 and n3 are three of four";
  bank.stop_load();
  cluster.start("n4");
  bank.judge();
}

TEST(Membership, M05_who_comes_back_with_an_empty_disk_is_not_believed_until_it_rejoins) {
  Cluster cluster("amnesia");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(20));
  cluster.kill("n3");
  std::filesystem::remove_all(cluster.data_of("n3"));
  cluster.start("n3");
  for (const char* const witness : {"n1", "n2"}) {
    EXPECT_TRUE(eventually(30s, [&] {
      return cluster.log_of(witness).find("node n3 comes with an empty data directory") != std::string::npos;
    })) << cluster.log_of(witness);
  }
  ASSERT_TRUE(bank.wait_for_commits(20)) << "the others go on";
  cluster.kill("n1");  // nothing may be elected with the help of who has forgotten
  EXPECT_TRUE(eventually(20s, [&] { return !bank.wait_for_commits(1, 1s); })) << "what was under way has been told";
  EXPECT_FALSE(bank.wait_for_commits(1, 2s));
  cluster.start("n1");
  ASSERT_TRUE(bank.wait_for_commits(20));
  cluster.kill("n3");
  std::filesystem::remove_all(cluster.data_of("n3"));
  cluster.start("n3", {"--rejoin"});
  for (const std::string_view group : groups) expect_done(cluster, {"group", "replace", std::string(group), "n3"});
  bank.stop_load();
  bank.judge();
}

TEST(Membership, R12_after_the_loss_of_a_majority_one_node_goes_on_only_when_it_is_forced) {
  Cluster cluster("majority");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(50));
  const auto recover = [&](std::vector<std::string> flags) {
    std::vector<std::string> command{program("assentd"), "recover", "--config", cluster.config_of("n3")};
    command.insert(command.end(), flags.begin(), flags.end());
    return run_command(std::move(command));
  };
  const CommandResult running = recover({"--force"});
  EXPECT_EQ(running.status, 8) << running.output;
  EXPECT_THAT(running.output, HasSubstr("another process")) << "the node runs";

  cluster.kill("n1");
  ASSERT_TRUE(bank.wait_for_commits(50)) << "two of three";
  cluster.kill(std::vector<std::string>{
      "n2", "n3"});  // whatever was acknowledged since n1 is gone, n3 has, and all that was before it
  std::filesystem::remove_all(cluster.data_of("n2"));
  const CommandResult asked = recover({});
  EXPECT_EQ(asked.status, 8) << asked.output;
  EXPECT_THAT(asked.output, HasSubstr("nothing was changed"));
  EXPECT_EQ(recover({"--group", "s9", "--force"}).status, 2);
  cluster.start("n3");
  EXPECT_FALSE(bank.wait_for_commits(1, 1s)) << "one of three";
  cluster.stop("n3");
  const CommandResult forced = recover({"--force"});
  ASSERT_EQ(forced.status, 0) << forced.output;
  cluster.start("n3");
  ASSERT_TRUE(bank.wait_for_commits(20)) << "n3 alone";

  cluster.start("n1");  // with what it had
  for (const char* const witness : {"n1", "n3"}) {
    EXPECT_TRUE(eventually(30s, [&] {
      return cluster.log_of(witness).find("--rejoin --generation 1") != std::string::npos;
    })) << cluster.log_of(witness);
  }
  cluster.kill("n1");
  std::filesystem::remove_all(cluster.data_of("n1"));
  for (const char* const node : {"n1", "n2"}) {
    cluster.start(node, {"--rejoin", "--generation", "1"});
    for (const std::string_view group : groups) {
      expect_done(cluster, {"group", "add-replica", std::string(group), node});
    }
  }
  cluster.kill("n3");
  ASSERT_TRUE(bank.wait_for_commits(20)) << "n1 and n2 are two of three again";
  cluster.start("n3");
  bank.stop_load();
  bank.judge();
}

TEST(Membership, M04_M07_what_may_not_be_is_refused_and_a_leader_may_leave) {
  Cluster cluster("refusals", with_a_spare());
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  const auto refused = [&](const std::vector<std::string>& words, const std::string& why) {
    const CommandResult result = operate(cluster, words);
    EXPECT_EQ(result.status, 8) << result.output;
    EXPECT_THAT(result.output, HasSubstr(why));
  };
  refused({"group", "add-replica", "s1", "n1"}, "n1 votes in s1 already");
  refused({"group", "promote", "s1", "n4"}, "n4 is no learner of s1");
  refused({"group", "remove-replica", "s1", "n4"}, "n4 is not a member of s1");
  refused({"group", "replace", "s1", "n1"}, "still has the disk");
  EXPECT_EQ(operate(cluster, {"group", "add-replica", "s1", "n9"}).status, 4);
  EXPECT_EQ(operate(cluster, {"group", "members", "s9"}).status, 4);

  expect_done(cluster, {"group", "add-replica", "s1", "n4", "--learner"});
  EXPECT_THAT(operate(cluster, {"cluster", "status"}).output, HasSubstr("n4(learner)"));
  EXPECT_THAT(operate(cluster, {"group", "transfer-leader", "s1", "--to", "n4"}).output, HasSubstr("does not vote"));
  expect_done(cluster, {"group", "promote", "s1", "n4"});
  const std::string leader = cluster.leader_of("s1");
  expect_done(cluster, {"group", "remove-replica", "s1", leader});
  const CommandResult members = operate(cluster, {"group", "members", "s1"});
  EXPECT_EQ(members.status, 0);
  EXPECT_THAT(members.output, ::testing::Not(HasSubstr(leader)));

  // Two of the three that are left are down: the third one alone may not be made the group.
  std::vector<std::string> rest;
  for (const char* const node : {"n1", "n2", "n3", "n4"}) {
    if (node != leader) rest.push_back(node);
  }
  cluster.kill(rest[0]);
  cluster.kill(rest[1]);
  const CommandResult lost = operate(cluster, {"group", "remove-replica", "s1", rest[0], "--wait", "2s"});
  EXPECT_NE(lost.status, 0) << lost.output;
  cluster.start(rest[0]);
  cluster.start(rest[1]);
  ASSERT_TRUE(cluster.wait_for_leaders());

  cluster.stop(rest[0]);
  cluster.start(rest[0], {"--rejoin"});
  EXPECT_EQ(cluster.process(rest[0]).wait(30s), 1);
  EXPECT_THAT(cluster.log_of(rest[0]), HasSubstr("--rejoin is for a node that lost its data directory"));
}

}  // namespace
}  // namespace assent::testing
