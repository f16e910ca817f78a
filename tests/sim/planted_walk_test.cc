// Bugs that whole clusters hardly ever show are shown by walks of bare cores, within a bounded number of them.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "base/planted.h"
#include "sim/core_walk.h"

namespace assent::sim {
namespace {

// The first walk that breaks a rule; 0: none of these does.
std::uint64_t found_by(Bug bug, std::uint64_t last, bool leases = false, std::uint64_t first = 1) {
  plant(bug);
  std::uint64_t found = 0;
  for (std::uint64_t seed = first; seed <= last && found == 0; ++seed) {
    if (!(leases ? walk_leases(seed) : walk_cores(seed)).wrong.empty()) found = seed;
  }
  plant(Bug::none);
  return found;
}

TEST(PlantedWalk, AnAcknowledgementOfAnOldTermIsNoticed) { EXPECT_GT(found_by(Bug::stale_append_reply, 1'000), 0U); }

// The first walk that shows it is the 32,511th, half a minute from the first one: canaries go all the way.
TEST(PlantedWalk, M02_AChangeBeforeAnEntryOfTheOwnTermIsNoticed) {
  EXPECT_GT(found_by(Bug::change_before_own_entry, 60'000, false, 32'000), 0U);
}

TEST(PlantedWalk, M03_ASecondChangeBeforeTheFirstIsCommittedIsNoticed) {
  EXPECT_GT(found_by(Bug::second_change_early, 1'000), 0U);
}

TEST(PlantedWalk, M08_AMembershipThatOutlivesItsEntryIsNoticed) {
  EXPECT_GT(found_by(Bug::change_survives_truncation, 10'000), 0U);
}

TEST(PlantedWalk, ALeaseThatOutlivesAHandOverOrARestartIsNoticed) {
  EXPECT_GT(found_by(Bug::lease_outlives_transfer, 10'000, true), 0U);
  EXPECT_GT(found_by(Bug::promise_lost_in_restart, 10'000, true), 0U);
  EXPECT_GT(found_by(Bug::lease_too_long, 10'000, true), 0U);
}

TEST(PlantedWalk, AReplicaThatForgetsItsLossOrALeaderThatDoesNotHearOfItIsNoticed) {
  for (const auto& [bug, rule] : {std::pair{Bug::loss_forgotten, "L1"}, std::pair{Bug::loss_unheard, "L9"}}) {
    plant(bug);
    std::string wrong;
    for (std::uint64_t seed = 1; seed <= 100 && wrong.empty(); ++seed) wrong = walk_losses(seed).wrong;
    plant(Bug::none);
    EXPECT_TRUE(wrong.starts_with(rule)) << wrong;
  }
}

}  // namespace
}  // namespace assent::sim
