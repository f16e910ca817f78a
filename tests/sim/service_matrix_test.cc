// Every fault at every point of a transaction with services and databases, and pairs of them.
#include "sim/services/service_matrix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace assent::sim {
namespace {

// Of all pairs each so manieth; `assent-sim matrix --services all` plays every one.
constexpr std::uint64_t stride = 97;

class ServiceMatrixOf : public ::testing::TestWithParam<DrillCase> {};

TEST_P(ServiceMatrixOf, A4_CommitsWithoutAFault) {
  const ServiceDrillResult result = run_drill(GetParam(), {});
  EXPECT_EQ(result.broken, "");
  EXPECT_TRUE(result.committed);
  EXPECT_GT(result.points.size(), 10U);
}

TEST_P(ServiceMatrixOf, RunsTheSameTwice) {
  const std::vector<ServiceStrike> plan = {{7, 1}, {12, 1}};
  const ServiceDrillResult first = run_drill(GetParam(), plan);
  const ServiceDrillResult second = run_drill(GetParam(), plan);
  EXPECT_EQ(first.points, second.points);
  EXPECT_EQ(first.committed, second.committed);
}

TEST_P(ServiceMatrixOf, P01_P02_EveryFaultAtEveryPointAndPairs) {
  const ServiceMatrixResult result = run_service_matrix(GetParam(), stride);
  ASSERT_EQ(result.broken, "") << describe_plan(GetParam(), result.plan);
  EXPECT_GT(result.singles, 90U);
  EXPECT_GT(result.pairs, 200U);
  EXPECT_GT(result.committed, result.singles / 4) << "hardly anything commits";
  EXPECT_LT(result.committed, result.singles + result.pairs) << "no fault ever aborts it";
}

// A step that is refused, put off or fails, an end that fails, and a call that comes twice, at each service.
TEST_P(ServiceMatrixOf, EveryStepFailsAndEveryStepIsRepeated) {
  const ServiceDrillResult whole = run_drill(GetParam(), {});
  unsigned failed = 0;
  unsigned repeated = 0;
  for (std::size_t at = 0; at < whole.points.size(); ++at) {
    const PassedPoint& point = whole.points[at];
    const bool works = point.name.starts_with("work ");
    if (!works && !point.name.starts_with("call ")) continue;
    for (unsigned fault = 1; fault <= point.faults; ++fault) {
      const std::vector<ServiceStrike> plan = {{at, fault}};
      const ServiceDrillResult result = run_drill(GetParam(), plan);
      ASSERT_EQ(result.broken, "") << describe_plan(GetParam(), plan);
      ++(works ? failed : repeated);
    }
  }
  const bool ledgers = std::any_of(GetParam().parts.begin(), GetParam().parts.end(),
                                   [](const DrillPart& part) { return part.kind == ServiceKind::ledger; });
  EXPECT_EQ(failed > 0, ledgers);
  EXPECT_GE(repeated, 6U * GetParam().parts.size());
}

INSTANTIATE_TEST_SUITE_P(All, ServiceMatrixOf, ::testing::ValuesIn(drill_cases()), [](const auto& one) {
  std::string name = one.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace assent::sim
