// Which transactions' spans are exported.
#include "observe/trace_sampler.h"

#include <gtest/gtest.h>

namespace assent {
namespace {

TxnRecord committed(std::uint64_t random = 1) {
  TxnRecord record;
  record.txn = TxnId::make(ClusterMillis(1'700'000'000'000), 1, random);
  record.outcome = Outcome::committed;
  return record;
}
TxnStep step_of(Step step, std::uint16_t repeats = 0) {
  TxnStep one;
  one.step = step;
  one.repeats = repeats;
  return one;
}
constexpr SamplerOptions none{.ratio = 0, .parent_based = true, .always_keeps = true, .slow_micros = 1'000};

TEST(TraceSampler, OfNormalOnesItTakesTheShareThatIsAskedFor) {
  SamplerOptions options = none;
  options.ratio = 0.25;
  int taken = 0;
  constexpr int all = 4'000;
  std::uint64_t random = 88172645463325252U;
  for (int i = 0; i < all; ++i) {
    random ^= random << 13U;
    random ^= random >> 7U;
    random ^= random << 17U;
    taken += sampled(committed(random), 10, options) == Sampled::by_ratio ? 1 : 0;
  }
  EXPECT_NEAR(taken, all / 4, all / 20);
}

TEST(TraceSampler, AllAndNoneAreExact) {
  SamplerOptions options = none;
  EXPECT_EQ(sampled(committed(0), 10, options), Sampled::no);
  EXPECT_EQ(sampled(committed(~std::uint64_t{0}), 10, options), Sampled::no);
  options.ratio = 1;
  EXPECT_EQ(sampled(committed(0), 10, options), Sampled::by_ratio);
}

// A larger share takes all that a smaller one takes: services with shares of their own agree where they can.
TEST(TraceSampler, SharesAreNested) {
  SamplerOptions small = none;
  small.ratio = 0.1;
  SamplerOptions large = none;
  large.ratio = 0.6;
  int in_both = 0;
  for (std::uint64_t i = 1; i < 2'000; ++i) {
    const TxnRecord record = committed(i * 0x9E3779B97F4A7C15U);
    if (sampled(record, 1, small) == Sampled::no) continue;
    ++in_both;
    EXPECT_EQ(sampled(record, 1, large), Sampled::by_ratio);
  }
  EXPECT_GT(in_both, 50);
}

TEST(TraceSampler, WhatWentAnotherWayIsAlwaysKept) {
  TxnRecord record = committed();
  EXPECT_EQ(sampled(record, 999, none), Sampled::no);
  EXPECT_EQ(sampled(record, 1'000, none), Sampled::slow);
  record.steps = {step_of(Step::prepare_sent, 1)};
  EXPECT_EQ(sampled(record, 10, none), Sampled::retried);
  record.outcome = Outcome::aborted;
  EXPECT_EQ(sampled(record, 10, none), Sampled::aborted);
  record.steps.push_back(step_of(Step::inquired));
  EXPECT_EQ(sampled(record, 10, none), Sampled::in_doubt);
  record.recovered = true;
  EXPECT_EQ(sampled(record, 10, none), Sampled::recovered);
}

TEST(TraceSampler, ACallerHasDecidedAlready) {
  TxnRecord record = committed();
  record.caller.emplace();
  record.caller->trace_id.fill(0xFF);
  record.caller->flags = 1;
  EXPECT_EQ(sampled(record, 10, none), Sampled::by_ratio);
  SamplerOptions all = none;
  all.ratio = 1;
  record.caller->flags = 0;
  EXPECT_EQ(sampled(record, 10, all), Sampled::no);
  EXPECT_EQ(sampled(record, 5'000, all), Sampled::slow) << "kept all the same";
  all.parent_based = false;
  EXPECT_EQ(sampled(record, 10, all), Sampled::by_ratio);
}

TEST(TraceSampler, SwitchedOffItKeepsNothing) {
  SamplerOptions off = none;
  off.always_keeps = false;
  TxnRecord record = committed();
  record.outcome = Outcome::aborted;
  record.recovered = true;
  EXPECT_EQ(sampled(record, 1'000'000, off), Sampled::no);
}

}  // namespace
}  // namespace assent
