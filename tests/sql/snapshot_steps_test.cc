// Snapshots made in steps between other work: in a file and in memory, while rows change, and when it is given up.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/rng.h"
#include "support.h"

namespace assent::testing {
namespace {

void run(SqliteStore& store, const Work& work) {
  const auto evaluation = store.evaluate(work);
  ASSERT_TRUE(evaluation) << evaluation.error().message;
  ASSERT_TRUE(store.check(evaluation->effects.change));
  ASSERT_TRUE(store.install(evaluation->effects.change));
}

class SnapshotSteps : public ::testing::TestWithParam<bool> {
 protected:
  SqliteOptions options() {
    SqliteOptions out;
    if (!GetParam()) return out;
    out.path = directory_.file("shard.db");
    out.copy_path = directory_.file("shard.db.copy");
    out.copy_memory_max = 0;
    return out;
  }
  void fill(SqliteStore& store, std::uint64_t rows) {
    run(store, {sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")});
    for (std::uint64_t i = 1; i <= rows; ++i) put(store, i);
  }
  void put(SqliteStore& store, std::uint64_t i) {
    run(store, {sql("INSERT OR REPLACE INTO t VALUES(?, hex(randomblob(400)))", {number(static_cast<int>(i))})});
    store.set_applied(store.applied().next());
    ASSERT_TRUE(store.checkpoint());
  }

  const Directory directory_;
};
INSTANTIATE_TEST_SUITE_P(Places, SnapshotSteps, ::testing::Bool(),
                         [](const auto& place) { return place.param ? "file" : "memory"; });

TEST_P(SnapshotSteps, HoldsTheStoreOfTheMomentItBecameWhole) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{20'000}, std::size_t{1} << 30U}) {
    auto store = open_store(options());
    if (store->applied().none()) fill(*store, 300);
    ASSERT_TRUE(store->put_record(txn(1), "record"));
    Rng rng(bytes);
    std::map<Index, std::uint64_t> digests;
    std::optional<SnapshotMade> made;
    std::uint64_t steps = 0;
    while (!made) {
      if (!digests.contains(store->applied())) digests[store->applied()] = *store->digest();
      auto step = store->snapshot_step(bytes);
      ASSERT_TRUE(step) << step.error().message;
      made = std::move(*step);
      ++steps;
      ASSERT_LT(steps, 100'000U);
      if (made || rng.chance(0.3)) continue;
      put(*store, 1 + rng.below(400));
      if (rng.chance(0.1)) {
        ASSERT_TRUE(store->evaluate({sql("DELETE FROM t")}));
      }
    }
    EXPECT_GT(steps, bytes == 1 ? 50U : 1U);
    auto copy = open_store({});
    ASSERT_TRUE(copy->restore(*all_of(*made->data)));
    EXPECT_EQ(copy->applied(), made->applied);
    EXPECT_EQ(*copy->digest(), digests.at(made->applied));
    put(*store, 1);
    EXPECT_EQ(made->data->size(), all_of(*made->data)->size());
  }
}

TEST_P(SnapshotSteps, ItsBytesStayAsTheyAreWhenTheStoreGoesOnAndGoes) {
  auto store = open_store(options());
  fill(*store, 50);
  std::optional<SnapshotMade> made;
  while (!made) made = std::move(*store->snapshot_step(10'000));
  const Bytes before = *all_of(*made->data);
  for (std::uint64_t i = 1; i <= 50; ++i) put(*store, i);
  store.reset();
  EXPECT_EQ(*all_of(*made->data), before);
  Bytes piecewise;
  Rng rng(1);
  while (piecewise.size() < before.size()) {
    const std::uint64_t size = std::min<std::uint64_t>(before.size() - piecewise.size(), rng.between(1, 5'000));
    ASSERT_TRUE(made->data->copy(piecewise.size(), size, piecewise));
  }
  EXPECT_EQ(piecewise, before);
}

TEST_P(SnapshotSteps, OneMayBeGivenUpAtAnyStep) {
  for (int steps = 1; steps < 80; steps += 3) {
    auto store = open_store(options());
    if (store->applied().none()) fill(*store, 60);
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(store->snapshot_step(1));
    const std::uint64_t digest = *store->digest();
    if (steps % 2 == 0) {
      store->drop_snapshot();
    } else {
      auto other = open_store({});
      fill(*other, 3);
      ASSERT_TRUE(other->snapshot_step(1));
      ASSERT_TRUE(other->restore(*store->snapshot()));
      EXPECT_EQ(*other->digest(), digest);
    }
    put(*store, 1);
    std::optional<SnapshotMade> made;
    while (!made) made = std::move(*store->snapshot_step(100'000));
    auto copy = open_store({});
    ASSERT_TRUE(copy->restore(*all_of(*made->data)));
    if (steps % 2 == 0) {
      EXPECT_EQ(*copy->digest(), *store->digest());
    }
  }
}

class SnapshotInAFile : public SnapshotSteps {
 protected:
  SqliteOptions options(const std::string& copy) {
    SqliteOptions out;
    out.path = directory_.file("shard.db");
    out.copy_path = copy;
    out.copy_memory_max = 100'000;
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(Places, SnapshotInAFile, ::testing::Values(true),
                         [](const auto&) { return std::string("file"); });

TEST_P(SnapshotInAFile, ItsNameIsGivenBackAtOnceAndWhatACrashLeftIsNotReadBack) {
  const std::string copy = directory_.file("shard.db.copy");
  auto store = open_store(options(copy));
  fill(*store, 300);
  std::ofstream(copy) << std::string(10'000, 'x');
  std::optional<SnapshotMade> made;
  while (!made) {
    made = std::move(*store->snapshot_step(20'000));
    EXPECT_FALSE(std::filesystem::exists(copy));
  }
  auto read = open_store({});
  ASSERT_TRUE(read->restore(*all_of(*made->data)));
  EXPECT_EQ(*read->digest(), *store->digest());
}

TEST_P(SnapshotInAFile, ASmallDatabaseNeedsNone) {
  auto store = open_store(options("/nowhere/shard.db.copy"));
  fill(*store, 10);
  std::optional<SnapshotMade> made;
  while (!made) {
    auto step = store->snapshot_step(20'000);
    ASSERT_TRUE(step) << step.error().message;
    made = std::move(*step);
  }
}

TEST_P(SnapshotInAFile, WhereNoneCanBeMadeItIsTold) {
  auto store = open_store(options("/nowhere/shard.db.copy"));
  fill(*store, 300);
  const auto step = store->snapshot_step(20'000);
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().code, ErrorCode::io);
  EXPECT_NE(step.error().message.find("/nowhere/shard.db.copy"), std::string::npos) << step.error().message;
}

}  // namespace
}  // namespace assent::testing
