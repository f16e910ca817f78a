#include "participant/memory_store.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "support.h"

namespace assent {
namespace {

using testing::add;
using testing::put;
using testing::txn;

class MemoryStoreTest : public ::testing::Test {
 protected:
  WorkResult run(const Work& work) {
    auto evaluation = store.evaluate(work);
    EXPECT_TRUE(evaluation) << evaluation.error().message;
    if (!evaluation) return {};
    EXPECT_TRUE(store.check(evaluation->effects.change));
    EXPECT_TRUE(store.install(evaluation->effects.change));
    return evaluation->result;
  }
  MemoryStore store;
};

TEST_F(MemoryStoreTest, WorkSeesItsOwnWritesAndLeavesNoTrace) {
  const auto evaluation = store.evaluate({KvPut{"a", "1"}, KvGet{"a"}, KvErase{"a"}, KvGet{"a"}});
  ASSERT_TRUE(evaluation);
  EXPECT_EQ(std::get<SqlBlob>(evaluation->result[1].rows[0][0]).bytes, "1");
  EXPECT_TRUE(evaluation->result[3].rows.empty());
  EXPECT_TRUE(store.rows().empty());
}

TEST_F(MemoryStoreTest, WritesLockExclusivelyReadsShare) {
  const auto evaluation = store.evaluate({KvGet{"b"}, KvPut{"a", "1"}, KvGet{"a"}});
  EXPECT_EQ(evaluation->effects.locks,
            (std::vector<LockRequest>{{"kv/a", LockMode::exclusive}, {"kv/b", LockMode::shared}}));
  EXPECT_TRUE(store.evaluate({KvGet{"b"}})->effects.change.empty());
}

TEST_F(MemoryStoreTest, AddHasBoundsAndNeverOverflows) {
  EXPECT_EQ(std::get<std::int64_t>(run({add("n", 5)})[0].rows[0][0]), 5);
  EXPECT_EQ(std::get<std::int64_t>(run({KvAdd{"n", -5, 0, std::nullopt}})[0].rows[0][0]), 0);
  EXPECT_EQ(store.evaluate({KvAdd{"n", -1, 0, std::nullopt}}).error().reason, AbortReason::constraint);
  EXPECT_EQ(store.evaluate({KvAdd{"n", 11, std::nullopt, 10}}).error().reason, AbortReason::constraint);
  run({add("n", std::numeric_limits<std::int64_t>::max())});
  EXPECT_EQ(store.evaluate({add("n", 1)}).error().reason, AbortReason::constraint);
  run(put("t", "12x"));
  EXPECT_EQ(store.evaluate({add("t", 1)}).error().reason, AbortReason::constraint);
}

TEST_F(MemoryStoreTest, ExpectComparesAbsenceToo) {
  EXPECT_TRUE(store.evaluate({KvExpect{"a", std::nullopt}}));
  EXPECT_EQ(store.evaluate({KvExpect{"a", Bytes()}}).error().reason, AbortReason::constraint);
  run(put("a", ""));
  EXPECT_TRUE(store.evaluate({KvExpect{"a", Bytes()}}));
  EXPECT_EQ(store.evaluate({SqlStatement{"SELECT 1", {}}}).error().reason, AbortReason::invalid);
  EXPECT_EQ(store.query(put("a", "1")).error().reason, AbortReason::invalid);
}

TEST_F(MemoryStoreTest, CheckFindsRowsThatChanged) {
  const Bytes change = store.evaluate(put("a", "1"))->effects.change;
  EXPECT_TRUE(store.check(change));
  run(put("a", "2"));
  EXPECT_EQ(store.check(change).error().code, ErrorCode::conflict);
}

TEST_F(MemoryStoreTest, ASnapshotRestoresAllOfIt) {
  run(put("a", "1"));
  ASSERT_TRUE(store.put_record(txn(1), "r"));
  ASSERT_TRUE(store.put_machine_record("m"));
  store.set_applied(Index(7));
  const Bytes bytes = *store.snapshot();
  MemoryStore restored;
  ASSERT_TRUE(restored.restore(bytes));
  EXPECT_EQ(restored, store);
  EXPECT_EQ(*restored.digest(), *store.digest());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(restored.restore(ByteView(bytes).substr(0, cut)));
    EXPECT_EQ(restored, store) << "a failed restore changes nothing";
  }
}

TEST_F(MemoryStoreTest, AgreesWithAMapOverRandomWork) {
  Rng rng(5);
  std::map<std::string, Bytes> twin;
  for (int step = 0; step < 2'000; ++step) {
    const std::string key = std::to_string(rng.below(6));
    const std::string value = std::to_string(rng.below(9));
    const std::string stored = twin.contains(key) ? twin[key] : std::string();
    switch (rng.below(4)) {
      case 0:
        run(put(key, value));
        twin[key] = value;
        break;
      case 1: EXPECT_EQ(run({KvErase{key}})[0].rows_affected, twin.erase(key)); break;
      case 2: {
        const std::int64_t sum = (stored.empty() ? 0 : std::stoll(stored)) + 3;
        EXPECT_EQ(std::get<std::int64_t>(run({add(key, 3)})[0].rows[0][0]), sum);
        twin[key] = std::to_string(sum);
        break;
      }
      default: {
        const auto rows = run({KvGet{key}})[0].rows;
        EXPECT_EQ(rows.size(), twin.count(key));
        if (!rows.empty()) {
          EXPECT_EQ(std::get<SqlBlob>(rows[0][0]).bytes, stored);
        }
      }
    }
    ASSERT_EQ(store.rows(), twin);
  }
}

}  // namespace
}  // namespace assent
