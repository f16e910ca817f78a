// Each planted bug of the commit protocol is refuted, by a story no longer than the model checker's.
#include "base/planted.h"

#include <gtest/gtest.h>

#include "sim/explore/explorer.h"

namespace assent::explore {
namespace {

struct Case {
  Bug bug;
  const char* model;
  unsigned steps;        // of a shortest story
  const char* violates;  // how the sentence begins
};

std::string name_of(Bug bug) {
  for (const PlantedBug& one : planted_bugs()) {
    if (one.bug == bug) return std::string(one.name);
  }
  return "none";
}

class PlantedBugs : public ::testing::TestWithParam<Case> {
 protected:
  void TearDown() override { plant(Bug::none); }
};

TEST_P(PlantedBugs, IsRefutedByAShortStory) {
  plant(GetParam().bug);
  const Findings found = explore(*find_model(GetParam().model));
  EXPECT_TRUE(found.violated.starts_with(GetParam().violates)) << found.violated;
  EXPECT_EQ(found.steps, GetParam().steps);
  EXPECT_FALSE(found.counterexample.empty());
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugs,
                         ::testing::Values(Case{Bug::answer_before_commit, "two-phase", 7, "A6"},
                                           Case{Bug::vote_before_commit, "two-phase", 6, "A3"},
                                           Case{Bug::snapshot_without_prepared, "two-phase", 4, "A2"},
                                           Case{Bug::snapshot_without_tombstones, "one-phase", 3, "A2"},
                                           Case{Bug::snapshot_without_outcomes, "two-phase", 3, "A2"},
                                           Case{Bug::decision_not_logged, "two-phase", 12, "A1"},
                                           Case{Bug::foreign_epoch_decides, "two-phase", 12, "A1"},
                                           Case{Bug::local_timeout_decides, "two-phase", 10, "A1"},
                                           Case{Bug::no_attempt_number, "two-phase", 10, "A3"},
                                           Case{Bug::tombstone_dropped, "one-phase", 3, "A2"},
                                           Case{Bug::participant_missing, "two-phase", 8, "A3"},
                                           Case{Bug::prepared_lock_stolen, "two-by-two", 6, "two prepared"},
                                           Case{Bug::finish_without_attempt, "two-phase", 13, "A1"},
                                           Case{Bug::one_finished_for_all, "two-phase-ageing", 17, "A1"},
                                           Case{Bug::no_reservation, "one-phase", 3, "I1"},
                                           Case{Bug::abort_before_no, "two-phase", 2, "A6"}),
                         [](const auto& one) { return name_of(one.param.bug); });

// Not a bug in two-phase commit: PROTOCOL.md section 2 says why.
TEST(PlantedRules, NoTombstoneIsNoBugInTwoPhase) {
  for (const char* model : {"two-phase-refused", "two-phase-ageing"}) {
    plant(Bug::no_tombstone);
    EXPECT_TRUE(explore(*find_model(model)).complete) << model;
  }
  plant(Bug::none);
}

}  // namespace
}  // namespace assent::explore
