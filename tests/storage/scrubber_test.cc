// What reads cold data while the node runs, and what the log and the snapshots do about damage that it finds.
#include "storage/scrubber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/damaged_files.h"
#include "storage/inspect.h"
#include "storage/snapshot_file.h"
#include "storage/snapshot_store.h"
#include "storage/wal_format.h"
#include "storage/wal_recovery.h"
#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A log of some closed segments, in which the entries of a quiet group lie far back.
struct Log {
  explicit Log(std::uint64_t seed = 1) : disk(seed) {
    WalRecovery recovered;
    auto opened = Wal::open(disk, small_options(), recovered);
    EXPECT_TRUE(opened);
    wal = std::move(*opened);
  }
  void write(const std::vector<GroupUpdate>& batch) {
    ASSERT_TRUE(wal->submit(batch));
    ASSERT_TRUE(settle(*wal, disk));
    model.apply(batch);
  }
  void fill(std::size_t segments) {
    write({append(7, {make_entry(1, 1, "quiet"), make_entry(1, 2, "too")})});
    for (std::uint64_t index = 1; wal->closed().size() < segments; ++index) {
      write({append(1, {make_entry(1, index, Bytes(300, static_cast<char>('a' + index % 26)))})});
    }
  }

  SimDisk disk;
  std::unique_ptr<Wal> wal;
  Model model;
};

std::optional<std::string> verdict(const ColdFile& file, ByteView bytes, std::size_t piece) {
  const auto check = make_cold_check(file);
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    if (check->add(bytes.substr(at, piece))) break;
  }
  return check->verdict();
}

std::vector<Scrubber::Damage> scrub(Scrubber& scrubber, std::vector<ColdFile> files,
                                    Scrubber::Scope scope = Scrubber::Scope::all) {
  std::vector<Scrubber::Damage> found;
  scrubber.begin(std::move(files), scope);
  while (scrubber.running()) {
    if (auto damage = scrubber.step(1'000)) found.push_back(std::move(*damage));
  }
  return found;
}

// ---- what is damage ----

TEST(ColdCheck, SaysOfEachByteOfASegmentWhatARestartWouldSay) {
  Log log;
  log.fill(2);
  const ColdFile file = log.wal->closed().front();
  const Bytes good = *log.disk.contents(file.path);
  ASSERT_EQ(verdict(file, good, 100), std::nullopt);
  log.wal.reset();
  std::size_t seen = 0;
  for (std::uint64_t offset = 0; offset < std::min<std::uint64_t>(good.size(), file.end); ++offset) {
    Bytes bytes = good;
    bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
    log.disk.put(file.path, bytes);
    const auto scan = scan_wal(log.disk, "wal", small_options().identity);
    const auto found = verdict(file, bytes, 1 + offset % 700);
    ASSERT_EQ(found.has_value(), !scan || !scan->damages.empty())
        << "at offset " << offset << ": " << found.value_or("whole");
    seen += found ? 1 : 0;
  }
  EXPECT_GT(seen, file.end / 2);
  EXPECT_NE(verdict(file, ByteView(good).substr(0, file.end - 1), 64), std::nullopt) << "it is cut";
}

TEST(ColdCheck, SaysOfEachByteOfASnapshotWhatItsReaderWouldSay) {
  const SnapshotMark mark = make_mark(3, 9);
  const Bytes good = snapshot_file::encode(GroupId(4), {mark, Bytes(500, 'd')});
  const snapshot_file::Name name{GroupId(4), mark.last};
  const ColdFile file{
      .kind = ColdFile::Kind::snapshot, .path = "snapshots/" + snapshot_file::name(name), .group = GroupId(4)};
  ASSERT_EQ(verdict(file, good, 7), std::nullopt);
  for (std::size_t offset = 0; offset < good.size(); ++offset) {
    Bytes bytes = good;
    bytes[offset] = static_cast<char>(bytes[offset] ^ 1);
    ASSERT_FALSE(snapshot_file::decode(bytes, name));
    EXPECT_NE(verdict(file, bytes, 1 + offset % 90), std::nullopt) << "at offset " << offset;
    EXPECT_NE(verdict(file, ByteView(good).substr(0, offset), 50), std::nullopt) << "cut at " << offset;
  }
  EXPECT_NE(verdict(file, good + "x", 100), std::nullopt);
}

// ---- the scrubber ----

TEST(Scrubber, ReadsAllAndFindsWhatRotted) {
  Log log;
  log.fill(3);
  Scrubber scrubber(log.disk);
  EXPECT_THAT(scrub(scrubber, log.wal->closed()), IsEmpty());
  EXPECT_EQ(scrubber.figures().passes, 1U);
  EXPECT_EQ(scrubber.figures().files, 3U);
  const ColdFile victim = log.wal->closed()[1];
  ASSERT_TRUE(log.disk.rot(victim.path, 512 + 40, 4));
  const auto found = scrub(scrubber, log.wal->closed());
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].file, victim);
  EXPECT_FALSE(found[0].again);
  EXPECT_THAT(found[0].what, HasSubstr("at offset"));
  const auto again = scrub(scrubber, log.wal->closed(), Scrubber::Scope::damaged);
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_TRUE(again[0].again);
  EXPECT_EQ(scrubber.figures().found, 1U);
  ASSERT_TRUE(log.disk.rot(victim.path, 512 + 40, 4));  // whole again
  EXPECT_THAT(scrub(scrubber, log.wal->closed(), Scrubber::Scope::damaged), IsEmpty());
  EXPECT_THAT(scrubber.damaged(), IsEmpty());
  EXPECT_EQ(scrubber.figures().repaired, 1U);
  EXPECT_EQ(scrubber.figures().passes, 2U);
}

