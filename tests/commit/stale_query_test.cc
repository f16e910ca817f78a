// What a replica of a shard answers from its own state (participant/stale_query.h).
#include "participant/stale_query.h"

#include <gtest/gtest.h>

#include "participant/memory_store.h"
#include "tests/commit/support.h"

namespace assent::testing {
namespace {

class StaleQuery : public ::testing::Test {
 protected:
  void apply(std::uint64_t index, const ShardCommand& command) {
    ASSERT_TRUE(shard.apply(at(1, index), command, store));
    store.set_applied(Index(index));
  }
  void prepare(std::uint64_t index, const TxnId& id, const Work& work) {
    const auto evaluated = store.evaluate(work);
    ASSERT_TRUE(evaluated);
    PrepareWork command;
    command.txn = id;
    command.attempt = {Epoch(1), 1};
    command.coordinator = coordinator_group;
    command.participants = {shard_1, shard_2};
    command.effects = evaluated->effects;
    apply(index, command);
  }
  std::vector<TxnId> in_the_way(const Work& work) {
    std::vector<TxnId> found;
    EXPECT_TRUE(query_stale(shard, store, work, found));
    return found;
  }

  MemoryStore store;
  Shard shard{ShardOptions{.self = shard_1, .window = {}}};
};

TEST_F(StaleQuery, WhatAPreparedTransactionWritesIsInTheWay) {
  prepare(1, txn(1), put("x", "new"));
  EXPECT_EQ(in_the_way({KvGet{"x"}}), std::vector<TxnId>{txn(1)});
  EXPECT_TRUE(in_the_way({KvGet{"y"}}).empty());
}

TEST_F(StaleQuery, WhatIsFinishedShows) {
  prepare(1, txn(1), put("x", "new"));
  FinishWork finish;
  finish.txn = txn(1);
  finish.attempt = {Epoch(1), 1};
  finish.commit = true;
  apply(2, finish);
  std::vector<TxnId> found{txn(9)};
  const auto answer = query_stale(shard, store, {KvGet{"x"}}, found);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(found.empty());
  EXPECT_EQ(answer->at, Index(2));
  ASSERT_EQ(answer->result.front().rows.size(), 1U);
}

TEST_F(StaleQuery, AReaderIsInNobodysWay) {
  prepare(1, txn(1), {KvGet{"x"}});
  EXPECT_TRUE(in_the_way({KvGet{"x"}}).empty());
}

TEST_F(StaleQuery, WorkThatAsksNothingIsRefused) {
  std::vector<TxnId> found;
  EXPECT_EQ(query_stale(shard, store, {}, found).error().code, ErrorCode::malformed);
}

}  // namespace
}  // namespace assent::testing
