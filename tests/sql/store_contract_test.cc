// What participant/store.h promises, held against each store that there is. Keys and values only: the least they share.
#include <gtest/gtest.h>

#include "participant/memory_store.h"
#include "support.h"

namespace assent::testing {
namespace {

struct Memory {
  static std::unique_ptr<MemoryStore> make() { return std::make_unique<MemoryStore>(); }
};
struct Sqlite {
  static std::unique_ptr<SqliteStore> make() { return open_store({}); }
};

template <class Kind>
class StoreContract : public ::testing::Test {
 protected:
  WorkResult run(const Work& work) {
    auto evaluation = store->evaluate(work);
    EXPECT_TRUE(evaluation) << evaluation.error().message;
    if (!evaluation) return {};
    EXPECT_TRUE(store->check(evaluation->effects.change));
    EXPECT_TRUE(store->install(evaluation->effects.change));
    return evaluation->result;
  }
  std::optional<Bytes> get(const std::string& key) {
    auto answer = store->query({KvGet{key}});
    EXPECT_TRUE(answer);
    if (!answer || answer->result[0].rows.empty()) return std::nullopt;
    return std::get<SqlBlob>(answer->result[0].rows[0][0]).bytes;
  }

  decltype(Kind::make()) store = Kind::make();
};
using Kinds = ::testing::Types<Memory, Sqlite>;
TYPED_TEST_SUITE(StoreContract, Kinds);

TYPED_TEST(StoreContract, BeginsEmpty) {
  EXPECT_EQ(this->store->applied(), Index(0));
  EXPECT_TRUE(this->store->records()->empty());
  EXPECT_TRUE(this->store->machine_record()->empty());
  EXPECT_EQ(*this->store->digest(), *TypeParam::make()->digest());
}

TYPED_TEST(StoreContract, WorkSeesItsOwnWritesAndLeavesNoTrace) {
  const std::uint64_t before = *this->store->digest();
  const auto evaluation =
      this->store->evaluate({KvPut{"a", "1"}, KvGet{"a"}, KvErase{"a"}, KvGet{"a"}, KvAdd{"n", 2, {}, {}}});
  ASSERT_TRUE(evaluation);
  ASSERT_EQ(evaluation->result.size(), 5U);
  EXPECT_EQ(std::get<SqlBlob>(evaluation->result[1].rows.at(0).at(0)).bytes, "1");
  EXPECT_TRUE(evaluation->result[3].rows.empty());
  EXPECT_EQ(std::get<std::int64_t>(evaluation->result[4].rows.at(0).at(0)), 2);
  EXPECT_EQ(*this->store->digest(), before);
  EXPECT_EQ(this->get("a"), std::nullopt);
}

TYPED_TEST(StoreContract, InstalledChangesAreSeenAtOnce) {
  this->run({KvPut{"a", "1"}, KvPut{"empty", ""}, KvPut{std::string("z\0z", 3), std::string("\0", 1)}});
  EXPECT_EQ(this->get("a"), "1");
  EXPECT_EQ(this->get("empty"), "");
  EXPECT_EQ(this->get(std::string("z\0z", 3)), std::string("\0", 1));
  this->run({KvErase{"a"}});
  EXPECT_EQ(this->get("a"), std::nullopt);
}

TYPED_TEST(StoreContract, CheckTellsWhenRowsHaveChanged) {
  this->run({KvPut{"a", "1"}});
  const Bytes update = this->store->evaluate({KvPut{"a", "2"}})->effects.change;
  const Bytes erase = this->store->evaluate({KvErase{"a"}})->effects.change;
  const Bytes create = this->store->evaluate({KvPut{"b", "2"}})->effects.change;
  for (const Bytes& change : {update, erase, create}) EXPECT_TRUE(this->store->check(change));
  this->run({KvPut{"a", "3"}, KvPut{"b", "3"}});
  for (const Bytes& change : {update, erase, create}) {
    ASSERT_FALSE(this->store->check(change));
    EXPECT_EQ(this->store->check(change).error().code, ErrorCode::conflict);
  }
}

TYPED_TEST(StoreContract, LocksAreAscendingAndOnePerKey) {
  const auto locks =
      this->store->evaluate({KvGet{"b"}, KvPut{"a", "1"}, KvPut{"b", "1"}, KvExpect{"c", {}}})->effects.locks;
  ASSERT_GE(locks.size(), 3U);
  for (std::size_t i = 1; i < locks.size(); ++i) EXPECT_LT(locks[i - 1].key, locks[i].key);
}

TYPED_TEST(StoreContract, RefusalsNameNoParticipantAndLeaveNoTrace) {
  this->run({KvPut{"a", "1"}});
  const std::uint64_t before = *this->store->digest();
  for (const Work& work : {Work{KvPut{"x", "1"}, KvExpect{"a", "2"}}, Work{KvPut{"x", "1"}, KvAdd{"a", 5, {}, 5}},
                           Work{KvPut{"x", "1"}, KvAdd{"a", -2, 0, {}}}}) {
    const auto evaluation = this->store->evaluate(work);
    ASSERT_FALSE(evaluation);
    EXPECT_EQ(evaluation.error().reason, AbortReason::constraint);
    EXPECT_FALSE(evaluation.error().constraint.empty());
    EXPECT_TRUE(evaluation.error().participant.none());
  }
  EXPECT_EQ(this->store->query({KvPut{"a", "1"}}).error().reason, AbortReason::invalid);
  EXPECT_EQ(*this->store->digest(), before);
}

TYPED_TEST(StoreContract, RecordsComeAndGo) {
  auto& tested = *this->store;
  ASSERT_TRUE(tested.put_record(txn(2), "two"));
  ASSERT_TRUE(tested.put_record(txn(1), "one"));
  ASSERT_TRUE(tested.put_record(txn(2), "zwei"));
  ASSERT_TRUE(tested.put_machine_record("machine"));
  EXPECT_EQ(*tested.records(), (std::map<TxnId, Bytes>{{txn(1), "one"}, {txn(2), "zwei"}}));
  ASSERT_TRUE(tested.checkpoint());
  ASSERT_TRUE(tested.erase_record(txn(1)));
  ASSERT_TRUE(tested.erase_record(txn(7)));
  EXPECT_EQ(*tested.records(), (std::map<TxnId, Bytes>{{txn(2), "zwei"}}));
  EXPECT_EQ(*tested.machine_record(), "machine");
}

TYPED_TEST(StoreContract, DigestsAreOfContentNotOfHistory) {
  auto other = TypeParam::make();
  this->run({KvPut{"a", "1"}, KvPut{"b", "2"}});
  this->run({KvErase{"b"}});
  ASSERT_TRUE(this->store->put_record(txn(1), "r"));
  ASSERT_TRUE(this->store->put_record(txn(2), "r"));
  ASSERT_TRUE(this->store->erase_record(txn(2)));
  const auto change = other->evaluate({KvPut{"a", "1"}})->effects.change;
  ASSERT_TRUE(other->install(change));
  EXPECT_NE(*this->store->digest(), *other->digest());
  ASSERT_TRUE(other->put_record(txn(1), "r"));
  EXPECT_EQ(*this->store->digest(), *other->digest());
  ASSERT_TRUE(other->put_machine_record("m"));
  EXPECT_NE(*this->store->digest(), *other->digest());
}

TYPED_TEST(StoreContract, ASnapshotIsAllOfItAndOnlyOfItsTime) {
  auto& tested = *this->store;
  this->run({KvPut{"a", "1"}});
  ASSERT_TRUE(tested.put_record(txn(1), "r"));
  ASSERT_TRUE(tested.put_machine_record("m"));
  tested.set_applied(Index(7));
  const std::uint64_t digest = *tested.digest();
  const auto snapshot = tested.snapshot();
  ASSERT_TRUE(snapshot);
  this->run({KvPut{"a", "2"}, KvPut{"b", "2"}});
  ASSERT_TRUE(tested.put_record(txn(2), "later"));
  tested.set_applied(Index(9));

  for (auto* target : {this->store.get()}) {
    ASSERT_TRUE(target->restore(*snapshot));
    EXPECT_EQ(*target->digest(), digest);
    EXPECT_EQ(target->applied(), Index(7));
    EXPECT_EQ(target->records()->size(), 1U);
    EXPECT_EQ(*target->machine_record(), "m");
  }
  auto fresh = TypeParam::make();
  ASSERT_TRUE(fresh->restore(*snapshot));
  EXPECT_EQ(*fresh->digest(), digest);
  EXPECT_EQ(fresh->applied(), Index(7));
  this->run({KvPut{"a", "3"}});
  EXPECT_EQ(this->get("a"), "3");
}

TYPED_TEST(StoreContract, WhatIsNoSnapshotChangesNothing) {
  this->run({KvPut{"a", "1"}});
  const std::uint64_t digest = *this->store->digest();
  const Bytes good = *this->store->snapshot();
  for (const Bytes& bad : {Bytes("garbage"), Bytes(5'000, 'x'), good.substr(0, good.size() / 2)}) {
    const auto restored = this->store->restore(bad);
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code, ErrorCode::corruption);
    EXPECT_EQ(*this->store->digest(), digest);
  }
  this->run({KvPut{"a", "2"}});
}

}  // namespace
}  // namespace assent::testing
