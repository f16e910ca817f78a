#include "participant/shard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "participant/shard_records.h"
#include "support.h"

namespace assent {
namespace {

using testing::add;
using testing::at;
using testing::coordinator_group;
using testing::put;
using testing::shard_1;
using testing::shard_2;
using testing::txn;

class ShardTest : public ::testing::Test {
 protected:
  static ShardOptions options() {
    ShardOptions one;
    one.self = shard_1;
    one.window.retention_millis = 10'000;
    one.window.clock_skew_max_millis = 1'000;
    one.reply_bytes_max = 100;
    return one;
  }

  PrepareWork prepare(const TxnId& id, const Work& work, std::uint64_t number = 1, std::uint64_t print = 5) {
    auto evaluation = store.evaluate(work);
    EXPECT_TRUE(evaluation);
    return PrepareWork{.txn = id,
                       .attempt = {Epoch(1), number},
                       .coordinator = coordinator_group,
                       .participants = {shard_1, shard_2},
                       .fingerprint = print,
                       .age = id,
                       .effects = evaluation->effects,
                       .result = evaluation->result};
  }
  ExecuteWork execute(const TxnId& id, const Work& work, std::uint64_t print = 5) {
    auto evaluation = store.evaluate(work);
    EXPECT_TRUE(evaluation);
    return ExecuteWork{
        .txn = id, .fingerprint = print, .effects = evaluation->effects, .result = evaluation->result, .refusal = {}};
  }
  static FinishWork finish(const TxnId& id, bool commit, std::uint64_t number = 1) {
    return FinishWork{.txn = id, .attempt = {Epoch(1), number}, .commit = commit};
  }
  Shard::Applied apply(const ShardCommand& command, std::uint64_t millis = 0) {
    auto applied = shard.apply(at(1, ++index, millis), command, store);
    EXPECT_TRUE(applied);
    store.set_applied(Index(index));
    expect_locks_follow_prepared();
    expect_reload_is_equal();
    return applied ? *applied : Shard::Applied{};
  }
  void expect_locks_follow_prepared() {
    LockTable expected;
    for (const auto& [id, prepared] : shard.all_prepared()) expected.acquire(id, prepared.effects.locks);
    EXPECT_EQ(shard.locks(), expected) << "locks are a function of the prepared set";
  }
  void expect_reload_is_equal() {
    Shard reloaded(options());
    ASSERT_TRUE(reloaded.load(store));
    EXPECT_EQ(reloaded.digest(), shard.digest()) << "everything is in the store's records";
    EXPECT_EQ(reloaded.applied(), shard.applied());
  }

