// Crashes of the log at every step (TESTING.md W01, W02, W04, W06, W07, W15): what was acknowledged is there
// afterwards, the batch on its way is there whole or not at all, and recovery itself may crash as often as it likes.
#include <gtest/gtest.h>

#include "storage/wal.h"
#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

struct Story {
  Model acknowledged;
  Model with_last;  // and the batch that was on its way
  bool finished = false;
};

WalOptions crash_options() { return small_options(4096, 512); }

// Writes batches until the disk gives out. The batches depend on the seed alone.
void write_batches(SimDisk& disk, Story& run, std::uint64_t seed, std::uint64_t batches) {
  WalRecovery recovered;
  auto wal = Wal::open(disk, crash_options(), recovered);
  if (!wal) return;
  Rng rng(seed);
  for (std::uint64_t i = 1; i <= batches; ++i) {
    const auto batch = random_batch(rng, run.acknowledged, i / 5 + 1);
    run.with_last = run.acknowledged;
    run.with_last.apply(batch);
    if (!(*wal)->submit(batch) || !settle(**wal, disk)) return;
    run.acknowledged = run.with_last;
  }
  run.finished = true;
}

// nullopt when the disk gave out meanwhile; a failed check otherwise.
std::optional<Model> recover(SimDisk& disk) {
  WalRecovery recovered;
  auto wal = Wal::open(disk, crash_options(), recovered);
  if (!wal) {
    EXPECT_TRUE(disk.power_is_off()) << wal.error().message;
    return std::nullopt;
  }
  return model_of(recovered);
}

void expect_one_of(const Model& found, const Story& run) {
  EXPECT_TRUE(found == run.acknowledged || found == run.with_last)
      << "found " << summary(found) << "\nacknowledged " << summary(run.acknowledged) << "\nwith the last batch "
      << summary(run.with_last);
}

std::uint64_t operations_of_a_whole_run(std::uint64_t seed, std::uint64_t batches) {
  SimDisk disk(seed);
  Story run;
  write_batches(disk, run, seed, batches);
  EXPECT_TRUE(run.finished);
  return disk.operations();
}

class WalCrash : public ::testing::TestWithParam<CrashKind> {};

// W01, W02, W04: the power goes, or the process dies, at each operation of a run with rotations.
TEST_P(WalCrash, AtEveryOperation) {
  constexpr std::uint64_t batches = 40;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const std::uint64_t total = operations_of_a_whole_run(seed, batches);
    for (std::uint64_t n = 0; n <= total; ++n) {
      SimDisk disk(seed * 1'000 + n);
      disk.cut_power_after(n);
      Story run;
      write_batches(disk, run, seed, batches);
      disk.crash(GetParam());
      const auto found = recover(disk);
      ASSERT_TRUE(found);
      expect_one_of(*found, run);
      if (HasFailure()) FAIL() << "seed " << seed << " operation " << n;
    }
  }
}

