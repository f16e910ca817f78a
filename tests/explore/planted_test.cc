// Each planted bug of the commit protocol is refuted, by a story no longer than the model checker's.
#include "base/planted.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "sim/explore/ballot_model.h"
#include "sim/explore/crash_matrix.h"
#include "sim/explore/explorer.h"
#include "sim/explore/refutations.h"

namespace assent::explore {
namespace {

std::string name_of(Bug bug) {
  for (const PlantedBug& one : planted_bugs()) {
    if (one.bug == bug) return std::string(one.name);
  }
  return "none";
}

class PlantedBugs : public ::testing::TestWithParam<Refutation> {
 protected:
  void TearDown() override { plant(Bug::none); }
};

TEST_P(PlantedBugs, IsRefutedByAShortStory) {
  plant(GetParam().bug);
  const Findings found = explore(*find_model(GetParam().model));
  EXPECT_TRUE(found.violated.starts_with(GetParam().rule)) << found.violated;
  EXPECT_EQ(found.steps, GetParam().steps);
  EXPECT_FALSE(found.counterexample.empty());
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugs, ::testing::ValuesIn(refutations()),
                         [](const auto& one) { return name_of(one.param.bug); });

TEST(PlantedBallots, EachIsRefutedByAShortStory) {
  for (const Refutation& one : ballot_refutations()) {
    plant(one.bug);
    const BallotFindings found = explore(*find_ballot_model(one.model));
    EXPECT_TRUE(found.violated.starts_with(one.rule)) << name_of(one.bug) << ": " << found.violated;
    EXPECT_EQ(found.steps, one.steps) << name_of(one.bug);
  }
  plant(Bug::none);
}

// How many strikes the matrix needs: 0 when none of its runs shows the bug.
unsigned strikes_needed(Protocol protocol, unsigned shards) {
  const Model model = crash_matrix_model(protocol, shards);
  CrashMatrix matrix(model);
  const std::vector<Strike> all = every_strike(matrix);
  for (const Strike& one : all) {
    if (!matrix.run(std::vector{one}).broken.empty()) return 1;
  }
  return run_pairs(model, all, all).broken.empty() ? 0 : 2;
}

// Those that it cannot see need a second transaction, a log that carries entries, or time beyond the horizon.
TEST(PlantedRules, TheCrashMatrixFindsTheBugsOfOneTransaction) {
  std::set<std::string> missed;
  for (const Refutation& one : refutations()) {
    plant(one.bug);
    const bool found = strikes_needed(Protocol::two_phase, 2) > 0 || strikes_needed(Protocol::one_phase, 1) > 0 ||
                       strikes_needed(Protocol::paxos_commit, 2) > 0;
    if (!found) missed.insert(name_of(one.bug));
  }
  plant(Bug::none);
  EXPECT_THAT(missed, ::testing::UnorderedElementsAre("escrow_bound_ignored", "foreign_epoch_decides",
                                                      "forgotten_by_age", "no_reservation", "one_finished_for_all",
                                                      "prepared_lock_stolen", "reader_let_go"));
}

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
