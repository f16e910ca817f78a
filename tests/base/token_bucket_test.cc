#include "base/token_bucket.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/rng.h"
#include "base/running_checksum.h"

namespace assent {
namespace {

TEST(TokenBucket, WithoutABoundEverythingPasses) {
  TokenBucket bucket(0, 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(bucket.take(1ULL << 40U, 5), 0U);
}

TEST(TokenBucket, ABurstPassesAtOnceAndTheRestAtTheRate) {
  TokenBucket bucket(1'000, 500);  // a token a millisecond
  std::uint64_t now = 1'000'000;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(bucket.take(100, now), 0U) << i;
  std::uint64_t wait = 0;
  while ((wait = bucket.take(100, now)) == 0) {
  }
  EXPECT_LE(wait, 100'010U);
  EXPECT_NE(bucket.take(100, now + wait - 1), 0U);
  EXPECT_EQ(bucket.take(100, now + wait), 0U);
}

TEST(TokenBucket, OneLargerThanTheBurstPassesWhenNothingIsOwed) {
  TokenBucket bucket(1'000, 10);
  EXPECT_EQ(bucket.take(5'000, 0), 0U);
  const std::uint64_t wait = bucket.take(5'000, 0);
  EXPECT_NEAR(static_cast<double>(wait), 5e6, 10);
  EXPECT_EQ(bucket.take(5'000, wait), 0U);
}

TEST(TokenBucket, PausesEarnNoMoreThanABurst) {
  TokenBucket bucket(1'000, 100);
  const std::uint64_t later = 3'600'000'000;
  std::uint64_t passed = 0;
  while (bucket.take(10, later) == 0) passed += 10;
  EXPECT_LE(passed, 100U);
  EXPECT_GE(passed, 80U);
}

// Whoever waits as long as it is told gets the rate, whatever it asks for at a time.
TEST(TokenBucket, OverALongTimeTheRateIsKept) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng(seed);
    const std::uint64_t rate = rng.between(1, 1ULL << 30U);
    const std::uint64_t burst = rng.between(1, rate);
    TokenBucket bucket(rate, burst);
    std::uint64_t now = rng.below(1'000'000'000);
    const std::uint64_t start = now;
    std::uint64_t passed = 0;
    std::uint64_t largest = 0;
    for (int i = 0; i < 2'000; ++i) {
      const std::uint64_t tokens = rng.between(1, 2 * burst);
      largest = std::max(largest, tokens);
      if (const std::uint64_t wait = bucket.take(tokens, now); wait > 0) {
        now += wait;
      } else {
        passed += tokens;
      }
    }
    const double earned = static_cast<double>(now - start) / 1e6 * static_cast<double>(rate);
    EXPECT_LE(static_cast<double>(passed), earned + static_cast<double>(burst + largest) + 1) << seed;
  }
}

TEST(RunningChecksum, IsThatOfTheWholeHoweverItIsCut) {
  Rng rng(7);
  for (const std::size_t size : {0U, 1U, 3U, 16U, 240U, 241U, 1'000U, 70'000U}) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(rng.below(256));
    for (const std::uint64_t seed : {0ULL, 1ULL, 77ULL}) {
      RunningChecksum running(seed);
      RunningChecksum other(9);
      for (std::size_t at = 0; at < size;) {
        const std::size_t part = std::min<std::size_t>(size - at, rng.between(1, 300));
        running.add(std::string_view(bytes).substr(at, part));
        at += part;
        other = running;
        running = RunningChecksum(other);
      }
      EXPECT_EQ(running.value(), xxh3(bytes, seed)) << size << " " << seed;
    }
  }
}

}  // namespace
}  // namespace assent