// W06: recovery is cut short at each of its operations, several times in a row, and ends in the same state.
TEST_P(WalCrash, InRecoveryAtEveryOperation) {
  constexpr std::uint64_t batches = 25;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const std::uint64_t total = operations_of_a_whole_run(seed, batches);
    for (std::uint64_t n = 1; n <= total; n += 3) {
      for (std::uint64_t step = 0; step < 12; ++step) {
        SimDisk disk(seed * 100'000 + n * 100 + step);
        disk.cut_power_after(n);
        Story run;
        write_batches(disk, run, seed, batches);
        disk.crash(GetParam());
        std::optional<Model> first;
        for (std::uint64_t round = 0; round < 4; ++round) {
          disk.cut_power_after(step + round);
          if (auto found = recover(disk)) first = found;
          disk.crash(round % 2 == 0 ? CrashKind::power : GetParam());
        }
        const auto found = recover(disk);
        ASSERT_TRUE(found);
        expect_one_of(*found, run);
        // A recovery that ended has answered for its state: later ones find the same.
        EXPECT_TRUE(!first || *found == *first);
        if (HasFailure()) FAIL() << "seed " << seed << " operation " << n << " step " << step;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, WalCrash, ::testing::Values(CrashKind::process, CrashKind::power),
                         [](const auto& kind) { return kind.param == CrashKind::power ? "Power" : "Process"; });

// Lives of random length, each ended by a random crash; the state goes on from one to the next.
TEST(WalCrashes, ManyLives) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SimDiskOptions options;
    options.write_micros_max = 50;
    options.sync_micros_max = 200;
    options.tear_chance = seed % 3 == 0 ? 0.5 : 0.1;
    SimDisk disk(seed, options);
    Rng rng(seed);
    Model acknowledged;
    std::uint64_t now = 0;
    for (int life = 0; life < 8; ++life) {
      WalRecovery recovered;
      auto wal = Wal::open(disk, crash_options(), recovered);
      ASSERT_TRUE(wal) << "seed " << seed << " life " << life << ": " << wal.error().message;
      const Model found = model_of(recovered);
      ASSERT_TRUE(life == 0 || found == acknowledged) << "seed " << seed << " life " << life;
      acknowledged = found;
      const std::uint64_t batches = rng.below(30);
      Model next = acknowledged;
      for (std::uint64_t i = 0; i < batches; ++i) {
        const auto batch = random_batch(rng, acknowledged, static_cast<std::uint64_t>(life) + 1);
        next = acknowledged;
        next.apply(batch);
        ASSERT_TRUE((*wal)->submit(batch));
        while (!(*wal)->idle()) {
          now = *disk.next_completion();
          disk.advance(now);
          for (const IoCompletion& completion : disk.poll()) (*wal)->completed(completion);
        }
        acknowledged = next;
      }
      if (rng.chance(0.7)) {  // one more, cut off somewhere on its way
        const auto batch = random_batch(rng, acknowledged, static_cast<std::uint64_t>(life) + 1);
        next = acknowledged;
        next.apply(batch);
        ASSERT_TRUE((*wal)->submit(batch));
        disk.advance(now + rng.below(250));
      }
      wal->reset();
      disk.crash(rng.chance(0.5) ? CrashKind::power : CrashKind::process);
      WalRecovery again;
      auto check = Wal::open(disk, crash_options(), again);
      ASSERT_TRUE(check) << "seed " << seed << " life " << life << ": " << check.error().message;
      const Model after = model_of(again);
      ASSERT_TRUE(after == acknowledged || after == next) << "seed " << seed << " life " << life;
      acknowledged = after;
      check->reset();
      disk.crash(CrashKind::power);
    }
  }
}

// W07: after a failed sync the bytes can be read and are not on the disk, and a later sync says all is well. What a
// restart reports must not rest on them.
TEST(WalCrashes, FailedSyncLeavesBytesThatAreOnlyInMemory) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SimDiskOptions options;
    options.keep_chance = 0;
    options.tear_chance = 0;
    SimDisk disk(seed, options);
    Model model;
    {
      WalRecovery recovered;
      auto wal = Wal::open(disk, crash_options(), recovered);
      ASSERT_TRUE(wal);
      Rng rng(seed);
      for (std::uint64_t i = 0; i < seed % 12; ++i) {
        const auto batch = random_batch(rng, model, 1);
        ASSERT_TRUE((*wal)->submit(batch));
        ASSERT_TRUE(settle(**wal, disk));
        model.apply(batch);
      }
      disk.fail_next_sync();
      const auto batch = random_batch(rng, model, 2);
      ASSERT_TRUE((*wal)->submit(batch));
      ASSERT_FALSE(settle(**wal, disk));
    }
    disk.crash(CrashKind::process);
    const auto reported = recover(disk);
    ASSERT_TRUE(reported);
    disk.crash(CrashKind::power);
    const auto after = recover(disk);
    ASSERT_TRUE(after);
    EXPECT_EQ(*after, *reported) << "seed " << seed << summary(*after) << " after " << summary(*reported);
  }
}

// W15: a file with old content takes a segment's place before anything is written: whatever it holds, it is no record.
TEST(WalCrashes, OldContentOfAFileIsNoRecord) {
  SimDisk disk(1);
  Model model;
  Rng rng(5);
  {
    WalRecovery recovered;
    auto wal = Wal::open(disk, crash_options(), recovered);
    ASSERT_TRUE(wal);
    for (int i = 0; i < 30; ++i) {
      const auto batch = random_batch(rng, model, 1);
      ASSERT_TRUE((*wal)->submit(batch));
      ASSERT_TRUE(settle(**wal, disk));
      model.apply(batch);
    }
  }
  disk.crash(CrashKind::power);
  const auto names = *disk.list("wal");
  const std::string newest = "wal/" + names.back();
  // The next segment, still with the bytes of the newest; and the newest with its own bytes again behind its end.
  const Bytes bytes = *disk.contents(newest);
  SimDisk next(2);
  for (const std::string& name : names) next.put("wal/" + name, *disk.contents("wal/" + name));
  next.put("wal/00000000000000009999.wal", bytes);
  auto found = recover(next);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, model);
  SimDisk doubled(3);
  for (const std::string& name : names) doubled.put("wal/" + name, *disk.contents("wal/" + name));
  doubled.put(newest, bytes + Bytes(512 - bytes.size() % 512, '\0') + bytes);
  found = recover(doubled);
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, model);
}

}  // namespace
}  // namespace assent::storage_test