TEST(Scrubber, AReadThatFailsOnceIsNoDamageAndOneThatAlwaysFailsIs) {
  Log log;
  log.fill(2);
  Scrubber scrubber(log.disk);
  log.disk.fail_next_read();
  EXPECT_THAT(scrub(scrubber, log.wal->closed()), IsEmpty());
  EXPECT_EQ(scrubber.figures().wavered, 1U);
  ASSERT_TRUE(log.disk.spoil(log.wal->closed()[0].path));
  const auto found = scrub(scrubber, log.wal->closed());
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(found[0].what, HasSubstr("input/output error"));
}

TEST(Scrubber, WhatIsGoneIsNoDamage) {
  Log log;
  log.fill(2);
  const std::vector<ColdFile> files = log.wal->closed();
  Scrubber scrubber(log.disk);
  scrubber.begin(files);
  ASSERT_TRUE(log.disk.remove(files[0].path));
  while (scrubber.running()) EXPECT_FALSE(scrubber.step(1'000));
  EXPECT_EQ(scrubber.figures().found, 0U);
}

// ---- the log ----

void renew(Log& log, std::uint64_t segment) {
  log.wal->renew(segment);
  for (int round = 0; round < 100 && log.wal->has_to_renew(); ++round) log.write({});
  ASSERT_FALSE(log.wal->has_to_renew());
}

TEST(DamagedSegment, IsWrittenAnewFromMemoryAndSetAside) {
  for (std::size_t victim = 0; victim < 4; ++victim) {
    Log log;
    log.fill(4);
    const ColdFile file = log.wal->closed()[victim];
    ASSERT_TRUE(log.disk.rot(file.path, 512 + 40, 4));
    renew(log, file.segment);
    EXPECT_EQ(log.disk.contents(file.path), std::nullopt);
    EXPECT_THAT(*log.disk.list("damaged"), SizeIs(1));
    EXPECT_EQ(log.wal->statistics().renewed, 1U);
    log.write({append(7, {make_entry(2, 3, "later")})});
    log.wal.reset();
    log.disk.crash(CrashKind::power);
    WalRecovery recovered;
    auto again = Wal::open(log.disk, small_options(), recovered);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(model_of(recovered), log.model);
    EXPECT_THAT(inspect_data_directory(log.disk)->damages, IsEmpty());
  }
}

TEST(DamagedSegment, OneThatIsGoneOrBeingWrittenIsLeftAlone) {
  Log log;
  log.fill(2);
  log.wal->renew(999);
  log.wal->renew(log.wal->closed().back().segment + 1);
  EXPECT_FALSE(log.wal->has_to_renew());
}

// Wherever the power goes off meanwhile: all is there, or the damage is seen.
TEST(DamagedSegment, ACrashDuringTheRenewalLosesNothing) {
  bool done = false;
  for (std::uint64_t after = 1; !done; ++after) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      Log log(seed);
      log.fill(4);
      const ColdFile file = log.wal->closed()[1];
      ASSERT_TRUE(log.disk.rot(file.path, 512 + 40, 4));
      log.wal->renew(file.segment);
      log.disk.cut_power_after(after);
      for (int round = 0; round < 100 && log.wal->has_to_renew(); ++round) {
        if (!log.wal->submit({}) || !settle(*log.wal, log.disk)) break;
      }
      done = done || !log.disk.power_is_off();
      log.wal.reset();
      log.disk.crash(CrashKind::power);
      WalRecovery recovered;
      auto again = Wal::open(log.disk, small_options(), recovered);
      ASSERT_TRUE(again) << again.error().message;
      if (recovered.lost.empty()) {
        ASSERT_EQ(model_of(recovered), log.model) << "after " << after << " operations, seed " << seed;
      } else {
        ASSERT_THAT(recovered.damages, Contains(HasSubstr(file.path)));
      }
    }
    ASSERT_LT(after, 1'000U);
  }
}

// ---- snapshots ----

TEST(DamagedSnapshot, IsSetAsideWhenAnotherTakesItsName) {
  SimDisk disk(1);
  auto store = SnapshotStore::open(disk);
  ASSERT_TRUE(store);
  const auto save = [&](const Snapshot& snapshot) {
    ASSERT_TRUE((*store)->save(GroupId(1), snapshot));
    std::vector<SnapshotStore::Saved> saved;
    for (auto done = disk.poll(); !done.empty(); done = disk.poll()) {
      for (const IoCompletion& completion : done) EXPECT_TRUE((*store)->completed(completion, saved));
    }
    ASSERT_THAT(saved, SizeIs(1));
  };
  const SnapshotMark mark = make_mark(1, 5);
  save({mark, "five"});
  ASSERT_THAT((*store)->files(), SizeIs(1));
  const ColdFile file = (*store)->files().front();
  ASSERT_TRUE(disk.rot(file.path, disk.contents(file.path)->size() - 1, 1));
  (*store)->suspect(GroupId(1), mark.last);
  EXPECT_NE(disk.contents(file.path), std::nullopt) << "it stays until another is there";
  save({mark, "five"});
  EXPECT_EQ((*store)->load(GroupId(1), mark)->data, "five");
  EXPECT_THAT(*disk.list("damaged"), SizeIs(1));
  (*store)->suspect(GroupId(1), mark.last);
  save({make_mark(1, 8), "eight"});
  (*store)->drop_before(GroupId(1), make_mark(1, 8));
  EXPECT_THAT((*store)->files(), SizeIs(1));
  EXPECT_THAT(*disk.list("damaged"), SizeIs(2));
}

TEST(DamagedFiles, TheOldestGoWhenThereAreTooMany) {
  SimDisk disk(1);
  for (int i = 0; i < 5; ++i) {
    disk.put("x", Bytes(100, static_cast<char>('a' + i)));
    ASSERT_TRUE(set_aside(disk, "x", 250));
    EXPECT_EQ(disk.contents("x"), std::nullopt);
  }
  EXPECT_THAT(*disk.list("damaged"), ::testing::ElementsAre("000004-x", "000005-x"));
  disk.put("x", Bytes(300, 'z'));
  ASSERT_TRUE(set_aside(disk, "x", 250)) << "too large to be kept";
  EXPECT_THAT(*disk.list("damaged"), IsEmpty());
}

}  // namespace
}  // namespace assent::storage_test
