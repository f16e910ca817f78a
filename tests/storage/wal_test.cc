// What the WAL means: updates, rotation, removal of segments, group commit's contract. Crashes: wal_crash_test.cc.
#include "storage/wal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

using ::testing::HasSubstr;

class WalTest : public ::testing::Test {
 protected:
  void open(const WalOptions& options = small_options()) {
    wal_.reset();
    auto opened = Wal::open(disk_, options, recovered_);
    ASSERT_TRUE(opened) << opened.error().message;
    wal_ = std::move(*opened);
  }
  void write(const std::vector<GroupUpdate>& batch) {
    const auto ticket = wal_->submit(batch);
    ASSERT_TRUE(ticket) << ticket.error().message;
    ASSERT_TRUE(settle(*wal_, disk_));
    ASSERT_EQ(wal_->durable(), *ticket);
    model_.apply(batch);
  }
  void expect_recovers() {
    disk_.crash(CrashKind::power);
    open();
    EXPECT_EQ(model_of(recovered_), model_) << summary(model_of(recovered_)) << "\n wanted " << summary(model_);
  }

  SimDisk disk_{1};
  WalRecovery recovered_;
  std::unique_ptr<Wal> wal_;
  Model model_;
};

TEST_F(WalTest, NewLogIsEmpty) {
  open();
  EXPECT_TRUE(recovered_.groups.empty());
  EXPECT_EQ(recovered_.segments, 0U);
  EXPECT_TRUE(wal_->idle());
  EXPECT_EQ(wal_->durable(), 0U);
  EXPECT_EQ(wal_->statistics().segments, 1U);
}

TEST_F(WalTest, KeepsHardStateAndEntries) {
  open();
  GroupUpdate update = append(3, {make_entry(1, 1, "one"), make_entry(1, 2, "")});
  update.hard_state = "voted";
  write({update, append(9, {make_entry(4, 1, Bytes("\0x", 2))})});
  expect_recovers();
  EXPECT_EQ(recovered_.groups.at(GroupId(3)).hard_state, "voted");
  EXPECT_EQ(recovered_.groups.at(GroupId(3)).entries.size(), 2U);
}

TEST_F(WalTest, AGroupThatWasLeftKeepsItsHardStateAlone) {
  open();
  GroupUpdate update = append(3, {make_entry(1, 1, "one"), make_entry(1, 2, "two")});
  update.hard_state = "voted";
  write({update, append(9, {make_entry(4, 1, "other")})});
  const LeftGroup left{{Epoch(2), Index(7)}, 1};
  GroupUpdate leave;
  leave.group = GroupId(3);
  leave.left = left;
  write({leave});
  expect_recovers();
  EXPECT_EQ(recovered_.left, (std::map<GroupId, LeftGroup>{{GroupId(3), left}}));
  EXPECT_TRUE(recovered_.groups.at(GroupId(3)).entries.empty());
  EXPECT_FALSE(wal_->submit({leave})) << "it was said already";
  write({append(3, {make_entry(3, 1, "anew")})});  // from the first index on
  for (std::uint64_t index = 2; index < 60; ++index) write({append(9, {make_entry(4, index, Bytes(300, 'x'))})});
  expect_recovers();  // over rotations
  EXPECT_EQ(recovered_.left.at(GroupId(3)), left);
  leave.left->times = 2;
  write({leave});
  expect_recovers();
  EXPECT_EQ(recovered_.left.at(GroupId(3)).times, 2U);
}

