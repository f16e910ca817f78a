// Each planted bug of the commit protocol is refuted, by a story no longer than the model checker's.
#include "base/planted.h"

#include <gtest/gtest.h>

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
