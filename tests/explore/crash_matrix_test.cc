// Every fault at every point of a transaction, and every pair of them.
#include "sim/explore/crash_matrix.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace assent::explore {
namespace {

std::string story(CrashMatrix& matrix, std::span<const Strike> plan) {
  std::string all;
  for (const Strike& strike : plan) all += "plan: " + describe(strike) + "\n";
  std::vector<std::string> lines;
  static_cast<void>(matrix.run(plan, &lines));
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

struct Case {
  Protocol protocol = Protocol::two_phase;
  unsigned shards = 2;
};

class CrashMatrixOf : public ::testing::TestWithParam<Case> {
 protected:
  Model model_ = crash_matrix_model(GetParam().protocol, GetParam().shards);
  CrashMatrix matrix_{model_};
};

TEST_P(CrashMatrixOf, A4_CommitsWithoutAFault) {
  const DrillResult result = matrix_.run({});
  EXPECT_EQ(result.broken, "") << story(matrix_, {});
  EXPECT_TRUE(result.committed);
}

TEST_P(CrashMatrixOf, P01_EveryFaultAtEveryPoint) {
  unsigned committed = 0;
  unsigned aborted = 0;
  for (const Strike& strike : every_strike(matrix_)) {
    const std::vector<Strike> plan = {strike};
    const DrillResult result = matrix_.run(plan);
    ASSERT_EQ(result.broken, "") << story(matrix_, plan);
    ASSERT_EQ(result.struck, 1U) << "the point is never reached: " << describe(strike);
    ++(result.committed ? committed : aborted);
  }
  EXPECT_GT(committed, 10U);
  // Where the votes decide, one fault never aborts: a yes in a register outlives everybody who counts it.
  if (GetParam().protocol == Protocol::two_phase) {
    EXPECT_GT(aborted, 10U);
  }
}

TEST_P(CrashMatrixOf, P02_EveryPairOfFaults) {
  const std::vector<Strike> all = every_strike(matrix_);
  const PairsResult result = run_pairs(model_, all, all);
  ASSERT_EQ(result.broken, "") << story(matrix_, result.plan);
  RecordProperty("pairs", static_cast<int>(result.plans));
  RecordProperty("both_struck", static_cast<int>(result.both_struck));
  RecordProperty("committed", static_cast<int>(result.committed));
  EXPECT_GT(result.both_struck, result.plans / 8) << "the second fault is hardly ever reached";
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  std::string name = fmt::format("{}_{}", to_string(info.param.protocol), info.param.shards);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, CrashMatrixOf,
                         ::testing::Values(Case{Protocol::one_phase, 1}, Case{Protocol::two_phase, 2},
                                           Case{Protocol::two_phase, 3}, Case{Protocol::paxos_commit, 2},
                                           Case{Protocol::paxos_commit, 3}, Case{Protocol::three_phase, 2},
                                           Case{Protocol::three_phase, 3}),
                         case_name);

// The coordinator group is lost for ever at each of its points, alone and after or before each other fault: the shards
// find the outcome in their registers, finish, and let go of their locks.
class GroupGone : public CrashMatrixOf {
 protected:
  void lose(std::size_t place) {
    const std::vector<Strike> lost = every_loss(matrix_, place);
    const std::vector<Strike> all = every_strike(matrix_);
    std::uint64_t runs = 0;
    std::uint64_t committed = 0;
    for (const Strike& one : lost) {
      const std::vector<Strike> plan = {one};
      const DrillResult result = matrix_.run(plan);
      ASSERT_EQ(result.broken, "") << story(matrix_, plan);
      ++runs;
      committed += result.committed ? 1 : 0;
    }
    for (const PairsResult& result : {run_pairs(model_, lost, all), run_pairs(model_, all, lost)}) {
      ASSERT_EQ(result.broken, "") << story(matrix_, result.plan);
      runs += result.plans;
      committed += result.committed;
    }
    EXPECT_GT(committed, 10U);
    EXPECT_GT(runs - committed, 10U);
  }
};

class CoordinatorGroupGone : public GroupGone {};

TEST_P(CoordinatorGroupGone, P01_P02_TheShardsEndItWithoutIt) { lose(0); }

INSTANTIATE_TEST_SUITE_P(All, CoordinatorGroupGone,
                         ::testing::Values(Case{Protocol::paxos_commit, 2}, Case{Protocol::paxos_commit, 3},
                                           Case{Protocol::three_phase, 2}, Case{Protocol::three_phase, 3}),
                         case_name);

// One shard is lost for ever at each of its points, before and after its yes, alone and with each other fault before or
// after: the others and the coordinator group finish without it. It is what the round more is for.
class ShardGone : public GroupGone {};

TEST_P(ShardGone, P22_P23_TheOthersEndItWithoutIt) { lose(1); }

INSTANTIATE_TEST_SUITE_P(All, ShardGone,
                         ::testing::Values(Case{Protocol::three_phase, 2}, Case{Protocol::three_phase, 3}), case_name);

// Neither of the others can do that: who is prepared waits for the shard that is gone, or its client does.
TEST(ShardGoneForPaxosCommit, BlocksWhoIsPrepared) {
  const Model model = crash_matrix_model(Protocol::paxos_commit, 2);
  CrashMatrix matrix(model);
  unsigned blocked = 0;
  for (const Point& point : matrix.points()) {
    if (point.place == 1) blocked += matrix.run(std::vector{Strike{point, Fault::gone}}).broken.empty() ? 0 : 1;
  }
  EXPECT_GT(blocked, 1U);
}

// It is this that two-phase cannot do, and the matrix notices.
TEST(CoordinatorGroupGoneForTwoPhase, BlocksWhoIsPrepared) {
  const Model model = crash_matrix_model(Protocol::two_phase, 2);
  CrashMatrix matrix(model);
  unsigned blocked = 0;
  for (const Point& point : matrix.points()) {
    if (point.place == 0) blocked += matrix.run(std::vector{Strike{point, Fault::gone}}).broken.empty() ? 0 : 1;
  }
  EXPECT_GT(blocked, 3U);
}

}  // namespace
}  // namespace assent::explore
