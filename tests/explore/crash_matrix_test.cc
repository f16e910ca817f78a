// Every fault at every point of a transaction, and every pair of them.
#include "sim/explore/crash_matrix.h"

#include <gtest/gtest.h>

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

std::vector<Strike> strikes(const CrashMatrix& matrix) {
  std::vector<Strike> all;
  for (const Point& point : matrix.points()) {
    for (const Fault fault : all_faults) all.push_back(Strike{point, fault});
  }
  return all;
}

class CrashMatrixOf : public ::testing::TestWithParam<unsigned> {
 protected:
  Model model_ = crash_matrix_model(GetParam());
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
  for (const Strike& strike : strikes(matrix_)) {
    const std::vector<Strike> plan = {strike};
    const DrillResult result = matrix_.run(plan);
    ASSERT_EQ(result.broken, "") << story(matrix_, plan);
    ASSERT_EQ(result.struck, 1U) << "the point is never reached: " << describe(strike);
    ++(result.committed ? committed : aborted);
  }
  EXPECT_GT(committed, 10U);
  if (GetParam() > 1) {
    EXPECT_GT(aborted, 10U);
  }
}

TEST_P(CrashMatrixOf, P02_EveryPairOfFaults) {
  const std::vector<Strike> all = strikes(matrix_);
  std::size_t both = 0;
  std::size_t committed = 0;
  for (const Strike& first : all) {
    for (const Strike& second : all) {
      const std::vector<Strike> plan = {first, second};
      const DrillResult result = matrix_.run(plan);
      ASSERT_EQ(result.broken, "") << story(matrix_, plan);
      both += result.struck == 2 ? 1 : 0;
      committed += result.committed ? 1 : 0;
    }
  }
  RecordProperty("pairs", static_cast<int>(all.size() * all.size()));
  RecordProperty("both_struck", static_cast<int>(both));
  RecordProperty("committed", static_cast<int>(committed));
  EXPECT_GT(both, all.size() * all.size() / 8) << "the second fault is hardly ever reached";
}

INSTANTIATE_TEST_SUITE_P(Shards, CrashMatrixOf, ::testing::Values(1U, 2U, 3U));

}  // namespace
}  // namespace assent::explore
