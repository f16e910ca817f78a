#include "observe/histogram.h"

#include <gtest/gtest.h>

namespace assent {
namespace {

TEST(Histogram, ABoundBelongsToItsOwnRange) {
  Histogram histogram = Histogram::of_micros();
  histogram.add(0);
  histogram.add(250);
  histogram.add(251);
  histogram.add(500);
  EXPECT_EQ(histogram.buckets()[0], 2U);
  EXPECT_EQ(histogram.buckets()[1], 2U);
  EXPECT_EQ(histogram.count(), 4U);
  EXPECT_EQ(histogram.sum(), 1'001U);
}

TEST(Histogram, WhatIsAboveTheLastBoundIsCountedAllTheSame) {
  Histogram histogram = Histogram::of_micros();
  histogram.add(16'384'000);
  histogram.add(16'384'001);
  EXPECT_EQ(histogram.bounds().back(), 16'384'000U);
  EXPECT_EQ(histogram.buckets().back(), 1U);
  EXPECT_EQ(histogram.count(), 2U);
}

TEST(Histogram, ParticipantsAreCountedOneByOne) {
  Histogram histogram = Histogram::of_participants();
  for (const std::uint64_t participants : {1, 2, 2, 3, 64, 65}) histogram.add(participants);
  EXPECT_EQ(histogram.buckets()[0], 1U);
  EXPECT_EQ(histogram.buckets()[1], 2U);
  EXPECT_EQ(histogram.buckets().back(), 1U);
}

}  // namespace
}  // namespace assent
