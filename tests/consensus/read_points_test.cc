#include "consensus/raft/read_points.h"

#include <gtest/gtest.h>

namespace assent::raft {
namespace {

TEST(ReadPoints, TheYoungestOfWhichEverythingIsAppliedCounts) {
  ReadPoints points;
  EXPECT_FALSE(points.youngest(Index(99), 1'000, 0));
  points.add(Index(5), 100);
  points.add(Index(9), 300);
  EXPECT_FALSE(points.youngest(Index(4), 1'000, 0));
  EXPECT_EQ(points.youngest(Index(5), 1'000, 0)->index, Index(5));
  EXPECT_EQ(points.youngest(Index(8), 1'000, 0)->age_micros, 902U) << "and two for what was cut off";
  EXPECT_EQ(points.youngest(Index(9), 1'000, 0)->age_micros, 702U);
}

TEST(ReadPoints, APointThatComesLateChangesNothing) {
  ReadPoints points;
  points.add(Index(9), 300);
  points.add(Index(5), 100);
  EXPECT_FALSE(points.youngest(Index(5), 1'000, 0));
  EXPECT_EQ(points.newest_asked(), 300U);
}

TEST(ReadPoints, OlderPointsServeUntilTheNewestIsApplied) {
  ReadPoints points;
  for (std::uint64_t i = 1; i <= 10; ++i) points.add(Index(10 * i), 100 * i);
  EXPECT_FALSE(points.youngest(Index(60), 2'000, 0)) << "a few are kept";
  EXPECT_EQ(points.youngest(Index(75), 2'000, 0)->index, Index(70));
  EXPECT_EQ(points.youngest(Index(1'000), 2'000, 0)->index, Index(100));
}

TEST(ReadPoints, ASlowClockHasSeenLessThanHasPassed) {
  EXPECT_EQ(elapsed_at_most(0, 500'000), 2U);
  EXPECT_EQ(elapsed_at_most(1'000'000, 10'000), 1'010'103U) << "1 / 0.99 of it";
  EXPECT_EQ(elapsed_at_most(1'000'000, 500'000), 2'000'002U);
  EXPECT_GT(elapsed_at_most(1ULL << 40U, 999'999), 1ULL << 59U) << "twelve days, and no overflow";
}

}  // namespace
}  // namespace assent::raft
