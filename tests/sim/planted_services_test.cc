// Bugs of services and of the coordinator's way with them: the crash matrix or a few seeds with services show each.
#include <gtest/gtest.h>

#include <string>

#include "base/planted.h"
#include "sim/services/service_matrix.h"
#include "sim/world.h"

namespace assent::sim {
namespace {

// What shows it first: single faults of every case, then seeds; empty: nothing does.
std::string found_by(Bug bug, std::uint64_t seeds_max) {
  plant(bug);
  std::string found;
  for (const DrillCase& one : drill_cases()) {
    if (found.empty()) found = run_service_matrix(one, 0).broken;
  }
  for (std::uint64_t seed = 1; seed <= seeds_max && found.empty(); ++seed) {
    RunOptions options;
    options.seed = seed;
    options.choices.workload = "services";
    const auto result = World(options).run();
    if (result && result->verdict != Verdict::ok) found = result->why;
  }
  plant(Bug::none);
  return found;
}

TEST(PlantedServices, AnAbortThatLeavesNoTraceIsNoticed) { EXPECT_NE(found_by(Bug::abort_leaves_no_trace, 200), ""); }
TEST(PlantedServices, AVoteBeforeItsLocalCommitIsNoticed) {
  EXPECT_NE(found_by(Bug::vote_before_local_commit, 200), "");
}
TEST(PlantedServices, WorkBesideTheRegisterIsNoticed) { EXPECT_NE(found_by(Bug::work_beside_the_register, 200), ""); }
TEST(PlantedServices, CompensationsInAnyOrderAreNoticed) {
  EXPECT_NE(found_by(Bug::compensated_in_any_order, 200), "");
}
TEST(PlantedServices, ARetriableStepThatIsCalledEarlyIsNoticed) {
  EXPECT_NE(found_by(Bug::retriable_called_early, 200), "");
}

}  // namespace
}  // namespace assent::sim