TEST_F(WalTest, ALeavingThatOpensASegmentIsReadAsOne) {
  open();
  write({append(3, {make_entry(1, 1, Bytes(1'500, 'a')), make_entry(1, 2, Bytes(1'200, 'b'))})});
  GroupUpdate leave = append(3, {});
  leave.left = LeftGroup{{Epoch(1), Index(2)}, 1};
  write({append(9, {make_entry(1, 1, Bytes(1'500, 'c'))}), leave});
  expect_recovers();
  EXPECT_EQ(recovered_.left.at(GroupId(3)).times, 1U);
}

TEST_F(WalTest, EveryFieldOfAnEntryComesBack) {
  open();
  const Entry odd{Epoch(7), Index(1), ClusterMillis(0), EntryKind::epoch_start, ""};
  const Entry full{Epoch(~0ULL), Index(2), ClusterMillis(~0ULL), EntryKind::command, Bytes(300, '\xff')};
  write({append(1, {std::make_shared<const Entry>(odd), std::make_shared<const Entry>(full)})});
  expect_recovers();
  EXPECT_EQ(*recovered_.groups.at(GroupId(1)).entries[0], odd);
  EXPECT_EQ(*recovered_.groups.at(GroupId(1)).entries[1], full);
}

TEST_F(WalTest, AppendReplacesTheSuffix) {
  open();
  write({append(1, {make_entry(1, 1, "a"), make_entry(1, 2, "b"), make_entry(1, 3, "c"), make_entry(1, 4, "d")})});
  write({append(1, {make_entry(2, 2, "B")})});
  EXPECT_EQ(model_.last(1), 2U);
  expect_recovers();
}

TEST_F(WalTest, InstallVoidsTheWholeLog) {
  open();
  write({append(1, {make_entry(1, 1, "a"), make_entry(1, 2, "b")})});
  GroupUpdate update = append(1, {make_entry(5, 2, "x")});
  update.install = make_mark(4, 1);
  write({update});
  expect_recovers();
  EXPECT_EQ(recovered_.groups.at(GroupId(1)).snapshot, make_mark(4, 1));
  EXPECT_EQ(recovered_.groups.at(GroupId(1)).entries.size(), 1U);
}

TEST_F(WalTest, CompactKeepsLaterEntries) {
  open();
  write({append(1, {make_entry(1, 1, "a"), make_entry(1, 2, "b"), make_entry(1, 3, "c")})});
  GroupUpdate update;
  update.group = GroupId(1);
  update.compact = make_mark(1, 2);
  write({update});
  expect_recovers();
  ASSERT_EQ(recovered_.groups.at(GroupId(1)).entries.size(), 1U);
  EXPECT_EQ(recovered_.groups.at(GroupId(1)).entries[0]->payload, "c");
  // An older mark says nothing.
  update.compact = make_mark(1, 1);
  write({update});
  expect_recovers();
}

TEST_F(WalTest, CompactAheadOfTheStoredLogStartsItThere) {
  open();
  GroupUpdate update = append(1, {make_entry(1, 1, "a")});
  update.compact = make_mark(3, 8);
  write({update});
  write({append(1, {make_entry(3, 9, "next")})});
  expect_recovers();
}

TEST_F(WalTest, RefusesWhatItCouldNotReadBack) {
  open();
  write({append(1, {make_entry(1, 1, "a")})});
  EXPECT_EQ(wal_->submit({append(1, {make_entry(1, 3, "gap")})}).error().code, ErrorCode::refused);
  EXPECT_EQ(wal_->submit({append(2, {make_entry(1, 0, "zero")})}).error().code, ErrorCode::refused);
  GroupUpdate update;
  update.group = GroupId(1);
  update.install = make_mark(2, 5);
  write({update});
  update.install = make_mark(2, 4);
  EXPECT_EQ(wal_->submit({update}).error().code, ErrorCode::refused);
  EXPECT_FALSE(wal_->failure());
  expect_recovers();
}

TEST_F(WalTest, OneBatchAtATimeInOneWriteAndOneSync) {
  open();
  const auto before = disk_.operations();
  ASSERT_TRUE(wal_->submit({append(1, {make_entry(1, 1, "a")}), append(2, {make_entry(1, 1, "b")})}));
  EXPECT_EQ(disk_.operations() - before, 2U);
  EXPECT_FALSE(wal_->idle());
  EXPECT_EQ(wal_->submit({append(1, {make_entry(1, 2, "b")})}).error().code, ErrorCode::busy);
  EXPECT_EQ(wal_->durable(), 0U);
  ASSERT_TRUE(settle(*wal_, disk_));
  EXPECT_EQ(wal_->durable(), 1U);
}

TEST_F(WalTest, LeavesOthersCompletionsAlone) {
  open();
  EXPECT_FALSE(wal_->completed({IoToken(snapshot_token_base | 1U), std::nullopt}));
  EXPECT_TRUE(wal_->completed({IoToken(wal_token_base | 12345U), std::nullopt}));
  EXPECT_TRUE(wal_->idle());
}

TEST_F(WalTest, WithoutSyncTheWriteIsEnough) {
  WalOptions options = small_options();
  options.sync = false;
  open(options);
  const auto before = disk_.operations();
  ASSERT_TRUE(wal_->submit({append(1, {make_entry(1, 1, "a")})}));
  EXPECT_EQ(disk_.operations() - before, 1U);
  ASSERT_TRUE(settle(*wal_, disk_));
  EXPECT_EQ(wal_->durable(), 1U);
}

TEST_F(WalTest, RotatesAndKeepsEverythingLive) {
  open();
  for (std::uint64_t i = 1; i <= 100; ++i) write({append(1, {make_entry(1, i, Bytes(200, 'x'))})});
  EXPECT_GT(wal_->statistics().segments, 5U);
  expect_recovers();
}

TEST_F(WalTest, BatchLargerThanASegment) {
  open();
  write({append(1, {make_entry(1, 1, Bytes(50'000, 'x'))})});
  write({append(1, {make_entry(1, 2, Bytes(50'000, 'y'))})});
  expect_recovers();
  write({append(1, {make_entry(1, 3, "z")})});
  expect_recovers();
}

TEST_F(WalTest, SegmentsGoOnceNothingLivesInThem) {
  open();
  for (std::uint64_t i = 1; i <= 400; ++i) {
    GroupUpdate update = append(1, {make_entry(1, i, Bytes(200, 'x'))});
    if (i > 5) update.compact = make_mark(1, i - 5);
    write({update});
  }
  EXPECT_LE(wal_->statistics().segments, 4U);
  EXPECT_LE(disk_.list("wal")->size(), 4U);
  expect_recovers();
}

// One entry of a quiet group in every segment must not keep them all.
TEST_F(WalTest, QuietGroupsAreCarriedForward) {
  open(small_options(16'384));
  std::uint64_t quiet = 0;
  GroupUpdate first = append(2, {make_entry(1, ++quiet, "rare")});
  first.hard_state = "voted long ago";
  write({first});
  for (std::uint64_t i = 1; i <= 1'000; ++i) {
    GroupUpdate busy = append(1, {make_entry(1, i, Bytes(200, 'x'))});
    if (i > 5) busy.compact = make_mark(1, i - 5);
    std::vector<GroupUpdate> batch{busy};
    if (i % 40 == 0) batch.push_back(append(2, {make_entry(1, ++quiet, "rare")}));
    write(batch);
  }
  EXPECT_EQ(model_.groups.at(2).entries.size(), 26U);
  EXPECT_LE(disk_.list("wal")->size(), 4U);
  expect_recovers();
}

// Restarts without traffic neither grow the folder nor lose the last batch.
TEST_F(WalTest, RestartsDoNotPileUp) {
  open();
  for (std::uint64_t i = 1; i <= 30; ++i) write({append(1, {make_entry(1, i, Bytes(100, 'x'))})});
  expect_recovers();
  const std::size_t files = disk_.list("wal")->size();
  for (int i = 0; i < 20; ++i) expect_recovers();
  EXPECT_LE(disk_.list("wal")->size(), files);
}

TEST_F(WalTest, RandomBatchesAgainstTheModel) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    disk_ = SimDisk(seed);
    model_ = {};
    Rng rng(seed);
    open();
    for (std::uint64_t i = 1; i <= 120; ++i) {
      const auto batch = random_batch(rng, model_, i / 10 + 1);
      if (batch.empty()) continue;
      write(batch);
      if (rng.chance(0.03)) expect_recovers();
      if (HasFatalFailure()) return;
    }
    expect_recovers();
  }
}

TEST_F(WalTest, ErrorsOfTheDiskEndIt) {
  open();
  write({append(1, {make_entry(1, 1, "a")})});
  disk_.fail_next_sync();
  ASSERT_TRUE(wal_->submit({append(1, {make_entry(1, 2, "b")})}));
  EXPECT_FALSE(settle(*wal_, disk_));
  ASSERT_TRUE(wal_->failure());
  EXPECT_EQ(wal_->failure()->code, ErrorCode::io);
  EXPECT_EQ(wal_->durable(), 1U);
  EXPECT_FALSE(wal_->idle());
  EXPECT_EQ(wal_->submit({}).error().code, ErrorCode::io);
}

TEST_F(WalTest, FullDiskAtRotationIsAnError) {
  open();
  SimDiskOptions full;
  full.capacity_bytes = disk_.used_bytes() + 100;
  disk_.set_options(full);
  std::optional<Error> error;
  for (std::uint64_t i = 1; i <= 100 && !error; ++i) {
    const auto batch = std::vector{append(1, {make_entry(1, i, Bytes(200, 'x'))})};
    const auto ticket = wal_->submit(batch);
    if (!ticket) error = ticket.error();
    if (!ticket || !settle(*wal_, disk_)) break;
    model_.apply(batch);
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::io);
  EXPECT_THAT(error->message, HasSubstr("no space"));
  disk_.set_options({});
  expect_recovers();
}

TEST_F(WalTest, RefusesAForeignOrNewerOrOddlySetLog) {
  open();
  write({append(1, {make_entry(1, 1, "a")})});
  wal_.reset();
  WalOptions other = small_options();
  other.identity = 78;
  auto opened = Wal::open(disk_, other, recovered_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::refused);
  EXPECT_THAT(opened.error().message, HasSubstr("wal/00000000000000000001.wal"));
  WalOptions odd = small_options();
  odd.block_bytes = 1000;
  EXPECT_EQ(Wal::open(disk_, odd, recovered_).error().code, ErrorCode::refused);
}

// Another block size at the next start is no trouble: each segment says its own.
TEST_F(WalTest, BlockSizeMayChange) {
  open(small_options(8192, 64));
  for (std::uint64_t i = 1; i <= 50; ++i) write({append(1, {make_entry(1, i, Bytes(100, 'x'))})});
  disk_.crash(CrashKind::process);
  open(small_options(8192, 4096));
  EXPECT_EQ(model_of(recovered_), model_);
  for (std::uint64_t i = 51; i <= 60; ++i) write({append(1, {make_entry(1, i, Bytes(100, 'x'))})});
  expect_recovers();
}

}  // namespace
}  // namespace assent::storage_test
