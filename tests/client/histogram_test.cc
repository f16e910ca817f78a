#include "cli/bank/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace assent::bank {
namespace {

// The dumb twin: all values, sorted.
std::uint64_t exact(std::vector<std::uint64_t> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<std::size_t>(rank, 1) - 1];
}

TEST(Histogram, IsNeverBelowTheTruthAndNeverOnePercentAboveIt) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    Histogram histogram;
    std::vector<std::uint64_t> values;
    const std::uint64_t count = 1 + rng.below(3'000);
    for (std::uint64_t i = 0; i < count; ++i) {
      values.push_back(std::uint64_t{1} << rng.below(30));
      values.back() += rng.below(values.back());
      histogram.add(values.back());
    }
    for (const double share : {0.001, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
      const std::uint64_t truth = exact(values, share);
      EXPECT_GE(histogram.percentile(share), truth);
      EXPECT_LE(static_cast<double>(histogram.percentile(share)), static_cast<double>(truth) * 1.01) << "seed " << seed;
    }
    EXPECT_EQ(histogram.count(), values.size());
    EXPECT_EQ(histogram.max(), *std::max_element(values.begin(), values.end()));
  }
}

TEST(Histogram, SmallValuesAreExact) {
  for (std::uint64_t value = 0; value < 256; ++value) {
    Histogram histogram;
    histogram.add(value);
    EXPECT_EQ(histogram.percentile(0.5), value);
  }
}

TEST(Histogram, TakesAnyValueAndCountsTheHugeAsTheLargest) {
  Histogram histogram;
  histogram.add(~std::uint64_t{0});
  histogram.add(Histogram::value_max);
  EXPECT_EQ(histogram.percentile(1.0), Histogram::value_max);
}

TEST(Histogram, EmptyIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.percentile(0.99), 0U);
  EXPECT_EQ(histogram.mean(), 0.0);
}

TEST(Histogram, MergingIsAddingAll) {
  Rng rng(7);
  Histogram all;
  Histogram parts[3];
  for (int i = 0; i < 900; ++i) {
    const std::uint64_t value = rng.below(100'000);
    all.add(value);
    parts[i % 3].add(value);
  }
  Histogram merged;
  for (const Histogram& part : parts) merged.merge(part);
  for (const double share : {0.1, 0.5, 0.99}) EXPECT_EQ(merged.percentile(share), all.percentile(share));
  EXPECT_EQ(merged.mean(), all.mean());
}

}  // namespace
}  // namespace assent::bank
