// Three-phase commit as a model: the quorum form keeps its promises, the textbook form splits.
#include "sim/explore/ballot_model.h"

#include <gtest/gtest.h>

namespace assent::explore {
namespace {

std::string story(const BallotFindings& found) {
  std::string all;
  for (const std::string& line : found.counterexample) all += line + "\n";
  return all;
}

TEST(BallotModel, P22_P23_TheQuorumFormIsCompleteAndViolatesNothing) {
  const BallotFindings found = explore(*find_ballot_model("ballots"));
  EXPECT_EQ(found.violated, "") << story(found);
  EXPECT_TRUE(found.complete);
  EXPECT_GT(found.states, 100'000U);
  EXPECT_TRUE(found.can_commit && found.can_abort);
}

// Larger ones, as far as a few seconds go.
TEST(BallotModel, P22_P23_NothingIsViolatedInTheFirstStepsOfTheLargerModels) {
  for (const char* name : {"ballots-changed", "ballots-duel", "ballots-3"}) {
    const BallotFindings found = explore(*find_ballot_model(name), 40'000);
    EXPECT_EQ(found.violated, "") << name << "\n" << story(found);
  }
}

// docs/PROTOCOL.md prints this story.
TEST(BallotModel, P21_TheTextbookFormSplits) {
  const BallotFindings found = explore(*find_ballot_model("three-phase-plain"));
  EXPECT_EQ(found.steps, 6U);
  EXPECT_EQ(story(found),
            "  1  s1 votes yes\n"
            "  2  time is up at s1, which has not pre-committed: it aborts\n"
            "  3  s2 votes yes\n"
            "  4  c knows that all votes are yes, and sends PreCommit to everybody\n"
            "  5  s2 hears PreCommit of c\n"
            "  6  time is up at s2, which has pre-committed: it commits\n"
            "violated: A1: the transaction is committed and aborted: aborted at s1, committed at s2\n");
}

}  // namespace
}  // namespace assent::explore
