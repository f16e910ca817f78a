// Lists and registers under SIGKILL of real processes: what the clients saw is strictly serializable.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/rng.h"
#include "cli/items/load.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

void survive_kills(const std::string& name, items::Kind kind) {
  Cluster cluster(name);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  const std::string path = ::testing::TempDir() + name + "_" + std::to_string(::getpid()) + ".jsonl";
  auto file = bank::History::create(path);
  ASSERT_TRUE(file);
  client::Client client = cluster.connect();
  items::Options options;
  options.kind = kind;
  options.clients = 12;
  options.seed = static_cast<std::uint64_t>(::testing::UnitTest::GetInstance()->random_seed()) + 1;
  items::Load load(client, options, &*file);
  ASSERT_TRUE(load.set_up());
  load.start();
  const auto wait_for_commits = [&](std::uint64_t more) {
    const std::uint64_t before = load.tally().committed;
    return eventually(60s, [&] { return load.tally().committed >= before + more; });
  };
  bool going = true;
  for (const std::string_view group : {"c0", "s1", "s2"}) {
    going = going && wait_for_commits(100);
    const std::string victim = cluster.leader_of(group);
    EXPECT_FALSE(victim.empty());
    if (victim.empty() || !going) break;
    cluster.kill(victim);
    going = wait_for_commits(50);
    cluster.start(victim);
    EXPECT_TRUE(cluster.wait_for_leaders());
  }
  cluster.kill_all();
  cluster.start_all();
  EXPECT_TRUE(cluster.wait_for_leaders());
  EXPECT_TRUE(going && wait_for_commits(50)) << "the load came to a halt: " << load.tally().last_trouble;
  load.stop();
  const auto verdict = load.judge();
  ASSERT_TRUE(verdict) << verdict.error().text();
  EXPECT_EQ(verdict->judgement(), check::Judgement::sound) << check::to_text(*verdict);
  EXPECT_EQ(load.tally().unresolved, 0U) << "asking with seal gives an answer once the cluster is well";

  // What others get to read is the same history.
  ASSERT_TRUE(file->close());
  std::ifstream in(path);
  const auto history = check::read_history(in);
  ASSERT_TRUE(history) << history.error().message;
  EXPECT_EQ(check::to_text(check::judge(*history)), check::to_text(*verdict));
  std::filesystem::remove(path);
}

TEST(Histories, lists_are_strictly_serializable_under_sigkill) { survive_kills("lists", items::Kind::list); }
TEST(Histories, registers_are_strictly_serializable_under_sigkill) { survive_kills("registers", items::Kind::number); }

// As a user runs it, on a cluster that is well.
TEST(Histories, the_benchmark_judges_its_history_and_leaves_it_for_others) {
  Cluster cluster("bench_items");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  for (const std::string workload : {"append", "register"}) {
    const std::string path = ::testing::TempDir() + workload + "_" + std::to_string(::getpid()) + ".jsonl";
    const auto bench = run_command({program("assentctl"), "--endpoints", cluster.endpoint_list(), "bench", "run",
                                    "--workload", workload, "--clients", "4", "--duration", "1s", "--history", path});
    EXPECT_EQ(bench.status, 0) << bench.output;
    EXPECT_NE(bench.output.find("strictly serializable, as far as"), std::string::npos) << bench.output;
    const auto judged = run_command({program("assentctl"), "check", "history", path});
    EXPECT_EQ(judged.status, 0) << judged.output;
    std::filesystem::remove(path);
  }
}

}  // namespace
}  // namespace assent::testing
