// What seeds draw: everything is drawn sometimes, zero too, and the same seed draws the same.
#include "sim/swarm.h"

#include <gtest/gtest.h>

#include <set>

namespace assent::sim {
namespace {

TEST(Swarm, TheSameSeedDrawsTheSame) {
  EXPECT_EQ(draw_swarm(Rng(5)).describe(), draw_swarm(Rng(5)).describe());
  EXPECT_NE(draw_swarm(Rng(5)).describe(), draw_swarm(Rng(6)).describe());
}

TEST(Swarm, SomeSeedsHaveNoFaultSomeOneKindSomeMany) {
  unsigned none = 0;
  unsigned one = 0;
  unsigned many = 0;
  std::set<std::string> kinds;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Swarm swarm = draw_swarm(Rng(seed));
    if (swarm.faultless()) {
      ++none;
    } else if (swarm.faults.find(',') == std::string::npos) {
      ++one;
      kinds.insert(swarm.faults);
    } else {
      ++many;
    }
  }
  EXPECT_GT(none, 50U);
  EXPECT_GT(one, 100U);
  EXPECT_GT(many, 300U);
  EXPECT_GE(kinds.size(), 20U) << "each kind of fault comes alone sometimes";
}

TEST(Swarm, ACalmSeedCannotConflict) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Swarm swarm = draw_swarm(Rng(seed));
    if (!swarm.disjoint) continue;
    EXPECT_TRUE(swarm.faultless());
    EXPECT_GE(swarm.accounts, 2 * swarm.clients);
    EXPECT_EQ(swarm.bad_share, 0);
  }
}

}  // namespace
}  // namespace assent::sim
