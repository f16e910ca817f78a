// Nodes that are started on a write-ahead log in which bytes were changed (TESTING.md B08): they step out of the groups
// concerned, say so, and are made whole by the others, under load and without; and where every copy is damaged nobody
// goes on as if nothing had been, until an operator says with what.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* part_damaged = "entries of a group's log were damaged here";
constexpr const char* part_whole = "a group's log is whole here again";

std::filesystem::path newest_segment(const Cluster& cluster, std::string_view node) {
  std::filesystem::path newest;
  for (const auto& file : std::filesystem::directory_iterator(cluster.data_of(node) / "wal")) {
    newest = std::max(newest, file.path());
  }
  return newest;
}

// So much of what is written in a node's newest segment, somewhere before its end: which no crash explains.
void spoil_log(const Cluster& cluster, std::string_view node, double where, std::size_t bytes) {
  const std::filesystem::path path = newest_segment(cluster, node);
  std::ifstream in(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::size_t end = content.find_last_not_of('\0');
  ASSERT_NE(end, std::string::npos);
  ASSERT_GT(end, 4 * bytes) << "too little is written in " << path;
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(static_cast<double>(end) * where));
  file << std::string(bytes, '\x5a');
  ASSERT_TRUE(file.good());
}

// ... and on, until it met entries: a batch may be of nothing but votes.
void spoil_entries(const Cluster& cluster, std::string_view node, double where) {
  for (; where < 0.9; where += 0.05) {
    ASSERT_NO_FATAL_FAILURE(spoil_log(cluster, node, where, 5'000));
    const CommandResult seen = run_command({program("assentd"), "verify", cluster.data_of(node).string()});
    EXPECT_EQ(seen.status, 1);
    EXPECT_THAT(seen.output, HasSubstr("The node can be started"));
    if (seen.output.find("are lost by that") != std::string::npos) return;
  }
  FAIL() << "no entries in the log of " << node;
}

CommandResult assentctl(const Cluster& cluster, std::vector<std::string> words) {
  words.insert(words.begin(), {program("assentctl"), "--endpoints", cluster.endpoint_list()});
  return run_command(std::move(words));
}

std::size_t times(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

bool made_whole(const Cluster& cluster, std::string_view node) {
  return eventually(60s, [&] {
    const std::string log = cluster.log_of(node);
    return times(log, part_damaged) > 0 && times(log, part_damaged) == times(log, part_whole);
  });
}

TEST(DamagedLog, ANodeStepsOutOfTheGroupsConcernedAndIsMadeWholeByTheOthers) {
  Cluster cluster("damaged-log");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(200));

  // Under load.
  cluster.kill("n2");
  ASSERT_NO_FATAL_FAILURE(spoil_entries(cluster, "n2", 0.6));
  cluster.start("n2");
  EXPECT_TRUE(made_whole(cluster, "n2")) << cluster.log_of("n2");
  EXPECT_THAT(cluster.log_of("n2"), HasSubstr("damage on the disk; this node goes on with what is whole"));
  ASSERT_TRUE(bank.wait_for_commits(100));
  bank.stop_load();
  bank.judge();

  // With nothing to do: the leaders believe that the node has what they sent it before.
  cluster.kill("n3");
  ASSERT_NO_FATAL_FAILURE(spoil_entries(cluster, "n3", 0.6));
  cluster.start("n3");
  EXPECT_TRUE(made_whole(cluster, "n3")) << cluster.log_of("n3");
  EXPECT_TRUE(eventually(30s, [&] { return assentctl(cluster, {"cluster", "health"}).status == 0; }));
  bank.judge();

  for (const std::string_view node : {"n2", "n3"}) {
    EXPECT_TRUE(eventually(30s, [&] {
      const CommandResult verified =
          run_command({program("assentctl"), "--endpoints", cluster.client_address(node), "cluster", "status"});
      return verified.status == 0 && verified.output.find("damaged") == std::string::npos;
    }));
    EXPECT_FALSE(std::filesystem::is_empty(cluster.data_of(node) / "damaged"));
    cluster.stop(node);
    const CommandResult sound = run_command({program("assentd"), "verify", cluster.data_of(node).string()}, 60s);
    EXPECT_EQ(sound.status, 0) << sound.output;
    cluster.start(node);
  }
  ASSERT_TRUE(cluster.wait_for_leaders());
  bank.judge();
}

// A log that lost its end to damage is shorter than others, or as long as one that never had what it lost: it must not
// win, and must not help that one to.
TEST(DamagedLog, ANodeThatLostEntriesDoesNotLeadAndWaitsForOneThatHasThem) {
  Cluster cluster("damaged-minority");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  cluster.kill("n1");  // it lacks what comes now
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(200));
  bank.stop_load();
  cluster.kill_all();
  ASSERT_NO_FATAL_FAILURE(spoil_entries(cluster, "n2", 0.7));
  cluster.start("n1");
  cluster.start("n2");
  ASSERT_TRUE(eventually(30s, [&] { return times(cluster.log_of("n2"), part_damaged) > 0; })) << cluster.log_of("n2");
  CommandResult health;
  EXPECT_TRUE(eventually(30s, [&] {
    health = assentctl(cluster, {"cluster", "health"});
    return health.output.find("no leader: damaged on n2 (entr") != std::string::npos;
  })) << health.output;
  EXPECT_NE(health.status, 0);
  EXPECT_THAT(health.output, HasSubstr("nobody leads who lacks them"));

  cluster.start("n3");
  EXPECT_TRUE(made_whole(cluster, "n2")) << cluster.log_of("n2");
  ASSERT_TRUE(cluster.wait_for_leaders());
  bank.judge();
}

TEST(DamagedLog, WhereEveryCopyIsDamagedAGroupStopsUntilAnOperatorForcesIt) {
  Cluster cluster("damaged-everywhere");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(200));
  bank.stop_load();
  cluster.kill_all();
  // So much that each shard has entries in it.
  for (const std::string_view node : Cluster::nodes) spoil_log(cluster, node, 0.6, 25'000);
  cluster.start_all();
  CommandResult health;
  EXPECT_TRUE(eventually(30s, [&] {
    health = assentctl(cluster, {"cluster", "health"});
    return std::regex_search(health.output,
                             std::regex("s1 .*no leader: damaged on n1 \\(entr[^)]*\\), n2 \\(entr[^)]*\\), n3"));
  })) << health.output;
  EXPECT_NE(health.status, 0);

  for (const std::string_view node : Cluster::nodes) cluster.stop(node);
  const std::vector<std::string> recover{program("assentd"), "recover", "-c", cluster.config_of("n1").string()};
  const CommandResult planned = run_command(recover);
  EXPECT_EQ(planned.status, 8) << planned.output;
  EXPECT_THAT(planned.output, HasSubstr("are damaged: what is in them is lost"));
  std::vector<std::string> forced = recover;
  forced.emplace_back("--force");
  EXPECT_EQ(run_command(forced).status, 0);
  cluster.start("n1");
  CommandResult read;
  EXPECT_TRUE(eventually(30s, [&] {
    read = run_command({program("assentctl"), "--endpoints", cluster.client_address("n1"), "sql", "--shard", "s1",
                        "SELECT count(*) FROM accounts"});
    return read.status == 0;
  })) << read.output;
}

}  // namespace
}  // namespace assent::testing
