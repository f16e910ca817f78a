#include "sim/core_walk.h"

#include <gtest/gtest.h>

namespace assent::sim {
namespace {

TEST(CoreWalk, BareCoresKeepTheirPromisesWheneverMessagesArrive) {
  std::uint64_t elections = 0;
  std::uint64_t committed = 0;
  std::uint64_t changes = 0;
  std::uint64_t longer_logs = 0;
  for (std::uint64_t seed = 1; seed <= 1'500; ++seed) {
    const WalkResult result = walk_cores(seed);
    EXPECT_EQ(result.wrong, "") << "seed " << seed;
    elections += result.elections;
    committed += result.committed;
    changes += result.changes;
    longer_logs += result.longer_logs;
  }
  EXPECT_GT(elections, 300U);
  EXPECT_GT(committed, 1'000U);
  EXPECT_GT(changes, 1'000U);
  EXPECT_GT(longer_logs, 0U);
}

TEST(CoreWalk, WhatIsReadByALeaseIsNotOlderThanTheQuestion) {
  std::uint64_t reads = 0;
  std::uint64_t leased = 0;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const WalkResult result = walk_leases(seed);
    EXPECT_EQ(result.wrong, "") << "seed " << seed;
    reads += result.reads;
    leased += result.leased;
  }
  EXPECT_GT(leased, 1'000U);
  EXPECT_GT(reads, leased) << "and some by asking";
}

TEST(CoreWalk, WhateverIsLostToDamageWhatIsCommittedStays) {
  std::uint64_t losses = 0;
  std::uint64_t stopped = 0;
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    const WalkResult result = walk_losses(seed);
    EXPECT_EQ(result.wrong, "") << "seed " << seed;
    losses += result.losses;
    stopped += result.stopped;
  }
  EXPECT_GT(losses, 3'000U);
  EXPECT_GT(stopped, 100U) << "too many copies were lost";
  EXPECT_LT(stopped, 1'000U) << "and mostly all are whole in the end";
}

}  // namespace
}  // namespace assent::sim
