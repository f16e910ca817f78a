#include "storage/snapshot_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

class SnapshotStoreTest : public ::testing::Test {
 protected:
  void open() {
    store_.reset();
    auto opened = SnapshotStore::open(disk_);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  // What became durable until the disk had nothing more to say.
  std::vector<SnapshotStore::Saved> drain() {
    std::vector<SnapshotStore::Saved> saved;
    for (auto completions = disk_.poll(); !completions.empty(); completions = disk_.poll()) {
      for (const IoCompletion& completion : completions) EXPECT_TRUE(store_->completed(completion, saved));
    }
    return saved;
  }
  void save(std::uint64_t group, const Snapshot& snapshot) {
    ASSERT_TRUE(store_->save(GroupId(group), snapshot));
    const auto saved = drain();
    ASSERT_EQ(saved.size(), 1U);
    EXPECT_EQ(saved[0].group, GroupId(group));
    EXPECT_EQ(saved[0].mark, snapshot.mark);
  }

  SimDisk disk_{1};
  std::unique_ptr<SnapshotStore> store_;
};

TEST_F(SnapshotStoreTest, NewestOfEachGroup) {
  open();
  EXPECT_FALSE(store_->newest(GroupId(1))->has_value());
  save(1, {make_mark(1, 5), "five"});
  save(2, {make_mark(1, 7), ""});
  save(1, {make_mark(2, 10), "ten"});
  disk_.crash(CrashKind::power);
  open();
  EXPECT_EQ(store_->newest(GroupId(1))->value().data, "ten");
  EXPECT_EQ(store_->newest(GroupId(1))->value().mark, make_mark(2, 10));
  EXPECT_EQ(store_->newest(GroupId(2))->value().data, "");
  EXPECT_EQ(store_->load(GroupId(1), make_mark(1, 5))->data, "five");
  EXPECT_EQ(store_->load(GroupId(1), make_mark(1, 6)).error().code, ErrorCode::not_found);
  SnapshotMark other = make_mark(1, 5);
  other.members.voters.pop_back();
  EXPECT_EQ(store_->load(GroupId(1), other).error().code, ErrorCode::not_found);
}

TEST_F(SnapshotStoreTest, DropsOlderOnes) {
  open();
  for (const std::uint64_t index : {3, 6, 9}) save(1, {make_mark(1, index), "x"});
  save(11, {make_mark(1, 2), "another group"});
  store_->drop_before(GroupId(1), make_mark(1, 6));
  EXPECT_EQ(store_->load(GroupId(1), make_mark(1, 3)).error().code, ErrorCode::not_found);
  EXPECT_TRUE(store_->load(GroupId(1), make_mark(1, 6)));
  EXPECT_TRUE(store_->load(GroupId(1), make_mark(1, 9)));
  EXPECT_TRUE(store_->newest(GroupId(11))->has_value());
}

TEST_F(SnapshotStoreTest, OneSaveOfAGroupAtATime) {
  open();
  ASSERT_TRUE(store_->save(GroupId(1), {make_mark(1, 1), "a"}));
  EXPECT_EQ(store_->save(GroupId(1), {make_mark(1, 2), "b"}).error().code, ErrorCode::busy);
  ASSERT_TRUE(store_->save(GroupId(2), {make_mark(1, 2), "b"}));
  EXPECT_EQ(drain().size(), 2U);
  EXPECT_TRUE(store_->save(GroupId(1), {make_mark(1, 2), "b"}));
}

TEST_F(SnapshotStoreTest, LargeOnesGoInPieces) {
  open();
  Bytes data(5'000'000, '\0');
  Rng rng(3);
  for (std::size_t i = 0; i < data.size(); i += 97) data[i] = static_cast<char>(rng.next());
  save(1, {make_mark(1, 1), data});
  EXPECT_GE(disk_.operations(), 12U);
  disk_.crash(CrashKind::power);
  open();
  EXPECT_TRUE(store_->newest(GroupId(1))->value().data == data);
}

TEST_F(SnapshotStoreTest, PassesOverADamagedOneButSaysSoWhenAsked) {
  open();
  save(1, {make_mark(1, 5), "five"});
  save(1, {make_mark(1, 9), "nine"});
  ASSERT_TRUE(disk_.rot("snapshots/g1-00000000000000000009-00000000000000000001.snap", 60, 1));
  EXPECT_EQ(store_->newest(GroupId(1))->value().data, "five");
  EXPECT_EQ(store_->load(GroupId(1), make_mark(1, 9)).error().code, ErrorCode::corruption);
}

TEST_F(SnapshotStoreTest, ErrorsOfTheDisk) {
  open();
  disk_.fail_next_sync();
  ASSERT_TRUE(store_->save(GroupId(1), {make_mark(1, 1), "a"}));
  EXPECT_TRUE(drain().empty());
  ASSERT_TRUE(store_->failure());
  EXPECT_EQ(store_->save(GroupId(2), {make_mark(1, 1), "a"}).error().code, ErrorCode::io);
  std::vector<SnapshotStore::Saved> saved;
  EXPECT_FALSE(store_->completed({IoToken(wal_token_base | 1U), std::nullopt}, saved));
}

TEST_F(SnapshotStoreTest, FullDiskRefusesTheSave) {
  open();
  SimDiskOptions full;
  full.capacity_bytes = 10;
  disk_.set_options(full);
  const auto saved = store_->save(GroupId(1), {make_mark(1, 1), Bytes(100, 'x')});
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, ErrorCode::io);
  disk_.set_options({});
  save(1, {make_mark(1, 1), "x"});
}

// W03, W05: a crash at each operation leaves the old snapshot or the new one, never none and never a part.
TEST_F(SnapshotStoreTest, CrashAtEveryOperation) {
  const Snapshot old{make_mark(1, 5), Bytes(3'000, 'o')};
  const Snapshot young{make_mark(2, 9), Bytes(3'000, 'y')};
  for (const CrashKind kind : {CrashKind::process, CrashKind::power}) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      for (std::uint64_t n = 0; n < 12; ++n) {
        disk_ = SimDisk(seed * 100 + n);
        open();
        save(1, old);
        disk_.cut_power_after(n);
        bool told = false;
        if (store_->save(GroupId(1), young)) told = !drain().empty();
        store_->drop_before(GroupId(1), told ? young.mark : old.mark);
        disk_.crash(kind);
        open();
        const auto newest = store_->newest(GroupId(1));
        ASSERT_TRUE(newest && newest->has_value()) << seed << " " << n;
        if (told) {
          EXPECT_EQ((*newest)->data, young.data);
        } else {
          EXPECT_TRUE((*newest)->data == young.data || (*newest)->data == old.data);
        }
        const auto names = disk_.list("snapshots").value();
        for (const std::string& name : names) EXPECT_FALSE(name.ends_with(".tmp"));
      }
    }
  }
}

}  // namespace
}  // namespace assent::storage_test