  MemoryStore store;
  Shard shard{options()};
  std::uint64_t index = 0;
};

TEST_F(ShardTest, APrepareVotesYesTakesLocksAndChangesNoRow) {
  EXPECT_TRUE(apply(prepare(txn(1), put("a", "1"))).changed);
  ASSERT_NE(shard.prepared(txn(1)), nullptr);
  EXPECT_EQ(shard.locks().size(), 1U);
  EXPECT_FALSE(store.get("a"));
  const auto applied = apply(finish(txn(1), true));
  EXPECT_EQ(applied.released.size(), 1U);
  EXPECT_EQ(store.get("a"), "1");
  EXPECT_TRUE(shard.locks().empty());
  EXPECT_EQ(shard.finished(txn(1))->outcome, Outcome::committed);
}

TEST_F(ShardTest, AnAbortLeavesTheRowsAndFreesTheLocks) {
  apply(prepare(txn(1), put("a", "1")));
  apply(finish(txn(1), false));
  EXPECT_FALSE(store.get("a"));
  EXPECT_TRUE(shard.locks().empty());
  EXPECT_EQ(shard.finished(txn(1))->outcome, Outcome::aborted);
  EXPECT_TRUE(shard.finished(txn(1))->voted_yes);
}

TEST_F(ShardTest, P04_TheFirstVoteIsTheRegisterForEver) {
  apply(prepare(txn(1), put("a", "1"), 1));
  EXPECT_FALSE(apply(prepare(txn(1), put("a", "1"), 2)).changed);
  EXPECT_EQ(shard.prepared(txn(1))->attempt.number, 1U);
  EXPECT_FALSE(apply(SealWork{txn(1)}).changed);
  EXPECT_FALSE(apply(RefuseWork{txn(1), {Epoch(1), 2}, coordinator_group, {shard_1}, 5, {}}).changed);
  apply(finish(txn(1), true));
  EXPECT_FALSE(apply(finish(txn(1), false)).changed);
  EXPECT_FALSE(apply(prepare(txn(1), put("a", "2"), 3)).changed);
  EXPECT_EQ(store.get("a"), "1");
}

TEST_F(ShardTest, P07_AFinishOfAnotherAttemptIsIgnored) {
  apply(prepare(txn(1), put("a", "1"), 1));
  EXPECT_FALSE(apply(finish(txn(1), true, 2)).changed);
  EXPECT_FALSE(apply(finish(txn(1), false, 2)).changed);
  EXPECT_NE(shard.prepared(txn(1)), nullptr);
}

TEST_F(ShardTest, P10_APrepareAfterItsAbortFindsATombstone) {
  EXPECT_TRUE(apply(finish(txn(1), false)).changed);
  EXPECT_FALSE(apply(prepare(txn(1), put("a", "1"))).changed);
  EXPECT_EQ(shard.prepared(txn(1)), nullptr);
  EXPECT_TRUE(shard.locks().empty());
  EXPECT_EQ(shard.finished(txn(1))->outcome, Outcome::aborted);
}

TEST_F(ShardTest, P11_AfterTheTombstoneIsForgottenThePrepareIsTooOld) {
  apply(finish(txn(1), false));
  apply(Tidy{}, 10'001);
  EXPECT_TRUE(shard.empty(txn(1))) << "forgotten";
  EXPECT_TRUE(store.records()->empty());
  const auto applied = apply(prepare(txn(1), put("a", "1")), 10'001);
  ASSERT_TRUE(applied.refused);
  EXPECT_EQ(applied.refused->reason, AbortReason::too_old);
  EXPECT_TRUE(shard.empty(txn(1)));
  EXPECT_FALSE(apply(finish(txn(1), false), 10'001).changed) << "no tombstone is needed any more";
}

TEST_F(ShardTest, ACommitOfWhatNeverVotedChangesNothing) {
  EXPECT_FALSE(apply(finish(txn(1), true)).changed);
  EXPECT_TRUE(shard.empty(txn(1)));
}

TEST_F(ShardTest, APreparedTransactionIsNeverForgottenByAge) {
  apply(prepare(txn(1), put("a", "1")));
  apply(Tidy{}, 100'000'000);
  ASSERT_NE(shard.prepared(txn(1)), nullptr);
  apply(finish(txn(1), true), 100'000'000);
  EXPECT_EQ(store.get("a"), "1");
}

TEST_F(ShardTest, P28_APreparedTransactionsLockIsNeverStolen) {
  const PrepareWork second = prepare(txn(2), put("a", "2"));
  apply(prepare(txn(1), put("a", "1")));
  apply(second);
  ASSERT_NE(shard.finished(txn(2)), nullptr);
  EXPECT_EQ(shard.finished(txn(2))->refusal().reason, AbortReason::conflict);
  EXPECT_EQ(shard.finished(txn(2))->refusal().holder, txn(1));
  EXPECT_EQ(shard.finished(txn(2))->refusal().participant, shard_1);
}

TEST_F(ShardTest, P15_EffectsOfAStateThatChangedAreRefused) {
  const PrepareWork stale = prepare(txn(2), {add("a", 5)});
  apply(execute(txn(1), {add("a", 1)}));
  apply(stale);
  EXPECT_EQ(shard.finished(txn(2))->refusal().reason, AbortReason::conflict);
  EXPECT_EQ(store.get("a"), "1");
}

TEST_F(ShardTest, AnIdFromTheFutureIsRefusedAndRemembered) {
  apply(prepare(txn(1, 1'001), put("a", "1")), 0);
  ASSERT_NE(shard.finished(txn(1, 1'001)), nullptr);
  EXPECT_EQ(shard.finished(txn(1, 1'001))->refusal().reason, AbortReason::too_old);
  apply(prepare(txn(1, 1'001), put("a", "1")), 500);
  EXPECT_EQ(shard.prepared(txn(1, 1'001)), nullptr) << "the no is final, though its time has come";
}

TEST_F(ShardTest, P18_OtherContentUnderAUsedIdIsRefusedAndTheFirstStays) {
  apply(prepare(txn(1), put("a", "1"), 1, 5));
  const auto applied = apply(prepare(txn(1), put("a", "2"), 2, 6));
  ASSERT_TRUE(applied.refused);
  EXPECT_EQ(applied.refused->reason, AbortReason::reused_id);
  EXPECT_NE(shard.prepared(txn(1)), nullptr);
}

TEST_F(ShardTest, OnePhaseVotesDecidesAndAppliesInOneEntry) {
  apply(execute(txn(1), {add("a", 7)}));
  EXPECT_EQ(store.get("a"), "7");
  const FinishedTxn& done = *shard.finished(txn(1));
  EXPECT_EQ(done.outcome, Outcome::committed);
  EXPECT_EQ(done.protocol, Protocol::one_phase);
  ASSERT_EQ(done.result().size(), 1U);
  EXPECT_EQ(std::get<std::int64_t>(done.result()[0].rows[0][0]), 7);
  EXPECT_FALSE(apply(execute(txn(1), {add("a", 7)})).changed);
  EXPECT_EQ(store.get("a"), "7") << "at most once";
}

TEST_F(ShardTest, ALargeReplyIsNotKept) {
  apply(execute(txn(1), put("a", std::string(500, 'x'))));
  apply(execute(txn(2), {KvGet{"a"}}));
  EXPECT_TRUE(shard.finished(txn(2))->result_dropped);
  EXPECT_TRUE(shard.finished(txn(2))->detail.empty());
  EXPECT_EQ(shard.finished(txn(2))->outcome, Outcome::committed);
}

TEST_F(ShardTest, OnePhaseRespectsPreparedLocks) {
  const ExecuteWork work = execute(txn(2), put("a", "2"));
  apply(prepare(txn(1), put("a", "1")));
  apply(work);
  EXPECT_EQ(shard.finished(txn(2))->refusal().reason, AbortReason::conflict);
  EXPECT_FALSE(store.get("a"));
}

TEST_F(ShardTest, ASealIsANoForAnEmptyRegister) {
  EXPECT_TRUE(apply(SealWork{txn(1)}).changed);
  EXPECT_FALSE(apply(prepare(txn(1), put("a", "1"))).changed);
  EXPECT_EQ(shard.finished(txn(1))->refusal().reason, AbortReason::sealed);
  EXPECT_EQ(apply(SealWork{txn(2)}, 20'000).refused->reason, AbortReason::too_old);
}

TEST_F(ShardTest, ARecordIsPutOnceAtPrepareAndOnceAtFinish) {
  const auto before = store.records_put();
  apply(prepare(txn(1), put("a", "1")));
  EXPECT_EQ(store.records_put(), before + 1);
  apply(finish(txn(1), true));
  EXPECT_EQ(store.records_put(), before + 2);
  EXPECT_LT(store.records()->at(txn(1)).size(), 60U) << "what stays is small";
}

TEST_F(ShardTest, ForgettingIsBoundedAnEntryAndCatchesUp) {
  for (std::uint64_t n = 1; n <= 20; ++n) apply(SealWork{txn(n)});
  apply(Tidy{}, 10'001);
  EXPECT_EQ(shard.all_finished().size(), 16U);
  for (int i = 0; i < 4; ++i) apply(Tidy{}, 10'001);
  EXPECT_TRUE(shard.all_finished().empty());
}

// Where the votes decide the content counts, not the attempt; a commit outlives its retention until nobody may ask.
TEST_F(ShardTest, P07_WhereTheVotesDecideAFinishNamesTheContent) {
  PrepareWork work = prepare(txn(1), put("a", "1"));
  work.protocol = Protocol::paxos_commit;
  apply(work);
  apply(FinishWork{txn(1), {Epoch(1), 1}, true});
  apply(FinishWork{txn(1), {Epoch(1), 1}, true, Protocol::paxos_commit, 6});
  EXPECT_NE(shard.prepared(txn(1)), nullptr);
  EXPECT_EQ(shard.report(txn(1)).standing, Standing::prepared);
  EXPECT_EQ(shard.report(txn(1)).participants.size(), 2U);
  apply(FinishWork{txn(1), {Epoch(7), 3}, true, Protocol::paxos_commit, 5});
  EXPECT_EQ(store.get("a"), "1");
  EXPECT_EQ(shard.report(txn(1)).standing, Standing::committed);
}

TEST_F(ShardTest, P11_ACommitThatOthersMayAskForIsNotForgottenByAge) {
  for (std::uint64_t n = 1; n <= 3; ++n) {
    PrepareWork work = prepare(txn(n), put("a", "1"));
    work.protocol = Protocol::paxos_commit;
    apply(work);
    apply(FinishWork{txn(n), {}, n != 2, Protocol::paxos_commit, 5});
  }
  apply(ForgetTxns{{txn(1)}});
  EXPECT_EQ(shard.all_finished().size(), 3U) << "its id may still come again";
  apply(Tidy{}, 20'000);
  EXPECT_EQ(shard.all_finished().size(), 2U) << "the abort needs nobody: who asks reads old as a no";
  EXPECT_EQ(shard.old_commits({}, 9), (std::vector<TxnId>{txn(1), txn(3)}));
  EXPECT_EQ(shard.old_commits(txn(1), 9), std::vector<TxnId>{txn(3)});
  apply(ForgetTxns{{txn(1), txn(2)}}, 20'000);
  EXPECT_EQ(shard.report(txn(1)).standing, Standing::old);
  EXPECT_EQ(shard.report(txn(3)).standing, Standing::committed);
}

TEST_F(ShardTest, ThePreparedRecordKeepsItsTrace) {
  PrepareWork work = prepare(txn(1), put("a", "1"));
  work.trace = "whose it is";
  apply(work);
  EXPECT_EQ(shard.report(txn(1)).trace, "whose it is");
  Bytes bytes = encode_record(*shard.prepared(txn(1)));
  EXPECT_EQ(std::get<PreparedTxn>(*decode_record(bytes)), *shard.prepared(txn(1)));
  Shard again(ShardOptions{.self = shard_1, .window = {}});
  ASSERT_TRUE(again.load(store));
  EXPECT_EQ(again.prepared(txn(1))->trace, "whose it is");
  bytes[0] = 5;
  EXPECT_FALSE(decode_record(bytes)) << "version 5 ends before it";
  bytes.resize(bytes.size() - 4 - work.trace.size());
  ASSERT_TRUE(decode_record(bytes));
  EXPECT_EQ(std::get<PreparedTxn>(*decode_record(bytes)).trace, "");
  PreparedTxn longer = *shard.prepared(txn(1));
  longer.trace.assign(trace_bytes_max + 1, 't');
  EXPECT_FALSE(decode_record(encode_record(longer)));
}

TEST_F(ShardTest, ARecordOfVersion1IsReadAsTheProtocolThatItWasOf) {
  apply(prepare(txn(1), put("a", "1")));
  Bytes bytes = encode_record(*shard.prepared(txn(1)));
  bytes.resize(bytes.size() - 4);  // before version 6 no trace
  bytes.pop_back();                // before version 4 no heuristic
  const std::size_t behind_effects = encode_detail(shard.prepared(txn(1))->result).size() + 8 + 1;
  bytes.erase(bytes.size() - behind_effects - 4, 4);  // before version 3 no count of adds
  for (const char version : {'\2', '\1'}) {
    bytes[0] = version;
    if (version == 1) bytes.pop_back();
    const auto prepared = decode_record(bytes);
    ASSERT_TRUE(prepared);
    EXPECT_EQ(std::get<PreparedTxn>(*prepared), *shard.prepared(txn(1)));
  }
  apply(SealWork{txn(2)});
  apply(execute(txn(3), put("c", "1")));
  apply(finish(txn(1), true));
  for (std::uint64_t n = 1; n <= 3; ++n) {
    bytes = encode_record(*shard.finished(txn(n)));
    bytes[0] = 1;
    bytes.resize(bytes.size() - 2);
    const auto finished = decode_record(bytes);
    ASSERT_TRUE(finished);
    EXPECT_EQ(std::get<FinishedTxn>(*finished), *shard.finished(txn(n)));
  }
}

TEST_F(ShardTest, W18_ASnapshotCarriesPreparedTransactionsAndTombstones) {
  apply(prepare(txn(1), put("a", "1")));
  apply(finish(txn(2), false));
  MemoryStore copy;
  ASSERT_TRUE(copy.restore(*store.snapshot()));
  Shard restored(options());
  ASSERT_TRUE(restored.load(copy));
  EXPECT_EQ(restored.digest(), shard.digest());
  ASSERT_TRUE(restored.apply(at(2, 9), finish(txn(1), true), copy));
  EXPECT_EQ(copy.get("a"), "1");
}

TEST_F(ShardTest, F1_NoBytesCrashALoad) {
  PreparedTxn prepared{.attempt = {Epoch(1), 2},
                       .coordinator = coordinator_group,
                       .participants = {shard_1, shard_2},
                       .fingerprint = 3,
                       .age = txn(4),
                       .effects = {"change", {{"k", LockMode::exclusive}}},
                       .result = {{{"c"}, {{SqlNull{}, std::int64_t{1}, 2.0, "x", SqlBlob{"y"}}}, 3}},
                       .prepared_at = ClusterMillis(5)};
  FinishedTxn finished;
  finished.outcome = Outcome::aborted;
  finished.detail = encode_detail(Refusal{AbortReason::constraint, shard_1, "no", "c", txn(1)});
  const Bytes encoded[] = {encode_record(prepared), encode_record(finished)};
  EXPECT_EQ(std::get<PreparedTxn>(*decode_record(encoded[0])), prepared);
  EXPECT_EQ(std::get<FinishedTxn>(*decode_record(encoded[1])), finished);
  EXPECT_EQ(finished.refusal().constraint, "c");
  Rng rng(1);
  for (const Bytes& good : encoded) {
    for (std::size_t cut = 0; cut < good.size(); ++cut) EXPECT_FALSE(decode_record(ByteView(good).substr(0, cut)));
    for (int round = 0; round < 3'000; ++round) {
      Bytes bad = good;
      bad[rng.below(bad.size())] = static_cast<char>(rng.below(256));
      if (auto read = decode_record(bad); read && std::holds_alternative<FinishedTxn>(*read)) {
        static_cast<void>(std::get<FinishedTxn>(*read).refusal());
      }
    }
  }
  MemoryStore damaged;
  ASSERT_TRUE(damaged.put_record(txn(1), "nonsense"));
  EXPECT_EQ(shard.load(damaged).error().code, ErrorCode::corruption);
}

TEST_F(ShardTest, P25_AForcedCommitChangesRowsFreesLocksAndLeavesTheRegister) {
  apply(prepare(txn(1), put("a", "1")));
  const auto applied = apply(OverrideWork{txn(1), true, "the other half is lost"});
  EXPECT_TRUE(applied.changed);
  EXPECT_EQ(applied.released.size(), 1U);
  EXPECT_EQ(store.get("a"), "1");
  EXPECT_TRUE(shard.holding().empty());
  EXPECT_EQ(shard.report(txn(1)).standing, Standing::prepared) << "whoever asks hears the vote, not the guess";
  EXPECT_EQ(shard.prepared(txn(1))->heuristic, (Heuristic{true, shard.stamp(), "the other half is lost"}));
  EXPECT_FALSE(apply(OverrideWork{txn(1), false, "on second thoughts"}).changed) << "the first stands";
  apply(execute(txn(2), put("a", "2")));
  apply(finish(txn(1), true));
  EXPECT_EQ(store.get("a"), "2") << "a commit that comes later finds nothing to carry out";
  EXPECT_TRUE(shard.finished(txn(1))->heuristic);
  EXPECT_FALSE(shard.finished(txn(1))->mixed());
}

TEST_F(ShardTest, P25_WhatWasForcedAndIsNotTrueIsMixed) {
  apply(prepare(txn(1), put("a", "1")));
  apply(OverrideWork{txn(1), false, "guess"});
  EXPECT_FALSE(store.get("a"));
  apply(finish(txn(1), true));
  EXPECT_FALSE(store.get("a")) << "what was given up is gone";
  EXPECT_EQ(shard.finished(txn(1))->outcome, Outcome::committed);
  EXPECT_TRUE(shard.finished(txn(1))->mixed());
  EXPECT_EQ(shard.heuristics().count(txn(1)), 1U);
  EXPECT_EQ(shard.heuristic_counts(), (HeuristicCounts{.commits = 0, .aborts = 1, .forgotten = 0}));
}

TEST_F(ShardTest, P25_WhatWasForcedIsListedUntilSomebodyForgetsIt) {
  apply(prepare(txn(1), put("a", "1")));
  apply(OverrideWork{txn(1), true, "guess"});
  EXPECT_FALSE(apply(ForgetOverride{txn(1), "too early"}).changed) << "its outcome is still to come";
  apply(finish(txn(1), false));
  apply(Tidy{}, 10'001);
  ASSERT_NE(shard.finished(txn(1)), nullptr) << "it does not go by its age";
  EXPECT_TRUE(shard.finished(txn(1))->mixed());
  EXPECT_TRUE(apply(ForgetOverride{txn(1), "repaired"}, 10'002).changed);
  EXPECT_TRUE(shard.heuristics().empty());
  EXPECT_EQ(store.get("a"), "1") << "rows are nobody's business here";
  apply(Tidy{}, 10'003);
  EXPECT_TRUE(shard.empty(txn(1))) << "from then on it goes by its age";
  EXPECT_FALSE(apply(ForgetOverride{txn(1), "again"}, 10'004).changed);
  EXPECT_EQ(shard.heuristic_counts(), (HeuristicCounts{.commits = 1, .aborts = 0, .forgotten = 1}));
}

TEST_F(ShardTest, P25_AForcedCommitThatOthersMayAskForIsForgottenLikeOthersAfterwards) {
  PrepareWork work = prepare(txn(1), put("a", "1"));
  work.protocol = Protocol::paxos_commit;
  apply(work);
  apply(OverrideWork{txn(1), true, "guess"});
  FinishWork end = finish(txn(1), true);
  end.protocol = Protocol::paxos_commit;
  end.fingerprint = work.fingerprint;
  apply(end);
  apply(Tidy{}, 10'001);
  EXPECT_TRUE(shard.old_commits({}, 9).empty()) << "nobody is asked about it yet";
  EXPECT_FALSE(apply(ForgetTxns{{txn(1)}}, 10'002).changed);
  EXPECT_TRUE(apply(ForgetOverride{txn(1), "it was right"}, 10'003).changed);
  EXPECT_EQ(shard.old_commits({}, 9), std::vector<TxnId>{txn(1)});
  EXPECT_TRUE(apply(ForgetTxns{{txn(1)}}, 10'004).changed);
  EXPECT_TRUE(shard.empty(txn(1)));
}

TEST_F(ShardTest, P25_WhatWasForcedIsCountedAcrossRestarts) {
  for (const std::uint64_t number : {1U, 2U, 3U}) {
    apply(prepare(txn(number), put(fmt::format("k{}", number), "1")));
    apply(OverrideWork{txn(number), number == 1, "guess"});
  }
  apply(finish(txn(1), true));
  apply(ForgetOverride{txn(1), "it was right"});
  Shard again(ShardOptions{});
  ASSERT_TRUE(again.load(store));
  EXPECT_EQ(again.heuristic_counts(), (HeuristicCounts{.commits = 1, .aborts = 2, .forgotten = 1}));
  EXPECT_EQ(again.heuristics(), (std::set<TxnId>{txn(2), txn(3)}));
  Bytes before_counts;
  ByteWriter(before_counts).u8(1).u64(77);
  const auto old = decode_machine_record(before_counts);
  ASSERT_TRUE(old);
  EXPECT_EQ(old->stamp, ClusterMillis(77));
  EXPECT_EQ(old->heuristics, HeuristicCounts{});
  EXPECT_FALSE(decode_machine_record("\x03"));
  EXPECT_FALSE(decode_machine_record(before_counts + "x"));
}

TEST_F(ShardTest, P25_OnlyWhatIsInDoubtCanBeForced) {
  EXPECT_FALSE(apply(OverrideWork{txn(1), true, "why"}).changed);
  EXPECT_TRUE(shard.empty(txn(1)));
  apply(prepare(txn(1), put("a", "1")));
  apply(finish(txn(1), false));
  EXPECT_FALSE(apply(OverrideWork{txn(1), true, "why"}).changed);
  EXPECT_FALSE(store.get("a"));
  EXPECT_FALSE(shard.finished(txn(1))->heuristic);
}

}  // namespace
}  // namespace assent
