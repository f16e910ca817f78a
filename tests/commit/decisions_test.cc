#include "coordinator/decisions.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "support.h"

namespace assent {
namespace {

using testing::at;
using testing::shard_1;
using testing::shard_2;
using testing::txn;

Decide decide(const TxnId& id, std::uint64_t epoch, std::uint64_t number) {
  return Decide{.txn = id,
                .attempt = {Epoch(epoch), number},
                .protocol = Protocol::two_phase,
                .participants = {shard_1, shard_2},
                .fingerprint = 77};
}

SealOutcome seal(const TxnId& id, AbortReason reason = AbortReason::sealed) {
  SealOutcome command;
  command.txn = id;
  command.refusal.reason = reason;
  return command;
}

TEST(Decisions, ADecideOfItsOwnEpochCommits) {
  Decisions decisions;
  const auto applied = decisions.apply(at(3, 1), decide(txn(1), 3, 5));
  EXPECT_EQ(applied.outcome, Outcome::committed);
  EXPECT_TRUE(applied.changed);
  EXPECT_TRUE(decisions.committed(txn(1), {Epoch(3), 5}));
  EXPECT_FALSE(decisions.committed(txn(1), {Epoch(3), 4}));
  ASSERT_TRUE(decisions.open().contains(txn(1)));
  EXPECT_EQ(decisions.open().at(txn(1)).participants, (std::vector<GroupId>{shard_1, shard_2}));
}

TEST(Decisions, P08_ADecideCarriedIntoALaterEpochIsFenced) {
  Decisions decisions;
  const auto applied = decisions.apply(at(4, 1), decide(txn(1), 3, 5));
  EXPECT_EQ(applied.outcome, Outcome::none);
  EXPECT_FALSE(applied.changed);
  EXPECT_FALSE(decisions.find(txn(1)));
}

TEST(Decisions, P06_TheFirstRecordWinsWhateverComesLater) {
  Decisions decisions;
  decisions.apply(at(1, 1), seal(txn(1), AbortReason::timeout));
  EXPECT_EQ(decisions.apply(at(1, 2), decide(txn(1), 1, 1)).outcome, Outcome::aborted);
  EXPECT_EQ(decisions.apply(at(1, 3), seal(txn(1))).reason, AbortReason::timeout);

  decisions.apply(at(1, 4), decide(txn(2), 1, 2));
  const auto sealed = decisions.apply(at(1, 5), seal(txn(2)));
  EXPECT_EQ(sealed.outcome, Outcome::committed);
  EXPECT_FALSE(sealed.changed);
  EXPECT_EQ(decisions.apply(at(1, 6), decide(txn(2), 1, 3)).attempt, (Attempt{Epoch(1), 2}));
}

TEST(Decisions, P04_EndKeepsTheOutcomeAndForgetsTheWork) {
  Decisions decisions;
  decisions.apply(at(1, 1), decide(txn(1), 1, 1));
  decisions.apply(at(1, 2), EndTxns{{txn(1), txn(2)}});
  decisions.apply(at(1, 3), EndTxns{{txn(1)}});  // again, by a later leader
  EXPECT_TRUE(decisions.open().empty());
  EXPECT_TRUE(decisions.committed(txn(1), {Epoch(1), 1}));
  EXPECT_EQ(decisions.apply(at(2, 4), decide(txn(1), 2, 1)).attempt, (Attempt{Epoch(1), 1}));
  EXPECT_EQ(decisions.records(), 1U);
}

TEST(Decisions, ANoteIsKeptUnlessSomethingStandsThere) {
  Decisions decisions;
  const OutcomeNote committed{txn(1), 7, true, Protocol::paxos_commit, AbortReason::none};
  const OutcomeNote presumed{txn(1), 0, false, Protocol::paxos_commit, AbortReason::presumed};
  EXPECT_TRUE(decisions.apply(at(1, 1), NoteOutcomes{{committed}}).changed);
  EXPECT_FALSE(decisions.apply(at(1, 2), NoteOutcomes{{presumed}}).changed);
  EXPECT_EQ(decisions.find(txn(1))->outcome, Outcome::committed);
  EXPECT_EQ(decisions.find(txn(1))->fingerprint, 7U);
  EXPECT_EQ(decisions.apply(at(1, 3), SealOutcome{txn(1), {}}).outcome, Outcome::committed);
  Decisions restored;
  ASSERT_TRUE(restored.restore(*decisions.snapshot()));
  EXPECT_EQ(restored.digest(), decisions.digest());
}

TEST(Decisions, NothingIsPresumedOfWhatTheHistoryMayHaveForgotten) {
  DecisionsOptions options;
  options.window.retention_millis = 1'000;
  options.history.records_max = 0;
  Decisions decisions(options);
  decisions.apply(at(1, 1), NoteOutcomes{{OutcomeNote{txn(1), 7, true, Protocol::paxos_commit, AbortReason::none}}});
  decisions.apply(at(1, 2, 5'000), Tidy{});
  ASSERT_FALSE(decisions.find(txn(1)));
  decisions.apply(at(1, 3, 5'000),
                  NoteOutcomes{{OutcomeNote{txn(1), 0, false, Protocol::paxos_commit, AbortReason::presumed}}});
  EXPECT_FALSE(decisions.find(txn(1)));
}

TEST(Decisions, AnOutcomeIsKeptByCountOnlyOnceItsIdIsTooOld) {
  DecisionsOptions options;
  options.history.records_max = 2;
  options.window.retention_millis = 1'000;
  Decisions decisions(options);
  for (std::uint64_t n = 0; n < 5; ++n) decisions.apply(at(1, n + 1, n), seal(txn(n, n)));
  EXPECT_EQ(decisions.records(), 5U) << "each id would still be accepted: forgetting it would run it again";
  EXPECT_FALSE(decisions.may_be_forgotten(txn(0)));
  decisions.apply(at(1, 9, 1'003), Tidy{});  // ids 0, 1, 2 are too old
  EXPECT_EQ(decisions.records(), 2U);
  EXPECT_TRUE(decisions.too_old(txn(2, 2)));
  EXPECT_TRUE(decisions.may_be_forgotten(txn(2, 2)));
  EXPECT_FALSE(decisions.may_be_forgotten(txn(3, 3)));
  EXPECT_TRUE(decisions.find(txn(3, 3)));
}

TEST(Decisions, AnOutcomeIsForgottenAfterTheTimeItIsKept) {
  DecisionsOptions options;
  options.history.keep_millis = 5'000;
  options.window.retention_millis = 1'000;
  Decisions decisions(options);
  decisions.apply(at(1, 1, 0), seal(txn(1)));
  decisions.apply(at(1, 2, 5'000), Tidy{});
  EXPECT_TRUE(decisions.find(txn(1)));
  decisions.apply(at(1, 3, 5'001), Tidy{});
  EXPECT_FALSE(decisions.find(txn(1)));
}

TEST(Decisions, AnOpenCommitIsNeverForgotten) {
  DecisionsOptions options;
  options.history.keep_millis = 1;
  options.history.records_max = 0;
  options.window.retention_millis = 1;
  Decisions decisions(options);
  decisions.apply(at(1, 1), decide(txn(1), 1, 1));
  decisions.apply(at(1, 2, 100'000'000), Tidy{});
  EXPECT_TRUE(decisions.committed(txn(1), {Epoch(1), 1}));
}

Decisions busy_machine(std::uint64_t seed) {
  DecisionsOptions options;
  options.window.retention_millis = 300;
  options.history.records_max = 40;
  Decisions decisions(options);
  Rng rng(seed);
  for (std::uint64_t index = 1; index <= 600; ++index) {
    const TxnId id = txn(rng.below(60), index - index % 50);
    switch (rng.below(4)) {
      case 0: decisions.apply(at(1 + index / 200, index, index), decide(id, 1 + rng.below(4), index)); break;
      case 1: decisions.apply(at(1 + index / 200, index, index), seal(id)); break;
      case 2:
        decisions.apply(at(1 + index / 200, index, index), EndTxns{{id, txn(rng.below(60), index - index % 50)}});
        break;
      default: decisions.apply(at(1 + index / 200, index, index), Tidy{});
    }
  }
  return decisions;
}

TEST(Decisions, W18_ASnapshotRestoresEverythingAndGoesOnAlike) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Decisions original = busy_machine(seed);
    DecisionsOptions options;
    options.window.retention_millis = 300;
    options.history.records_max = 40;
    Decisions restored(options);
    ASSERT_TRUE(restored.restore(*original.snapshot()));
    ASSERT_EQ(restored.digest(), original.digest());
    ASSERT_EQ(*restored.snapshot(), *original.snapshot());
    for (std::uint64_t index = 601; index < 700; ++index) {
      const auto context = at(9, index, index * 2);
      const CoordinatorCommand command = decide(txn(index % 60, index), 9, index);
      ASSERT_EQ(original.apply(context, command), restored.apply(context, command));
    }
    ASSERT_EQ(restored.digest(), original.digest());
  }
}

TEST(Decisions, F1_NoBytesCrashARestore) {
  const Decisions original = busy_machine(3);
  const Bytes good = *original.snapshot();
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    Decisions restored;
    EXPECT_FALSE(restored.restore(ByteView(good).substr(0, cut)));
    EXPECT_EQ(restored.digest(), Decisions().digest()) << "a failed restore changes nothing";
  }
  Rng rng(1);
  for (int round = 0; round < 2'000; ++round) {
    Bytes bad = good;
    for (std::uint64_t flips = rng.between(1, 4); flips > 0; --flips) {
      bad[rng.below(bad.size())] = static_cast<char>(rng.below(256));
    }
    Decisions restored;
    if (restored.restore(bad)) restored.apply(at(9, 9, 900'000'000), Tidy{});
  }
}

// The dumb twin of the history's index: a map.
TEST(OutcomeHistory, AgreesWithItsDumbTwin) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    OutcomeHistory history;
    std::map<TxnId, SettledOutcome> twin;
    std::deque<TxnId> order;
    const HistoryBounds bounds{.keep_millis = 1'000'000, .records_max = rng.between(0, 100)};
    const TimeWindow window{.retention_millis = 1, .clock_skew_max_millis = 0};
    for (int step = 0; step < 3'000; ++step) {
      const TxnId id = txn(rng.below(300));
      const auto found = twin.find(id);
      const auto seen = history.find(id);
      ASSERT_EQ(seen.has_value(), found != twin.end());
      if (seen) {
        ASSERT_EQ(*seen, found->second);
      } else {
        SettledOutcome record;
        record.txn = id;
        record.fingerprint = rng.next();
        record.decided_at = ClusterMillis(testing::start_millis);
        record.outcome = Outcome::committed;
        history.add(record);
        twin.emplace(id, record);
        order.push_back(id);
      }
      if (rng.chance(0.3)) {
        const std::size_t most = rng.below(5);
        history.forget(ClusterMillis(testing::start_millis + 100), bounds, window, most);
        for (std::size_t i = 0; i < most && twin.size() > bounds.records_max; ++i) {
          twin.erase(order.front());
          order.pop_front();
        }
      }
      ASSERT_EQ(history.size(), twin.size());
    }
  }
}

}  // namespace
}  // namespace assent
