// Counters in escrow: the accounting against every subset of the pending, and what the leader lets in.
#include "participant/escrow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "caretaker_fixture.h"

namespace assent {
namespace {

using testing::CaretakerFixture;
using testing::put;
using testing::txn;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();

KvAdd escrow(std::string key, std::int64_t delta, std::optional<std::int64_t> floor = 0,
             std::optional<std::int64_t> ceiling = std::nullopt) {
  return KvAdd{std::move(key), delta, floor, ceiling, true};
}

// ---- the accounting ----

// Whatever subset of the others commits before it, each finds a value within its bounds.
bool holds_for_every_subset(std::int64_t value, const std::vector<CounterAdd>& all) {
  for (std::size_t self = 0; self < all.size(); ++self) {
    for (std::size_t subset = 0; subset < (1U << all.size()); ++subset) {
      if ((subset >> self) & 1U) continue;
      std::int64_t found = value;
      for (std::size_t i = 0; i < all.size(); ++i) {
        if ((subset >> i) & 1U) found += all[i].delta;
      }
      if (found < all[self].low || found > all[self].high) return false;
    }
  }
  return true;
}

TEST(Escrow, FitsExactlyWhenTheBoundsHoldForEverySubset) {
  Rng rng(3);
  int let_in = 0;
  for (int round = 0; round < 3'000; ++round) {
    const auto value = static_cast<std::int64_t>(rng.below(30));
    EscrowTable prepared;
    EscrowTable reserved;
    std::vector<CounterAdd> pending;
    for (std::uint64_t n = 1; n <= 7; ++n) {
      if (!pending.empty() && rng.chance(0.2)) {  // one of them ends
        const std::size_t which = rng.below(pending.size());
        prepared.release(TxnId::make({}, 0, static_cast<std::uint64_t>(pending[which].key[0])));
        reserved.release(TxnId::make({}, 0, static_cast<std::uint64_t>(pending[which].key[0])));
        pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(which));
      }
      CounterAdd add{std::string(1, static_cast<char>(n)), static_cast<std::int64_t>(rng.below(20)) - 10, least, most};
      if (rng.chance(0.7)) add.low = static_cast<std::int64_t>(rng.below(15));
      if (rng.chance(0.5)) add.high = 15 + static_cast<std::int64_t>(rng.below(25));
      std::vector<CounterAdd> with = pending;
      with.push_back(add);
      const CounterAdd named{"n", add.delta, add.low, add.high};
      const bool fine = fits(value, named, together(prepared.pending("n"), reserved.pending("n")));
      ASSERT_EQ(fine, holds_for_every_subset(value, with)) << "round " << round << " add " << n;
      if (!fine) continue;
      ++let_in;
      (rng.chance(0.5) ? prepared : reserved).acquire(TxnId::make({}, 0, n), std::vector{named});
      pending = std::move(with);
    }
  }
  EXPECT_GT(let_in, 3'000);
}

TEST(Escrow, WhatIsReleasedLeavesNothing) {
  EscrowTable table;
  const std::vector<CounterAdd> adds = {{"a", -5, 0, most}, {"b", 5, least, 10}};
  table.acquire(txn(1), adds);
  EXPECT_FALSE(fits(10, {"b", 1, least, most}, table.pending("b")));
  table.release(txn(1));
  EXPECT_EQ(table, EscrowTable());
  EXPECT_TRUE(fits(10, {"b", 1, least, most}, table.pending("b")));
}

TEST(Escrow, SumsDoNotOverflow) {
  EscrowTable table;
  for (std::uint64_t n = 1; n <= 20; ++n) table.acquire(txn(n), std::vector<CounterAdd>{{"n", least, least, most}});
  EXPECT_FALSE(fits(0, {"n", -1, least, most}, table.pending("n")));
}

TEST(Escrow, AddsOfOneWorkAreJoinedAsIfDoneInOrder) {
  Rng rng(4);
  for (int round = 0; round < 2'000; ++round) {
    std::vector<KvAdd> adds;
    CounterAdd all;
    bool possible = true;
    for (std::uint64_t n = rng.between(1, 4); n > 0 && possible; --n) {
      KvAdd add = escrow("n", static_cast<std::int64_t>(rng.below(20)) - 10, std::nullopt);
      if (rng.chance(0.6)) add.floor = static_cast<std::int64_t>(rng.below(10));
      if (rng.chance(0.6)) add.ceiling = 5 + static_cast<std::int64_t>(rng.below(10));
      adds.push_back(add);
      possible = join(all, add);
    }
    for (std::int64_t value = -40; value < 40; ++value) {
      std::int64_t sum = value;
      bool fine = true;
      for (const KvAdd& add : adds) {
        sum += add.delta;
        fine = fine && sum >= add.floor.value_or(sum) && sum <= add.ceiling.value_or(sum);
      }
      ASSERT_EQ(possible && fits(value, all, {}), fine) << round;
    }
  }
  CounterAdd edge;
  EXPECT_TRUE(join(edge, escrow("n", most, std::nullopt)));
  EXPECT_TRUE(fits(0, edge, {}));
  EXPECT_FALSE(fits(1, edge, {})) << "the sum would overflow";
  EXPECT_FALSE(join(edge, escrow("n", 1, std::nullopt))) << "no value has room for both";
}

TEST(Escrow, AKeyThatIsAlsoReadOrWrittenIsNoCounter) {
  const Work work = {escrow("a", 1), escrow("b", 1),        KvGet{"b"},    KvPut{"c", "1"}, escrow("d", 1),
                     escrow("d", 2), KvAdd{"e", 1, {}, {}}, escrow("e", 1)};
  EXPECT_THAT(counters_of(work), ::testing::UnorderedElementsAre("a", "d"));
}

// ---- the leader and the machine ----

class EscrowTest : public CaretakerFixture {
 protected:
  void open(std::int64_t value) {
    execute(1, txn(1), put("n", std::to_string(value)));
    commit_all();
    heard();
  }
  // Prepared, or told no.
  Vote vote(const TxnId& id, const Work& work) {
    prepare(id, work);
    commit_all();
    const std::vector<Vote> all = votes();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? Vote{} : all.front();
  }
  std::string value() { return store.get("n").value_or("nothing"); }
};

TEST_F(EscrowTest, ThousandsArePreparedOnOneKeyAndCommitInAnyOrder) {
  open(100'000);
  for (std::uint64_t n = 2; n < 2'002; ++n) EXPECT_TRUE(vote(txn(n), {escrow("n", n % 2 == 0 ? -10 : 5)}).yes);
  EXPECT_EQ(machine.all_prepared().size(), 2'000U);
  for (std::uint64_t n = 2'001; n >= 2; --n) finish(txn(n), n % 3 != 0);
  commit_all();
  std::int64_t expected = 100'000;
  for (std::uint64_t n = 2; n < 2'002; ++n) {
    if (n % 3 != 0) expected += n % 2 == 0 ? -10 : 5;
  }
  EXPECT_EQ(value(), std::to_string(expected));
  EXPECT_TRUE(machine.escrow().empty());
}

TEST_F(EscrowTest, ProposalsThatAreNotAppliedYetCountToo) {
  open(10);
  for (std::uint64_t n = 9; n >= 2; --n) prepare(txn(n), {escrow("n", -5)});  // each older than those before
  EXPECT_EQ(logged<PrepareWork>().size(), 2U) << "two may be proposed side by side, a third might overdraw";
  commit_all();
  EXPECT_EQ(machine.all_prepared().size(), 2U);
}

TEST_F(EscrowTest, AnAddThatMightBreakABoundWaitsAndIsJudgedWhenItIsKnown) {
  open(10);
  EXPECT_TRUE(vote(txn(9), {escrow("n", -8)}).yes);
  prepare(txn(2), {escrow("n", -5)});  // older: it may wait
  commit_all();
  EXPECT_TRUE(votes().empty()) << "the other may yet abort";
  finish(txn(9), false);
  commit_all();
  const std::vector<Vote> late = votes();
  ASSERT_EQ(late.size(), 1U);
  EXPECT_TRUE(late[0].yes);
}

TEST_F(EscrowTest, OnceTheOtherCommittedTheBoundIsBrokenForCertain) {
  open(10);
  EXPECT_TRUE(vote(txn(9), {escrow("n", -8)}).yes);
  prepare(txn(2), {escrow("n", -5)});
  finish(txn(9), true);
  commit_all();
  const std::vector<Vote> late = votes();
  ASSERT_EQ(late.size(), 1U);
  EXPECT_FALSE(late[0].yes);
  EXPECT_EQ(late[0].refusal.reason, AbortReason::constraint);
  EXPECT_EQ(late[0].refusal.constraint, "bounds n");
}

TEST_F(EscrowTest, AYoungerOneIsToldAConflictNotABrokenBound) {
  open(10);
  EXPECT_TRUE(vote(txn(2), {escrow("n", -8)}).yes);
  const Vote no = vote(txn(9), {escrow("n", -5)});
  EXPECT_FALSE(no.yes);
  EXPECT_EQ(no.refusal.reason, AbortReason::conflict) << "that balance may never come about";
  EXPECT_EQ(no.refusal.holder, txn(2));
}

TEST_F(EscrowTest, AnAddWithoutBoundsMayNotBreakThoseOfThePending) {
  open(10);
  EXPECT_TRUE(vote(txn(2), {escrow("n", -5, 0)}).yes);
  EXPECT_FALSE(vote(txn(9), {escrow("n", -6, std::nullopt)}).yes);
  EXPECT_TRUE(vote(txn(8), {escrow("n", -5, std::nullopt)}).yes);
}

TEST_F(EscrowTest, OtherOperationsConflictWithPendingAdds) {
  open(10);
  EXPECT_TRUE(vote(txn(2), {escrow("n", 1)}).yes);
  for (const Work& work : {put("n", "5"), Work{KvGet{"n"}}, Work{KvErase{"n"}}, Work{KvExpect{"n", "10"}},
                           Work{KvAdd{"n", 1, {}, {}}}, Work{escrow("n", 1), KvGet{"n"}}}) {
    static std::uint64_t id = 10;
    EXPECT_EQ(vote(txn(++id), work).refusal.reason, AbortReason::conflict);
  }
  EXPECT_TRUE(vote(txn(50), {escrow("n", 1)}).yes);
}

TEST_F(EscrowTest, AQueryWaitsForPendingAdds) {
  open(10);
  EXPECT_TRUE(vote(txn(2), {escrow("n", 1)}).yes);
  EXPECT_TRUE(vote(txn(3), {escrow("n", 2)}).yes);
  query(7, {KvGet{"n"}});
  pass_barriers();
  EXPECT_EQ(rows_for(heard().reply, 7), nullptr);
  finish(txn(3), true);
  finish(txn(2), true);
  commit_all();
  const auto replies = heard().reply;
  const QueryAnswer* answer = rows_for(replies, 7);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(std::get<SqlBlob>(answer->result[0].rows[0][0]).bytes, "13");
}

TEST_F(EscrowTest, NothingIsAnsweredButThatItWasAdded) {
  open(10);
  const Vote yes = vote(txn(2), {escrow("n", 1), escrow("m", 1), KvGet{"m"}});
  ASSERT_EQ(yes.result.size(), 3U);
  EXPECT_TRUE(yes.result[0].rows.empty());
  EXPECT_TRUE(yes.result[1].rows.empty()) << "also where the key was locked";
  EXPECT_EQ(yes.result[0].rows_affected, 1U);
  EXPECT_EQ(yes.result[2].rows.size(), 1U);
}

TEST_F(EscrowTest, AOnePhaseAddGoesBesidePreparedOnes) {
  open(10);
  EXPECT_TRUE(vote(txn(2), {escrow("n", -6)}).yes);
  execute(5, txn(3), {escrow("n", -4)});
  commit_all();
  const auto replies = heard().reply;
  ASSERT_NE(testing::answer_to(replies, 5), nullptr);
  EXPECT_EQ(testing::answer_to(replies, 5)->state, TxnState::committed);
  EXPECT_EQ(value(), "6");
  finish(txn(2), true);
  commit_all();
  EXPECT_EQ(value(), "0");
}

TEST_F(EscrowTest, ANewLeaderAndARestartedReplicaKnowThePending) {
  open(10);
  EXPECT_TRUE(vote(txn(2), {escrow("n", -8)}).yes);
  Shard reloaded(machine_options());
  ASSERT_TRUE(reloaded.load(store));
  EXPECT_EQ(reloaded.escrow(), machine.escrow());
  MemoryStore other;
  Shard restored(machine_options());
  ASSERT_TRUE(restored.restore(other, *store.snapshot()));
  EXPECT_EQ(restored.escrow(), machine.escrow());
  resign_and_lead();
  commit_all();
  heard();
  EXPECT_FALSE(vote(txn(9), {escrow("n", -5)}).yes);
}

TEST_F(EscrowTest, TheMachineRefusesWhatALogShouldNotHold) {
  open(10);
  EXPECT_TRUE(vote(txn(2), {escrow("n", -8)}).yes);
  PrepareWork command;
  command.txn = txn(3);
  command.effects.adds = {{"n", -5, 5, most}};
  command.effects.locks = {{"kv/n", LockMode::escrow}};
  ASSERT_TRUE(machine.apply(testing::at(1, ++index), command, store));
  ASSERT_NE(machine.finished(txn(3)), nullptr);
  EXPECT_EQ(machine.finished(txn(3))->refusal().reason, AbortReason::conflict);
}

}  // namespace
}  // namespace assent
