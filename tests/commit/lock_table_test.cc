#include "participant/lock_table.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/rng.h"
#include "support.h"

namespace assent {
namespace {

using testing::txn;

constexpr LockMode modes[] = {LockMode::intention_shared, LockMode::intention_exclusive, LockMode::shared,
                              LockMode::exclusive, LockMode::escrow};

TEST(LockTable, CompatibilityIsGraysMatrixAndSymmetric) {
  const std::set<std::pair<int, int>> ok = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {2, 0}, {2, 2}, {4, 4}};
  for (int held = 0; held < 5; ++held) {
    for (int asked = 0; asked < 5; ++asked) {
      EXPECT_EQ(compatible(modes[held], modes[asked]), ok.contains({held, asked})) << held << " " << asked;
      EXPECT_EQ(compatible(modes[held], modes[asked]), compatible(modes[asked], modes[held]));
    }
  }
}

TEST(LockTable, CoverForbidsWhateverEitherForbids) {
  for (const LockMode a : modes) {
    for (const LockMode b : modes) {
      for (const LockMode other : modes) {
        const bool both = compatible(a, other) && compatible(b, other);
        if (compatible(cover(a, b), other)) {
          EXPECT_TRUE(both) << static_cast<int>(a) << static_cast<int>(b);
        }
      }
      EXPECT_EQ(cover(a, a), a);
      EXPECT_EQ(cover(a, b), cover(b, a));
    }
  }
}

TEST(LockTable, OwnLocksNeverConflict) {
  LockTable table;
  const std::vector<LockRequest> locks = {{"a", LockMode::exclusive}};
  table.acquire(txn(1), locks);
  EXPECT_TRUE(table.free(locks, txn(1)));
  EXPECT_TRUE(table.conflicts(locks, txn(1)).empty());
  EXPECT_EQ(table.conflicts(locks, txn(2)), std::vector<TxnId>{txn(1)});
  EXPECT_FALSE(table.free(locks, txn(2)));
}

TEST(LockTable, AKeyNamedTwiceIsHeldInACoveringMode) {
  LockTable table;
  table.acquire(txn(1), std::vector<LockRequest>{{"t", LockMode::shared}, {"t", LockMode::intention_exclusive}});
  EXPECT_EQ(table.size(), 1U);
  EXPECT_FALSE(table.free(std::vector<LockRequest>{{"t", LockMode::shared}}, txn(2)));
  EXPECT_FALSE(table.free(std::vector<LockRequest>{{"t", LockMode::intention_shared}}, txn(2)));
  table.release(txn(1));
  EXPECT_TRUE(table.empty());
  EXPECT_TRUE(table.free(std::vector<LockRequest>{{"t", LockMode::exclusive}}, txn(2)));
}

// The dumb twin: a list of everything that is held, walked for each question.
struct DumbTable {
  std::map<TxnId, std::map<Bytes, LockMode>> held;

  [[nodiscard]] std::vector<TxnId> conflicts(const std::vector<LockRequest>& requests, const TxnId& self) const {
    std::vector<TxnId> found;
    for (const auto& [holder, its] : held) {
      const auto& locks = its;  // a lambda may not name what a structured binding names
      const bool conflict = std::any_of(requests.begin(), requests.end(), [&](const LockRequest& request) {
        const auto lock = locks.find(request.key);
        return lock != locks.end() && !compatible(lock->second, request.mode);
      });
      if (holder != self && conflict) found.push_back(holder);
    }
    return found;
  }
};

TEST(LockTable, AgreesWithItsDumbTwin) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng(seed);
    LockTable table;
    DumbTable twin;
    for (int step = 0; step < 400; ++step) {
      const TxnId id = txn(rng.below(8));
      std::map<Bytes, LockMode> wanted;
      for (std::uint64_t i = rng.below(4); i > 0; --i) wanted[std::to_string(rng.below(5))] = modes[rng.below(4)];
      std::vector<LockRequest> requests;
      requests.reserve(wanted.size());
      for (const auto& [key, mode] : wanted) requests.push_back({key, mode});
      ASSERT_EQ(table.conflicts(requests, id), twin.conflicts(requests, id)) << "seed " << seed;
      ASSERT_EQ(table.free(requests, id), twin.conflicts(requests, id).empty()) << "seed " << seed;
      if (twin.held.contains(id)) {
        std::map<Bytes, LockMode> released;
        for (const LockRequest& lock : table.release(id)) released[lock.key] = lock.mode;
        ASSERT_EQ(released, twin.held[id]) << "seed " << seed;
        twin.held.erase(id);
      } else if (!wanted.empty()) {
        table.acquire(id, requests);
        twin.held[id] = wanted;
      }
      std::size_t size = 0;
      for (const auto& [holder, locks] : twin.held) size += locks.size();
      ASSERT_EQ(table.size(), size);
      for (int key = 0; key < 5; ++key) {
        std::vector<TxnId> holders;
        for (const auto& [holder, locks] : twin.held) {
          if (locks.contains(std::to_string(key))) holders.push_back(holder);
        }
        ASSERT_EQ(table.holders(std::to_string(key)), holders);
      }
    }
  }
}

}  // namespace
}  // namespace assent
