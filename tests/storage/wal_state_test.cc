#include "storage/wal_state.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

// What a rotation is told must be what it would find if it went through all the entries.
void expect_held(const WalGroup& group) {
  std::map<std::uint64_t, WalGroup::Held> truth;
  for (const auto& [index, slot] : group.slots()) {
    ++truth[slot.segment].entries;
    truth[slot.segment].bytes += wal_format::entry_record_bytes(*slot.entry);
  }
  ASSERT_EQ(group.held().size(), truth.size());
  for (const auto& [segment, held] : truth) {
    ASSERT_TRUE(group.held().contains(segment));
    EXPECT_EQ(group.held().at(segment).entries, held.entries);
    EXPECT_EQ(group.held().at(segment).bytes, held.bytes);
  }
  for (const std::uint64_t below : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{9}, ~std::uint64_t{0}}) {
    std::vector<EntryPtr> entries;
    for (const auto& [index, slot] : group.slots()) {
      if (slot.segment < below) entries.push_back(slot.entry);
    }
    EXPECT_EQ(group.entries_below(below), entries);
  }
}

TEST(WalGroup, SaysWhatEachSegmentHolds) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    WalGroup group;
    std::uint64_t segment = 1;
    for (std::uint64_t step = 1; step <= 100; ++step) {
      const std::uint64_t last = group.last().value;
      const std::uint64_t mark = group.mark().last.index.value;
      const auto entry = [&](std::uint64_t index) { return make_entry(step, index, std::string(rng.below(40), 'x')); };
      switch (rng.below(9)) {
        case 0: ++segment; break;
        case 1: group.compact(make_mark(step, rng.between(mark, last + 3))); break;
        case 2: group.forget_from(Index(rng.between(mark + 1, last + 2))); break;
        case 3:
          if (last > mark) (void)group.carry(entry(rng.between(mark + 1, last)), segment, step);
          break;
        case 4:
          if (rng.chance(0.1)) group.install(make_mark(step, last + rng.below(5)));
          break;
        case 5:
          if (rng.chance(0.1)) group.leave({.place = {}, .times = group.left().times + 1});
          break;
        default:
          group.append_anywhere(entry(rng.between(std::max<std::uint64_t>(last, 3) - 2, last + 1)), segment, step);
      }
      ASSERT_NO_FATAL_FAILURE(expect_held(group)) << "seed " << seed << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace assent::storage_test
