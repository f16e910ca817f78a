#include "base/rng.h"

#include <gtest/gtest.h>

#include <array>

#include "base/digest.h"

namespace assent {
namespace {

TEST(Rng, one_seed_gives_one_sequence_and_another_seed_another) {
  Rng a(7);
  Rng b(7);
  Rng c(8);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(a.next(), b.next());
  EXPECT_NE(Rng(7).next(), c.next());
}

TEST(Rng, split_is_independent_of_later_draws_and_named_by_its_label) {
  Rng parent(7);
  const Rng before = parent.split("disk");
  EXPECT_EQ(before, parent.split("disk"));
  EXPECT_FALSE(before == parent.split("network"));
  parent.next();
  EXPECT_FALSE(before == parent.split("disk"));
}

TEST(Rng, below_stays_below_and_reaches_every_value) {
  Rng rng(1);
  std::array<int, 7> seen{};
  for (int i = 0; i < 7000; ++i) ++seen.at(rng.below(7));
  for (const int count : seen) EXPECT_GT(count, 700);
  EXPECT_EQ(rng.below(0), 0U);
  EXPECT_EQ(rng.below(1), 0U);
}

TEST(Rng, between_includes_both_ends) {
  Rng rng(1);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 200; ++i) {
    const auto value = rng.between(3, 5);
    ASSERT_GE(value, 3U);
    ASSERT_LE(value, 5U);
    low = low || value == 3;
    high = high || value == 5;
  }
  EXPECT_TRUE(low && high);
}

TEST(Rng, chance_of_zero_never_and_of_one_always) {
  Rng rng(1);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_FALSE(rng.chance(0.0));
    ASSERT_TRUE(rng.chance(1.0));
  }
}

TEST(Digest, depends_on_order_and_on_where_strings_end) {
  EXPECT_NE(Digest().add("ab").add("c").value(), Digest().add("a").add("bc").value());
  EXPECT_NE(Digest().add(std::uint64_t{1}).add(std::uint64_t{2}).value(),
            Digest().add(std::uint64_t{2}).add(std::uint64_t{1}).value());
}

}  // namespace
}  // namespace assent
