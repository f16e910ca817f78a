// How long a group does not serve, against nodes that fall and rise as they are told.
#include "cli/failover/failover.h"

#include <gmock/gmock.h>

#include "tests/client/fake_cluster.h"

namespace assent::failover {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::SizeIs;

class FailoverTest : public ::testing::Test {
 protected:
  FailoverTest() {
    cluster.on_execute = [](const v1::ExecuteRequest& request, v1::Transaction& out) {
      return test::answer(out, request.txn_id(), v1::COMMITTED);
    };
    options.trials = 3;
    options.patience = 10s;
    options.kill = [this](const std::string& node) {
      killed.push_back(node);
      cluster.stop(node);
      cluster.lead(options.group.empty() ? "s1" : options.group, node == "n1" ? "n2" : "n1");
      return true;
    };
    options.start = [this](const std::string& node) {
      cluster.start(node);
      return true;
    };
    options.served = [](std::chrono::microseconds) {};
  }

  client::Result<Times> run() {
    client::Client client = *client::Client::connect({.endpoints = cluster.endpoints()});
    return failover::run(client, options);
  }

  test::FakeCluster cluster;
  Options options;
  std::vector<std::string> killed;
};

TEST_F(FailoverTest, KillsWhoLeadsAndWaitsForTheNextOneToServe) {
  const auto times = run();
  ASSERT_TRUE(times.has_value()) << times.error().text();
  EXPECT_THAT(*times, AllOf(SizeIs(3), Each(Ge(0us))));
  EXPECT_THAT(killed, ElementsAre("n2", "n1", "n2")) << "s1 is the first shard, and n2 led it";
  EXPECT_THAT(cluster.executors(), ElementsAre("n2", "n1", "n1", "n2", "n2", "n1"));
}

TEST_F(FailoverTest, ACoordinatorIsTriedByWhatItMustDecide) {
  options.group = "c0";
  options.trials = 1;
  ASSERT_TRUE(run().has_value());
  EXPECT_THAT(killed, ElementsAre("n1"));
  for (const auto& request : cluster.executed()) {
    EXPECT_EQ(request.branches_size(), 2);
    EXPECT_EQ(request.protocol(), v1::TWO_PHASE);
  }
  EXPECT_THAT(cluster.executors(), ElementsAre("n1", "n2"));
}

TEST_F(FailoverTest, SaysWhatDoesNotComeBack) {
  options.patience = 300ms;
  options.start = [](const std::string&) { return true; };
  const auto times = run();
  ASSERT_FALSE(times.has_value());
  EXPECT_EQ(times.error().code, client::ErrorCode::timed_out);
  options.start = [](const std::string&) { return false; };
  EXPECT_FALSE(run().has_value());
  options.group = "s9";
  ASSERT_FALSE(run().has_value());
  EXPECT_EQ(run().error().code, client::ErrorCode::not_found);
}

TEST(FailoverFigures, AreInElectionTimeouts) {
  Times times;
  for (int i = 100; i >= 1; --i) times.push_back(i * 10ms);
  const Figures all = figures(times, 200ms);
  EXPECT_EQ(all.trials, 100U);
  EXPECT_DOUBLE_EQ(all.p50, 2.5);
  EXPECT_DOUBLE_EQ(all.p90, 4.5);
  EXPECT_DOUBLE_EQ(all.p99, 4.95);
  EXPECT_DOUBLE_EQ(all.max, 5.0);
  EXPECT_EQ(all.within_three, 60U);
  EXPECT_EQ(figures({}, 1s).trials, 0U);
  EXPECT_DOUBLE_EQ(figures({1s}, 1s).p99, 1.0);
}

}  // namespace
}  // namespace assent::failover
