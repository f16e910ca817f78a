// A disk that fails at one call (W07, W08): strace answers the N-th fdatasync, fsync or pwrite of a thread with an
// error. The node must stop at once, say which file and why, and come back with what was acknowledged.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::HasSubstr;

struct Fault {
  std::string call;
  std::string error;
  int when = 1;              // the how manieth of each thread
  int step = 1;              // of the starts: SQLite makes many small writes
  std::vector<int> at = {};  // under load, one a round
};

// -D: the node stays the test's own child, with its own exit status.
std::vector<std::string> strace(const Fault& fault) {
  return {"/usr/bin/strace",
          "-D",
          "-f",
          "--seccomp-bpf",
          "-o",
          "/dev/null",
          "-e",
          fmt::format("trace={}", fault.call),
          "-e",
          fmt::format("inject={}:error={}:when={}", fault.call, fault.error, fault.when)};
}

bool can_trace() { return run_command({"/usr/bin/strace", "-o", "/dev/null", "/bin/true"}).status == 0; }

// What was said since the log had this length.
std::string words_since(const Cluster& cluster, std::string_view node, std::size_t before) {
  return cluster.log_of(node).substr(before);
}

void expect_clean_end(Cluster& cluster, std::string_view node, std::size_t before) {
  const auto status = cluster.process(node).wait(60s);
  ASSERT_TRUE(status.has_value()) << node << " goes on with a failed disk";
  EXPECT_EQ(*status, 1) << "not an orderly end";
  const std::string words = words_since(cluster, node, before);
  EXPECT_THAT(words, AnyOf(HasSubstr("Input/output error"), HasSubstr("No space left on device"),
                           HasSubstr("disk I/O error"), HasSubstr("disk is full")));
  EXPECT_THAT(words, AnyOf(HasSubstr("cannot start"), HasSubstr("cannot go on and stops")));
  EXPECT_THAT(words, HasSubstr(cluster.data_of(node).parent_path().string())) << "the file is not named";
}

class DiskError : public ::testing::TestWithParam<Fault> {
 protected:
  void SetUp() override {
    if (!can_trace()) GTEST_SKIP() << "strace may not trace here";
  }
};

// The calls that a first start makes fail, one in each start; the next start must cope with what the broken one left.
TEST_P(DiskError, W07_at_the_calls_of_a_start) {
  Fault fault = GetParam();
  bool came_up = false;
  for (; fault.when < 200 && !came_up; fault.when += fault.step) {
    SCOPED_TRACE(fmt::format("{} number {}", fault.call, fault.when));
    Cluster cluster("failing-start");
    cluster.run_under("n1", strace(fault));
    cluster.start("n1");
    const auto up = [&] { return cluster.log_of("n1").find("started") != std::string::npos; };
    ASSERT_TRUE(eventually(30s, [&] { return up() || !cluster.process("n1").running(); }));
    came_up = up();
    if (came_up) break;
    expect_clean_end(cluster, "n1", 0);
    const std::size_t before = cluster.log_of("n1").size();
    cluster.run_under("n1", {});
    cluster.start("n1");
    EXPECT_TRUE(
        eventually(30s, [&] { return words_since(cluster, "n1", before).find("started") != std::string::npos; }))
        << "the start after the failed one: " << words_since(cluster, "n1", before);
    if (HasFailure()) return;
  }
  EXPECT_TRUE(came_up);
  EXPECT_GT(fault.when, 1) << "no call of a start failed: the fault was not injected";
}

TEST_P(DiskError, W07_under_load_stops_the_node_and_loses_nothing) {
  ClusterOptions options;
  options.extra_yaml = "raft: { snapshot_every: 100 }\n";  // snapshots and their files too
  Cluster cluster("failing-disk", options);
  Fault fault = GetParam();
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  std::size_t round = 0;
  for (const int when : GetParam().at) {
    const std::string node(Cluster::nodes[round++ % Cluster::nodes.size()]);
    fault.when = when;
    SCOPED_TRACE(fmt::format("{} number {} at {}", fault.call, fault.when, node));
    cluster.stop(node);
    const std::size_t before = cluster.log_of(node).size();
    cluster.run_under(node, strace(fault));
    cluster.start(node);
    expect_clean_end(cluster, node, before);
    ASSERT_TRUE(bank.wait_for_commits(50)) << "two of three nodes must go on";
    cluster.run_under(node, {});
    cluster.start(node);
    ASSERT_TRUE(cluster.wait_for_leaders());
    ASSERT_TRUE(bank.wait_for_commits(20));
  }
  bank.stop_load();
  bank.judge();
}

INSTANTIATE_TEST_SUITE_P(Calls, DiskError,
                         ::testing::Values(Fault{"fdatasync", "EIO", 1, 1, {30, 7, 60}},
                                           Fault{"fsync", "EIO", 1, 1, {4, 9, 12}},
                                           Fault{"pwrite64", "ENOSPC", 1, 9, {60, 14}}),
                         [](const auto& one) { return one.param.call; });

}  // namespace
}  // namespace assent::testing
