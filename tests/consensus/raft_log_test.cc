#include "consensus/raft/raft_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "consensus/raft/message_codec.h"

namespace assent::raft {
namespace {

EntryPtr entry(std::uint64_t epoch, std::uint64_t index, std::uint64_t stamp = 0, std::size_t bytes = 0) {
  return std::make_shared<const Entry>(Entry{.epoch = Epoch(epoch),
                                             .index = Index(index),
                                             .stamp = ClusterMillis(stamp),
                                             .kind = EntryKind::command,
                                             .payload = Bytes(bytes, 'x')});
}

SnapshotMark mark(std::uint64_t epoch, std::uint64_t index) {
  return {.last = {Epoch(epoch), Index(index)}, .stamp = {}, .members = {NodeId(1)}};
}

TEST(RaftLog, C07_a_write_that_was_cut_off_while_under_way_vouches_only_for_what_stood_before) {
  RaftLog log;
  log.append(entry(1, 1));
  log.append(entry(1, 2));
  log.append(entry(1, 3));
  ASSERT_EQ(log.take_unsaved(1).size(), 3U);
  const std::vector<EntryPtr> other{entry(2, 2), entry(2, 3)};
  log.replace(other);
  ASSERT_EQ(log.take_unsaved(2).size(), 2U);
  log.durable(1);
  EXPECT_EQ(log.durable_index(), Index(1));
  log.durable(2);
  EXPECT_EQ(log.durable_index(), Index(3));
}

TEST(RaftLog, what_was_cut_off_after_it_was_durable_is_not_durable_any_more) {
  RaftLog log;
  log.append(entry(1, 1));
  log.append(entry(1, 2));
  (void)log.take_unsaved(1);
  log.durable(1);
  const std::vector<EntryPtr> other{entry(2, 2)};
  log.replace(other);
  EXPECT_EQ(log.durable_index(), Index(1));
}

TEST(RaftLog, entries_cut_off_before_they_were_taken_are_never_written) {
  RaftLog log;
  log.append(entry(1, 1));
  log.append(entry(1, 2));
  const std::vector<EntryPtr> other{entry(2, 1)};
  log.replace(other);
  const auto taken = log.take_unsaved(1);
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken.front()->epoch, Epoch(2));
}

TEST(RaftLog, compaction_keeps_a_tail_bounded_in_entries_and_in_bytes) {
  for (const bool by_bytes : {false, true}) {
    RaftLog log;
    for (std::uint64_t i = 1; i <= 20; ++i) log.append(entry(1, i, 0, 100));
    (void)log.take_unsaved(1);
    const std::size_t three = 3 * (100 + entry_overhead_bytes);
    log.compact(mark(1, 15), by_bytes ? 100 : 3, by_bytes ? three : 100'000);
    EXPECT_EQ(log.first_index(), Index(13));
    EXPECT_EQ(log.base(), (Position{Epoch(1), Index(12)}));
    EXPECT_EQ(log.last_index(), Index(20));
    EXPECT_EQ(log.bytes(), 8 * (100 + entry_overhead_bytes));
    EXPECT_EQ(log.snapshot().last.index, Index(15));
  }
}

TEST(RaftLog, fits_refuses_gaps_and_what_goes_back_in_epoch_or_time) {
  RaftLog log;
  log.append(entry(2, 1, 50));
  const auto fits = [&log](const EntryPtr& one) { return log.fits(std::vector<EntryPtr>{one}); };
  EXPECT_TRUE(fits(entry(2, 2, 50)));
  EXPECT_TRUE(fits(entry(3, 1, 0)));
  EXPECT_FALSE(fits(entry(2, 3, 50)));
  EXPECT_FALSE(fits(entry(1, 2, 50)));
  EXPECT_FALSE(fits(entry(2, 2, 49)));
  EXPECT_FALSE(fits(entry(2, 0, 50)));
}

// The same operations on a std::map from index to entry, with the searches written as plain loops.
class DumbLog {
 public:
  std::map<std::uint64_t, EntryPtr> entries;
  Position base;
  std::uint64_t saved = 0;
  std::uint64_t durable = 0;
  std::map<std::uint64_t, std::map<std::uint64_t, EntryPtr>> writes;
  std::map<std::uint64_t, EntryPtr> disk;

  [[nodiscard]] std::uint64_t last() const { return entries.empty() ? base.index.value : entries.rbegin()->first; }
  [[nodiscard]] std::uint64_t last_not_newer(std::uint64_t limit, std::uint64_t epoch) const {
    for (std::uint64_t i = std::min(limit, last()); i > base.index.value; --i) {
      if (entries.at(i)->epoch.value <= epoch) return i;
    }
    if (limit >= base.index.value && base.epoch.value <= epoch) return base.index.value;
    return std::min(limit, base.index.value == 0 ? 0 : base.index.value - 1);
  }
  // What the disk really holds of the present log: from the start, as long as the very same entries stand there.
  [[nodiscard]] std::uint64_t really_durable() const {
    std::uint64_t reached = base.index.value;
    while (entries.contains(reached + 1) && disk.contains(reached + 1) &&
           disk.at(reached + 1) == entries.at(reached + 1))
      ++reached;
    return reached;
  }
};

TEST(RaftLog, equals_its_dumb_twin_under_random_operations) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Rng rng(seed);
    RaftLog log;
    DumbLog dumb;
    std::uint64_t epoch = 1;
    std::uint64_t output = 0;
    std::uint64_t written = 0;
    for (int step = 0; step < 300; ++step) {
      epoch += rng.chance(0.1) ? 1 : 0;
      switch (rng.below(6)) {
        case 0:
        case 1: {
          const EntryPtr next = entry(epoch, dumb.last() + 1, 0, rng.below(20));
          log.append(next);
          dumb.entries[next->index.value] = next;
          break;
        }
        case 2: {  // a new leader replaces a suffix
          ++epoch;
          const std::uint64_t from = rng.between(dumb.base.index.value + 1, dumb.last() + 1);
          std::vector<EntryPtr> others;
          for (std::uint64_t i = 0; i < rng.between(1, 4); ++i) others.push_back(entry(epoch, from + i));
          ASSERT_TRUE(log.fits(others));
          log.replace(others);
          dumb.entries.erase(dumb.entries.lower_bound(from), dumb.entries.end());
          for (const EntryPtr& other : others) dumb.entries[other->index.value] = other;
          dumb.saved = std::min(dumb.saved, from - 1);
          break;
        }
        case 3: {
          const auto taken = log.take_unsaved(++output);
          std::vector<EntryPtr> expected;
          for (std::uint64_t i = dumb.saved + 1; i <= dumb.last(); ++i) expected.push_back(dumb.entries.at(i));
          ASSERT_EQ(taken, expected);
          for (const EntryPtr& one : expected) dumb.writes[output][one->index.value] = one;
          dumb.saved = dumb.last();
          break;
        }
        case 4: {
          if (written == output) break;
          written = rng.between(written + 1, output);
          while (!dumb.writes.empty() && dumb.writes.begin()->first <= written) {
            const auto& write = dumb.writes.begin()->second;
            if (!write.empty()) dumb.disk.erase(dumb.disk.lower_bound(write.begin()->first), dumb.disk.end());
            dumb.disk.insert(write.begin(), write.end());
            dumb.writes.erase(dumb.writes.begin());
          }
          log.durable(written);
          break;
        }
        default: {
          if (dumb.saved <= dumb.base.index.value || !rng.chance(0.2)) break;
          const std::uint64_t at = rng.between(dumb.base.index.value + 1, dumb.saved);
          const std::uint64_t first_kept = at < 2 ? at : at - rng.below(2);
          const SnapshotMark to = mark(dumb.entries.at(at)->epoch.value, at);
          log.compact(to, at - first_kept, 1'000'000);
          while (dumb.base.index.value < first_kept) {
            const EntryPtr gone = dumb.entries.begin()->second;
            dumb.base = {gone->epoch, gone->index};
            dumb.entries.erase(dumb.entries.begin());
          }
          break;
        }
      }
      ASSERT_EQ(log.last_index().value, dumb.last());
      ASSERT_EQ(log.base(), dumb.base);
      std::size_t bytes = 0;
      for (const auto& [index, one] : dumb.entries) {
        ASSERT_EQ(log.at(Index(index)), one);
        bytes += entry_bytes(*one);
      }
      ASSERT_EQ(log.bytes(), bytes);
      ASSERT_LE(std::max(log.durable_index().value, dumb.base.index.value), dumb.really_durable());
      const std::uint64_t limit = rng.below(dumb.last() + 3);
      const std::uint64_t asked = rng.below(epoch + 2);
      ASSERT_EQ(log.last_not_newer(Index(limit), Epoch(asked)).value, dumb.last_not_newer(limit, asked))
          << "limit " << limit << " epoch " << asked << " base " << dumb.base.index.value;
    }
    log.durable(output);
    (void)log.take_unsaved(++output);
    log.durable(output);
    EXPECT_EQ(log.durable_index(), log.last_index());
  }
}

}  // namespace
}  // namespace assent::raft
