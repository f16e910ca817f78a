// The small values that both machines are made of: limits, record encodings, the queue of what is due.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "support.h"
#include "txn_proto/due_queue.h"
#include "txn_proto/limits.h"
#include "txn_proto/record_codec.h"

namespace assent {
namespace {

using testing::put;
using testing::shard_1;
using testing::shard_2;
using testing::transfer;
using testing::txn;

AbortReason fault(const Execute& execute, const TxnLimits& limits = {}) {
  const auto found = find_fault(execute, limits);
  return found ? found->reason : AbortReason::none;
}

TEST(Limits, P29_TheShapeOfATransactionIsJudgedFirst) {
  const Execute good = transfer(txn(1), put("a", "1"), put("b", "2"));
  EXPECT_EQ(fault(good), AbortReason::none);
  Execute bad = good;
  bad.txn = {};
  EXPECT_EQ(fault(bad), AbortReason::invalid);
  bad = good;
  bad.branches.clear();
  EXPECT_EQ(fault(bad), AbortReason::invalid);
  bad = good;
  bad.branches[1].shard = shard_1;  // the same shard twice
  EXPECT_EQ(fault(bad), AbortReason::invalid);
  bad = good;
  std::swap(bad.branches[0], bad.branches[1]);
  EXPECT_EQ(fault(bad), AbortReason::invalid);
  bad = good;
  bad.branches[1].work.clear();
  EXPECT_EQ(fault(bad), AbortReason::invalid);
}

TEST(Limits, EachLimitAllowsItsOwnValueAndNoMore) {
  TxnLimits limits;
  limits.branches_max = 2;
  limits.operations_max = 2;
  limits.statement_bytes_max = 4;
  limits.transaction_bytes_max = 8;
  const Execute full = transfer(txn(1), put("a", "123"), put("b", "123"));
  EXPECT_EQ(fault(full, limits), AbortReason::none);
  Execute bad = full;
  bad.branches.push_back(Branch{GroupId(3), put("", "")});
  EXPECT_EQ(fault(bad, limits), AbortReason::too_large);
  bad = full;
  bad.branches[0].work.emplace_back(KvGet{""});
  EXPECT_EQ(fault(bad, limits), AbortReason::too_large);
  EXPECT_EQ(fault(transfer(txn(1), put("a", "1234"), put("b", "")), limits), AbortReason::too_large);
  limits.transaction_bytes_max = 7;
  EXPECT_EQ(fault(full, limits), AbortReason::too_large);
}

TEST(TimeWindow, ItsEdgesAreInside) {
  const TimeWindow window{.retention_millis = 100, .clock_skew_max_millis = 10};
  const TxnId id = txn(1, 1'000);
  const auto stamp = [](std::uint64_t millis) { return ClusterMillis(testing::start_millis + millis); };
  EXPECT_FALSE(window.too_old(id, stamp(1'100)));
  EXPECT_TRUE(window.too_old(id, stamp(1'101)));
  EXPECT_FALSE(window.too_new(id, stamp(990)));
  EXPECT_TRUE(window.too_new(id, stamp(989)));
}

TEST(RecordCodec, F2_WhatIsWrittenIsReadAgain) {
  const Refusal refusal{AbortReason::constraint, shard_2, "says no", "balance >= 0", txn(3)};
  const Effects effects{
      "bytes", {{"a", LockMode::shared}, {"b", LockMode::exclusive}, {"c", LockMode::escrow}}, {{"c", -5, 0, 10}}};
  const WorkResult result = {{{"x", "y"}, {{SqlNull{}, std::int64_t{-1}}, {2.5, "t"}, {SqlBlob{"b"}}}, 9}, {}};
  const std::vector<GroupId> groups = {shard_1, shard_2};
  Bytes bytes;
  ByteWriter out(bytes);
  write(out, refusal);
  write(out, effects);
  write(out, result);
  write(out, groups);
  write(out, Attempt{Epoch(4), 5});
  ByteReader in(bytes);
  Refusal refusal_read;
  Effects effects_read;
  WorkResult result_read;
  std::vector<GroupId> groups_read;
  Attempt attempt_read;
  ASSERT_TRUE(read(in, refusal_read) && read(in, effects_read) && read(in, result_read) && read(in, groups_read) &&
              read(in, attempt_read));
  EXPECT_TRUE(in.complete());
  EXPECT_EQ(refusal_read, refusal);
  EXPECT_EQ(effects_read, effects);
  EXPECT_EQ(result_read, result);
  EXPECT_EQ(groups_read, groups);
  EXPECT_EQ(attempt_read, (Attempt{Epoch(4), 5}));
}

TEST(RecordCodec, B02_AHugeCountAllocatesNothing) {
  Bytes bytes;
  ByteWriter(bytes).u32(0xFFFFFFFF).u32(0xFFFFFFFF);
  WorkResult result;
  ByteReader in(bytes);
  EXPECT_FALSE(read(in, result));
  EXPECT_TRUE(result.empty());
}

TEST(DueQueue, GivesWhatIsDueEarliestFirstAndOnce) {
  DueQueue<int> queue;
  queue.set(1, 30);
  queue.set(2, 10);
  queue.set(3, 20);
  queue.set(3, 5);  // replaces
  EXPECT_EQ(queue.pop(4), std::nullopt);
  EXPECT_EQ(queue.pop(10), 3);
  EXPECT_EQ(queue.pop(10), 2);
  EXPECT_EQ(queue.pop(10), std::nullopt);
  queue.erase(1);
  EXPECT_EQ(queue.pop(100), std::nullopt);
  EXPECT_EQ(queue.size(), 0U);
}

TEST(DueQueue, BackoffDoublesUpToItsMost) {
  Backoff backoff;
  std::vector<std::uint64_t> pauses;
  pauses.reserve(5);
  for (int i = 0; i < 5; ++i) pauses.push_back(backoff.next(20, 100));
  EXPECT_EQ(pauses, (std::vector<std::uint64_t>{20, 40, 80, 100, 100}));
}

}  // namespace
}  // namespace assent
